package watch

import (
	"sync"
	"time"
)

// runqueue hands each queued mailbox to one worker at a time. A mailbox stands
// in it at most once, so it is bounded by the number of mailboxes; one that is
// queued again while a worker has it waits until the worker is done, and one
// that rests waits until its rest is over.
type runqueue struct {
	mu      sync.Mutex
	cond    sync.Cond
	list    []*mailbox
	states  map[*mailbox]runState
	resting map[*mailbox]*time.Timer
	closed  bool
}

// runState is where a mailbox stands; absent: neither waits nor is worked on.
type runState uint8

const (
	runWaiting runState = iota + 1 // in the list
	runWorking                     // a worker has it
	runAgain                       // a worker has it, and it was queued meanwhile
)

func newRunqueue() *runqueue {
	q := &runqueue{states: map[*mailbox]runState{}, resting: map[*mailbox]*time.Timer{}}
	q.cond.L = &q.mu
	return q
}

func (q *runqueue) push(m *mailbox) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pushLocked(m)
}

func (q *runqueue) pushLocked(m *mailbox) {
	switch {
	case q.closed || q.resting[m] != nil:
	case q.states[m] == runWorking:
		q.states[m] = runAgain
	case q.states[m] == 0:
		q.states[m] = runWaiting
		q.list = append(q.list, m)
		q.cond.Signal()
	}
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
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.resting[m] == t {
			delete(q.resting, m)
			q.pushLocked(m)
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
	for m := q.pop(); m != nil; m = q.pop() {
		do(m)
		q.done(m)
	}
}

func (q *runqueue) pop() *mailbox {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.list) == 0 && !q.closed {
		q.cond.Wait()
	}
	if q.closed {
		return nil
	}
	m := q.list[0]
	q.list[0] = nil
	q.list = q.list[1:]
	q.states[m] = runWorking
	return m
}

func (q *runqueue) done(m *mailbox) {
	q.mu.Lock()
	defer q.mu.Unlock()
	again := q.states[m] == runAgain
	delete(q.states, m)
	if again {
		q.pushLocked(m)
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
