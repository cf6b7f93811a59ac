package watch

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/bookmark"
)

// notebook writes moved bookmarks, many at a time. A bookmark that is not yet
// written when the process dies costs a repeat with the same ID, never a loss.
type notebook struct {
	store bookmark.Store
	log   *slog.Logger
	wake  chan struct{} // there is something that should not wait
	stir  chan struct{} // there is something

	mu      sync.Mutex
	stirred bool // since the latest flush
	dirty   map[notifier.Mailbox]notifier.Bookmark
	drop    map[notifier.Mailbox]bool
}

func newNotebook(s bookmark.Store, log *slog.Logger) *notebook {
	return &notebook{store: s, log: log, wake: make(chan struct{}, 1), stir: make(chan struct{}, 1), dirty: map[notifier.Mailbox]notifier.Bookmark{}, drop: map[notifier.Mailbox]bool{}}
}

func (n *notebook) moved(b notifier.Bookmark) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.drop, b.Mailbox)
	n.dirty[b.Mailbox] = b
	n.stirLocked()
}

// soon has what has moved written without waiting for the next interval.
func (n *notebook) soon() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *notebook) removed(m notifier.Mailbox) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.dirty, m)
	n.drop[m] = true
	n.stirLocked()
}

// run writes what has moved, at the latest after every, until ctx ends, and once
// more then. While nothing moves it sleeps.
func (n *notebook) run(ctx context.Context, every time.Duration) {
	rest := time.NewTimer(0)
	rest.Stop()
	defer rest.Stop()
	for {
		select {
		case <-n.stir:
			rest.Reset(every)
			continue
		case <-rest.C:
		case <-n.wake:
			rest.Stop()
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			n.flush(last)
			return
		}
		n.flush(ctx)
	}
}

// stirLocked has run know that there is something to write. One that was told
// before is on its way.
func (n *notebook) stirLocked() {
	if n.stirred {
		return
	}
	n.stirred = true
	select {
	case n.stir <- struct{}{}:
	default:
	}
}

// flush writes what has moved. What fails stays for the next time.
func (n *notebook) flush(ctx context.Context) {
	n.mu.Lock()
	dirty, drop := n.dirty, n.drop
	n.stirred = false
	n.dirty, n.drop = map[notifier.Mailbox]notifier.Bookmark{}, map[notifier.Mailbox]bool{}
	n.mu.Unlock()
	if len(dirty) > 0 {
		list := make([]notifier.Bookmark, 0, len(dirty))
		for _, b := range dirty {
			list = append(list, b)
		}
		if err := n.store.Put(ctx, list...); err != nil {
			n.log.Error("bookmarks not written; trying again", "count", len(list), "err", err)
			n.mu.Lock()
			for _, b := range list {
				if _, newer := n.dirty[b.Mailbox]; !newer && !n.drop[b.Mailbox] {
					n.dirty[b.Mailbox] = b
				}
			}
			n.stirLocked()
			n.mu.Unlock()
		}
	}
	for m := range drop {
		if err := n.store.Delete(ctx, m); err != nil {
			n.log.Error("bookmark not removed; trying again", "mailbox", m, "err", err)
			n.mu.Lock()
			if _, back := n.dirty[m]; !back {
				n.drop[m] = true
				n.stirLocked()
			}
			n.mu.Unlock()
		}
	}
}
