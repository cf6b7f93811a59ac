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

	mu    sync.Mutex
	dirty map[notifier.Mailbox]notifier.Bookmark
	drop  map[notifier.Mailbox]bool
}

func newNotebook(s bookmark.Store, log *slog.Logger) *notebook {
	return &notebook{store: s, log: log, wake: make(chan struct{}, 1), dirty: map[notifier.Mailbox]notifier.Bookmark{}, drop: map[notifier.Mailbox]bool{}}
}

func (n *notebook) moved(b notifier.Bookmark) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.drop, b.Mailbox)
	n.dirty[b.Mailbox] = b
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
}

// run writes every interval until ctx ends, and once more then.
func (n *notebook) run(ctx context.Context, every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			n.flush(ctx)
		case <-n.wake:
			n.flush(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			n.flush(last)
			return
		}
	}
}

// flush writes what has moved. What fails stays for the next time.
func (n *notebook) flush(ctx context.Context) {
	n.mu.Lock()
	dirty, drop := n.dirty, n.drop
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
			n.mu.Unlock()
		}
	}
	for m := range drop {
		if err := n.store.Delete(ctx, m); err != nil {
			n.log.Error("bookmark not removed; trying again", "mailbox", m, "err", err)
			n.mu.Lock()
			if _, back := n.dirty[m]; !back {
				n.drop[m] = true
			}
			n.mu.Unlock()
		}
	}
}
