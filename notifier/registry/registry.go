// Package registry remembers which device wants to hear of which mailbox, and
// how it is reached.
//
// Registrations come in from the registration service and from delivery, which
// removes those whose address is dead. They go out three ways: one at a time
// by device, as a stream of changes ([Store.Watch]), and from memory through
// [View], which follows the stream and answers without I/O.
//
// Promised: a Put is durable when it returns; a Watch tells every registration
// that is present, says that this was all, and then tells every change in
// order. Only the latest state of a device is told: a watcher that is slow
// misses what was replaced meanwhile, never what holds now. A Delete with a
// revision removes the registration only if nobody replaced it.
//
// On failure a Watch ends (its channel is closed) and is to be started again;
// View does that by itself and tells what differs.
//
// There are two implementations: [Memory] for simulation and tests,
// [JetStream] for service. Both pass the suite in package registrytest.
package registry

import (
	"context"
	"errors"
	"fmt"

	"mailbell/notifier"
)

// Store holds the registrations, at most one a device. It is safe for
// concurrent use.
type Store interface {
	// Put creates or replaces the registration of a device and returns its new
	// revision, which is higher than every earlier one of the store. It is
	// durable when Put returns nil.
	Put(ctx context.Context, r notifier.Registration) (revision uint64, err error)
	// Get returns the registration of a device and its revision, or
	// ErrNotFound.
	Get(ctx context.Context, d notifier.DeviceID) (notifier.Registration, uint64, error)
	// Delete removes the registration of a device: whatever its revision when
	// revision is 0, otherwise only that revision and ErrChanged when it is
	// another. ErrNotFound when there is none.
	Delete(ctx context.Context, d notifier.DeviceID, revision uint64) error
	// Watch tells every registration present as Put, then Synced once, then
	// every later change. The channel is closed when ctx ends, when the store
	// closes, and when the stream of changes may have a gap; then Watch is to be
	// called again. The caller must read until it is closed or end ctx.
	Watch(ctx context.Context) (<-chan Change, error)
}

// ChangeKind says what a Change is about.
type ChangeKind uint8

// The kinds of change.
const (
	Put     ChangeKind = iota + 1 // the registration is present, in this form
	Deleted                       // the device has none any more
	Synced                        // everything present at the start of the Watch has been told
)

// String is the kind in lower case.
func (k ChangeKind) String() string {
	switch k {
	case Put:
		return "put"
	case Deleted:
		return "deleted"
	case Synced:
		return "synced"
	}
	return fmt.Sprintf("change(%d)", uint8(k))
}

// Change is one step of a Watch.
type Change struct {
	Kind         ChangeKind
	Registration notifier.Registration // Deleted: only Device is set; Synced: zero
	Revision     uint64                // of the registration, or of its removal; Synced: 0
}

// The errors of a Store, for errors.Is.
var (
	ErrNotFound = errors.New("registry: no such device")
	ErrChanged  = errors.New("registry: the registration was changed meanwhile")
	ErrClosed   = errors.New("registry: closed")
)

// check refuses what could not be found again.
func check(r notifier.Registration) error {
	switch {
	case r.Device == "":
		return errors.New("registry: registration without a device")
	case r.Mailbox == "":
		return errors.New("registry: registration without a mailbox")
	}
	return nil
}

// clone makes a copy that shares nothing with the original.
func clone(r notifier.Registration) notifier.Registration {
	if r.APNs != nil {
		a := *r.APNs
		r.APNs = &a
	}
	if r.WNS != nil {
		w := *r.WNS
		r.WNS = &w
	}
	return r
}
