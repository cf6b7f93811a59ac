package wns

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// pacer keeps an app below the rate at which WNS throttles it. WNS documents
// no figure; one app met 429 whenever it passed 1,000 requests a second and
// never below. The first throttle halves the rate, and it comes back slowly.
// While WNS has asked for a wait, nothing goes at all. Safe for concurrent use.
type pacer struct {
	full  rate.Limit
	limit *rate.Limiter

	mu     sync.Mutex
	until  time.Time // WNS asked us to wait until then
	raised time.Time // when the rate was last changed
}

func newPacer(perSecond int) *pacer {
	return &pacer{full: rate.Limit(perSecond), limit: rate.NewLimiter(rate.Limit(perSecond), max(1, perSecond/paceBurstShare))}
}

// wait waits for its turn, or until ctx or closing ends it. A wait that WNS
// asked for is returned at once instead.
func (p *pacer) wait(ctx context.Context, closing <-chan struct{}) (throttled time.Duration, err error) {
	now := time.Now()
	p.mu.Lock()
	throttled = p.until.Sub(now)
	if current := p.limit.Limit(); current < p.full && now.Sub(p.raised) >= paceRaiseEvery {
		p.limit.SetLimit(min(p.full, current*paceRaise))
		p.raised = now
	}
	p.mu.Unlock()
	if throttled > 0 {
		return throttled, nil
	}
	turn := p.limit.ReserveN(now, 1)
	delay := turn.DelayFrom(now)
	if delay == 0 {
		return 0, nil
	}
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-t.C:
		return 0, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-closing:
		err = errClosed
	}
	turn.Cancel()
	return 0, err
}

// throttled notes that WNS throttles the app for the given time. Answers to
// requests that were under way together count once.
func (p *pacer) throttled(d time.Duration) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !now.Before(p.until) {
		p.limit.SetLimit(max(paceMin, p.limit.Limit()/2))
		p.raised = now.Add(d)
	}
	if until := now.Add(d); until.After(p.until) {
		p.until = until
	}
}
