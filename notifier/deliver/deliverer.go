package deliver

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"mailbell/notifier"
)

// Deliverer takes pushes from the queue and delivers them. Its methods are
// safe for concurrent use.
type Deliverer struct {
	opt     Options
	lanes   map[notifier.Provider]*lane
	barred  *barred
	running atomic.Bool
}

// The reasons for which sending is cut short.
var (
	errDraining = errors.New("deliver: ending")
	errWiped    = errors.New("deliver: the device was wiped")
)

// New checks the options. It starts nothing.
func New(o Options) (*Deliverer, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	o.defaults()
	d := &Deliverer{opt: o, lanes: make(map[notifier.Provider]*lane, len(o.Senders)), barred: newBarred()}
	for p, s := range o.Senders {
		d.lanes[p] = newLane(d, p, s)
	}
	return d, nil
}

// Run delivers until ctx ends and returns its cause, or until the queue is
// closed and returns that. It then takes no more, waits up to Options.Drain
// for the answers that are due, cuts off the rest, which goes back to the
// queue, and returns when everything it started has ended. Only one Run at a
// time.
func (d *Deliverer) Run(ctx context.Context) error {
	if !d.running.CompareAndSwap(false, true) {
		return errors.New("deliver: already running")
	}
	defer d.running.Store(false)

	sending, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	taking, stop := context.WithCancelCause(ctx)
	defer stop(nil)

	var takers sync.WaitGroup
	for _, l := range d.lanes {
		takers.Go(func() {
			if err := l.take(taking, sending); err != nil {
				stop(err)
			}
		})
	}
	keeping, rest := context.WithCancel(sending)
	var keepers sync.WaitGroup
	for _, l := range d.lanes {
		keepers.Go(func() { l.extend(keeping) })
	}

	takers.Wait()
	d.drain(cut)
	rest()
	keepers.Wait()
	return context.Cause(taking)
}

// drain waits for what is in flight, and cuts it off after a while.
func (d *Deliverer) drain(cut context.CancelCauseFunc) {
	ended := make(chan struct{})
	go func() {
		for _, l := range d.lanes {
			l.work.Wait()
		}
		close(ended)
	}()
	patience := time.NewTimer(d.opt.Drain)
	defer patience.Stop()
	select {
	case <-ended:
	case <-patience.C:
		cut(errDraining)
		<-ended
	}
}

// Wiped makes sure that nothing more is sent to the registration that the
// device had: what is being sent is cut off, and Wiped returns when it has
// ended or ctx has. What was composed for a registration made later is not
// affected. Purging the queue and removing the registration are the caller's.
func (d *Deliverer) Wiped(ctx context.Context, device notifier.DeviceID) {
	d.barred.add(device, time.Now())
	for _, l := range d.lanes {
		for _, f := range l.flightsOf(device) {
			f.cancel(errWiped)
			select {
			case <-f.done:
			case <-ctx.Done():
				return
			}
		}
		l.attempts.forgetDevice(device)
	}
}

// Stats counts what was done since New.
type Stats struct {
	Lanes map[notifier.Provider]LaneStats
}

// LaneStats are the counts of one provider.
type LaneStats struct {
	Delivered, Dropped, Forgotten uint64 // ended pushes, by verdict
	Retried                       uint64 // put off after a refusal: an attempt used
	HandedBack                    uint64 // put off without an attempt: paused, ending, registration not known yet
	InFlight                      int
	Paused                        map[string]time.Time // closed ways, and until when
}

// Stats returns the counts so far.
func (d *Deliverer) Stats() Stats {
	s := Stats{Lanes: make(map[notifier.Provider]LaneStats, len(d.lanes))}
	for p, l := range d.lanes {
		s.Lanes[p] = l.stats()
	}
	return s
}
