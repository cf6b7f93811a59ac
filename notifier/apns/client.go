//lint:file-ignore SA1019 apns2 speaks through this HTTP/2 transport, and lanes need its connection pool.

package apns

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// Client pushes to one host with one identity. It is safe for concurrent use
// and connects when there is something to push. Close it after use.
type Client struct {
	shared          *shared
	lanes           []*lane
	unavailableWait time.Duration

	guards [watchedEnd]*guard // by what they watch; none for unwatched

	mu     sync.Mutex
	turn   int // which lane is asked first when all are equally loaded
	active int // pushes inside Push
	closed bool
	idle   chan struct{} // made by Close; closed when active falls to zero
}

// New checks the options and makes a client. It does not connect.
func New(o Options) (*Client, error) {
	s, err := o.validate()
	if err != nil {
		return nil, err
	}
	c := &Client{
		shared:          s,
		unavailableWait: o.UnavailableWait,
	}
	c.guards[badToken] = newGuard(guardAge, guardDevices, guardPercent)
	c.guards[forbidden] = newGuard(guardAge, guardDevices, guardPercent)
	c.guards[unavailing] = newGuard(outageAge, guardDevices, outagePercent)
	for i := range o.Lanes {
		c.lanes = append(c.lanes, newLane(s, i))
	}
	return c, nil
}

// Push sends one push and says what became of it. It waits for a free stream
// as long as ctx allows, then for the answer up to Options.PushTimeout. Where
// Apple's answer has a remedy (an expired provider token, an error inside one
// server), Push applies it and asks once more.
func (c *Client) Push(ctx context.Context, r Request) Response {
	if e := r.check(c.shared.provider != nil); e != nil {
		return Response{Reason: e.reason, ID: r.ID, Action: Drop, Err: e}
	}
	if !c.enter() {
		return Response{Reason: ReasonClosed, ID: r.ID, Action: Retry, Err: errClosed}
	}
	defer c.leave()

	var avoid *lane
	for try := 1; ; try++ {
		l, f, err := c.send(ctx, &r, avoid)
		if err != nil {
			return c.failed(ctx, &r, err)
		}
		verdict := c.verdict(f)
		if try == triesMax || verdict.remedy == none || verdict.remedy == elsewhere && len(c.lanes) == 1 {
			return c.judged(&r, f, verdict)
		}
		if c.repair(l, f, verdict) {
			avoid = l
		}
	}
}

// verdict is the rule for the answer of a flight.
func (c *Client) verdict(f *flight) rule {
	if f.answer.torn && f.answer.status != 200 {
		// The reason is lost, and a device must not be forgotten for a guess.
		return rule{status: f.answer.status, action: Retry, meaning: "the answer broke off"}
	}
	return judge(f.answer.status, f.answer.reason)
}

// repair applies the remedy and says whether the next try had better go over
// another lane.
func (c *Client) repair(l *lane, f *flight, v rule) (avoid bool) {
	why := &RejectedError{Status: f.answer.status, Reason: f.answer.reason, Meaning: v.meaning, Reference: v.reference}
	p := c.shared.provider
	switch v.remedy {
	case elsewhere:
		return true
	case renew:
		if p != nil {
			p.expired(f.bearer, time.Now())
		}
	case holdToken:
		if p != nil {
			p.hold(time.Now())
		}
	}
	l.replace(f.answeredBy, why)
	return false
}

// send pushes over the least loaded lane that can connect. Lanes that turn out
// to be down are passed over; the error says so when all of them are.
func (c *Client) send(ctx context.Context, r *Request, avoid *lane) (*lane, *flight, error) {
	passed := make(map[*lane]bool, len(c.lanes))
	if avoid != nil && len(c.lanes) > 1 {
		passed[avoid] = true
	}
	var soonest *downError
	for len(passed) < len(c.lanes) {
		l := c.pick(passed)
		f, err := l.push(ctx, r)
		var down *downError
		if !errors.As(err, &down) {
			return l, f, err
		}
		passed[l] = true
		if soonest == nil || down.wait < soonest.wait {
			soonest = down
		}
		if avoid != nil && len(passed) == len(c.lanes) {
			// The lane to avoid is better than none.
			delete(passed, avoid)
			avoid = nil
		}
	}
	return nil, nil, soonest
}

// pick chooses a lane that was not passed over: one that may connect, with the
// fewest pushes on it, in turn.
func (c *Client) pick(passed map[*lane]bool) *lane {
	c.mu.Lock()
	c.turn++
	turn := c.turn
	c.mu.Unlock()
	var best *lane
	var bestPushes int
	var bestDown time.Duration
	for i := range c.lanes {
		l := c.lanes[(turn+i)%len(c.lanes)]
		if passed[l] {
			continue
		}
		pushes, down := l.load()
		if best == nil || down < bestDown || down == bestDown && pushes < bestPushes {
			best, bestPushes, bestDown = l, pushes, down
		}
	}
	return best
}

