package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/ews"
)

// CatchUp is the way of comparing an Inbox with its bookmark.
type CatchUp string

// The ways. Both find every mail that was delivered.
const (
	// ByReceived lists the Inbox down to the bookmark's floor. It costs one
	// request, and overlooks what came into the Inbox with a received time of more
	// than notifier.BookmarkLookBack ago: moved in, restored, or held up for long.
	ByReceived CatchUp = "received"
	// BySync asks for the changes since the last comparison (EWS
	// "SyncFolderItems") and finds those as well. It costs one request, too, and
	// once for each mailbox a walk through the whole Inbox. Until that is over,
	// and whenever the state it left is lost, the mailbox is compared by received
	// time.
	BySync CatchUp = "sync"
)

var (
	// errNotDealtWith means that there is no asking for more changes before those
	// told are dealt with. The mailbox is then compared again.
	errNotDealtWith = errors.New("watch: the changes told last are not dealt with yet")
	errStateGone    = errors.New("watch: the sync state was given up")
	errManyChanges  = errors.New("watch: more changes than one comparison looks at")
	errNoProgress   = errors.New("watch: more changes are promised, but the state stays the same")
	errStateLength  = fmt.Errorf("watch: the sync state is longer than %d bytes", notifier.BookmarkStateMax)
	errWalkLength   = fmt.Errorf("watch: the walk through the Inbox has not ended after %d pages", walkPagesMax)
)

// changes is what SyncFolderItems told last. Its state may be kept only when
// everything is dealt with.
type changes struct {
	from    *notifier.SyncMark // what was known when they were asked for
	state   string             // after them
	last    bool               // there were no more
	created []notifier.ItemID
	open    map[notifier.ItemID]bool // not dealt with yet
}

// syncsLocked says whether the mailbox is compared by SyncFolderItems by now.
func (m *mailbox) syncsLocked() bool { return m.bookmark.Sync != nil && m.bookmark.Sync.Walked }

// toBeWalkedLocked says whether its Inbox has to be walked before it can be.
func (m *mailbox) toBeWalkedLocked() bool { return m.bookmark.Sync != nil && !m.bookmark.Sync.Walked }

// compareBySync asks for what has changed since the bookmark's state and hands
// over what is new. It stops early at what has to be dealt with first; done has
// the mailbox compared again then.
func (w *Watcher) compareBySync(ctx context.Context, g *group, m *mailbox, why notifier.Source) error {
	for range syncTurnPages {
		if more, err := w.nextChanges(ctx, g, m, why, true); err != nil || !more {
			return err
		}
	}
	return errManyChanges
}

// nextChanges asks for one page of changes and hands over what is new among
// them. It reports whether the next page may be asked for. The caller holds
// comparing, and expects the Inbox to be walked already, or not to be.
func (w *Watcher) nextChanges(ctx context.Context, g *group, m *mailbox, why notifier.Source, walked bool) (more bool, err error) {
	m.mu.Lock()
	gaps, mark, heard, busy := m.gaps, m.bookmark, m.heard, m.told != nil
	if m.inGapLocked() {
		why = notifier.FromCatchUp // what is young counts as well
	}
	m.mu.Unlock()
	switch {
	case !heard:
		return false, errNotHeard
	case busy:
		return false, errNotDealtWith
	case mark.Sync.Walked != walked:
		return false, errStateGone
	}
	page, err := g.client.SyncFolderItems(ctx, m.caller(), ews.SyncRequest{State: ews.SyncState(mark.Sync.State)})
	switch {
	case err != nil:
		return false, fmt.Errorf("watch: changes of %s: %w", m.name, err)
	case len(page.State) > notifier.BookmarkStateMax:
		return false, errStateLength
	case !page.Last && string(page.State) == mark.Sync.State:
		return false, errNoProgress
	}
	fresh := newcomers(m.name, page, mark, why, time.Now())
	told := &changes{from: mark.Sync, state: string(page.State), last: page.Last}
	for _, it := range page.Created {
		told.created = append(told.created, notifier.ItemID(it.ID))
	}
	w.handOver(m, fresh)
	kept, adopted := m.await(told, fresh)
	if adopted {
		w.moved(m)
	}
	if kept && page.Last && walked {
		m.coveredUpTo(gaps)
	}
	return adopted && !page.Last, nil
}

