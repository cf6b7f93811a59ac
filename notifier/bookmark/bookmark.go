// Package bookmark remembers for each mailbox up to where it has been dealt
// with, so that nothing is missed and little is repeated after a gap.
//
// Bookmarks come in from watching, after the pushes they stand for are
// durable, many at a time; they go out at start-up (all) and after a gap
// (one). Promised: a bookmark is durable when Put returns nil, and the one put
// last is the one that is found. On failure any part of a Put may be durable;
// an older bookmark only means that more is compared and repeated.
//
// There are two implementations: [Memory] for simulation and tests,
// [JetStream] for service. Both pass the suite in package bookmarktest.
package bookmark

import (
	"context"
	"errors"

	"mailbell/notifier"
)

// Store holds at most one bookmark a mailbox. It is safe for concurrent use.
type Store interface {
	// Get returns the bookmark of a mailbox, or ErrNotFound.
	Get(ctx context.Context, m notifier.Mailbox) (notifier.Bookmark, error)
	// Put creates or replaces the bookmarks of their mailboxes. Of two for one
	// mailbox in one call the later holds.
	Put(ctx context.Context, bookmarks ...notifier.Bookmark) error
	// Delete forgets the bookmark of a mailbox. There need not be one.
	Delete(ctx context.Context, m notifier.Mailbox) error
	// All returns every bookmark, in no particular order.
	All(ctx context.Context) ([]notifier.Bookmark, error)
}

// The errors of a Store, for errors.Is.
var (
	ErrNotFound = errors.New("bookmark: no bookmark for the mailbox")
	ErrClosed   = errors.New("bookmark: closed")
)

// check refuses what could not be found again or says nothing.
func check(b notifier.Bookmark) error {
	switch {
	case b.Mailbox == "":
		return errors.New("bookmark: without a mailbox")
	case b.Floor.IsZero():
		return errors.New("bookmark: without a floor")
	}
	return nil
}
