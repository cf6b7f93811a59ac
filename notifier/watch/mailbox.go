package watch

import (
	"context"
	"sync"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/autodiscover"
	"mailbell/notifier/ews"
)

// mailbox is one watched mailbox. Its fields belong to mu, except those that
// say otherwise.
type mailbox struct {
	name notifier.Mailbox
	ctx  context.Context // ends when the mailbox is removed
	stop context.CancelFunc

	comparing turn // of the one who compares; taken before mu is locked

	mu        sync.Mutex
	state     State
	since     time.Time // when state was entered
	history   []Transition
	irregular int       // transitions that are none; always 0
	nextTry   time.Time // Waiting: when it goes on
	lastErr   string
	lastEvent time.Time
	settings  autodiscover.Settings
	group     *group // nil while not placed
	// shunned are groups whose server says that the mailbox is not its own,
	// although Autodiscover puts it there: they have moved as a whole.
	shunned map[*group]bool
	heard   bool // on an open stream since the last gap; only then a comparison covers anything
	older   bool // the server does not take the newest request schema

	forAccount bool // it waits for an account whose credentials are taken

	strikes  strikes // of everything but Handle
	refusals strikes // those that only somebody's action can end
	handling strikes // of Handle

	// What has been noticed and not yet dealt with, oldest first.
	pending    []notifier.Event
	pendingIDs map[notifier.ItemID]bool
	overflowed bool // events were dropped; to be compared when nothing is pending

	bookmark   notifier.Bookmark
	loaded     bool      // the stored bookmark, if any, has been read
	gaps       uint64    // gaps there were
	gapSince   time.Time // when the one that is open, or was last, began
	compared   uint64    // gaps that a comparison has covered
	comparedAt time.Time

	told    *changes // by SyncFolderItems, and not dealt with yet; nil: none
	walking strikes  // of walking through the Inbox, and of states given up
	walked  int      // pages of this walk
	// moveOnAt is when the mailbox was last compared only to have its state move on.
	moveOnAt time.Time

	// What the owner does elsewhere.
	unread   int // unread items, as the latest event told; notifier.UnreadUnknown: none did
	unreadAt time.Time
	telling  strikes
	toBeTold bool                              // tellElsewhere is going to look
	shown    int                               // the count that the devices show, as far as known
	touched  map[notifier.ItemID]ews.EventType // announced items that something happened to

	poison map[notifier.ItemID]failing // items that failed inside Exchange
}

// failing is an item that cannot be read.
type failing struct {
	times int
	since time.Time
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

// strike counts a failure and returns how long to wait, and how many there
// were before it in a row.
func (m *mailbox) strike(first, most, told time.Duration) (wait time.Duration, before int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.strikes.add(first, most, told)
}

// struck is the number of failures in the row that goes on.
func (m *mailbox) struck() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.strikes.row()
}

// refused counts a failure that only somebody's action can end.
func (m *mailbox) refused(told time.Duration) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	wait, _ := m.refusals.add(permanentMin, permanentMax, told)
	return wait
}

// wait puts the mailbox into Waiting for d.
func (m *mailbox) wait(why Why, err error, d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.enterLocked(Waiting, why)
	m.nextTry = time.Now().Add(d)
	if err != nil {
		m.lastErr = err.Error()
	}
}

// shun keeps the mailbox out of a group until it has a subscription in another.
func (m *mailbox) shun(g *group) {
	m.mu.Lock()
	defer m.mu.Unlock()
	shunned := map[*group]bool{g: true} // place may be looking at the one before
	for other := range m.shunned {
		shunned[other] = true
	}
	m.shunned = shunned
}

// isNew says that the mailbox was never heard.
func (m *mailbox) isNew() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.comparedAt.IsZero()
}

// sinceWhen is when the mailbox entered its state.
func (m *mailbox) sinceWhen() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.since
}

// waitsForAccount says whether the wait is for an account.
func (m *mailbox) waitsForAccount(yes bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forAccount = yes
}

// retry notes a failure that leaves the mailbox where it stands.
func (m *mailbox) retry(err error, d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nextTry = time.Now().Add(d)
	m.lastErr = err.Error()
}

