// Package queue keeps every push from the moment it is composed until its fate
// is decided.
//
// Pushes come in from composing, many at a time, and go out to delivery by
// provider. Promised:
//
//   - A push is durable when Put returns nil. What is put twice within the
//     dedupe window (the same push ID) is kept once, so a Put that failed half
//     way is repeated whole.
//   - A push is given out until it is acknowledged or purged: again after the
//     wait asked for by Retry, and again after AckWait when whoever took it
//     says nothing. Nothing here bounds the attempts; delivery gives up a push
//     that expired and acknowledges it.
//   - Those due are given out oldest first, as far as retries allow. There is
//     no order to rely on.
//   - After Purge nothing of the device is given out any more; what is out
//     already cannot come back.
//
// On failure a method returns an error and has done nothing, or in the case of
// Put any part of it. The queue is bounded: ErrFull means that delivery has
// been unable to keep up for long, and that the caller has to wait and repeat.
//
// There are two implementations: [Memory] for simulation and tests,
// [JetStream] for service. Both pass the suite in package queuetest.
package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mailbell/notifier"
)

// Queue holds pushes. It is safe for concurrent use.
type Queue interface {
	// Put adds pushes. They are durable when it returns nil; on an error any part
	// of them may be, and the whole is to be put again. A push whose ID was put
	// within the dedupe window is dropped silently, even when it was acknowledged
	// or purged meanwhile. ErrFull when there is no room.
	Put(ctx context.Context, pushes ...notifier.Push) error
	// Take gives out at least one and at most max (1 to TakeMax) pushes of the
	// provider that are due, waiting for one until ctx ends. Each is the caller's
	// for AckWait.
	Take(ctx context.Context, p notifier.Provider, max int) ([]Delivery, error)
	// Purge removes everything queued for the device, including what waits for a
	// retry and what is given out.
	Purge(ctx context.Context, d notifier.DeviceID) error
	// Depth counts the pushes queued, including those that wait for a retry or
	// are given out.
	Depth(ctx context.Context) (int, error)
}

// Delivery is a push given out. One of Ack and Retry ends it; without either
// the push is due again after AckWait. On a push that is acknowledged or
// purged already the methods do nothing and return nil.
type Delivery interface {
	// Push is what to deliver.
	Push() notifier.Push
	// Attempt counts how often the push has been given out: 1 is the first time.
	// The count may start again when the engine restarts.
	Attempt() int
	// Ack removes the push for good.
	Ack(ctx context.Context) error
	// Retry gives the push back, due again after the wait.
	Retry(ctx context.Context, after time.Duration) error
	// Extend makes the push the caller's for another AckWait from now.
	Extend(ctx context.Context) error
}

// Limits and defaults.
const (
	// DedupeWindowDefault bounds how long after a Put a repeat is recognised. An
	// hour covers the time between a push and the bookmark that says it was made,
	// with a generous margin. Each ID within the window costs about 130 bytes of
	// memory (measured, both implementations): an hour at 20 pushes a second is
	// 9 MB.
	DedupeWindowDefault = time.Hour
	// AckWaitDefault bounds how long a push taken by a process that died is out.
	// It is a multiple of a provider's time limit for one push (10 s).
	AckWaitDefault = 30 * time.Second
	// PushesMaxDefault bounds the pushes queued: a day of a million mails with no
	// provider to be reached.
	PushesMaxDefault = 1_000_000
	// TakeMax bounds one Take.
	TakeMax = 500
	// PayloadBytesMax bounds the payload of a push. The largest a provider takes
	// is 5,000 bytes (WNS "Push notification service request and response
	// headers"; Apple "Generating a remote notification": 4,096).
	PayloadBytesMax = 8 << 10
)

// Options are common to the implementations. Zero values mean the defaults.
type Options struct {
	DedupeWindow time.Duration // 0: DedupeWindowDefault; at least 100 ms
	AckWait      time.Duration // 0: AckWaitDefault
	PushesMax    int           // 0: PushesMaxDefault
}

func (o Options) withDefaults() Options {
	if o.DedupeWindow <= 0 {
		o.DedupeWindow = DedupeWindowDefault
	}
	if o.AckWait <= 0 {
		o.AckWait = AckWaitDefault
	}
	if o.PushesMax <= 0 {
		o.PushesMax = PushesMaxDefault
	}
	return o
}

// The errors of a Queue, for errors.Is.
var (
	ErrFull   = errors.New("queue: full")
	ErrClosed = errors.New("queue: closed")
)

// providers are those that pushes can be taken for.
var providers = [...]notifier.Provider{notifier.APNs, notifier.WNS}

func known(p notifier.Provider) error {
	for _, k := range providers {
		if p == k {
			return nil
		}
	}
	return fmt.Errorf("queue: provider %q is not known: it has to be %q or %q", p, notifier.APNs, notifier.WNS)
}

// check refuses a push that could not be given out.
func check(p notifier.Push) error {
	switch {
	case p.ID == "":
		return errors.New("queue: push without an ID")
	case p.Device == "":
		return errors.New("queue: push without a device")
	case len(p.Payload) > PayloadBytesMax:
		return fmt.Errorf("queue: payload of %d bytes, at most %d", len(p.Payload), PayloadBytesMax)
	}
	return known(p.Provider)
}

// takeBound brings the max of a Take into its bounds.
func takeBound(n int) int { return min(max(n, 1), TakeMax) }
