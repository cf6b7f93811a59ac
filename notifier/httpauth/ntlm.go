package httpauth

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"

	"github.com/Azure/go-ntlmssp"
)

// send runs the handshake if the connection needs one. A request that ends in
// 401 is sent again on a fresh connection: two refusals there are a verdict, two
// handshakes that did not come to their end are an error.
func (c NTLM) send(p *Pool, s *slot, req *http.Request) (*http.Response, error) {
	again, err := newReplay(req)
	if err != nil {
		return nil, err
	}
	t := p.gate.trial(hostOf(req))
	defer t.end()
	for refused, lost := 0, 0; ; s.refresh() {
		x := &exchange{next: s.transport, trial: t}
		resp, err := c.negotiate(again, x)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode != http.StatusUnauthorized {
			if x.answered { // an answer on a connection of before says nothing of the password now
				t.accepted()
			}
			return resp, nil
		}
		if err := x.unjudged(again.context(), p.account, t.host); err != nil {
			if lost++; lost == lossesMax || !worthRepeating(err) {
				return nil, err
			}
			continue
		}
		if refused++; refused >= t.refusalsMax() {
			return nil, t.rejected(resp, x.offered)
		}
		// One checks for all: who waits here meanwhile gets its verdict.
		if err := t.alone(again.context()); err != nil {
			return nil, err
		}
	}
}

// negotiate sends the request as it is, because the connection may know us already,
// and only leaves to the negotiator what is refused: it would read every body into
// memory first.
func (c NTLM) negotiate(again *replay, x *exchange) (*http.Response, error) {
	r, err := again.request()
	if err != nil {
		return nil, err
	}
	resp, err := x.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	if r, err = again.request(); err != nil {
		return nil, err
	}
	x.refusal = resp
	r.SetBasicAuth(c.User, string(c.Password)) // where the negotiator looks for them; it sends neither
	return ntlmssp.Negotiator{RoundTripper: x}.RoundTrip(r)
}

// unjudged explains a 401 that is no verdict on the password; nil if it is one.
func (x *exchange) unjudged(ctx context.Context, account, host string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if rejected := (*RejectedError)(nil); errors.As(x.err, &rejected) {
		return rejected // somebody else's verdict, while this one waited
	}
	e := &HandshakeError{Account: account, Host: host, Offered: x.offered, Err: x.err}
	switch {
	case x.err != nil:
		e.Reason = "connection lost"
	case x.split:
		e.Reason = "the server or a proxy closed the connection between challenge and answer"
	case x.answered:
		return nil
	case x.offer == nil && !slices.Contains(x.offered, "NTLM") && !slices.Contains(x.offered, "Negotiate"):
		e.Reason = "the server offers " + list(x.offered) + ", not NTLM"
		e.Err = errNoScheme
	default:
		e.Reason = "the server's challenge cannot be answered"
	}
	return e
}

var errNoScheme = errors.New("no common scheme")

// worthRepeating reports whether a fresh connection could make a difference.
func worthRepeating(err error) bool {
	var handshake *HandshakeError
	var timeout net.Error
	switch {
	case !errors.As(err, &handshake), errors.Is(err, errNoScheme):
		return false
	case errors.As(err, &timeout) && timeout.Timeout():
		return false
	}
	return true
}
