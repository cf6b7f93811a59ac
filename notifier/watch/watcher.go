package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/bookmark"
	"mailbell/notifier/ews"
)

var (
	// errNotPlaced means that the mailbox belongs to no group at the moment.
	errNotPlaced = errors.New("watch: the mailbox is not placed yet")
	// errNotHeard means that no stream carries the mailbox at the moment. The next
	// one that does has it compared.
	errNotHeard = errors.New("watch: the mailbox is on no stream yet")
)

// Watcher keeps mailboxes subscribed. Make one with New, give it mailboxes with
// Add (before or while Run), and run it once. Run starts every goroutine there
// is and returns when all have ended. Safe for concurrent use.
type Watcher struct {
	opt   Options
	log   *slog.Logger
	notes *notebook

	ready  *runqueue // mailboxes with pending events
	toWalk *runqueue // mailboxes that lack a sync state
	toTell *runqueue // mailboxes whose owner did something elsewhere

	mu        sync.Mutex
	running   bool
	life      context.Context // of Run; nil before
	tasks     sync.WaitGroup  // groups and discovery, started while running
	mailboxes map[notifier.Mailbox]*mailbox
	accounts  []*account
	groups    map[groupKey][]*group
	groupSeq  int
	asking    map[*mailbox]time.Time // to be discovered, from when
	askWake   chan struct{}

	stats struct {
		events, caughtUp, auditFinds, streamsOpened, streamsBroken, dropped atomic.Uint64
	}
}

// account is a listener account and what it carries.
type account struct {
	Account
	mailboxes    int       // placed; belongs to Watcher.mu
	blockedUntil time.Time // credentials refused; belongs to Watcher.mu
	clients      map[string]*ews.Client
	toCompare    *runqueue // its mailboxes with an open gap
}

// New checks the options; it does no network traffic.
func New(o Options) (*Watcher, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	w := &Watcher{
		opt: o, log: o.Logger, notes: newNotebook(o.Bookmarks, o.Logger),
		mailboxes: map[notifier.Mailbox]*mailbox{}, groups: map[groupKey][]*group{},
		asking: map[*mailbox]time.Time{}, askWake: make(chan struct{}, 1),
	}
	w.ready, w.toWalk, w.toTell = newRunqueue(w.accountOf, o.HandleParallel), newRunqueue(w.accountOf, walkParallel), newRunqueue(w.accountOf, tellParallel)
	for _, a := range o.Accounts {
		w.accounts = append(w.accounts, &account{Account: a, clients: map[string]*ews.Client{}, toCompare: newRunqueue(nil, 0)})
	}
	return w, nil
}

// Run watches until ctx ends, then unsubscribes as far as that is quickly done,
// writes the bookmarks, and returns ctx's error.
func (w *Watcher) Run(ctx context.Context) error {
	w.mu.Lock()
	if w.running || w.life != nil {
		w.mu.Unlock()
		return fmt.Errorf("watch: Run may be called once")
	}
	w.running, w.life = true, ctx
	w.mu.Unlock()

	var workers sync.WaitGroup
	for _, a := range w.accounts {
		for range w.opt.CompareParallel {
			workers.Go(func() { a.toCompare.work(w.catchUp) })
		}
		// Of the others every account may occupy so many; more accounts, more of them.
		for range w.opt.HandleParallel {
			workers.Go(func() { w.ready.work(w.handle) })
		}
		for range walkParallel {
			workers.Go(func() { w.toWalk.work(w.walk) })
		}
		for range tellParallel {
			workers.Go(func() { w.toTell.work(w.tellElsewhere) })
		}
	}
	if w.opt.AuditEvery > 0 {
		workers.Go(func() { w.audit(ctx, w.opt.AuditEvery) })
	}
	notesCtx, stopNotes := context.WithCancel(context.WithoutCancel(ctx))
	var notes sync.WaitGroup
	notes.Go(func() { w.notes.run(notesCtx, w.opt.BookmarkEvery) })

	w.discover(ctx) // until ctx ends

	w.mu.Lock()
	w.running = false
	for _, m := range w.mailboxes {
		m.stop()
	}
	w.mu.Unlock()
	w.tasks.Wait()
	w.ready.close()
	for _, a := range w.accounts {
		a.toCompare.close()
	}
	w.toWalk.close()
	w.toTell.close()
	workers.Wait()
	stopNotes()
	notes.Wait()
	return ctx.Err()
}

// Add watches a mailbox. Mail received from since on is announced, unless a
// bookmark says that it was dealt with. Adding it again changes nothing.
func (w *Watcher) Add(name notifier.Mailbox, since time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mailboxes[name] != nil {
		return
	}
	m := &mailbox{
		name: name, comparing: newTurn(), gaps: 1, unread: notifier.UnreadUnknown, shown: notifier.UnreadUnknown, gapSince: time.Now(),
		bookmark: notifier.Bookmark{Mailbox: name, Floor: since.UTC().Truncate(time.Second)},
	}
	base := w.life
	if base == nil {
		base = context.Background()
	}
	m.ctx, m.stop = context.WithCancel(base)
	m.enter(Discovering, Registered)
	w.mailboxes[name] = m
	w.ask(m, 0)
}

