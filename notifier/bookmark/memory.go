package bookmark

import (
	"context"
	"slices"
	"sync"

	"mailbell/notifier"
)

// Memory is a Store that forgets everything when the process ends.
type Memory struct {
	mu        sync.Mutex
	bookmarks map[notifier.Mailbox]notifier.Bookmark
	closed    bool
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{bookmarks: make(map[notifier.Mailbox]notifier.Bookmark)}
}

// Get implements Store.
func (m *Memory) Get(ctx context.Context, mailbox notifier.Mailbox) (notifier.Bookmark, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return notifier.Bookmark{}, err
	}
	b, ok := m.bookmarks[mailbox]
	if !ok {
		return notifier.Bookmark{}, ErrNotFound
	}
	return clone(b), nil
}

// Put implements Store.
func (m *Memory) Put(ctx context.Context, bookmarks ...notifier.Bookmark) error {
	for _, b := range bookmarks {
		if err := check(b); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return err
	}
	for _, b := range bookmarks {
		m.bookmarks[b.Mailbox] = clone(b)
	}
	return nil
}

// Delete implements Store.
func (m *Memory) Delete(ctx context.Context, mailbox notifier.Mailbox) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return err
	}
	delete(m.bookmarks, mailbox)
	return nil
}

// All implements Store.
func (m *Memory) All(ctx context.Context) ([]notifier.Bookmark, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	all := make([]notifier.Bookmark, 0, len(m.bookmarks))
	for _, b := range m.bookmarks {
		all = append(all, clone(b))
	}
	return all, nil
}

// Close makes the store unusable. It may be called more than once.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

// usable says whether a call may go on. The lock is held.
func (m *Memory) usable(ctx context.Context) error {
	if m.closed {
		return ErrClosed
	}
	return ctx.Err()
}

// clone makes a copy that shares nothing with the original.
func clone(b notifier.Bookmark) notifier.Bookmark {
	b.Seen = slices.Clone(b.Seen)
	if b.Sync != nil {
		s := *b.Sync
		s.Known = slices.Clone(s.Known)
		b.Sync = &s
	}
	if b.Subscription != nil {
		s := *b.Subscription
		b.Subscription = &s
	}
	return b
}
