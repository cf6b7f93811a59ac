package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

// group runs the parts of the lab. When one ends with an error or panics, the
// others are told to end, so that everything is cleaned up.
type group struct {
	ctx    context.Context
	cancel context.CancelFunc
	wait   sync.WaitGroup
	mu     sync.Mutex
	errs   []error
}

func newGroup(ctx context.Context) *group {
	ctx, cancel := context.WithCancel(ctx)
	return &group{ctx: ctx, cancel: cancel}
}

// Go runs a part. Its context ends when the group is to end.
func (g *group) Go(part func(context.Context) error) {
	g.wait.Go(func() {
		if err := guard(g.ctx, part); err != nil {
			g.mu.Lock()
			g.errs = append(g.errs, err)
			g.mu.Unlock()
			g.cancel()
		}
	})
}

// Wait waits until all parts have ended.
func (g *group) Wait() error {
	g.wait.Wait()
	g.cancel()
	return errors.Join(g.errs...)
}

// guard makes an error of a panic.
func guard(ctx context.Context, part func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return part(ctx)
}
