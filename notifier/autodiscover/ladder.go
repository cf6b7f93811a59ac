package autodiscover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// ladder is the search for the end point of one domain.
type ladder struct {
	domain    string
	steps     []Step
	errs      []error
	visited   map[string]bool
	redirects int      // of all candidates
	pox       []string // where the plain XML dialect may be spoken
	busy      bool     // a candidate asked for patience
	paused    bool     // an earlier wish for patience outlasts ctx; nothing was sent
	after     time.Duration
}

// found is the end of a search.
type found struct {
	endpoint  *endpoint
	redirects int // on the way to it
	settled   settled
}

func (l *ladder) note(candidate, outcome string, status int, began time.Time) {
	l.steps = append(l.steps, Step{Candidate: candidate, Outcome: outcome, Status: status, Took: time.Since(began)})
}

func (l *ladder) fail(candidate string, err error, status int, began time.Time) {
	l.note(candidate, err.Error(), status, began)
	l.errs = append(l.errs, fmt.Errorf("%s: %w", candidate, err))
}

// search tries the candidates in order, with the users of the first batch as the
// question. nil: no candidate answers, or ctx has ended.
func (c *Client) search(ctx context.Context, l *ladder, lead []*user) *found {
	if url, ok := c.rules.fixed[l.domain]; ok {
		return c.try(ctx, l, url, false, lead, c.searchPOX)
	}
	if ep := c.remembered(l.domain); ep != nil {
		if f := c.try(ctx, l, ep.url, false, lead, nil); f != nil {
			return f
		}
		c.forget(l.domain, ep)
	}
	// "Generate a list of Autodiscover endpoints". The domain and the one name
	// below it: never a parent's.
	for _, host := range []string{l.domain, "autodiscover." + l.domain} {
		if f := c.try(ctx, l, "https://"+host+soapPath, true, lead, nil); f != nil {
			return f
		}
	}
	if url, ok := c.plainRedirect(ctx, l); ok {
		if f := c.try(ctx, l, url, true, lead, nil); f != nil {
			return f
		}
	}
	for _, url := range c.records(ctx, l) {
		if f := c.try(ctx, l, url, true, lead, nil); f != nil {
			return f
		}
	}
	return c.searchPOX(ctx, l, lead)
}

// searchPOX tries the plain XML dialect where SOAP was refused.
func (c *Client) searchPOX(ctx context.Context, l *ladder, lead []*user) *found {
	for _, url := range l.pox {
		if f := c.try(ctx, l, url, false, lead, nil); f != nil {
			return f
		}
	}
	return nil
}

// try asks one candidate and follows its redirects. Probed candidates must show
// first, without credentials, that they are Exchange. If nothing comes of it,
// otherwise has a try.
func (c *Client) try(ctx context.Context, l *ladder, url string, probed bool, lead []*user,
	otherwise func(context.Context, *ladder, []*user) *found,
) *found {
	for hops := 0; ctx.Err() == nil; {
		began := time.Now()
		if l.visited[placeKey(url)] {
			if hops > 0 {
				l.fail(url, ErrRedirectLoop, 0, began)
			}
			break
		}
		l.visited[placeKey(url)] = true
		f, redirect := c.ask(ctx, l, url, probed, lead, began)
		if f != nil {
			f.redirects = hops
			return f
		}
		if redirect == nil {
			break
		}
		next, err := c.rules.permit(l.domain, url, redirect.location)
		if err == nil {
			hops++
			if l.redirects++; hops > RedirectsMax || l.redirects > ladderRedirectsMax {
				err = ErrRedirectLimit
			}
		}
		if err != nil {
			c.refuse(l, url, err, redirect.status, began)
			break
		}
		l.note(url, "redirect to "+next, redirect.status, began)
		if isPOX(url) {
			next = asPOX(next)
		} else {
			next = asSOAP(next)
		}
		url = next
	}
	if otherwise != nil {
		return otherwise(ctx, l, lead)
	}
	return nil
}

// ask asks one URL. It returns what was found, or the redirect that was the
// answer, or neither.
func (c *Client) ask(ctx context.Context, l *ladder, url string, probed bool, lead []*user, began time.Time) (f *found, redirect *failure) {
	if probed && !isPOX(url) {
		resp, err := c.probe(ctx, asPOX(url), c.options.Timeout)
		if err != nil {
			l.paused = l.paused || errors.Is(err, ErrBusy)
			l.fail(url, err, 0, began)
			return nil, nil
		}
		if resp.Header.Get("X-SOAP-Enabled") == "" {
			return nil, c.noSOAP(l, url, resp, began)
		}
	}
	left := max(c.options.Timeout-time.Since(began), c.options.Timeout/10)
	ep := c.endpoint(url)
	s := c.settle(ctx, ep, lead, left)
	switch {
	case s.failure == nil:
		l.note(url, "answered", http.StatusOK, began)
		return &found{endpoint: ep, settled: s}, nil
	case s.answered || s.failure.kind == busy:
		l.note(url, s.failure.err.Error(), s.failure.status, began)
		return &found{endpoint: ep, settled: s}, nil
	case s.failure.kind == redirected && s.failure.location != "":
		return nil, s.failure
	case s.failure.kind == redirected:
		l.fail(url, errors.New("redirect without a target"), s.failure.status, began)
	case s.failure.kind == noSuchPath && !ep.pox:
		l.pox = append(l.pox, asPOX(url))
		l.fail(url, errNoSOAP, s.failure.status, began)
	default:
		l.fail(url, s.failure.err, s.failure.status, began)
	}
	return nil, nil
}