// Remove ends the watch of a mailbox and forgets its bookmark.
func (w *Watcher) Remove(name notifier.Mailbox) {
	w.mu.Lock()
	m := w.mailboxes[name]
	delete(w.mailboxes, name)
	delete(w.asking, m)
	w.mu.Unlock()
	if m == nil {
		return
	}
	m.stop()
	w.ready.forget(m)
	for _, a := range w.accounts {
		a.toCompare.forget(m)
	}
	w.toWalk.forget(m)
	w.toTell.forget(m)
	w.unplace(m)
	w.notes.removed(name)
}

func (w *Watcher) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.mailboxes)
}

func (w *Watcher) groupOf(m *mailbox) *group {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.group
}

// accountOf is the account that reads a mailbox now; nil when none does.
func (w *Watcher) accountOf(m *mailbox) *account {
	if g := w.groupOf(m); g != nil {
		return g.account
	}
	return nil
}

// start runs f as a task of Run; it reports false when Run is over.
func (w *Watcher) start(f func(ctx context.Context)) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.startLocked(f)
}

func (w *Watcher) startLocked(f func(ctx context.Context)) bool {
	if !w.running {
		return false
	}
	ctx := w.life
	w.tasks.Go(func() { f(ctx) })
	return true
}

// handle deals with the oldest pending events of a mailbox. The bookmark moves
// only when Handle has made the consequences durable.
func (w *Watcher) handle(m *mailbox) {
	events := m.batch()
	if len(events) == 0 || m.ctx.Err() != nil {
		return
	}
	seen, err := w.opt.Handle(m.ctx, m.name, events)
	if err != nil {
		if m.ctx.Err() == nil {
			w.handleFailed(m, err)
		}
		return
	}
	then := m.done(events, seen)
	w.moved(m)
	if then.handle {
		w.ready.push(m)
	}
	if then.compare {
		w.compareSoon(m)
	}
	if then.walk {
		w.toWalk.push(m)
	}
}

// moved has the bookmark written as it is now, unless the mailbox was removed
// meanwhile.
func (w *Watcher) moved(m *mailbox) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mailboxes[m.name] != m {
		return
	}
	m.mu.Lock()
	mark := m.bookmark
	m.mu.Unlock()
	w.notes.moved(mark)
}

// handleFailed lets the mailbox rest, with everything still pending.
func (w *Watcher) handleFailed(m *mailbox, err error) {
	m.mu.Lock()
	d, n := m.handling.add(retryMin/4, retryMax, backOffTold(err))
	m.mu.Unlock()
	w.log.Warn("events not dealt with; trying again", "mailbox", m.name, "try", n+1, "err", err)
	if isRejected(err) || ews.React(err) == ews.Rediscover {
		w.leave(m, err)
	} else {
		m.retry(err, d)
	}
	w.ready.rest(m, d)
}

// load brings the stored bookmark, if there is one, before the first comparison.
func (w *Watcher) load(ctx context.Context, m *mailbox) error {
	m.mu.Lock()
	loaded := m.loaded
	m.mu.Unlock()
	if loaded {
		return nil
	}
	b, err := w.opt.Bookmarks.Get(ctx, m.name)
	switch {
	case errors.Is(err, bookmark.ErrNotFound):
		m.mu.Lock()
		m.bookmark.Sync, m.loaded = w.syncMark(nil), true
		m.mu.Unlock()
		w.moved(m)
		return nil
	case err != nil:
		return fmt.Errorf("watch: bookmark of %s: %w", m.name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loaded = true
	if b.Floor.Before(m.bookmark.Floor) {
		b.Floor, b.From, b.Sync = m.bookmark.Floor, time.Time{}, nil // of an earlier registration
	}
	b.Sync = w.syncMark(b.Sync)
	m.bookmark = b
	return nil
}

// syncMark is what a stored mark is worth. Mailboxes compared by received time
// lose theirs, because nobody keeps it up.
func (w *Watcher) syncMark(stored *notifier.SyncMark) *notifier.SyncMark {
	switch {
	case w.opt.CatchUp != BySync:
		return nil
	case stored == nil || len(stored.State) > notifier.BookmarkStateMax || len(stored.Known) > notifier.BookmarkKnownMax:
		return &notifier.SyncMark{}
	}
	return stored
}

// backOffTold is the wait the server asked for, 0 when it named none.
func backOffTold(err error) time.Duration {
	if e, ok := errors.AsType[*ews.ResponseError](err); ok {
		return e.BackOff
	}
	if e, ok := errors.AsType[*ews.HTTPError](err); ok {
		return e.RetryAfter
	}
	return 0
}
