package watch

import (
	"sync"
	"time"
)

// runqueue hands each queued mailbox to one worker at a time. A mailbox stands
// in it at most once, so it is bounded by the number of mailboxes; one that is
// queued again while a worker has it waits until the worker is done, and one
// that rests waits until its rest is over.
//
// Mailboxes of different accounts stand in different lanes. Lanes have their turns
// one after another, and each occupies so many workers at most: an account whose
// Exchange is slow holds up its own mailboxes only.
type runqueue struct {
	laneOf  func(*mailbox) *account // nil: one lane
	workers int                     // of a lane at most; 0: any number

	mu      sync.Mutex
	cond    sync.Cond
	lanes   map[*account]*lane
	turns   []*lane // lanes with a mailbox for one more worker
	states  map[*mailbox]runState
	resting map[*mailbox]*time.Timer
	closed  bool
}

// lane are the waiting mailboxes of one account. Lanes stay: they are as few as
// the accounts.
type lane struct {
	list    []*mailbox
	working int
	inTurn  bool // is among turns
}

// runState is where a mailbox stands; absent: neither waits nor is worked on.
type runState uint8

const (
	runWaiting runState = iota + 1 // in the list
	runWorking                     // a worker has it
	runAgain                       // a worker has it, and it was queued meanwhile
)

func newRunqueue(laneOf func(*mailbox) *account, workers int) *runqueue {
	q := &runqueue{
		laneOf: laneOf, workers: workers,
		lanes: map[*account]*lane{}, states: map[*mailbox]runState{}, resting: map[*mailbox]*time.Timer{},
	}
	q.cond.L = &q.mu
	return q
}

// account is the one whose lane the mailbox belongs into now.
func (q *runqueue) account(m *mailbox) *account {
	if q.laneOf == nil {
		return nil
	}
	return q.laneOf(m)
}

func (q *runqueue) push(m *mailbox) {
	a := q.account(m)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pushLocked(m, a)
}

func (q *runqueue) pushLocked(m *mailbox, a *account) {
	switch {
	case q.closed || q.resting[m] != nil:
	case q.states[m] == runWorking:
		q.states[m] = runAgain
	case q.states[m] == 0:
		q.states[m] = runWaiting
		l := q.lanes[a]
		if l == nil {
			l = &lane{}
			q.lanes[a] = l
		}
		l.list = append(l.list, m)
		q.offer(l)
	}
}

// offer gives the lane a turn, if it has a mailbox for one more worker.
func (q *runqueue) offer(l *lane) {
	if l.inTurn || len(l.list) == 0 || q.workers > 0 && l.working >= q.workers {
		return
	}
	l.inTurn = true
	q.turns = append(q.turns, l)
	q.cond.Signal()
}

// rest queues the mailbox in d, and not before, whatever is pushed meanwhile.
func (q *runqueue) rest(m *mailbox, d time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	if old := q.resting[m]; old != nil {
		old.Stop()
	}
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		a := q.account(m)
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.resting[m] == t {
			delete(q.resting, m)
			q.pushLocked(m, a)
		}
	})
	q.resting[m] = t
}

// forget ends the mailbox's rest without queueing it.
func (q *runqueue) forget(m *mailbox) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if t := q.resting[m]; t != nil {
		t.Stop()
		delete(q.resting, m)
	}
}

// work hands mailboxes to do until the queue closes. Any number of goroutines
// may call it.
func (q *runqueue) work(do func(*mailbox)) {
	for m, l := q.pop(); m != nil; m, l = q.pop() {
		do(m)
		q.done(m, l)
	}
}

// pop waits for a mailbox, and tells the lane that a worker is taken from; nil
// when the queue is closed.
func (q *runqueue) pop() (*mailbox, *lane) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.turns) == 0 && !q.closed {
		q.cond.Wait()
	}
	if q.closed {
		return nil, nil
	}
	l := q.turns[0]
	q.turns[0] = nil
	q.turns = q.turns[1:]
	l.inTurn = false
	m := l.list[0]
	l.list[0] = nil
	l.list = l.list[1:]
	l.working++
	q.offer(l)
	q.states[m] = runWorking
	return m, l
}

func (q *runqueue) done(m *mailbox, l *lane) {
	a := q.account(m)
	q.mu.Lock()
	defer q.mu.Unlock()
	l.working--
	q.offer(l)
	again := q.states[m] == runAgain
	delete(q.states, m)
	if again {
		q.pushLocked(m, a)
	}
}

// close ends work and every rest.
func (q *runqueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, t := range q.resting {
		t.Stop()
	}
	clear(q.resting)
	q.cond.Broadcast()
}
