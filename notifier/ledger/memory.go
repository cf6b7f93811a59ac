package ledger

import (
	"context"
	"slices"
	"sync"
	"time"

	"mailbell/notifier"
)

// Memory is a Store that forgets everything when the process ends.
type Memory struct {
	age time.Duration

	mu     sync.Mutex
	lines  map[line][]kept // oldest first
	order  uint64
	closed bool
}

// line is what receipts are kept by.
type line struct {
	mailbox notifier.Mailbox
	device  notifier.DeviceID
}

type kept struct {
	receipt notifier.Receipt
	at      time.Time // appended
	order   uint64
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty ledger that keeps receipts for AgeDefault.
func NewMemory() *Memory { return NewMemoryFor(AgeDefault) }

// NewMemoryFor returns an empty ledger that keeps receipts for the age given; 0
// means AgeDefault.
func NewMemoryFor(age time.Duration) *Memory {
	if age <= 0 {
		age = AgeDefault
	}
	return &Memory{age: age, lines: make(map[line][]kept)}
}

// Append implements Store.
func (m *Memory) Append(ctx context.Context, receipts ...notifier.Receipt) error {
	for _, r := range receipts {
		if err := check(r); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return err
	}
	now := time.Now()
	for _, r := range receipts {
		r.RetryAfter, r.GoneSince, r.Err = 0, time.Time{}, nil // not stored
		m.order++
		l := line{r.Mailbox, r.Device}
		rs := append(m.lines[l], kept{r, now, m.order})
		m.lines[l] = slices.Delete(rs, 0, max(len(rs)-KeptMax, 0))
	}
	return nil
}

// Device implements Store. It looks at every line.
func (m *Memory) Device(ctx context.Context, d notifier.DeviceID, limit int) ([]notifier.Receipt, error) {
	return m.read(ctx, limit, func(l line) bool { return l.device == d })
}

// Mailbox implements Store. It looks at every line.
func (m *Memory) Mailbox(ctx context.Context, mailbox notifier.Mailbox, limit int) ([]notifier.Receipt, error) {
	return m.read(ctx, limit, func(l line) bool { return l.mailbox == mailbox })
}

// Close makes the ledger unusable. It may be called more than once.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

func (m *Memory) read(ctx context.Context, limit int, of func(line) bool) ([]notifier.Receipt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	oldest := time.Now().Add(-m.age)
	var found []kept
	for l, rs := range m.lines {
		if !of(l) {
			continue
		}
		rs = slices.DeleteFunc(rs, func(k kept) bool { return k.at.Before(oldest) })
		if len(rs) == 0 {
			delete(m.lines, l)
			continue
		}
		m.lines[l] = rs
		found = append(found, rs...)
	}
	slices.SortFunc(found, func(a, b kept) int { return int(b.order) - int(a.order) })
	found = found[:min(len(found), readBound(limit))]
	out := make([]notifier.Receipt, len(found))
	for i, k := range found {
		out[i] = k.receipt
	}
	return out, nil
}

// usable says whether a call may go on. The lock is held.
func (m *Memory) usable(ctx context.Context) error {
	if m.closed {
		return ErrClosed
	}
	return ctx.Err()
}
