package deliver

import (
	"sync"
	"time"

	"mailbell/notifier"
)

// attempts counts the sendings of pushes that were refused for now. The queue
// counts how often a push was given out, which says less: a pause gives out
// too. A restart counts from zero; the expiry bounds the push all the same.
type attempts struct {
	mu     sync.Mutex
	counts map[notifier.PushID]attempt
}

type attempt struct {
	n       int
	device  notifier.DeviceID
	expires time.Time
}

func newAttempts() *attempts { return &attempts{counts: map[notifier.PushID]attempt{}} }

func (a *attempts) count(id notifier.PushID) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.counts[id].n
}

// add counts one more and returns how many there are.
func (a *attempts) add(p notifier.Push, now time.Time) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	e, known := a.counts[p.ID]
	if !known && len(a.counts) >= attemptsKept {
		a.makeRoom(now)
	}
	e = attempt{e.n + 1, p.Device, p.Expires}
	a.counts[p.ID] = e
	return e.n
}

// makeRoom forgets the counts of pushes that expired, and failing that some.
func (a *attempts) makeRoom(now time.Time) {
	for id, e := range a.counts {
		if e.expires.Before(now) {
			delete(a.counts, id)
		}
	}
	for id := range a.counts {
		if len(a.counts) < attemptsKept*9/10 {
			break
		}
		delete(a.counts, id)
	}
}

func (a *attempts) forget(id notifier.PushID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.counts, id)
}

func (a *attempts) forgetDevice(d notifier.DeviceID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, e := range a.counts {
		if e.device == d {
			delete(a.counts, id)
		}
	}
}

// unsettled remembers the receipts of pushes that are done with but could not
// be written down or acknowledged, so that they are not sent again.
type unsettled struct {
	mu       sync.Mutex
	receipts map[notifier.PushID]unwritten
}

type unwritten struct {
	receipt  notifier.Receipt
	appended bool // to the ledger; only the acknowledgement is missing
}

func newUnsettled() *unsettled { return &unsettled{receipts: map[notifier.PushID]unwritten{}} }

func (u *unsettled) keep(id notifier.PushID, w unwritten) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for other := range u.receipts {
		if len(u.receipts) < unsettledKept {
			break
		}
		delete(u.receipts, other) // a repeat, then
	}
	u.receipts[id] = w
}

func (u *unsettled) get(id notifier.PushID) (unwritten, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	w, ok := u.receipts[id]
	return w, ok
}

func (u *unsettled) forget(id notifier.PushID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.receipts, id)
}

// barred remembers devices that were just wiped, until every part of the
// system knows that they have no registration.
type barred struct {
	mu sync.Mutex
	at map[notifier.DeviceID]time.Time
}

func newBarred() *barred { return &barred{at: map[notifier.DeviceID]time.Time{}} }

func (b *barred) add(d notifier.DeviceID, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.at) >= barredKept {
		b.makeRoom(now)
	}
	b.at[d] = now
}

// makeRoom forgets the devices wiped long enough ago, and failing that some.
func (b *barred) makeRoom(now time.Time) {
	for d, at := range b.at {
		if now.Sub(at) > barredAge {
			delete(b.at, d)
		}
	}
	for d := range b.at {
		if len(b.at) < barredKept*9/10 {
			break
		}
		delete(b.at, d)
	}
}

// has says whether the push was composed for a registration that was wiped.
func (b *barred) has(p notifier.Push) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at, ok := b.at[p.Device]
	return ok && !p.Registered.After(at)
}
