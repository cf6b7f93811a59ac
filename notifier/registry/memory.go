package registry

import (
	"cmp"
	"container/list"
	"context"
	"slices"
	"sync"

	"mailbell/notifier"
)

// Memory is a Store that forgets everything when the process ends. Each Watch
// runs one goroutine until its ctx ends or the store is closed; Close waits
// for all of them.
type Memory struct {
	mu       sync.Mutex
	revision uint64
	entries  map[notifier.DeviceID]entry
	watchers map[*memoryWatcher]struct{}
	closed   bool
	done     chan struct{} // closed with the store
	running  sync.WaitGroup
}

type entry struct {
	registration notifier.Registration
	revision     uint64
}

// memoryWatcher holds what one Watch has not been told yet: at most the latest
// change of each device.
type memoryWatcher struct {
	pending *list.List // of Change, oldest first
	at      map[notifier.DeviceID]*list.Element
	wake    chan struct{} // one token: pending is not empty
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{
		entries:  make(map[notifier.DeviceID]entry),
		watchers: make(map[*memoryWatcher]struct{}),
		done:     make(chan struct{}),
	}
}

// Put implements Store.
func (m *Memory) Put(ctx context.Context, r notifier.Registration) (uint64, error) {
	if err := check(r); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return 0, err
	}
	m.revision++
	m.entries[r.Device] = entry{clone(r), m.revision}
	m.tell(Change{Kind: Put, Registration: clone(r), Revision: m.revision})
	return m.revision, nil
}

// Get implements Store.
func (m *Memory) Get(ctx context.Context, d notifier.DeviceID) (notifier.Registration, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return notifier.Registration{}, 0, err
	}
	e, ok := m.entries[d]
	if !ok {
		return notifier.Registration{}, 0, ErrNotFound
	}
	return clone(e.registration), e.revision, nil
}

// Delete implements Store.
func (m *Memory) Delete(ctx context.Context, d notifier.DeviceID, revision uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return err
	}
	e, ok := m.entries[d]
	switch {
	case !ok:
		return ErrNotFound
	case revision != 0 && revision != e.revision:
		return ErrChanged
	}
	delete(m.entries, d)
	m.revision++
	m.tell(Change{Kind: Deleted, Registration: notifier.Registration{Device: d}, Revision: m.revision})
	return nil
}

// Watch implements Store. It never has a gap.
func (m *Memory) Watch(ctx context.Context) (<-chan Change, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	present := make([]Change, 0, len(m.entries)+1)
	for _, e := range m.entries {
		present = append(present, Change{Kind: Put, Registration: clone(e.registration), Revision: e.revision})
	}
	slices.SortFunc(present, func(a, b Change) int { return cmp.Compare(a.Revision, b.Revision) })
	present = append(present, Change{Kind: Synced})

	w := &memoryWatcher{pending: list.New(), at: make(map[notifier.DeviceID]*list.Element), wake: make(chan struct{}, 1)}
	m.watchers[w] = struct{}{}
	out := make(chan Change)
	m.running.Go(func() {
		defer close(out)
		defer m.forget(w)
		m.feed(ctx, w, present, out)
	})
	return out, nil
}

// Close ends every Watch and makes the store unusable. It may be called more
// than once.
func (m *Memory) Close() error {
	m.mu.Lock()
	if !m.closed {
		m.closed = true
		close(m.done)
	}
	m.mu.Unlock()
	m.running.Wait()
	return nil
}

// feed sends what is present and then what changes.
func (m *Memory) feed(ctx context.Context, w *memoryWatcher, present []Change, out chan<- Change) {
	send := func(c Change) bool {
		select {
		case out <- c:
			return true
		case <-ctx.Done():
		case <-m.done:
		}
		return false
	}
	for _, c := range present {
		if !send(c) {
			return
		}
	}
	for {
		c, ok := m.next(w)
		if !ok {
			select {
			case <-w.wake:
				continue
			case <-ctx.Done():
			case <-m.done:
			}
			return
		}
		if !send(c) {
			return
		}
	}
}

func (m *Memory) next(w *memoryWatcher) (Change, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	front := w.pending.Front()
	if front == nil {
		return Change{}, false
	}
	c := w.pending.Remove(front).(Change)
	delete(w.at, c.Registration.Device)
	return c, true
}

func (m *Memory) forget(w *memoryWatcher) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.watchers, w)
}

// tell queues the change for every watcher, in place of an older one of the
// same device. The lock is held.
func (m *Memory) tell(c Change) {
	for w := range m.watchers {
		if old, ok := w.at[c.Registration.Device]; ok {
			w.pending.Remove(old)
		}
		own := c
		own.Registration = clone(c.Registration)
		w.at[c.Registration.Device] = w.pending.PushBack(own)
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// usable says whether a call may go on. The lock is held.
func (m *Memory) usable(ctx context.Context) error {
	if m.closed {
		return ErrClosed
	}
	return ctx.Err()
}
