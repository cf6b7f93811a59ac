package watch

import (
	"context"
	"errors"
	"time"

	"mailbell/notifier"
)

// auditTickMin keeps the sweep from spinning however many mailboxes there are.
const auditTickMin = 10 * time.Millisecond

// audit compares every mailbox once in every, evenly spread, whatever the
// streams say. It bounds the harm of everything that is not known about
// Exchange, and a find is an alarm.
func (w *Watcher) audit(ctx context.Context, every time.Duration) {
	for {
		wait := every
		if n := w.count(); n > 0 {
			wait = max(every/time.Duration(n), auditTickMin)
		}
		if !sleep(ctx, min(wait, time.Minute)) {
			return
		}
		m := w.stalest(time.Now().Add(-every))
		if m == nil {
			continue
		}
		if err := w.compare(m.ctx, m, notifier.FromAudit); err != nil && m.ctx.Err() == nil && !errors.Is(err, errNotHeard) {
			w.log.Warn("audit failed", "mailbox", m.name, "err", err)
			w.auditSoon(m)
		}
	}
}

// auditSoon has the mailbox compared again soon, but not at once.
func (w *Watcher) auditSoon(m *mailbox) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.comparedAt = time.Now().Add(-max(w.opt.AuditEvery, 0) * 9 / 10)
}

// stalest is the streaming mailbox whose last comparison is the oldest, if that
// was before t.
func (w *Watcher) stalest(t time.Time) *mailbox {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found *mailbox
	for _, m := range w.mailboxes {
		m.mu.Lock()
		if m.state == Streaming && m.comparedAt.Before(t) {
			found, t = m, m.comparedAt
		}
		m.mu.Unlock()
	}
	return found
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
