package watch

import (
	"context"
	"sync"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/autodiscover"
	"mailbell/notifier/ews"
)

// State is where a mailbox stands on its way to being heard.
type State string

// The states. Every one has a way out: by success, or after a time.
const (
	Discovering State = "discovering" // its EWS URL and group are being looked up
	Subscribing State = "subscribing" // Exchange is being asked for a subscription
	CatchingUp  State = "catching-up" // subscribed; being compared with its bookmark
	Streaming   State = "streaming"   // subscribed, compared, and on an open stream
	Waiting     State = "waiting"     // something failed; NextTry says when it goes on
)

// mailbox is one watched mailbox. Its fields belong to mu, except those that
// say otherwise.
type mailbox struct {
	name notifier.Mailbox
	ctx  context.Context // ends when the mailbox is removed
	stop context.CancelFunc

	mu        sync.Mutex
	state     State
	since     time.Time // when state was entered
	nextTry   time.Time // Waiting: when it goes on
	lastErr   string
	lastEvent time.Time
	settings  autodiscover.Settings
	inbox     string // folder ID of the Inbox, once known
	group     *group // nil while not placed
	tries     int    // failures in a row of the present step

	// What has been noticed and not yet dealt with, oldest first.
	pending    []notifier.Event
	pendingIDs map[notifier.ItemID]bool
	failures   int  // of Handle, in a row
	resting    bool // a retry of Handle is due by timer

	bookmark   notifier.Bookmark
	loaded     bool   // the stored bookmark, if any, has been read
	gaps       uint64 // gaps there were
	compared   uint64 // gaps that a comparison has covered
	comparedAt time.Time

	poison map[notifier.ItemID]int // items that failed inside Exchange, and how often
}

// Caller of requests about this mailbox that need no group.
func (m *mailbox) caller() ews.Caller { return ews.Caller{Impersonate: m.address()} }

// address is how Exchange wants to hear the mailbox called.
func (m *mailbox) address() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.settings.Address != "" {
		return m.settings.Address
	}
	return string(m.name)
}

func (m *mailbox) enter(s State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.enterLocked(s)
}

func (m *mailbox) enterLocked(s State) {
	if m.state != s {
		m.state, m.since = s, time.Now()
	}
	if s != Waiting {
		m.nextTry = time.Time{}
	}
	if s == Streaming {
		m.lastErr, m.tries = "", 0
	}
}

// wait puts the mailbox into Waiting and returns how long.
func (m *mailbox) wait(err error, d time.Duration) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.enterLocked(Waiting)
	m.nextTry = time.Now().Add(d)
	if err != nil {
		m.lastErr = err.Error()
	}
	return d
}

// openGap notes that something may have been missed.
func (m *mailbox) openGap() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gaps++
}

func (m *mailbox) inGapLocked() bool { return m.compared != m.gaps }

// notice adds events to what is pending; already known items are passed over.
// It reports whether there is something new, and whether there was too much:
// then events were dropped, a gap is open, and the mailbox must be compared.
func (m *mailbox) notice(events []notifier.Event, most int) (fresh, overflow bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range events {
		if m.pendingIDs[e.Item] || m.bookmark.HasItem(e.Item) {
			continue
		}
		if len(m.pending) >= most {
			m.gaps++
			return fresh, true
		}
		if m.pendingIDs == nil {
			m.pendingIDs = map[notifier.ItemID]bool{}
		}
		m.pendingIDs[e.Item] = true
		m.pending = append(m.pending, e)
		m.lastEvent = e.Noticed
		fresh = true
	}
	return fresh, false
}

// batch is the oldest pending events, at most handleMax.
func (m *mailbox) batch() []notifier.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.resting {
		return nil
	}
	return append([]notifier.Event(nil), m.pending[:min(len(m.pending), handleMax)]...)
}

// done takes events off what is pending and adds what was dealt with to the
// bookmark. The floor rises only when nothing below it can be outstanding. It
// returns the bookmark to be written and whether more is pending.
func (m *mailbox) done(events []notifier.Event, seen []notifier.SeenItem) (notifier.Bookmark, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failures = 0
	for _, e := range events {
		delete(m.pendingIDs, e.Item)
		delete(m.poison, e.Item)
	}
	m.pending = append([]notifier.Event(nil), m.pending[len(events):]...)
	m.bookmark = m.bookmark.With(seen...)
	m.settleLocked()
	return m.bookmark, len(m.pending) > 0
}

func (m *mailbox) settleLocked() {
	if len(m.pending) == 0 && !m.inGapLocked() {
		m.bookmark = m.bookmark.Settled()
	}
}

// coveredUpTo notes that a comparison that began when there were gaps gaps has
// handed over everything it found.
func (m *mailbox) coveredUpTo(gaps uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.comparedAt = time.Now()
	if gaps > m.compared {
		m.compared = gaps
	}
	m.settleLocked()
	if m.state == CatchingUp && !m.inGapLocked() {
		m.enterLocked(Streaming)
	}
}
