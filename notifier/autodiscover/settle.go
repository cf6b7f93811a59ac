package autodiscover

import (
	"context"
	"errors"
	"slices"
	"time"
)

// settled is what became of a batch.
type settled struct {
	again    []*user  // to be asked about again, elsewhere or later
	open     []*user  // about whom nothing was learnt, because of failure
	answered bool     // the end point answered about somebody
	failure  *failure // nil: nobody is open
}

// settle asks an end point about users until each has an answer or the end point
// fails. The first request has its own budget of time.
func (c *Client) settle(ctx context.Context, ep *endpoint, users []*user, first time.Duration) settled {
	var out settled
	var suspects []*user // refused when asked about alone
	var refusal *failure
	stack := [][]*user{users} // parts still to be asked about, the next one last
	budget, busyTries, tries := first, 0, 0
	halved, largest := false, 0
	fail := func(f *failure) settled {
		out.failure = f
		out.open = append(out.open, suspects...)
		for _, part := range slices.Backward(stack) {
			out.open = append(out.open, part...)
		}
		return out
	}
	for len(stack) > 0 {
		part := stack[len(stack)-1]
		if n := ep.batchMax(); len(part) > n {
			stack[len(stack)-1] = part[n:]
			stack = append(stack, part[:n])
			continue
		}
		r, f := c.post(ctx, ep, part, budget)
		budget = c.options.Timeout
		if f == nil && len(r.users) == 0 {
			f = &failure{kind: busy, status: 200, err: &ServerError{Status: 200, Text: "an answer about nobody"}}
		}
		if f == nil {
			stack = stack[:len(stack)-1]
			busyTries, tries = 0, 0
			largest, out.answered = max(largest, len(part)), true
			if tail := c.apply(&out, ep, part, r); len(tail) > 0 {
				stack = append(stack, tail)
			}
			continue
		}
		switch {
		case ctx.Err() != nil:
			f.err = ctx.Err()
			return fail(f)
		case f.kind == invalid && len(part) > 1:
			// Too many users, or one that the server cannot stand: halves will tell.
			halved = true
			half := (len(part) + 1) / 2
			stack[len(stack)-1] = part[half:]
			stack = append(stack, part[:half])
		case f.kind == invalid:
			stack = stack[:len(stack)-1]
			suspects, refusal = append(suspects, part...), f
			if !out.answered && (len(stack) == 0 || len(suspects) >= suspectsMax) {
				return fail(f)
			}
		case errors.Is(f.err, ErrBusy): // the pause outlasts ctx; nothing was sent
			return fail(f)
		case f.kind == busy:
			c.throttle.patience(f.after)
			if busyTries++; busyTries >= busyTriesMax || f.after > busyPauseMax {
				return fail(f)
			}
		case f.kind == transient:
			if tries++; tries >= transientTriesMax {
				return fail(f)
			}
			c.throttle.breath()
		default:
			return fail(f)
		}
	}
	if halved && len(suspects) == 0 {
		ep.lower(largest)
	}
	for _, u := range suspects {
		u.fail(refusal.err)
	}
	return out
}

// apply gives each user the answer at the same position, and returns those the
// answer stops short of.
func (c *Client) apply(out *settled, ep *endpoint, part []*user, r reply) (tail []*user) {
	anyBusy := false
	for i, answer := range r.users {
		again, isBusy := c.take(part[i], answer, ep)
		anyBusy = anyBusy || isBusy
		if again {
			out.again = append(out.again, part[i])
		}
	}
	tail = part[len(r.users):]
	switch {
	case anyBusy:
		c.throttle.patience(0)
	case len(tail) > 0: // a throttled server answers about fewer users than asked
		c.throttle.breath()
	default:
		c.throttle.fine()
	}
	return tail
}
