package config

import (
	"errors"
	"strings"

	"mailbell/notifier/compose"
)

// policy turns the rules of the file into a policy. A rule that names several
// mailboxes becomes one for each.
func (b *builder) policy(rules []Rule) compose.Policy {
	var p compose.Policy
	if len(rules) == 0 {
		b.wrong("policy", `missing: at least one rule, such as - mailboxes: ["*"]; without one nobody is served`)
	}
	named := map[string]string{} // pattern: the field that has it
	for i, r := range rules {
		field := index("policy", i)
		rule := b.rule(field, r)
		if len(r.Mailboxes) == 0 {
			b.wrong(field+".mailboxes", "missing: addresses, *@domain, or * for all")
		}
		for j, pattern := range r.Mailboxes {
			entry := index(field+".mailboxes", j)
			rule.Mailbox = pattern
			if err := validate(compose.Rule{Mailbox: pattern}); err != nil {
				b.accept(entry, err)
				continue
			}
			pattern = strings.ToLower(strings.TrimSpace(pattern))
			_, domain, _ := strings.Cut(pattern, "@")
			for _, wider := range []string{"*", "*@" + domain, pattern} {
				if first, ok := named[wider]; ok {
					b.wrong(entry, "never counts: %s comes before it and names this too; put the narrower rule first", first)
					break
				}
			}
			named[pattern] = entry
			p.Rules = append(p.Rules, rule)
		}
	}
	if len(p.Rules) > compose.RulesMax {
		b.wrong("policy", "%d mailboxes and patterns, at most %d", len(p.Rules), compose.RulesMax)
	}
	return p
}

// rule is a rule without its mailbox.
func (b *builder) rule(field string, r Rule) compose.Rule {
	before := b.count()
	show := b.one(field+".show", r.Show, string(compose.ShowEverything), string(compose.ShowSender), string(compose.ShowNothing))
	out := compose.Rule{
		Approved: r.Approved == nil || *r.Approved, Show: compose.Show(show), Preview: r.Preview,
		ImportantOnly: r.ImportantOnly, Expiry: r.Expiry, Sound: r.Sound,
	}
	for i, kind := range r.Suppress {
		kind = b.one(index(field+".suppress", i), kind, "", string(compose.Meetings), string(compose.Reports), string(compose.OutOfOffice))
		out.Suppress = append(out.Suppress, compose.Kind(kind))
	}
	if q := r.QuietHours; q != nil {
		hours, err := compose.ParseQuietHours(q.From, q.To, q.Zone)
		b.accept(field+".quiet_hours", err)
		out.QuietHours = hours
	}
	if r.Preview && out.Show != compose.ShowEverything {
		b.unused(field, "it goes with show: everything", "preview")
	}
	if b.count() == before {
		all := out
		all.Mailbox = "*"
		b.accept(field, validate(all))
	}
	return out
}

// validate says what is wrong with a rule, without its number, which is not
// that of the file.
func validate(r compose.Rule) error {
	err := compose.Policy{Rules: []compose.Rule{r}}.Validate()
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}