// newcomers are the items of a page of changes that nobody has announced and
// somebody may want to hear of, in the order in which they were received.
//
// What was received since the bookmark's floor is mail like any other, drafts
// before its start excepted. What is older was moved in, restored or held up; it
// counts once the Inbox has been walked, and as long as it looks like news
// (decision 6): not read, not a draft, and not older than movedInAgeMax.
func newcomers(name notifier.Mailbox, page ews.SyncPage, mark notifier.Bookmark, why notifier.Source, now time.Time) []notifier.Event {
	known := make(map[notifier.ItemID]bool, len(mark.Seen)+len(mark.Sync.Known))
	for _, s := range mark.Seen {
		known[s.Item] = true
	}
	for _, id := range mark.Sync.Known {
		known[id] = true
	}
	var found []ews.FoundItem
	for _, it := range page.Created {
		news := !it.Read && !it.Draft && now.Sub(it.Received) <= movedInAgeMax
		if !it.Received.Before(mark.Start()) || !it.Received.Before(mark.Floor) && !it.Draft || mark.Sync.Walked && news {
			found = append(found, it)
		}
	}
	for _, it := range page.Updated { // all that is at or above it and dealt with is known
		if !it.Received.Before(mark.Start()) {
			found = append(found, it)
		}
	}
	slices.SortStableFunc(found, func(a, b ews.FoundItem) int { return cmp.Compare(a.Received.Unix(), b.Received.Unix()) })
	var fresh []notifier.Event
	for _, it := range found {
		id := notifier.ItemID(it.ID)
		if known[id] {
			continue
		}
		known[id] = true
		e := notifier.Event{Mailbox: name, Item: id, Source: why, Noticed: now, Received: it.Received.UTC()}
		if it.Received.Before(mark.Start()) || now.Sub(it.Received) < auditGrace {
			e.Source = notifier.FromCatchUp // no stream was to tell, or may still be about to
		}
		fresh = append(fresh, e)
	}
	return fresh
}

// await has the state of the changes told kept as soon as they are dealt with,
// which may be now (adopted). Changes of which some could not be handed over are
// not kept.
func (m *mailbox) await(told *changes, fresh []notifier.Event) (kept, adopted bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range fresh {
		if !m.pendingIDs[e.Item] && !m.bookmark.HasItem(e.Item) {
			return false, false // dropped; a gap is open
		}
	}
	told.open = map[notifier.ItemID]bool{}
	for _, id := range told.created {
		if m.pendingIDs[id] {
			told.open[id] = true
		}
	}
	for _, e := range fresh {
		if m.pendingIDs[e.Item] {
			told.open[e.Item] = true
		}
	}
	m.told = told
	if len(told.open) > 0 {
		return true, false
	}
	m.adoptLocked()
	return true, true
}

// adoptLocked moves the bookmark's state behind the changes told, all of which
// are dealt with. A state that was given up meanwhile stays so.
func (m *mailbox) adoptLocked() {
	told, now := m.told, m.bookmark.Sync
	m.told = nil
	if now.State != told.from.State || now.Walked != told.from.Walked {
		return
	}
	if told.last {
		m.walked = 0
	}
	past := map[notifier.ItemID]bool{} // no later change will call them created
	for _, id := range told.created {
		past[id] = true
	}
	if told.last {
		for _, id := range told.from.Known {
			past[id] = true
		}
	}
	var known []notifier.ItemID
	for _, id := range now.Known {
		if !past[id] {
			known = append(known, id)
		}
	}
	m.bookmark.Sync = &notifier.SyncMark{State: told.state, Walked: now.Walked || told.last, Known: known}
}

