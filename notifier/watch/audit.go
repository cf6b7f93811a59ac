package watch

import (
	"context"
	"errors"
	"slices"
	"time"

	"mailbell/notifier"
)

// auditTickMin keeps the sweep from spinning however many mailboxes there are.
const auditTickMin = 10 * time.Millisecond

// auditLook bounds how long the sweep sleeps, so that it notices when there are
// more mailboxes than before.
const auditLook = time.Minute

// auditSort is how long an order of mailboxes holds: what failed has its turn
// again soon.
const auditSort = 10 * time.Minute

// audit compares every mailbox once in every, evenly spread, the one that was
// compared longest ago first, whatever the streams say. It bounds the harm of
// everything that is not known about Exchange, and a find is an alarm. What was
// compared for another reason in the latter half of that time has its turn later.
func (w *Watcher) audit(ctx context.Context, every time.Duration) {
	var turn []*mailbox
	last, sorted := time.Now(), time.Time{}
	for {
		pace := max(every/time.Duration(max(w.count(), 1)), auditTickMin)
		if !sleep(ctx, min(pace, auditLook)) {
			return
		}
		now := time.Now()
		if now.Sub(last) < pace {
			continue
		}
		if len(turn) == 0 || now.Sub(sorted) > auditSort {
			sorted = now
			turn = w.comparedBefore(now.Add(-every / 2))
		}
		for len(turn) > 0 {
			m := turn[0]
			turn = turn[1:]
			if !m.comparedBefore(now.Add(-every / 2)) { // meanwhile
				continue
			}
			last = now
			if err := w.compare(m.ctx, m, notifier.FromAudit); err != nil && m.ctx.Err() == nil && !errors.Is(err, errNotHeard) {
				w.log.Warn("audit failed", "mailbox", m.name, "err", err)
				w.auditSoon(m)
			}
			break
		}
	}
}

// auditSoon has the mailbox compared again soon, but not at once.
func (w *Watcher) auditSoon(m *mailbox) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.comparedAt = time.Now().Add(-max(w.opt.AuditEvery, 0) * 9 / 10)
}

// comparedBefore lists the streaming mailboxes whose last comparison was before
// t, the oldest first.
func (w *Watcher) comparedBefore(t time.Time) []*mailbox {
	w.mu.Lock()
	defer w.mu.Unlock()
	type dated struct {
		m  *mailbox
		at time.Time
	}
	var due []dated
	for _, m := range w.mailboxes {
		m.mu.Lock()
		if m.state == Streaming && m.comparedAt.Before(t) {
			due = append(due, dated{m, m.comparedAt})
		}
		m.mu.Unlock()
	}
	slices.SortFunc(due, func(a, b dated) int { return a.at.Compare(b.at) })
	list := make([]*mailbox, len(due))
	for i, d := range due {
		list[i] = d.m
	}
	return list
}

func (m *mailbox) comparedBefore(t time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state == Streaming && m.comparedAt.Before(t)
}

// sleep waits d and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
