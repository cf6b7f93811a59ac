package exchange

import (
	"fmt"
	"strings"
	"time"

	"mailbell/fakes/journal"
)

// Envelope is a mail as it comes from transport.
type Envelope struct {
	From string   // reverse path; empty for reports
	To   []string // recipients: primary addresses or aliases
	Raw  []byte   // RFC 5322 message; kept, not copied
}

// Delivered is what became of one recipient.
type Delivered struct {
	Mailbox string // primary address, or the recipient as given when there is none
	Item    string // id of the new item
	Folder  string // where it went: inbox unless a rule filed it
	Err     error  // ErrNoMailbox
}

// Rule is an Inbox rule that runs on the server at delivery. It matches when
// all its non-empty conditions do.
type Rule struct {
	SubjectContains string
	FromContains    string // in name or address
	MoveTo          string // folder, by distinguished or given name
	MarkRead        bool
}

// AddRule adds a rule to a mailbox; the first that matches decides.
func (o *Organisation) AddRule(address string, r Rule) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.find(address)
	if m == nil {
		return fmt.Errorf("%w: %s", ErrNoMailbox, address)
	}
	if r.MoveTo != "" && m.folder(FolderRef{Distinguished: r.MoveTo}) == nil {
		return fmt.Errorf("exchange: rule of %s: no folder %q", m.address, r.MoveTo)
	}
	m.rules = append(m.rules, r)
	return nil
}

// Deliver puts a mail into the mailbox of each recipient, one item and one
// journal entry for each, and raises the events of an arrival. Broken MIME is
// delivered with what can be read of it. The error is for an envelope that
// says nothing; that a recipient is unknown stands in its Delivered.
func (o *Organisation) Deliver(e Envelope) ([]Delivered, error) {
	if len(e.To) == 0 {
		return nil, fmt.Errorf("exchange: envelope without recipients")
	}
	if len(e.To) > RecipientsMax {
		return nil, fmt.Errorf("exchange: envelope with %d recipients, at most %d", len(e.To), RecipientsMax)
	}
	message := Parse(e.Raw)
	out := make([]Delivered, len(e.To))
	kept := false
	for i, to := range e.To {
		out[i] = o.deliver(message, e.From, to, &kept)
	}
	return out, nil
}

func (o *Organisation) deliver(message *Message, from, to string, kept *bool) Delivered {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.find(to)
	if m == nil {
		return Delivered{Mailbox: to, Err: fmt.Errorf("%w: %s", ErrNoMailbox, to)}
	}
	if !*kept {
		o.raw.keep(message)
		*kept = true
	}
	f, read := m.folders[Inbox], false
	for _, r := range m.rules {
		if r.matches(message) {
			if r.MoveTo != "" {
				f = m.folder(FolderRef{Distinguished: r.MoveTo})
			}
			read = r.MarkRead
			break
		}
	}
	it := m.add(f, message, now(), read)
	if o.options.Journal != nil {
		o.record(journal.Entry{Kind: "mail", Mailbox: m.address, Item: it.id, Detail: map[string]string{
			"subject": message.Subject, "from_name": message.From.Name, "from_addr": message.From.Address,
			"message_id": message.MessageID, "received": it.received.Format(time.RFC3339),
			"folder": f.name, "class": message.Class, "envelope_from": from, "size": fmt.Sprint(message.Size),
		}})
	}
	m.raise(itemEvent(CreatedEvent, it), itemEvent(NewMailEvent, it), folderEvent(m, f))
	return Delivered{Mailbox: m.address, Item: it.id, Folder: f.name}
}

func (r Rule) matches(m *Message) bool {
	contains := func(s, part string) bool { return strings.Contains(strings.ToLower(s), strings.ToLower(part)) }
	if r.SubjectContains == "" && r.FromContains == "" {
		return false
	}
	return (r.SubjectContains == "" || contains(m.Subject, r.SubjectContains)) &&
		(r.FromContains == "" || contains(m.From.Name, r.FromContains) || contains(m.From.Address, r.FromContains))
}

// rawStore bounds the memory that original messages take: beyond RawKeptMax
// the oldest are dropped, their items stay.
type rawStore struct {
	held  []*Message
	bytes int
}

func (s *rawStore) keep(m *Message) {
	s.held = append(s.held, m)
	s.bytes += len(m.raw)
	for s.bytes > RawKeptMax && len(s.held) > 1 {
		s.bytes -= len(s.held[0].raw)
		s.held[0].raw = nil
		s.held[0] = nil
		s.held = s.held[1:]
	}
}

// Raw is the original message, nil when it is no longer held.
func (o *Organisation) Raw(m *Message) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return m.raw
}
