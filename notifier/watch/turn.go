package watch

import "context"

// turn is had by one at a time, for as long as requests take. Unlike a mutex it is
// not waited for longer than a context lasts, and who waits is idle in the sense
// of testing/synctest.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

// take waits for the turn; leave gives it to the next.
func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) leave() { <-t }
