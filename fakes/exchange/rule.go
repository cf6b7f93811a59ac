package exchange

import (
	"fmt"
	"strings"
	"time"

	"mailbell/fakes/journal"
)

// Rule is an Inbox rule. It matches when all its non-empty conditions do. A
// rule of the server runs at delivery, so what it files never is in the Inbox
// and raises no event there; a rule of the client runs when the client has
// heard of the mail, so the Inbox has a NewMailEvent and then a MovedEvent.
type Rule struct {
	Name            string // for people
	SubjectContains string
	FromContains    string // in name or address

	MoveTo   string // folder, by distinguished or given name
	Delete   bool   // into Deleted Items
	MarkRead bool

	Client bool          // runs in the client
	After  time.Duration // how long the client takes; 0: at once
}

// target is the folder a rule files into, "" when it files nothing.
func (r *Rule) target() string {
	if r.Delete {
		return DeletedItems
	}
	return r.MoveTo
}

func (r *Rule) kind() string {
	if r.Client {
		return "client"
	}
	return "server"
}

// AddRule adds a rule to a mailbox; the first that matches decides. Rules run
// for mail from transport only, not for items that a program creates.
func (o *Organisation) AddRule(address string, r Rule) error {
	if err := checkDuration("rule: After", r.After); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.find(address)
	switch {
	case m == nil:
		return fmt.Errorf("%w: %s", ErrNoMailbox, address)
	case r.SubjectContains == "" && r.FromContains == "":
		return fmt.Errorf("exchange: rule of %s: no condition; give SubjectContains or FromContains", m.address)
	case r.MoveTo == "" && !r.Delete && !r.MarkRead:
		return fmt.Errorf("exchange: rule of %s: no action; give MoveTo, Delete or MarkRead", m.address)
	case r.MoveTo != "" && r.Delete:
		return fmt.Errorf("exchange: rule of %s: MoveTo and Delete exclude each other", m.address)
	case r.MoveTo != "" && m.folder(FolderRef{Distinguished: r.MoveTo}) == nil:
		return fmt.Errorf("exchange: rule of %s: no folder %q", m.address, r.MoveTo)
	case len(m.rules) >= RulesMax:
		return fmt.Errorf("exchange: rule of %s: it has %d, no more are allowed", m.address, RulesMax)
	case r.After > 0 && !r.Client:
		return fmt.Errorf("exchange: rule of %s: After is for rules of the client", m.address)
	}
	m.rules = append(m.rules, r)
	return nil
}

// Rules are the rules of a mailbox in order.
func (o *Organisation) Rules(address string) ([]Rule, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.find(address)
	if m == nil {
		return nil, fmt.Errorf("%w: %s", ErrNoMailbox, address)
	}
	return append([]Rule(nil), m.rules...), nil
}

// RemoveRules takes all rules of a mailbox away.
func (o *Organisation) RemoveRules(address string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.find(address)
	if m == nil {
		return fmt.Errorf("%w: %s", ErrNoMailbox, address)
	}
	m.rules = nil
	return nil
}

// ruleFor is the rule that decides about a mail, or nil.
func (m *mailbox) ruleFor(message *Message) *Rule {
	for i := range m.rules {
		if m.rules[i].matches(message) {
			return &m.rules[i]
		}
	}
	return nil
}

func (r *Rule) matches(m *Message) bool {
	contains := func(s, part string) bool { return strings.Contains(strings.ToLower(s), strings.ToLower(part)) }
	return (r.SubjectContains == "" || contains(m.Subject, r.SubjectContains)) &&
		(r.FromContains == "" || contains(m.From.Name, r.FromContains) || contains(m.From.Address, r.FromContains))
}

// runClientRule lets the owner's client apply a rule, now or later.
func (o *Organisation) runClientRule(m *mailbox, it *item, r Rule) {
	if r.After == 0 {
		m.applyRule(it, r)
		return
	}
	time.AfterFunc(r.After, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if m.items[it.id] == it { // nobody was faster
			m.applyRule(it, r)
		}
	})
}

func (m *mailbox) applyRule(it *item, r Rule) {
	if r.MarkRead {
		m.setRead(it, true)
	}
	if to := r.target(); to != "" {
		from := it.id
		moved := m.moveItem(it, m.folder(FolderRef{Distinguished: to}))
		m.org.record(journal.Entry{Kind: "move-item", Mailbox: m.address, Item: moved.id, Detail: map[string]string{"from": from, "folder": moved.folder.name, "rule": r.kind()}})
	}
}
