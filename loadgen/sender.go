package loadgen

import (
	"context"
	"sync"
	"time"
)

// Sent is what became of a slot on its way in.
type Sent struct {
	Slot   int
	Missed bool          // not sent: too many due mails waited already
	Delay  time.Duration // from the planned time to the beginning of its sending
	Err    error         // the entrance refused it
}

// sender works through the slots of a plan, open loop.
type sender struct {
	entrance Entrance
	workers  int
	letter   func(slot int) Letter
}

// run sends every slot at start plus its time, and returns when all have been
// sent, missed, or ctx has ended and those in flight are done. told is called
// by several goroutines.
func (s *sender) run(ctx context.Context, start time.Time, slots []Slot, told func(Sent)) {
	due := make(chan int, backlogMax)
	var workers sync.WaitGroup
	for range s.workers {
		workers.Go(func() {
			for i := range due {
				if ctx.Err() != nil {
					continue
				}
				out := Sent{Slot: i, Delay: time.Since(start.Add(slots[i].At))}
				out.Err = s.entrance.Send(context.WithoutCancel(ctx), s.letter(i)) // what was begun is finished
				told(out)
			}
		})
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := 0; i < len(slots) && ctx.Err() == nil; i++ {
		if wait := time.Until(start.Add(slots[i].At)); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				continue
			}
		}
		select {
		case due <- i:
		default:
			told(Sent{Slot: i, Missed: true})
		}
	}
	close(due)
	workers.Wait()
}
