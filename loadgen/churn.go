package loadgen

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// visitFor is how long a device of Churn stays registered.
	visitFor = 30 * time.Second
	// visitorsMax is how many are there at a time, each with a mailbox of its own.
	visitorsMax = ChurnRate * int(visitFor/time.Second)
)

// visitorMailboxes is how many mailboxes the run needs beside those of the
// population.
func (r *run) visitorMailboxes() int {
	if r.o.Profile == Churn {
		return visitorsMax
	}
	return 0
}

// Visits are what became of the devices that come and go. No mail is due to them.
type Visits struct {
	Registered int    `json:"registered"`
	Wiped      int    `json:"wiped"`
	Refused    int    `json:"refused"`
	First      string `json:"first_refusal,omitempty"`
}

// churn has devices come and go until ctx ends.
func (l *load) churn(ctx context.Context) {
	if l.o.Profile != Churn {
		return
	}
	var (
		mu     sync.Mutex
		visits Visits
		away   sync.WaitGroup
	)
	note := func(count *int, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			if visits.Refused++; visits.First == "" {
				visits.First = err.Error()
			}
			return
		}
		*count++
	}
	tick := time.NewTicker(time.Second / ChurnRate)
	defer tick.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		d, mailbox := Device{ID: fmt.Sprintf("visitor-%06d", n+1), Platform: IOS}, l.visitors[n%len(l.visitors)]
		away.Go(func() {
			calls := context.WithoutCancel(ctx) // what has begun is brought to its end
			var err error
			if d.Address, err = l.control.address(calls, d.Platform, l.ready.Push); err == nil {
				err = l.enrolment.one(calls, d, mailbox)
			}
			note(&visits.Registered, err)
			if err != nil {
				return
			}
			wait(ctx, visitFor*9/10)
			note(&visits.Wiped, l.enrolment.wipe(calls, d, mailbox))
		})
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	away.Wait()
	l.report.Visits = &visits
}
