package deliver

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/queue"
)

// lane delivers the pushes of one provider: one goroutine takes, one a push
// sends, one claims long ones anew. The taker starts the others' work and Run
// waits for it.
type lane struct {
	owner     *Deliverer
	provider  notifier.Provider
	sender    Sender
	wayOf     func(notifier.Registration) string
	gate      *gate
	slots     chan struct{} // one for each push that may be in flight
	attempts  *attempts
	unsettled *unsettled
	log       *slog.Logger
	work      sync.WaitGroup

	mu      sync.Mutex
	flights map[*flight]struct{}

	delivered, dropped, forgotten, retried, handedBack atomic.Uint64
}

func newLane(d *Deliverer, p notifier.Provider, s Sender) *lane {
	names, wayOf := []string{""}, func(notifier.Registration) string { return "" }
	if w, ok := s.(Ways); ok {
		names, wayOf = w.Ways(), w.Way
	}
	return &lane{
		owner: d, provider: p, sender: s, wayOf: wayOf,
		gate: newGate(names, d.opt.Retry), slots: make(chan struct{}, d.opt.inFlight(p)),
		attempts: newAttempts(), unsettled: newUnsettled(),
		log: d.opt.Logger.With("provider", p), flights: make(map[*flight]struct{}),
	}
}

// take takes pushes until ctx ends, or the queue is closed, which is its
// error. What it takes is sent under the context sending.
func (l *lane) take(ctx, sending context.Context) error {
	failures := 0
	for {
		room, err := l.gate.wait(ctx, queue.TakeMax)
		if err != nil {
			return nil
		}
		n, err := l.acquire(ctx, room)
		if err != nil {
			return nil
		}
		taken, err := l.owner.opt.Queue.Take(ctx, l.provider, n)
		l.release(n - len(taken))
		for _, d := range taken {
			l.start(sending, d)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, queue.ErrClosed):
			return err
		case err != nil:
			failures++
			l.log.Warn("queue cannot be read", "err", err)
			if !sleep(ctx, doubled(takeRetryMin, takeRetryMax, failures)) {
				return nil
			}
		default:
			failures = 0
		}
	}
}

// acquire waits for one free slot and takes up to most that are free. While
// nearly all are in use it gathers for a moment: taking one push at a time costs
// the queue a request for each.
func (l *lane) acquire(ctx context.Context, most int) (n int, err error) {
	select {
	case l.slots <- struct{}{}:
		n = 1 + l.grab(most-1)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if n < min(most, cap(l.slots)/gatherShare) {
		if !sleep(ctx, gatherFor) {
			l.release(n)
			return 0, ctx.Err()
		}
		n += l.grab(most - n)
	}
	return n, nil
}

// grab takes up to most slots that are free.
func (l *lane) grab(most int) (n int) {
	for n < most {
		select {
		case l.slots <- struct{}{}:
			n++
		default:
			return n
		}
	}
	return n
}

func (l *lane) release(n int) {
	for range n {
		<-l.slots
	}
}

// start decides what is to be done with a push, while the taker waits, so that
// a probe is known as such before the next push is taken; the doing has a
// goroutine of its own.
func (l *lane) start(sending context.Context, d queue.Delivery) {
	f := newFlight(sending, d)
	l.mu.Lock()
	l.flights[f] = struct{}{}
	l.mu.Unlock()
	do := l.plan(f, time.Now())
	l.work.Go(func() {
		defer l.end(f)
		do()
	})
}

func (l *lane) end(f *flight) {
	f.cancel(nil)
	l.mu.Lock()
	delete(l.flights, f)
	l.mu.Unlock()
	close(f.done)
	l.release(1)
}

func (l *lane) flightsOf(d notifier.DeviceID) []*flight {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []*flight
	for f := range l.flights {
		if f.push.Device == d {
			out = append(out, f)
		}
	}
	return out
}

// extend claims anew what has been in flight for long.
func (l *lane) extend(ctx context.Context) {
	tick := time.NewTicker(extendEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			for _, f := range l.longFlights(now) {
				if err := f.extend(ctx); err != nil && ctx.Err() == nil {
					l.log.Warn("push in flight cannot be claimed anew", "push", f.push.ID, "err", err)
				}
			}
		case <-ctx.Done():
			return
		}
	}
}

func (l *lane) longFlights(now time.Time) []*flight {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []*flight
	for f := range l.flights {
		if now.Sub(f.began) >= extendEvery/2 {
			out = append(out, f)
		}
	}
	return out
}

func (l *lane) stats() LaneStats {
	l.mu.Lock()
	inFlight := len(l.flights)
	l.mu.Unlock()
	return LaneStats{
		Delivered: l.delivered.Load(), Dropped: l.dropped.Load(), Forgotten: l.forgotten.Load(),
		Retried: l.retried.Load(), HandedBack: l.handedBack.Load(), InFlight: inFlight, Paused: l.gate.paused(),
	}
}

// sleep waits and says whether ctx is still alive.
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
