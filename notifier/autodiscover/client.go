package autodiscover

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Client discovers mailboxes of one realm. It is safe for concurrent use.
type Client struct {
	options  Options
	rules    *rules
	throttle *throttle

	mu        sync.Mutex
	byDomain  map[string]*endpoint     // that answered for a domain
	byURL     map[string]*endpoint     // all that were asked
	searching map[string]chan struct{} // closed when the search for a domain ends
}

// New makes a client. Nothing is sent before the first Discover.
func New(o Options) (*Client, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("autodiscover: %w", err)
	}
	rules, err := o.rules()
	if err != nil {
		return nil, fmt.Errorf("autodiscover: %w", err)
	}
	return &Client{
		options:   o,
		rules:     rules,
		throttle:  newThrottle(o.ParallelMax),
		byDomain:  map[string]*endpoint{},
		byURL:     map[string]*endpoint{},
		searching: map[string]chan struct{}{},
	}, nil
}

// Discover asks about addresses. The results have the same order and length; an
// address that stands there twice is asked about twice. When ctx ends, results
// that are missing have its error. All goroutines have ended when it returns.
func (c *Client) Discover(ctx context.Context, addresses []string) []Result {
	results := make([]Result, len(addresses))
	var work []*user
	for i, text := range addresses {
		results[i].Address = text
		a, err := parseAddress(text)
		if err != nil {
			results[i].Err = err
			continue
		}
		work = append(work, &user{result: &results[i], address: a, seen: map[string]bool{a.key(): true}})
	}
	// Each round ends a user's way or uses up one of its redirects or tries.
	for len(work) > 0 {
		work = c.round(ctx, work)
	}
	return results
}

// round asks about each user once, and returns those to be asked about again.
func (c *Client) round(ctx context.Context, work []*user) []*user {
	type destination struct{ via, domain string }
	groups := map[destination][]*user{}
	var order []destination
	for _, u := range work {
		d := destination{via: u.via}
		if d.via == "" {
			d.domain = u.address.domain
		}
		if groups[d] == nil {
			order = append(order, d)
		}
		groups[d] = append(groups[d], u)
	}
	again := make([][]*user, len(order))
	c.parallel(len(order), func(i int) {
		if d := order[i]; d.via != "" {
			again[i] = c.askURL(ctx, d.via, groups[d])
		} else {
			again[i] = c.askDomain(ctx, d.domain, groups[d])
		}
	})
	return slices.Concat(again...)
}