// judged turns Apple's answer into a Response, with the guards' say.
func (c *Client) judged(r *Request, f *flight, v rule) Response {
	now := time.Now()
	resp := Response{
		Status: f.answer.status, Reason: f.answer.reason, ID: f.answer.id, Timestamp: f.answer.timestamp,
		Action: v.action, RetryAfter: f.answer.retryAfter,
	}
	if resp.ID == "" {
		resp.ID = r.ID
	}
	if v.action != Delivered {
		resp.Err = &RejectedError{Status: f.answer.status, Reason: f.answer.reason, Meaning: v.meaning, Reference: v.reference}
	}
	if resp.RetryAfter == 0 && (v.action == Retry || v.action == Pause) {
		resp.RetryAfter = v.wait
		if v.wait == unavailableWait {
			resp.RetryAfter = c.unavailableWait + time.Duration(rand.Int64N(int64(c.unavailableWait)/10+1))
		}
	}
	for i, g := range c.guards {
		kind := watched(i)
		if g == nil {
			continue
		}
		if v.watched != kind {
			g.other(now)
			continue
		}
		if g.hit(r.Token, now) {
			resp.Action = Pause
			if kind != unavailing || f.answer.retryAfter == 0 {
				resp.RetryAfter = probeWait
			}
			resp.Err = fmt.Errorf("apns: several devices in a short time had the same refusal, so it is not the devices' fault: %w", resp.Err)
			c.shared.log.Warn("apns: wave of refusals, pausing", "status", f.answer.status, "reason", f.answer.reason)
		}
	}
	return resp
}

// failed turns the lack of an answer into a Response.
func (c *Client) failed(ctx context.Context, r *Request, err error) Response {
	resp := Response{ID: r.ID, Action: Retry, Err: err}
	var down *downError
	var sign *signError
	var goAway http2.GoAwayError
	isDown := errors.As(err, &down)
	switch {
	case identityRefused(err):
		resp.Action, resp.RetryAfter = Pause, probeWait
		errors.As(err, &goAway)
		reason, _ := parseReason([]byte(goAway.DebugData))
		v := rules[reason]
		resp.Reason = reason
		resp.Err = fmt.Errorf("apns: %s: %s: %w", reason, v.meaning, err)
		if isDown {
			resp.RetryAfter = max(resp.RetryAfter, down.wait)
		}
	case isDown:
		resp.Action, resp.Reason, resp.RetryAfter = Pause, ReasonUnreachable, down.wait
	case errors.As(err, &sign):
		resp.Action, resp.Reason, resp.RetryAfter = Pause, ReasonSigning, probeWait
	case errors.Is(err, errBusy):
		resp.Action, resp.Reason, resp.RetryAfter = Pause, ReasonBusy, backoffMin
	case errors.Is(err, errClosed):
		resp.Reason = ReasonClosed
	case errors.Is(err, errDeadline):
		resp.Reason = ReasonNoAnswer
	case ctx.Err() != nil:
		resp.Reason = ReasonCancelled
		resp.Err = fmt.Errorf("apns: %w", ctx.Err())
	default:
		resp.Reason = ReasonConnectionLost
	}
	return resp
}

// Stats are figures of the moment.
type Stats struct {
	Connected int // lanes with a connection
	InFlight  int // pushes sent and not answered
	Waiting   int // pushes waiting for a stream
}

// Stats may be called at any time.
func (c *Client) Stats() Stats {
	var s Stats
	for _, l := range c.lanes {
		l.mu.Lock()
		if l.conn != nil {
			s.Connected++
		}
		s.InFlight += l.inFlight
		s.Waiting += l.waiting.Len()
		l.mu.Unlock()
	}
	return s
}

func (c *Client) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.active++
	return true
}

func (c *Client) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.active--
	if c.active == 0 && c.idle != nil {
		close(c.idle)
	}
}

// Close drains: nothing new is admitted, pushes that wait for a stream return
// Retry at once, pushes that were sent are waited for until ctx ends and are
// cut then (Retry, outcome unknown). Close returns when every connection and
// goroutine of the client has ended; its error is ctx's if it cut anything.
// Closing again does nothing.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	idle := make(chan struct{})
	if c.active == 0 {
		close(idle)
	} else {
		c.idle = idle
	}
	c.mu.Unlock()

	for _, l := range c.lanes {
		l.shut()
	}
	var err error
	select {
	case <-idle:
	case <-ctx.Done():
		err = fmt.Errorf("apns: close: pushes without an answer were cut: %w", ctx.Err())
	}
	for _, l := range c.lanes {
		l.cut()
	}
	<-idle
	for _, l := range c.lanes {
		l.cut() // a dial may have ended meanwhile
		l.work.Wait()
	}
	return err
}
