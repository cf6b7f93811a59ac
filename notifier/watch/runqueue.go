package watch

import "sync"

// runqueue hands each queued mailbox to one worker at a time. A mailbox stands
// in it at most once, so it is bounded by the number of mailboxes.
type runqueue struct {
	mu     sync.Mutex
	cond   sync.Cond
	list   []*mailbox
	queued map[*mailbox]bool
	closed bool
}

func newRunqueue() *runqueue {
	q := &runqueue{queued: map[*mailbox]bool{}}
	q.cond.L = &q.mu
	return q
}

func (q *runqueue) push(m *mailbox) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.queued[m] {
		return
	}
	q.queued[m] = true
	q.list = append(q.list, m)
	q.cond.Signal()
}

// pop waits for a mailbox; nil means closed.
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
	delete(q.queued, m)
	return m
}

func (q *runqueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.cond.Broadcast()
}
