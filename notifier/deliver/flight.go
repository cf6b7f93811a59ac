package deliver

import (
	"context"
	"sync"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/queue"
)

// flight is a push that was taken and neither ended nor put off yet.
type flight struct {
	push     notifier.Push
	delivery queue.Delivery
	ctx      context.Context // of the sending; its cause says why it was cut short
	cancel   context.CancelCauseFunc
	began    time.Time
	done     chan struct{}

	mu    sync.Mutex // held while the queue is told something about the push
	ended bool       // the queue has it back
}

func newFlight(sending context.Context, d queue.Delivery) *flight {
	f := &flight{push: d.Push(), delivery: d, began: time.Now(), done: make(chan struct{})}
	f.ctx, f.cancel = context.WithCancelCause(sending)
	return f
}

// settling is the context of a write that has to be done even when the sending
// was cut short.
func (f *flight) settling() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(f.ctx), settleTimeout)
}

func (f *flight) ack() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	ctx, done := f.settling()
	defer done()
	f.ended = true
	return f.delivery.Ack(ctx)
}

func (f *flight) retry(after time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	ctx, done := f.settling()
	defer done()
	f.ended = true
	return f.delivery.Retry(ctx, after)
}

func (f *flight) extend(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return nil
	}
	ctx, done := context.WithTimeout(ctx, settleTimeout)
	defer done()
	return f.delivery.Extend(ctx)
}
