package compose

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"mailbell/notifier"
)

// Policy says who is served and what a notification may show. The first rule
// whose pattern fits the mailbox counts; a mailbox that no rule names is not
// served. The zero Policy serves nobody. A Policy is not changed after use and
// may be shared.
type Policy struct {
	Rules []Rule
}

// Rule is what holds for the mailboxes it names.
type Rule struct {
	// Mailbox is an address, "*@domain" for all addresses of exactly that domain,
	// or "*" for all. Case does not matter.
	Mailbox string
	// Approved says whether these mailboxes are served at all.
	Approved bool
	// Show is how much of a mail appears; empty means ShowEverything.
	Show Show
	// Preview adds the first words of the text where Show is ShowEverything.
	Preview bool
	// QuietHours is when notifications come without sound; zero: never.
	QuietHours QuietHours
	// ImportantOnly announces only mail of high importance.
	ImportantOnly bool
	// Suppress names kinds of item that are not announced.
	Suppress []Kind
	// Expiry is how long a push is worth sending, counted from its composing;
	// zero means ExpiryDefault.
	Expiry time.Duration
	// Sound is SoundDefault, SoundNone, or the name of a sound file in the iPhone
	// app; Windows devices then play the system's mail sound. Empty means
	// SoundDefault.
	Sound string
}

// Show is how much of a mail a notification may show.
type Show string

// The degrees of showing.
const (
	ShowEverything Show = "everything" // sender and subject, and with Preview the first words
	ShowSender     Show = "sender"     // the sender and a generic text
	ShowNothing    Show = "nothing"    // a generic text only
)

// Sounds with a meaning of their own.
const (
	SoundDefault = "default"
	SoundNone    = "none"
)

const highImportance = "High" // EWS reference "Importance"

// Decision is what policy says about one mail for one device. It is either
// Notify, with what may be shown, or a Reason why not.
type Decision struct {
	Notify  bool
	Reason  string // one of notifier's reasons; empty when Notify
	Show    Show
	Preview bool
	Silent  bool   // no sound, no lighting up
	Sound   string // SoundDefault or a sound file's name; empty when Silent
	Expires time.Time
}

// Validate names the first rule that cannot be applied, and what to write
// instead.
func (p Policy) Validate() error {
	if len(p.Rules) > RulesMax {
		return fmt.Errorf("compose: policy: %d rules, at most %d", len(p.Rules), RulesMax)
	}
	for i, r := range p.Rules {
		if err := r.validate(); err != nil {
			return fmt.Errorf("compose: policy: rule %d: %w", i+1, err)
		}
	}
	return nil
}

func (r Rule) validate() error {
	if err := checkPattern(r.Mailbox); err != nil {
		return err
	}
	switch r.Show {
	case "", ShowEverything, ShowSender, ShowNothing:
	default:
		return fmt.Errorf("show %q: want %s, %s or %s", r.Show, ShowEverything, ShowSender, ShowNothing)
	}
	for _, k := range r.Suppress {
		if !k.known() {
			return fmt.Errorf("suppress %q: want %s, %s or %s", k, Meetings, Reports, OutOfOffice)
		}
	}
	if r.Expiry != 0 && (r.Expiry < ExpiryMin || r.Expiry > ExpiryMax) {
		return fmt.Errorf("expiry %s: want %s to %s", r.Expiry, ExpiryMin, ExpiryMax)
	}
	if err := checkSound(r.Sound); err != nil {
		return err
	}
	return r.QuietHours.validate()
}

func checkPattern(pattern string) error {
	if pattern == "*" {
		return nil
	}
	address := pattern
	if domain, ok := strings.CutPrefix(pattern, "*@"); ok {
		address = "x@" + domain
	}
	if strings.Contains(address, "*") {
		return fmt.Errorf("mailbox %q: a star stands alone or before @domain only", pattern)
	}
	if _, err := notifier.ParseMailbox(address); err != nil {
		return fmt.Errorf("mailbox %q: want an address, *@domain or *", pattern)
	}
	return nil
}

func checkSound(name string) error {
	if len(name) > soundLenMax {
		return fmt.Errorf("sound: %d bytes, at most %d", len(name), soundLenMax)
	}
	for _, c := range name {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("-._ ", c) {
			return errors.New("sound: want default, none or the name of a sound file of the app")
		}
	}
	return nil
}

// Approved says whether the mailbox is served.
func (p Policy) Approved(m notifier.Mailbox) bool {
	r, ok := p.rule(m)
	return ok && r.Approved
}

// Decide says what becomes of a notification for a device at the time now. It
// depends on nothing but its arguments.
//
// A mail received more than RegistrationTolerance before the device was
// registered is not announced, nor is one that was read elsewhere meanwhile.
func (p Policy) Decide(device notifier.Registration, n notifier.Notification, now time.Time) Decision {
	r, ok := p.rule(n.Mailbox)
	if !ok || !r.Approved {
		return Decision{Reason: notifier.ReasonNotApproved}
	}
	switch m := n.Message; {
	case m.Received.Before(device.Created.Add(-RegistrationTolerance)):
		return Decision{Reason: notifier.ReasonOld}
	case m.Read:
		return Decision{Reason: notifier.ReasonAlreadyRead}
	case r.suppresses(m.Class), r.ImportantOnly && !strings.EqualFold(m.Importance, highImportance):
		return Decision{Reason: notifier.ReasonPolicy}
	}
	d := Decision{Notify: true, Show: r.Show, Sound: r.Sound, Expires: now.Add(r.expiry())}
	if d.Show == "" {
		d.Show = ShowEverything
	}
	d.Preview = r.Preview && d.Show == ShowEverything
	switch {
	case d.Sound == SoundNone || r.QuietHours.Contain(now):
		d.Silent, d.Sound = true, ""
	case d.Sound == "":
		d.Sound = SoundDefault
	}
	return d
}

func (p Policy) rule(m notifier.Mailbox) (Rule, bool) {
	for _, r := range p.Rules {
		if Names(r.Mailbox, m) {
			return r, true
		}
	}
	return Rule{}, false
}

// Names says whether a pattern names a mailbox: an address, *@domain, or *.
func Names(pattern string, m notifier.Mailbox) bool {
	if pattern == "*" {
		return true
	}
	if domain, ok := strings.CutPrefix(pattern, "*@"); ok {
		return strings.EqualFold(domain, m.Domain())
	}
	return strings.EqualFold(strings.TrimSpace(pattern), string(m))
}

func (r Rule) suppresses(class string) bool {
	kind := kindOf(class)
	for _, k := range r.Suppress {
		if k == kind {
			return true
		}
	}
	return false
}

func (r Rule) expiry() time.Duration {
	if r.Expiry == 0 {
		return ExpiryDefault
	}
	return r.Expiry
}
