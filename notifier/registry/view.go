package registry

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"mailbell/notifier"
)

// Waits between two attempts of a View to follow its store.
const (
	viewRetryMin = 100 * time.Millisecond
	viewRetryMax = 10 * time.Second
)

// errWatchEnded is why a View starts over while its ctx is alive.
var errWatchEnded = errors.New("registry: the stream of changes ended")

// View is the registry in memory, kept up to date by the changes a Store
// tells. Its questions cost no I/O and never fail; before Synced and while the
// store is away they are answered from what was known last. A registration
// that was just put is seen a moment later.
//
// Its methods are safe for concurrent use. The APNs and WNS addresses in what
// it returns are shared and must not be changed.
type View struct {
	store    Store
	log      *slog.Logger
	onChange []func(notifier.Mailbox, []notifier.Registration)
	synced   chan struct{}
	first    sync.Once

	mu        sync.RWMutex
	devices   map[notifier.DeviceID]entry
	mailboxes map[notifier.Mailbox][]notifier.Registration // sorted by device; a slice is replaced, never changed
}

// NewView returns an empty view of the store; Run fills it. A nil logger
// discards.
func NewView(store Store, log *slog.Logger) *View {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &View{
		store: store, log: log, synced: make(chan struct{}),
		devices:   make(map[notifier.DeviceID]entry),
		mailboxes: make(map[notifier.Mailbox][]notifier.Registration),
	}
}

// OnChange adds a function to be called after the view changed, once for each
// mailbox affected, with the mailbox's registrations sorted by device (none:
// the last one left). Calls come one at a time, in the order of the changes,
// from the goroutine of Run; a device that moves to another mailbox gives two,
// the old mailbox first. What a restart of the stream shows to be unchanged is
// not told again. OnChange must be called before Run, and the function must
// not wait for Synced.
func (v *View) OnChange(f func(m notifier.Mailbox, devices []notifier.Registration)) {
	v.onChange = append(v.onChange, f)
}

// Run follows the store until ctx ends and returns ctx's error. It starts over
// when the stream of changes ends or cannot be had, with growing waits. It may
// run once.
func (v *View) Run(ctx context.Context) error {
	wait := viewRetryMin
	for {
		synced, err := v.follow(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if synced {
			wait = viewRetryMin
		}
		v.log.Warn("registry: following again", "after", wait, "cause", err)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		wait = min(2*wait, viewRetryMax)
	}
}

// Synced is closed once everything present when Run began is in the view and
// has been told to the OnChange functions.
func (v *View) Synced() <-chan struct{} { return v.synced }

// Device returns the registration of a device and its revision.
func (v *View) Device(d notifier.DeviceID) (notifier.Registration, uint64, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	e, ok := v.devices[d]
	return e.registration, e.revision, ok
}

// Mailbox returns the registrations of a mailbox sorted by device; none when
// nobody wants to hear of it. The slice is the caller's.
func (v *View) Mailbox(m notifier.Mailbox) []notifier.Registration {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return slices.Clone(v.mailboxes[m])
}

// Mailboxes returns every mailbox with a registration, sorted.
func (v *View) Mailboxes() []notifier.Mailbox {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return slices.Sorted(maps.Keys(v.mailboxes))
}

// Len counts the devices and the mailboxes they belong to.
func (v *View) Len() (devices, mailboxes int) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return len(v.devices), len(v.mailboxes)
}

// follow reads one Watch to its end and says whether it got as far as Synced.
func (v *View) follow(ctx context.Context) (synced bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changes, err := v.store.Watch(ctx)
	if err != nil {
		return false, err
	}
	present := make(map[notifier.DeviceID]entry)
	for c := range changes {
		d := c.Registration.Device
		switch {
		case c.Kind == Synced:
			v.replace(present)
			synced, present = true, nil
			v.first.Do(func() { close(v.synced) })
		case synced:
			v.apply(c)
		case c.Kind == Put:
			present[d] = entry{c.Registration, c.Revision}
		case c.Kind == Deleted:
			delete(present, d)
		}
	}
	return synced, errWatchEnded
}

// replace makes the view equal to what is present and tells the mailboxes
// where that makes a difference.
func (v *View) replace(present map[notifier.DeviceID]entry) {
	affected := make(map[notifier.Mailbox]bool)
	for d, e := range present {
		old, had := v.devices[d] // only Run's goroutine writes: no lock to read
		if had && old.revision == e.revision {
			continue
		}
		affected[e.registration.Mailbox] = true
		if had {
			affected[old.registration.Mailbox] = true
		}
	}
	for d, old := range v.devices {
		if _, still := present[d]; !still {
			affected[old.registration.Mailbox] = true
		}
	}

	mailboxes := make(map[notifier.Mailbox][]notifier.Registration)
	for _, e := range present {
		m := e.registration.Mailbox
		mailboxes[m] = append(mailboxes[m], e.registration)
	}
	for _, devices := range mailboxes {
		slices.SortFunc(devices, byDevice)
	}

	v.mu.Lock()
	v.devices, v.mailboxes = present, mailboxes
	v.mu.Unlock()
	v.tell(slices.Sorted(maps.Keys(affected))...)
}

// apply makes one change and tells the one or two mailboxes affected.
func (v *View) apply(c Change) {
	d := c.Registration.Device
	old, had := v.devices[d]
	var affected []notifier.Mailbox

	v.mu.Lock()
	if had && (c.Kind == Deleted || old.registration.Mailbox != c.Registration.Mailbox) {
		v.leave(old.registration.Mailbox, d)
		affected = append(affected, old.registration.Mailbox)
	}
	switch c.Kind {
	case Put:
		v.devices[d] = entry{c.Registration, c.Revision}
		v.join(c.Registration)
		affected = append(affected, c.Registration.Mailbox)
	case Deleted:
		delete(v.devices, d)
	}
	v.mu.Unlock()
	v.tell(affected...)
}

// join puts a registration in its place in a new slice. The lock is held.
func (v *View) join(r notifier.Registration) {
	now := v.mailboxes[r.Mailbox]
	i, found := slices.BinarySearchFunc(now, r, byDevice)
	after := i
	if found {
		after++
	}
	v.mailboxes[r.Mailbox] = slices.Concat(now[:i], []notifier.Registration{r}, now[after:])
}

// leave takes a device out of a mailbox, in a new slice. The lock is held.
func (v *View) leave(m notifier.Mailbox, d notifier.DeviceID) {
	var rest []notifier.Registration
	for _, r := range v.mailboxes[m] {
		if r.Device != d {
			rest = append(rest, r)
		}
	}
	if len(rest) == 0 {
		delete(v.mailboxes, m)
		return
	}
	v.mailboxes[m] = rest
}

func (v *View) tell(mailboxes ...notifier.Mailbox) {
	for _, m := range mailboxes {
		for _, f := range v.onChange {
			f(m, v.Mailbox(m))
		}
	}
}

func byDevice(a, b notifier.Registration) int { return cmp.Compare(a.Device, b.Device) }
