package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/queue"
)

// Sender gives one push to its provider. It is safe for concurrent use and
// returns soon after ctx ends.
type Sender interface {
	// Send returns what became of the push. A broken connection is a Receipt with
	// the verdict Retry or Pause and the failure in Err.
	Send(ctx context.Context, p notifier.Push, r notifier.Registration) notifier.Receipt
}

// Ways is implemented by a Sender with several ways to its provider, each of
// which can be closed without the others.
type Ways interface {
	Ways() []string                     // all there are
	Way(r notifier.Registration) string // the one that leads to the device
}

// Ledger takes receipts. They are durable when Append returns nil.
type Ledger interface {
	Append(ctx context.Context, receipts ...notifier.Receipt) error
}

// Options are what a Deliverer works with.
type Options struct {
	Queue queue.Queue
	// Senders has one for each provider to deliver to. Pushes of other providers
	// stay in the queue.
	Senders map[notifier.Provider]Sender
	// Lookup finds the registration of a device, and its revision.
	Lookup func(notifier.DeviceID) (notifier.Registration, uint64, bool)
	// Forget removes a registration if its revision is still this one, and
	// returns nil when it is not.
	Forget func(ctx context.Context, d notifier.DeviceID, revision uint64) error
	Ledger Ledger
	// InFlight bounds the pushes in flight; InFlightAPNs and InFlightWNS when a
	// provider is not in it.
	InFlight map[notifier.Provider]int
	Retry    RetryOptions
	Drain    time.Duration // 0: DrainDefault
	Logger   *slog.Logger  // nil: discard
}

// RetryOptions are the waits and their bounds. 0 means the default.
type RetryOptions struct {
	Min, Max           time.Duration // first and longest back-off of a push
	AttemptsMax        int           // sendings of one push that the provider refused for now
	PauseMin, PauseMax time.Duration // first and longest pause of a way, when the provider names none
	SendTimeout        time.Duration // for one sending
}

func (o *Options) validate() error {
	switch {
	case o.Queue == nil:
		return errors.New("deliver: Options.Queue is missing")
	case o.Lookup == nil:
		return errors.New("deliver: Options.Lookup is missing")
	case o.Forget == nil:
		return errors.New("deliver: Options.Forget is missing")
	case o.Ledger == nil:
		return errors.New("deliver: Options.Ledger is missing")
	case len(o.Senders) == 0:
		return errors.New("deliver: Options.Senders: at least one is needed")
	}
	for p, s := range o.Senders {
		if s == nil {
			return fmt.Errorf("deliver: Options.Senders[%s] is nil", p)
		}
	}
	for p, n := range o.InFlight {
		if n < 1 || n > InFlightMax {
			return fmt.Errorf("deliver: Options.InFlight[%s]: %d, want 1 to %d", p, n, InFlightMax)
		}
	}
	if o.Drain < 0 {
		return fmt.Errorf("deliver: Options.Drain: %s is negative", o.Drain)
	}
	return o.Retry.validate()
}

func (r *RetryOptions) validate() error {
	switch {
	case r.Min < 0 || r.Max < 0 || r.PauseMin < 0 || r.PauseMax < 0 || r.SendTimeout < 0 || r.AttemptsMax < 0:
		return errors.New("deliver: Options.Retry: no field may be negative")
	}
	r.defaults()
	switch {
	case r.Min > r.Max:
		return fmt.Errorf("deliver: Options.Retry: Min %s exceeds Max %s", r.Min, r.Max)
	case r.PauseMin > r.PauseMax:
		return fmt.Errorf("deliver: Options.Retry: PauseMin %s exceeds PauseMax %s", r.PauseMin, r.PauseMax)
	}
	return nil
}

func (r *RetryOptions) defaults() {
	for _, d := range []struct {
		field    *time.Duration
		fallback time.Duration
	}{
		{&r.Min, RetryMinDefault},
		{&r.Max, RetryMaxDefault},
		{&r.PauseMin, PauseMinDefault},
		{&r.PauseMax, PauseMaxDefault},
		{&r.SendTimeout, SendTimeoutDefault},
	} {
		if *d.field == 0 {
			*d.field = d.fallback
		}
	}
	if r.AttemptsMax == 0 {
		r.AttemptsMax = AttemptsMaxDefault
	}
}

func (o *Options) defaults() {
	if o.Drain == 0 {
		o.Drain = DrainDefault
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

func (o *Options) inFlight(p notifier.Provider) int {
	if n, ok := o.InFlight[p]; ok {
		return n
	}
	if p == notifier.WNS {
		return InFlightWNS
	}
	return InFlightAPNs
}
