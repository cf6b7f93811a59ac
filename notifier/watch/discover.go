package watch

import (
	"context"
	"errors"
	"time"

	"mailbell/notifier/autodiscover"
)

// errNoRoom is of a mailbox that no account can take.
var errNoRoom = errors.New("no listener account that Exchange accepts has room: add an account or raise its capacity")

// errNotServed is of a mailbox on a server that this instance does not watch.
var errNotServed = errors.New("watch: not on a server that this instance watches")

// errNoAnswer is of a mailbox that discovery left out.
var errNoAnswer = errors.New("watch: discovery gave no answer")

// ask queues a mailbox for discovery in d. A mailbox is either asked about or
// placed, never both. Watcher.mu is held.
func (w *Watcher) ask(m *mailbox, d time.Duration) {
	w.asking[m] = time.Now().Add(d)
	select {
	case w.askWake <- struct{}{}:
	default:
	}
}

// discover serves the mailboxes that need to be discovered, in batches, until
// ctx ends.
func (w *Watcher) discover(ctx context.Context) {
	for {
		batch, next := w.dueForDiscovery()
		if len(batch) > 0 {
			w.start(func(ctx context.Context) { w.discoverBatch(ctx, batch) })
			continue
		}
		t := time.NewTimer(next)
		select {
		case <-w.askWake:
			if !sleep(ctx, discoverGather) {
				t.Stop()
				return
			}
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
		t.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// dueForDiscovery takes the mailboxes that are due, at most discoverBatchMax,
// or says how long until the next is.
func (w *Watcher) dueForDiscovery() ([]*mailbox, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.running {
		return nil, time.Hour
	}
	now, next := time.Now(), time.Hour
	var due []*mailbox
	for m, at := range w.asking {
		switch wait := at.Sub(now); {
		case wait > 0:
			next = min(next, wait)
		case len(due) < discoverBatchMax:
			due = append(due, m)
			delete(w.asking, m)
		}
	}
	sortMailboxes(due)
	return due, next
}

func (w *Watcher) discoverBatch(ctx context.Context, batch []*mailbox) {
	addresses := make([]string, len(batch))
	for i, m := range batch {
		m.enter(Discovering, RetryDue)
		addresses[i] = string(m.name)
	}
	batch, addresses = w.restore(ctx, batch, addresses)
	if len(batch) == 0 {
		return
	}
	results := w.opt.Discover(ctx, addresses)
	for i, m := range batch {
		if m.ctx.Err() != nil {
			continue
		}
		if i >= len(results) {
			w.discoveryFailed(m, errNoAnswer)
			continue
		}
		r := results[i]
		if err := r.Err; err != nil {
			w.discoveryFailed(m, err)
			continue
		}
		if err := w.load(ctx, m); err != nil {
			w.discoveryFailed(m, err)
			continue
		}
		m.mu.Lock()
		m.settings = r.Settings
		m.mu.Unlock()
		w.place(m)
	}
}

func (w *Watcher) discoveryFailed(m *mailbox, err error) {
	var d time.Duration
	if errors.Is(err, errNotServed) || errors.Is(err, autodiscover.ErrNoSuchMailbox) || errors.Is(err, autodiscover.ErrRedirectRefused) {
		d = m.refused(0)
	} else {
		d, _ = m.strike(5*time.Second, retryMax, 0)
	}
	d = w.blocked(err, d)
	m.wait(Undiscovered, err, d)
	m.waitsForAccount(isRejected(err) || errors.Is(err, errNoRoom))
	w.log.Warn("mailbox not discovered", "mailbox", m.name, "again_in", d, "err", err)
	w.mu.Lock()
	if w.mailboxes[m.name] == m {
		w.ask(m, d)
	}
	w.mu.Unlock()
}
