package fakeapns

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// awaitPoll is how often a condition that is awaited is looked at.
const awaitPoll = 2 * time.Millisecond

// AwaitAccepted waits until a device was sent n accepted pushes in all; with
// token "" all devices together.
func (s *Server) AwaitAccepted(ctx context.Context, token string, n uint64) error {
	return s.await(ctx, fmt.Sprintf("%d accepted pushes", n), func() bool {
		if token == "" {
			return s.stats.Accepted >= n
		}
		d := s.devices[strings.ToLower(token)]
		return d != nil && d.accepted >= n
	})
}

// AwaitConnections waits until n connections are open.
func (s *Server) AwaitConnections(ctx context.Context, n int) error {
	return s.await(ctx, fmt.Sprintf("%d open connections", n), func() bool { return s.stats.Open == n })
}

// AwaitIdle waits until no connection has a stream without an answer.
func (s *Server) AwaitIdle(ctx context.Context) error {
	for {
		busy := 0
		for _, c := range s.connections() {
			c.mu.Lock()
			busy += len(c.streams)
			c.mu.Unlock()
		}
		if busy == 0 {
			return nil
		}
		if err := nap(ctx); err != nil {
			return fmt.Errorf("fakeapns: %d streams without an answer: %w", busy, err)
		}
	}
}

// await looks at a condition with the server's lock held.
func (s *Server) await(ctx context.Context, what string, ok func() bool) error {
	for {
		s.mu.Lock()
		yes := ok()
		s.mu.Unlock()
		if yes {
			return nil
		}
		if err := nap(ctx); err != nil {
			return fmt.Errorf("fakeapns: awaited in vain for %s: %w", what, err)
		}
	}
}

func nap(ctx context.Context) error {
	t := time.NewTimer(awaitPoll)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