// parallel calls do for 0 to n-1, a few at a time, and returns when all are done.
func (c *Client) parallel(n int, do func(int)) {
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(n, c.options.ParallelMax) {
		workers.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	workers.Wait()
}

// askDomain finds the end point of a domain by asking about the first users, and
// then asks about the others.
func (c *Client) askDomain(ctx context.Context, domain string, users []*user) (again []*user) {
	release, err := c.searchAlone(ctx, domain)
	if err != nil {
		failAll(users, err)
		return nil
	}
	lead := users[:min(len(users), c.leadMax(domain))]
	l, f := c.patientSearch(ctx, domain, lead)
	if f != nil && f.settled.answered {
		c.remember(domain, f.endpoint)
	}
	release()

	for _, u := range users {
		u.note(l.steps...)
	}
	switch {
	case ctx.Err() != nil && f == nil:
		failAll(users, ctx.Err())
		return nil
	case f == nil && (l.busy || l.paused):
		failAll(users, &BusyError{RetryAfter: max(l.after, c.throttle.pause(), busyPauseMin)})
		return nil
	case f == nil:
		failAll(users, &NoEndpointError{Domain: domain, Errs: l.errs})
		return nil
	}
	rest := users[len(lead):]
	if !f.settled.answered {
		// Nothing to hope for: the end point is busy.
		rest = nil
		f.settled.open = users
	}
	again = append(c.finish(f.settled), c.askRest(ctx, f.endpoint, rest)...)
	return c.charge(again, f.redirects)
}

// patientSearch searches again, a bounded number of times, while a candidate is
// too busy even to show what it is.
func (c *Client) patientSearch(ctx context.Context, domain string, lead []*user) (*ladder, *found) {
	for tries := 1; ; tries++ {
		l := &ladder{domain: domain, visited: map[string]bool{}}
		f := c.search(ctx, l, lead)
		if f != nil || !l.busy || ctx.Err() != nil {
			return l, f
		}
		c.throttle.patience(l.after)
		if tries == busyTriesMax || l.after > busyPauseMax {
			return l, nil
		}
	}
}

// leadMax is the size of the first batch of a domain.
func (c *Client) leadMax(domain string) int {
	if ep := c.remembered(domain); ep != nil {
		return ep.batchMax()
	}
	return c.options.BatchMax
}

// charge counts the redirects on the way to a domain's end point as those of each
// user that goes on from there.
func (c *Client) charge(users []*user, redirects int) []*user {
	return slices.DeleteFunc(users, func(u *user) bool {
		if u.redirects += redirects; u.redirects > RedirectsMax {
			u.fail(ErrRedirectLimit)
			return true
		}
		return false
	})
}

// askURL asks the URL that a server named for users.
func (c *Client) askURL(ctx context.Context, url string, users []*user) (again []*user) {
	began := time.Now()
	ep := c.endpoint(url)
	lead := users[:min(len(users), ep.batchMax())]
	s := c.settle(ctx, ep, lead, c.options.Timeout)
	step := Step{Candidate: url, Outcome: "answered", Status: 200, Took: time.Since(began)}
	if s.failure != nil {
		step.Outcome, step.Status = s.failure.err.Error(), s.failure.status
	}
	for _, u := range users {
		u.note(step)
	}
	if f := s.failure; f != nil && f.kind == redirected && f.location != "" && !s.answered {
		for _, u := range users {
			if c.redirectURL(u, f.location, ep) {
				again = append(again, u)
			}
		}
		return again
	}
	if !s.answered && s.failure != nil {
		s.open = users
		return c.finish(s)
	}
	return append(c.finish(s), c.askRest(ctx, ep, users[len(lead):])...)
}

// askRest asks an end point that has answered about further users.
func (c *Client) askRest(ctx context.Context, ep *endpoint, users []*user) []*user {
	parts := slices.Collect(slices.Chunk(users, ep.batchMax()))
	again := make([][]*user, len(parts))
	c.parallel(len(parts), func(i int) {
		again[i] = c.finish(c.settle(ctx, ep, parts[i], c.options.Timeout))
	})
	return slices.Concat(again...)
}

// finish decides about the users that a failure left open, and returns all that
// are to be asked about again.
func (c *Client) finish(s settled) []*user {
	again := s.again
	for _, u := range s.open {
		switch f := s.failure; {
		case f.kind == busy:
			u.fail(&BusyError{RetryAfter: max(f.after, c.throttle.pause(), busyPauseMin)})
		case s.answered || f.kind == transient || f.kind == broken && u.via == "":
			if u.retry(f.err) {
				again = append(again, u)
			}
		default:
			u.fail(f.err)
		}
	}
	return again
}

func failAll(users []*user, err error) {
	for _, u := range users {
		u.fail(err)
	}
}

// searchAlone lets one search for a domain run at a time: others wait for its
// outcome. Where an end point is known there is nothing to wait for.
func (c *Client) searchAlone(ctx context.Context, domain string) (release func(), err error) {
	for {
		c.mu.Lock()
		if c.byDomain[domain] != nil || c.rules.fixed[domain] != "" {
			c.mu.Unlock()
			return func() {}, nil
		}
		running := c.searching[domain]
		if running == nil {
			done := make(chan struct{})
			c.searching[domain] = done
			c.mu.Unlock()
			return func() {
				c.mu.Lock()
				delete(c.searching, domain)
				c.mu.Unlock()
				close(done)
			}, nil
		}
		c.mu.Unlock()
		select {
		case <-running:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (c *Client) remembered(domain string) *endpoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byDomain[domain]
}

func (c *Client) remember(domain string, ep *endpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.byDomain) >= endpointsMax {
		clear(c.byDomain)
	}
	c.byDomain[domain] = ep
}

// forget stops using an end point for a domain, unless another has taken its place.
func (c *Client) forget(domain string, ep *endpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byDomain[domain] == ep {
		delete(c.byDomain, domain)
	}
}

// endpoint returns what is known about a URL.
func (c *Client) endpoint(url string) *endpoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	ep := c.byURL[placeKey(url)]
	if ep == nil {
		if len(c.byURL) >= endpointsMax {
			clear(c.byURL)
		}
		ep = newEndpoint(url, c.options.BatchMax)
		c.byURL[placeKey(url)] = ep
	}
	return ep
}
