package deliver

import (
	"context"
	"math"
	"sync"
	"time"

	"mailbell/notifier"
)

// gate knows which ways of a lane are open. A way is open, or paused until a
// time, or, past that time, half open: one push may go and prove it open.
type gate struct {
	pauseMin, pauseMax time.Duration

	mu      sync.Mutex
	ways    map[string]*way
	changed chan struct{} // closed and replaced when a way may have opened
}

type way struct {
	name    string
	closed  bool // paused or half open
	until   time.Time
	level   int    // pauses in a row
	epoch   uint64 // counts the pauses
	probing bool
}

// pass is the leave to send one push.
type pass struct {
	way   *way
	epoch uint64 // of the way when it was given
	probe bool
}

func newGate(names []string, r RetryOptions) *gate {
	g := &gate{pauseMin: r.PauseMin, pauseMax: r.PauseMax, ways: map[string]*way{}, changed: make(chan struct{})}
	for _, n := range names {
		g.ways[n] = &way{name: n}
	}
	return g
}

// wait returns how many pushes may be taken now, at most most: 1 while a way
// has to be proved open and no other is. It blocks while every way is closed.
func (g *gate) wait(ctx context.Context, most int) (int, error) {
	for {
		n, wake, changed := g.room(time.Now())
		if n > 0 || ctx.Err() != nil {
			return min(n, most), ctx.Err()
		}
		waitUntil(ctx, wake, changed)
	}
}

// waitUntil waits for the time unless it is zero, for changed, or for ctx.
func waitUntil(ctx context.Context, wake time.Time, changed <-chan struct{}) {
	var due <-chan time.Time
	if !wake.IsZero() {
		t := time.NewTimer(time.Until(wake))
		defer t.Stop()
		due = t.C
	}
	select {
	case <-due:
	case <-changed:
	case <-ctx.Done():
	}
}

// room is how many pushes may be taken, or 0 and when to look again: at wake
// unless it is zero, and when changed is closed.
func (g *gate) room(now time.Time) (n int, wake time.Time, changed <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, w := range g.ways {
		switch {
		case !w.closed:
			return math.MaxInt, time.Time{}, g.changed
		case w.probing:
		case !now.Before(w.until):
			n = 1
		case wake.IsZero() || w.until.Before(wake):
			wake = w.until
		}
	}
	return n, wake, g.changed
}

// admit gives leave to send over a way, or says when to come again.
func (g *gate) admit(name string, now time.Time) (p pass, ok bool, after time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w := g.ways[name]
	if w == nil {
		w = &way{name: name}
		g.ways[name] = w
	}
	switch {
	case !w.closed:
	case now.Before(w.until):
		return pass{}, false, w.until.Sub(now)
	case w.probing:
		return pass{}, false, probeWait
	default:
		w.probing = true
		return pass{w, w.epoch, true}, true, 0
	}
	return pass{w, w.epoch, false}, true, 0
}

// answered takes in the verdict on a push that had leave; 0 for none. It says
// whether the way was closed by it, and when a push that has to wait for the
// way may come again.
func (g *gate) answered(p pass, v notifier.Verdict, asked time.Duration, now time.Time) (closed bool, after time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w := p.way
	if p.probe {
		w.probing = false
	}
	switch {
	case v == notifier.Pause && p.epoch == w.epoch:
		w.level++
		w.pause(now, g.length(w, asked))
		closed = true
	case v == notifier.Pause:
		// Sent before the pause that holds: it says nothing new, unless it asks
		// for more.
		if until := now.Add(min(asked, pauseAskedMax)); w.closed && until.After(w.until) {
			w.until = until
		}
	case v == notifier.Retry && p.probe:
		// Not proved open. The probe pays for itself, the others wait on.
		w.pause(now, g.length(w, 0))
	case v.Final() && p.epoch == w.epoch:
		w.closed, w.level = false, 0
	}
	close(g.changed)
	g.changed = make(chan struct{})
	if w.closed {
		after = max(w.until.Sub(now), 0)
	}
	return closed, after
}

func (w *way) pause(now time.Time, d time.Duration) {
	w.closed, w.until = true, now.Add(d)
	w.epoch++
}

func (g *gate) length(w *way, asked time.Duration) time.Duration {
	if asked > 0 {
		return min(asked, pauseAskedMax)
	}
	return doubled(g.pauseMin, g.pauseMax, max(w.level, 1))
}

// paused lists the closed ways and until when they are.
func (g *gate) paused() map[string]time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := map[string]time.Time{}
	for _, w := range g.ways {
		if w.closed {
			out[w.name] = w.until
		}
	}
	return out
}
