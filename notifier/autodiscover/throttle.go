package autodiscover

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// throttle bounds the requests under way and makes all of them wait while the
// server asks for patience.
type throttle struct {
	slots chan struct{}

	mu    sync.Mutex
	until time.Time
	busy  int // busy answers in a row
}

func newThrottle(parallel int) *throttle {
	return &throttle{slots: make(chan struct{}, parallel)}
}

// enter waits for the pause to end and for a free place. Without error the
// caller must leave.
func (t *throttle) enter(ctx context.Context) error {
	select {
	case t.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	for wait := t.pause(); wait > 0; wait = t.pause() {
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < wait {
			t.leave()
			return &BusyError{RetryAfter: wait}
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			t.leave()
			return ctx.Err()
		}
	}
	return nil
}

func (t *throttle) leave() { <-t.slots }

// pause returns how long nothing may be sent.
func (t *throttle) pause() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Until(t.until)
}

// fine ends a row of busy answers.
func (t *throttle) fine() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy = 0
}

// patience starts a pause after a busy answer, of at least the time that the
// server named. Full jitter: anything from nothing to a bound that doubles.
func (t *throttle) patience(asked time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	bound := min(busyPauseMin<<min(t.busy, 16), busyPauseMax)
	t.busy++
	t.extend(max(asked, rand.N(bound)))
}

// breath starts a short pause after a hint that the server is near its limit.
func (t *throttle) breath() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.extend(rand.N(busyPauseMin))
}

func (t *throttle) extend(d time.Duration) {
	if until := time.Now().Add(d); until.After(t.until) {
		t.until = until
	}
}
