package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// lifecycle is what Stop has to undo, newest first, and what has failed
// meanwhile.
type lifecycle struct {
	steps []step
	over  chan struct{} // closed when unwound

	mu     sync.Mutex
	failed chan struct{}
	err    error
}

// stopGrace is what each part gets to end in when the time for stopping is over
// already.
const stopGrace = time.Second

type step struct {
	name string
	stop func(context.Context) error
}

func newLifecycle() *lifecycle {
	return &lifecycle{failed: make(chan struct{}), over: make(chan struct{})}
}

// push adds a step to be undone.
func (l *lifecycle) push(name string, stop func(context.Context) error) {
	l.steps = append(l.steps, step{name, stop})
}

// run starts f in a goroutine and pushes a step that cancels it and waits for
// its end. When f returns before it is cancelled, the instance has failed.
func (l *lifecycle) run(name string, f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := f(ctx)
		if ctx.Err() == nil {
			l.fail(fmt.Errorf("app: %s ended by itself: %w", name, err))
		}
	}()
	l.push(name, func(stop context.Context) error {
		cancel()
		select {
		case <-done:
			return nil
		case <-stop.Done():
		}
		select {
		case <-done: // both at once
			return nil
		default:
			return stop.Err()
		}
	})
}

func (l *lifecycle) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
		close(l.failed)
	}
}

func (l *lifecycle) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// unwind undoes all steps, newest first, and returns what went wrong. It is
// called once.
func (l *lifecycle) unwind(ctx context.Context) error {
	defer close(l.over)
	var errs []error
	for i := len(l.steps) - 1; i >= 0; i-- {
		if err := l.steps[i].undo(ctx); err != nil {
			errs = append(errs, fmt.Errorf("app: stop %s: %w", l.steps[i].name, err))
		}
	}
	l.steps = nil
	return errors.Join(errs...)
}

func (s step) undo(ctx context.Context) error {
	if ctx.Err() != nil {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
		defer cancel()
		ctx = grace
	}
	return s.stop(ctx)
}