// openGap notes that something may have been missed.
func (m *mailbox) openGap() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.openGapLocked()
}

func (m *mailbox) openGapLocked() {
	if !m.inGapLocked() {
		m.gapSince = time.Now()
	}
	m.gaps++
}

// deaf opens a gap that lasts until the mailbox is on a stream again: a
// comparison that begins before covers nothing, since what comes after it would
// be told by nobody.
func (m *mailbox) deaf() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.openGapLocked()
	m.heard = false
}

func (m *mailbox) inGapLocked() bool { return m.compared != m.gaps }

// notice adds events to what is pending; already known items are passed over.
// It reports whether there is something new, and whether there is too much as
// of now: then events were dropped, a gap is open, and the mailbox is to be
// compared when nothing is pending any more.
func (m *mailbox) notice(events []notifier.Event, most int) (fresh, overflow bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range events {
		if m.pendingIDs[e.Item] || m.bookmark.HasItem(e.Item) {
			continue
		}
		if len(m.pending) >= most {
			m.openGapLocked()
			overflow, m.overflowed = !m.overflowed, true
			return fresh, overflow
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
	return append([]notifier.Event(nil), m.pending[:min(len(m.pending), handleMax)]...)
}

// done takes events off what is pending and adds what was dealt with to the
// bookmark, which is then to be written. The floor rises only when nothing below
// it can be outstanding.
func (m *mailbox) done(events []notifier.Event, seen []notifier.SeenItem) (then next) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.handling = strikes{}
	for _, e := range events {
		delete(m.pendingIDs, e.Item)
		delete(m.poison, e.Item)
	}
	m.pending = append([]notifier.Event(nil), m.pending[len(events):]...)
	m.bookmark = m.bookmark.With(dated(seen, m.bookmark)...)
	then.compare = m.doneWithLocked(events)
	m.settleLocked()
	then.handle = len(m.pending) > 0
	if m.overflowed && !then.handle {
		m.overflowed, then.compare = false, true
	}
	then.walk = m.toBeWalkedLocked()
	return then
}

// next is what a mailbox waits for when some of its events are dealt with.
type next struct {
	handle  bool // the other events
	compare bool // because events were dropped, or changes left untold
	walk    bool // because no state is known
}

// dated gives the items of which nobody knows when they were received the
// newest time known, so that they are remembered like the others.
func dated(seen []notifier.SeenItem, b notifier.Bookmark) []notifier.SeenItem {
	newest := b.Floor
	for _, list := range [][]notifier.SeenItem{b.Seen, seen} {
		for _, s := range list {
			if s.Received.After(newest) {
				newest = s.Received
			}
		}
	}
	out := append([]notifier.SeenItem(nil), seen...)
	for i := range out {
		if out[i].Received.IsZero() {
			out[i].Received = newest
		}
	}
	return out
}

// settleLocked raises the bookmark's floor when nothing is outstanding. Items
// with a time in the future do not count: the mail of all that time would be
// below the floor.
func (m *mailbox) settleLocked() {
	if len(m.pending) > 0 || m.inGapLocked() {
		return
	}
	b, now := m.bookmark, time.Now()
	var past, ahead []notifier.SeenItem
	for _, s := range b.Seen {
		if s.Received.After(now) {
			ahead = append(ahead, s)
		} else {
			past = append(past, s)
		}
	}
	if len(ahead) > notifier.BookmarkSeenMax {
		ahead, past = nil, b.Seen // it is our own clock that is wrong
	}
	b.Seen = past
	m.bookmark = b.Settled()
	m.bookmark.Seen = append(m.bookmark.Seen, ahead...)
}

// coveredUpTo notes that a comparison that began when there were gaps gaps has
// handed over everything it found. It reports whether the Inbox has to be walked
// now for a state.
func (m *mailbox) coveredUpTo(gaps uint64) (walk bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.comparedAt = time.Now()
	if gaps > m.compared {
		m.compared = gaps
	}
	m.settleLocked()
	if m.state == CatchingUp && !m.inGapLocked() {
		m.enterLocked(Streaming, Compared)
	}
	return m.toBeWalkedLocked()
}
