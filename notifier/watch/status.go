package watch

import (
	"slices"
	"time"

	"mailbell/notifier"
)

// MailboxStatus says where a mailbox stands and what happens next.
type MailboxStatus struct {
	Mailbox     notifier.Mailbox `json:"mailbox"`
	State       State            `json:"state"`
	Since       time.Time        `json:"since"`
	NextTry     time.Time        `json:"next_try,omitzero"`
	Account     string           `json:"account,omitempty"`
	Group       string           `json:"group,omitempty"`
	URL         string           `json:"url,omitempty"`
	Site        string           `json:"site,omitempty"`   // GroupingInformation
	Server      string           `json:"server,omitempty"` // as its affinity cookie calls it
	Stream      *StreamStatus    `json:"stream,omitempty"` // nil: on none
	Subscribed  time.Time        `json:"subscribed,omitzero"`
	StreamAfter time.Time        `json:"stream_after,omitzero"` // no stream is opened before
	Failures    int              `json:"failures"`              // in a row
	Next        string           `json:"next"`                  // what happens next, in words
	LastEvent   time.Time        `json:"last_event,omitzero"`
	LastError   string           `json:"last_error,omitempty"`
	Pending     int              `json:"pending"`
	Compared    time.Time        `json:"compared,omitzero"`
	History     []Transition     `json:"history"` // the latest, oldest first
}

// StreamStatus is the stream that carries a mailbox.
type StreamStatus struct {
	Opened        time.Time `json:"opened"`
	Heard         time.Time `json:"heard,omitzero"` // the latest message, heartbeats included
	ChargedTo     string    `json:"charged_to"`     // mailbox whose budget it costs
	Subscriptions int       `json:"subscriptions"`
}

// Explain tells how a mailbox is doing; false when it is not watched.
func (w *Watcher) Explain(name notifier.Mailbox) (MailboxStatus, bool) {
	w.mu.Lock()
	m := w.mailboxes[name]
	w.mu.Unlock()
	if m == nil {
		return MailboxStatus{}, false
	}
	m.mu.Lock()
	g := m.group
	s := MailboxStatus{
		Mailbox: name, State: m.state, Since: m.since, NextTry: m.nextTry, LastEvent: m.lastEvent, LastError: m.lastErr,
		Pending: len(m.pending), Compared: m.comparedAt, History: slices.Clone(m.history), Failures: m.strikes.row(),
	}
	if sub := m.bookmark.Subscription; sub != nil {
		s.Subscribed = sub.Made
	}
	m.mu.Unlock()
	if g != nil {
		s.Account, s.Group, s.URL, s.Site = g.key.account, g.name, g.key.url, g.key.grouping
		g.explain(m, &s)
	}
	s.Next = s.next()
	return s, true
}

// explain adds what the group knows of a mailbox.
func (g *group) explain(m *mailbox, s *MailboxStatus) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s.Server = g.affinity.Server()
	mb := g.members[m]
	if mb == nil || mb.stream == nil {
		if now := time.Now(); g.openAfter.After(now) {
			s.StreamAfter = g.openAfter
		}
		return
	}
	s.Stream = &StreamStatus{Opened: mb.stream.opened, ChargedTo: mb.stream.charge, Subscriptions: len(mb.stream.members)}
	if ns := mb.stream.heard.Load(); ns != 0 {
		s.Stream.Heard = time.Unix(0, ns)
	}
}

// next says in words what happens next.
func (s MailboxStatus) next() string {
	clock := func(t time.Time) string { return t.UTC().Format("15:04:05 UTC") }
	switch {
	case s.State == Waiting && !s.NextTry.IsZero():
		return "tried again at " + clock(s.NextTry)
	case s.State == Discovering:
		return "Autodiscover is being asked where the mailbox is"
	case s.State == Subscribing:
		return "Exchange is being asked for a subscription, after those that wait longer"
	case !s.StreamAfter.IsZero():
		return "a stream is opened at " + clock(s.StreamAfter)
	case s.State == CatchingUp && !s.NextTry.IsZero():
		return "compared with its bookmark again at " + clock(s.NextTry)
	case s.State == CatchingUp:
		return "compared with its bookmark as soon as a stream is open and it is its turn"
	case s.Pending > 0:
		return "the events that wait are read and pushed"
	}
	return "the next mail is announced as soon as Exchange tells of it"
}

// AccountStatus is how a listener account is doing.
type AccountStatus struct {
	Name         string    `json:"name"`
	Mailboxes    int       `json:"mailboxes"`
	Capacity     int       `json:"capacity"`
	BlockedUntil time.Time `json:"blocked_until,omitzero"` // its credentials were refused; tried again then
}

// Accounts lists the listener accounts, in the order of the options.
func (w *Watcher) Accounts() []AccountStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]AccountStatus, 0, len(w.accounts))
	now := time.Now()
	for _, a := range w.accounts {
		s := AccountStatus{Name: a.Name, Mailboxes: a.mailboxes, Capacity: a.Capacity}
		if a.blockedUntil.After(now) {
			s.BlockedUntil = a.blockedUntil
		}
		list = append(list, s)
	}
	return list
}

// Stats counts what the watcher has and did.
type Stats struct {
	Mailboxes     int           `json:"mailboxes"`
	ByState       map[State]int `json:"by_state"`
	Groups        int           `json:"groups"`
	Events        uint64        `json:"events"`         // told by streams
	CaughtUp      uint64        `json:"caught_up"`      // found by comparing after a gap
	AuditFinds    uint64        `json:"audit_finds"`    // found by the sweep: alarming
	StreamsOpened uint64        `json:"streams_opened"` // since the start
	StreamsBroken uint64        `json:"streams_broken"` // of these, ended without an orderly close
	Irregular     int           `json:"irregular"`      // transitions that are none; always 0
}

// Stats is a snapshot.
func (w *Watcher) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := Stats{
		Mailboxes: len(w.mailboxes), ByState: map[State]int{},
		Events: w.stats.events.Load(), CaughtUp: w.stats.caughtUp.Load(), AuditFinds: w.stats.auditFinds.Load(),
		StreamsOpened: w.stats.streamsOpened.Load(), StreamsBroken: w.stats.streamsBroken.Load(),
	}
	for _, list := range w.groups {
		s.Groups += len(list)
	}
	for _, m := range w.mailboxes {
		m.mu.Lock()
		s.ByState[m.state]++
		s.Irregular += m.irregular
		m.mu.Unlock()
	}
	return s
}
