package watch

import (
	"slices"
	"time"

	"mailbell/notifier"
)

// MailboxStatus says where a mailbox stands and what happens next.
type MailboxStatus struct {
	Mailbox   notifier.Mailbox `json:"mailbox"`
	State     State            `json:"state"`
	Since     time.Time        `json:"since"`
	NextTry   time.Time        `json:"next_try,omitzero"`
	Account   string           `json:"account,omitempty"`
	Group     string           `json:"group,omitempty"`
	URL       string           `json:"url,omitempty"`
	LastEvent time.Time        `json:"last_event,omitzero"`
	LastError string           `json:"last_error,omitempty"`
	Pending   int              `json:"pending"`
	Compared  time.Time        `json:"compared,omitzero"`
	History   []Transition     `json:"history"` // the latest, oldest first
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
	defer m.mu.Unlock()
	s := MailboxStatus{
		Mailbox: name, State: m.state, Since: m.since, NextTry: m.nextTry, LastEvent: m.lastEvent, LastError: m.lastErr,
		Pending: len(m.pending), Compared: m.comparedAt, History: slices.Clone(m.history),
	}
	if m.group != nil {
		s.Account, s.Group, s.URL = m.group.key.account, m.group.name, m.group.key.url
	}
	return s, true
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
