package queue

import (
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"

	"mailbell/notifier"
)

// MemoryOptions describe a Memory: what is common to all, and nothing more.
type MemoryOptions = Options

// Memory is a Queue that forgets everything when the process ends. It runs no
// goroutine, and its waits are plain timers.
type Memory struct {
	options Options

	mu     sync.Mutex
	lanes  map[notifier.Provider]*lane
	put    map[notifier.PushID]bool // put within the dedupe window
	recent []putAt                  // the same, oldest first
	order  uint64
	closed bool
}

type putAt struct {
	id notifier.PushID
	at time.Time
}

// lane holds the pushes of one provider, given out or not, by when they are
// due (again).
type lane struct {
	due  dueHeap
	wake chan struct{} // closed and replaced when something may be due earlier
}

type item struct {
	push    notifier.Push
	attempt int
	due     time.Time
	order   uint64 // of the Put
	place   int    // in the heap; -1: gone
}

var _ Queue = (*Memory)(nil)

// NewMemory returns an empty queue.
func NewMemory(o MemoryOptions) *Memory {
	m := &Memory{
		options: o.withDefaults(),
		lanes:   make(map[notifier.Provider]*lane, len(providers)),
		put:     make(map[notifier.PushID]bool),
	}
	for _, p := range providers {
		m.lanes[p] = &lane{wake: make(chan struct{})}
	}
	return m
}

// Put implements Queue.
func (m *Memory) Put(ctx context.Context, pushes ...notifier.Push) error {
	for _, p := range pushes {
		if err := check(p); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return err
	}
	now := time.Now()
	m.forgetOld(now)
	for _, p := range pushes {
		if m.put[p.ID] {
			continue
		}
		if m.depth() >= m.options.PushesMax {
			return ErrFull
		}
		m.order++
		it := &item{push: clone(p), due: now, order: m.order}
		m.put[p.ID] = true
		m.recent = append(m.recent, putAt{p.ID, now})
		l := m.lanes[p.Provider]
		heap.Push(&l.due, it)
		l.signal()
	}
	return nil
}

// Take implements Queue.
func (m *Memory) Take(ctx context.Context, p notifier.Provider, max int) ([]Delivery, error) {
	if err := known(p); err != nil {
		return nil, err
	}
	max = takeBound(max)
	for {
		taken, next, wake, err := m.take(ctx, p, max)
		if err != nil || len(taken) > 0 {
			return taken, err
		}
		if err := wait(ctx, next, wake); err != nil {
			return nil, err
		}
	}
}

// take gives out what is due now, or says when to look again: at next unless
// it is zero, and when wake is closed.
func (m *Memory) take(ctx context.Context, p notifier.Provider, max int) (taken []Delivery, next time.Time, wake <-chan struct{}, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return nil, time.Time{}, nil, err
	}
	l, now := m.lanes[p], time.Now()
	for len(taken) < max && len(l.due) > 0 && !l.due[0].due.After(now) {
		it := l.due[0]
		it.attempt++
		it.due = now.Add(m.options.AckWait)
		heap.Fix(&l.due, 0)
		taken = append(taken, &memoryDelivery{queue: m, item: it, push: clone(it.push), attempt: it.attempt})
	}
	if len(taken) == 0 && len(l.due) > 0 {
		next = l.due[0].due
	}
	return taken, next, l.wake, nil
}

// wait sleeps until next (zero: for ever), or wake, or the end of ctx, which is
// its error.
func wait(ctx context.Context, next time.Time, wake <-chan struct{}) error {
	var due <-chan time.Time
	if !next.IsZero() {
		t := time.NewTimer(time.Until(next))
		defer t.Stop()
		due = t.C
	}
	select {
	case <-wake:
	case <-due:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// Purge implements Queue. It looks at every push queued.
func (m *Memory) Purge(ctx context.Context, d notifier.DeviceID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return err
	}
	for _, l := range m.lanes {
		l.due = slices.DeleteFunc(l.due, func(it *item) bool {
			if it.push.Device != d {
				return false
			}
			it.place = -1
			return true
		})
		for i, it := range l.due {
			it.place = i
		}
		heap.Init(&l.due)
	}
	return nil
}

// Depth implements Queue.
func (m *Memory) Depth(ctx context.Context) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return 0, err
	}
	return m.depth(), nil
}

// Close makes the queue unusable and ends every Take with ErrClosed. It may be
// called more than once.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	for _, l := range m.lanes {
		l.signal()
	}
	return nil
}

// usable says whether a call may go on. The lock is held, as for all below.
func (m *Memory) usable(ctx context.Context) error {
	if m.closed {
		return ErrClosed
	}
	return ctx.Err()
}

func (m *Memory) depth() int {
	n := 0
	for _, l := range m.lanes {
		n += len(l.due)
	}
	return n
}

func (m *Memory) forgetOld(now time.Time) {
	n := 0
	for n < len(m.recent) && now.Sub(m.recent[n].at) >= m.options.DedupeWindow {
		delete(m.put, m.recent[n].id)
		n++
	}
	clear(m.recent[:n])
	m.recent = m.recent[n:]
}

func (l *lane) signal() {
	close(l.wake)
	l.wake = make(chan struct{})
}

// memoryDelivery is a Delivery. Its item may have left the queue.
type memoryDelivery struct {
	queue   *Memory
	item    *item
	push    notifier.Push
	attempt int
}

func (d *memoryDelivery) Push() notifier.Push { return d.push }
func (d *memoryDelivery) Attempt() int        { return d.attempt }

func (d *memoryDelivery) Ack(ctx context.Context) error {
	return d.end(ctx, func(l *lane) { heap.Remove(&l.due, d.item.place) })
}

func (d *memoryDelivery) Retry(ctx context.Context, after time.Duration) error {
	return d.end(ctx, func(l *lane) { l.reschedule(d.item, max(after, 0)) })
}

func (d *memoryDelivery) Extend(ctx context.Context) error {
	return d.end(ctx, func(l *lane) { l.reschedule(d.item, d.queue.options.AckWait) })
}

// end does what is to be done with an item that is still queued.
func (d *memoryDelivery) end(ctx context.Context, do func(*lane)) error {
	d.queue.mu.Lock()
	defer d.queue.mu.Unlock()
	if err := d.queue.usable(ctx); err != nil {
		return err
	}
	if d.item.place >= 0 {
		do(d.queue.lanes[d.push.Provider])
	}
	return nil
}

func (l *lane) reschedule(it *item, after time.Duration) {
	it.due = time.Now().Add(after)
	heap.Fix(&l.due, it.place)
	l.signal()
}

// dueHeap is a container/heap of items, the earliest due first.
type dueHeap []*item

func (h dueHeap) Len() int { return len(h) }
func (h dueHeap) Less(i, j int) bool {
	if h[i].due.Equal(h[j].due) {
		return h[i].order < h[j].order
	}
	return h[i].due.Before(h[j].due)
}

func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *dueHeap) Push(x any) {
	it := x.(*item)
	it.place = len(*h)
	*h = append(*h, it)
}

func (h *dueHeap) Pop() any {
	old := *h
	it := old[len(old)-1]
	old[len(old)-1] = nil
	it.place = -1
	*h = old[:len(old)-1]
	return it
}

// clone makes a copy that shares nothing with the original.
func clone(p notifier.Push) notifier.Push {
	p.Payload = slices.Clone(p.Payload)
	if p.Badge != nil {
		n := *p.Badge
		p.Badge = &n
	}
	return p
}
