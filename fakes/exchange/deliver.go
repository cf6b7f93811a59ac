package exchange

import (
	"fmt"
	"strconv"
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
	rule := m.ruleFor(message)
	if rule != nil && !rule.Client {
		if to := rule.target(); to != "" {
			f = m.folder(FolderRef{Distinguished: to})
		}
		read = rule.MarkRead
	}
	it := m.add(f, message, now(), read)
	if o.options.Journal != nil {
		detail := map[string]string{
			"subject": message.Subject, "from_name": message.From.Name, "from_addr": message.From.Address,
			"message_id": message.MessageID, "received": it.received.Format(time.RFC3339),
			"folder": f.name, "class": message.Class, "envelope_from": from, "size": strconv.Itoa(message.Size),
		}
		if rule != nil {
			detail["rule"] = rule.kind()
		}
		o.record(journal.Entry{Kind: "mail", Mailbox: m.address, Item: it.id, Detail: detail})
	}
	if len(m.subs) > 0 {
		m.raise(itemEvent(CreatedEvent, it), itemEvent(NewMailEvent, it), folderEvent(m, f))
	}
	if message.Class == classMeetingRequest {
		m.enterMeeting(message)
	}
	id := it.id
	if rule != nil && rule.Client {
		o.runClientRule(m, it, *rule)
	}
	return Delivered{Mailbox: m.address, Item: id, Folder: f.name}
}

// enterMeeting puts a tentative appointment into the calendar, as the calendar
// attendant does with a meeting request.
func (m *mailbox) enterMeeting(request *Message) {
	f := m.folder(FolderRef{Distinguished: Calendar})
	if len(f.items) >= AppointmentsMax {
		return
	}
	appointment := *request
	appointment.Class, appointment.raw = classAppointment, nil
	it := m.add(f, &appointment, now(), true)
	if len(m.subs) > 0 {
		m.raise(itemEvent(CreatedEvent, it), folderEvent(m, f), m.freeBusyEvent(f))
	}
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