// doneWithLocked notes that events are dealt with. It reports whether the
// mailbox is to be compared now because of it.
func (m *mailbox) doneWithLocked(events []notifier.Event) (compare bool) {
	if m.told != nil {
		for _, e := range events {
			delete(m.told.open, e.Item)
		}
		if len(m.told.open) > 0 {
			return false
		}
		last := m.told.last
		m.adoptLocked()
		if m.inGapLocked() || m.syncsLocked() && !last {
			return true
		}
	}
	if !m.syncsLocked() || len(m.bookmark.Sync.Known) < knownDue || time.Since(m.moveOnAt) < knownRest {
		return false
	}
	m.moveOnAt = time.Now()
	return true
}

// giveUpState forgets the bookmark's state; the Inbox is walked again after a
// wait of at least d.
func (w *Watcher) giveUpState(m *mailbox, err error, d time.Duration) {
	m.mu.Lock()
	m.bookmark.Sync, m.told, m.walked = &notifier.SyncMark{}, nil, 0
	wait, _ := m.walking.add(retryMin, permanentMax, d)
	m.mu.Unlock()
	w.log.Warn("sync state given up; comparing by received time until the Inbox is walked again", "mailbox", m.name, "again_in", wait, "err", err)
	w.moved(m)
	w.toWalk.rest(m, wait)
}

// stateIsBad says whether an error is the state's own.
func stateIsBad(err error) bool {
	r := ews.React(err)
	return r == ews.CatchUp || r == ews.GiveUp || errors.Is(err, errStateLength)
}

// doWithout says whether a mailbox is better compared by received time for this
// once, after SyncFolderItems has failed. The state stays: what it did not tell
// now it will tell the next time.
func doWithout(err error, before int) bool {
	if errors.Is(err, errNotHeard) || errors.Is(err, errNotDealtWith) || errors.Is(err, errManyChanges) {
		return false
	}
	_, refused := errors.AsType[*ews.ResponseError](err)
	return refused && ews.React(err) != ews.BackOff || before >= syncTries || errors.Is(err, errStateGone)
}

// walk takes the mailbox's Inbox a turn further towards a first state. It covers
// no gap: with one open it leaves off until the mailbox has been compared.
func (w *Watcher) walk(m *mailbox) {
	for range syncTurnPages {
		more, err := w.walkOn(m)
		switch {
		case err == nil && more:
			continue
		case err == nil, m.ctx.Err() != nil, errors.Is(err, errNotHeard), errors.Is(err, errNotDealtWith), errors.Is(err, errStateGone):
		case stateIsBad(err), errors.Is(err, errWalkLength):
			least := time.Duration(0)
			if errors.Is(err, errStateLength) || errors.Is(err, errWalkLength) {
				least = permanentMax
			}
			w.giveUpState(m, err, least)
		default:
			m.mu.Lock()
			d, n := m.walking.add(retryMin, permanentMax, backOffTold(err))
			m.mu.Unlock()
			w.log.Warn("walk through the Inbox interrupted", "mailbox", m.name, "try", n+1, "again_in", d, "err", err)
			w.toWalk.rest(m, d)
		}
		return
	}
	w.toWalk.push(m) // the others' turn
}

// walkOn goes one page further.
func (w *Watcher) walkOn(m *mailbox) (more bool, err error) {
	if err := m.comparing.take(m.ctx); err != nil {
		return false, err
	}
	defer m.comparing.leave()
	m.mu.Lock()
	g := m.group
	if g == nil || m.inGapLocked() || !m.toBeWalkedLocked() {
		m.mu.Unlock()
		return false, nil
	}
	m.walked++
	long := m.walked > walkPagesMax
	m.mu.Unlock()
	if long {
		return false, errWalkLength
	}
	return w.nextChanges(m.ctx, g, m, notifier.FromCatchUp, false)
}