var (
	errNoSOAP      = errors.New("no SOAP here")
	errNotExchange = errors.New("not an Exchange server")
)

// noSOAP deals with the answer to a probe that does not come from an Exchange
// server with SOAP. It returns the redirect if the answer is one.
func (c *Client) noSOAP(l *ladder, url string, resp *http.Response, began time.Time) (redirect *failure) {
	f := failureOf(resp)
	switch {
	case f != nil && f.kind == redirected && f.location != "":
		return f
	case f != nil && f.kind == busy:
		l.busy, l.after = true, max(l.after, f.after)
		l.fail(url, f.err, resp.StatusCode, began)
	case resp.StatusCode == http.StatusUnauthorized:
		l.pox = append(l.pox, asPOX(url))
		l.fail(url, errNoSOAP, resp.StatusCode, began)
	default:
		l.fail(url, errNotExchange, resp.StatusCode, began)
	}
	return nil
}

// refuse notes a redirect that is not followed, for the operator to decide.
func (c *Client) refuse(l *ladder, from string, err error, status int, began time.Time) {
	l.fail(from, err, status, began)
	if refusal := (*RedirectRefusedError)(nil); errors.As(err, &refusal) {
		c.options.Logger.Warn("redirect refused", "domain", refusal.Domain, "target", refusal.Host, "reason", refusal.Reason)
	}
}

// plainRedirect asks autodiscover.<domain> over plain HTTP, without credentials,
// where Autodiscover is. Only a redirect to https counts as an answer.
func (c *Client) plainRedirect(ctx context.Context, l *ladder) (string, bool) {
	url, began := "http://autodiscover."+l.domain+poxPath, time.Now()
	if ctx.Err() != nil {
		return "", false
	}
	resp, err := c.probe(ctx, url, c.options.Timeout)
	if err != nil {
		l.fail(url, err, 0, began)
		return "", false
	}
	location := resp.Header.Get("Location")
	if resp.StatusCode != http.StatusMovedPermanently && resp.StatusCode != http.StatusFound || location == "" {
		l.note(url, "no redirect", resp.StatusCode, began)
		return "", false
	}
	to, err := c.rules.permit(l.domain, url, location)
	if err == nil && !isPOX(to) {
		err = &RedirectRefusedError{Domain: l.domain, Host: hostOf(to), Reason: "the path does not end in autodiscover.xml"}
	}
	if err != nil {
		c.refuse(l, url, err, resp.StatusCode, began)
		return "", false
	}
	l.redirects++
	l.note(url, "redirect to "+to, resp.StatusCode, began)
	return asSOAP(to), true
}

// records asks DNS for the domain's SRV records and returns the URLs they name,
// the one to try first first. RFC 2782: the lowest priority wins; the resolver
// has shuffled those of equal priority by weight.
func (c *Client) records(ctx context.Context, l *ladder) []string {
	name, began := "_autodiscover._tcp."+l.domain, time.Now()
	if ctx.Err() != nil {
		return nil
	}
	within, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	_, records, err := c.options.LookupSRV(within, "autodiscover", "tcp", l.domain)
	if err != nil && len(records) == 0 {
		l.fail(name, err, 0, began)
		return nil
	}
	records = slices.Clone(records)
	slices.SortStableFunc(records, func(a, b *net.SRV) int { return cmp.Compare(a.Priority, b.Priority) })
	var urls []string
	for _, r := range records {
		host := strings.ToLower(strings.TrimSuffix(r.Target, "."))
		switch {
		case len(urls) == srvRecordsMax || host == "":
		case r.Port != 443:
			l.note(name, fmt.Sprintf("record for %s: port %d is not 443", host, r.Port), 0, began)
		default:
			to, err := c.rules.permit(l.domain, "https://"+l.domain+soapPath, "https://"+host+soapPath)
			if err != nil {
				c.refuse(l, name, err, 0, began)
				continue
			}
			l.note(name, "record for "+host, 0, began)
			urls = append(urls, to)
		}
	}
	if len(urls) == 0 {
		l.note(name, "no usable record", 0, began)
	}
	return urls
}
