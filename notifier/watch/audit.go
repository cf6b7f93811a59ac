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
// everything that is not known about Exchange, and a find is an alarm.
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
			sorted, turn = now, w.byComparison()
		}
		last = now
		if len(turn) == 0 {
			continue // whatever streams later is compared before
		}
		m := turn[0]
		turn = turn[1:]
		if err := w.compare(m.ctx, m, notifier.FromAudit); err != nil && m.ctx.Err() == nil && !errors.Is(err, errNotHeard) {
			w.log.Warn("audit failed", "mailbox", m.name, "err", err)
		}
	}
}

// auditSoon has the mailbox compared again soon, but not at once.
func (w *Watcher) auditSoon(m *mailbox) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.comparedAt = time.Now().Add(-max(w.opt.AuditEvery, 0) * 9 / 10)
}

// byComparison lists the streaming mailboxes, the one that was compared longest
// ago first.
func (w *Watcher) byComparison() []*mailbox {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]*mailbox, 0, len(w.mailboxes))
	at := make(map[*mailbox]time.Time, len(w.mailboxes))
	for _, m := range w.mailboxes {
		m.mu.Lock()
		if m.state == Streaming {
			list, at[m] = append(list, m), m.comparedAt
		}
		m.mu.Unlock()
	}
	slices.SortFunc(list, func(a, b *mailbox) int { return at[a].Compare(at[b]) })
	return list
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
