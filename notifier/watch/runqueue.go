package watch

import "sync"

// runqueue hands each queued mailbox to one worker at a time. A mailbox stands
// in it at most once, so it is bounded by the number of mailboxes; one that is
// queued again while a worker has it waits until the worker is done.
type runqueue struct {
	mu     sync.Mutex
	cond   sync.Cond
	list   []*mailbox
	states map[*mailbox]runState
	closed bool
}

// runState is where a mailbox stands; absent: neither waits nor is worked on.
type runState uint8

const (
	runWaiting runState = iota + 1 // in the list
	runWorking                     // a worker has it
	runAgain                       // a worker has it, and it was queued meanwhile
)

func newRunqueue() *runqueue {
	q := &runqueue{states: map[*mailbox]runState{}}
	q.cond.L = &q.mu
	return q
}

func (q *runqueue) push(m *mailbox) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch q.states[m] {
	case runWaiting, runAgain:
	case runWorking:
		q.states[m] = runAgain
	default:
		q.addLocked(m)
	}
}

func (q *runqueue) addLocked(m *mailbox) {
	if q.closed {
		return
	}
	q.states[m] = runWaiting
	q.list = append(q.list, m)
	q.cond.Signal()
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
		q.addLocked(m)
	}
}

func (q *runqueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.cond.Broadcast()
}
