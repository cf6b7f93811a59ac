package watch

import (
	"context"
	"fmt"
	"strings"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/ews"
)

// eventTypes are those that subscriptions ask for.
func (o *Options) eventTypes() []ews.EventType {
	if o.Elsewhere == nil {
		return []ews.EventType{ews.NewMailEvent}
	}
	return []ews.EventType{ews.NewMailEvent, ews.ModifiedEvent, ews.DeletedEvent, ews.MovedEvent}
}

func eventNames(list []ews.EventType) string {
	names := make([]string, len(list))
	for i, e := range list {
		names[i] = strings.TrimSuffix(string(e), "Event")
	}
	return strings.Join(names, ",")
}

// elsewhere takes in what a stream tells besides new mail. It reports whether
// the devices may have to be told. The unread count comes with the event of the
// folder, so that it costs no request (EWS reference "ModifiedEvent",
// UnreadCount).
func (m *mailbox) elsewhere(events []ews.Event, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	due := false
	for _, e := range events {
		item := e.Item
		if e.Type == ews.MovedEvent {
			item = e.OldItem
		}
		switch {
		case e.Type == ews.NewMailEvent:
		case e.Type == ews.ModifiedEvent && e.Item == "" && e.UnreadCount >= 0:
			m.unread, m.unreadAt = e.UnreadCount, now
			due = due || m.unread != m.shown
		case item != "" && len(m.touched) < touchedMax && m.bookmark.HasItem(notifier.ItemID(item)):
			if m.touched == nil {
				m.touched = map[notifier.ItemID]ews.EventType{}
			}
			m.touched[notifier.ItemID(item)] = e.Type
			due = true
		}
	}
	if m.toBeTold { // already: who reads on and on is not to put it off
		return false
	}
	m.toBeTold = due
	return due
}

// freshCount is the unread count that came with the mail that is being read.
func (m *mailbox) freshCount() (count int, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.unread, m.unread >= 0 && time.Since(m.unreadAt) < unreadFresh
}

// showing notes the count that a notification carries to the devices.
func (m *mailbox) showing(count int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if count >= 0 {
		m.shown = count
	}
}

// tellElsewhere finds out what the owner has done and hands it over.
func (w *Watcher) tellElsewhere(m *mailbox) {
	g := w.groupOf(m)
	m.mu.Lock()
	if len(m.pending) > 0 { // new mail is about to bring its count along
		m.mu.Unlock()
		w.toTell.rest(m, elsewhereQuiet)
		return
	}
	touched, unread, shown := m.touched, m.unread, m.shown
	m.touched, m.toBeTold = nil, false
	m.mu.Unlock()
	if g == nil || m.ctx.Err() != nil {
		return // what matters then comes with the next mail
	}
	e, err := w.lookElsewhere(m.ctx, g, m, touched, unread)
	if err == nil && (len(e.Done) > 0 || e.Unread != shown) {
		err = w.opt.Elsewhere(m.ctx, e)
	}
	if err == nil {
		m.showing(e.Unread)
		return
	}
	if m.ctx.Err() != nil {
		return
	}
	m.mu.Lock()
	for item, what := range touched {
		if m.touched == nil {
			m.touched = map[notifier.ItemID]ews.EventType{}
		}
		m.touched[item] = what
	}
	d, n := m.telling.add(retryMin, retryMax, backOffTold(err))
	m.mu.Unlock()
	w.log.Warn("what was read elsewhere is not told; trying again", "mailbox", m.name, "try", n+1, "err", err)
	if n < escalateAfter { // then it is old news
		w.toTell.rest(m, d)
	}
}

// lookElsewhere asks which of the touched items have been read, and for the
// unread count when no event told it.
func (w *Watcher) lookElsewhere(ctx context.Context, g *group, m *mailbox, touched map[notifier.ItemID]ews.EventType, unread int) (notifier.Elsewhere, error) {
	e := notifier.Elsewhere{Mailbox: m.name, Unread: unread, Noticed: time.Now()}
	var ask []ews.ItemID
	for item, what := range touched {
		if what == ews.ModifiedEvent {
			ask = append(ask, ews.ItemID(item))
		} else {
			e.Done = append(e.Done, item)
		}
	}
	if len(ask) > 0 {
		results, err := g.client.GetItem(ctx, m.caller(), ask)
		if err != nil {
			return e, fmt.Errorf("watch: read elsewhere %s: %w", m.name, err)
		}
		for i, r := range results {
			switch {
			case i >= len(ask):
			case errorCode(r.Err) == "ErrorItemNotFound", r.Err == nil && r.Item.Read:
				e.Done = append(e.Done, notifier.ItemID(ask[i]))
			}
		}
	}
	if e.Unread < 0 {
		f, err := g.client.GetFolder(ctx, m.caller())
		if err != nil {
			return e, fmt.Errorf("watch: unread count of %s: %w", m.name, err)
		}
		e.Unread = f.Unread
	}
	return e, nil
}
