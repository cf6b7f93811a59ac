package httpauth

import (
	"context"
	"net/http"
	"time"
)

// send sends the current token. A 401 to a token that is no longer new may mean
// that it was revoked: the request is sent once more with a renewed one. A new
// token may be refused by a server in trouble: where the account was accepted
// before, it is shown bearerTries times before that counts as a refusal.
func (c Bearer) send(p *Pool, s *slot, req *http.Request) (*http.Response, error) {
	again, err := newReplay(req)
	if err != nil {
		return nil, err
	}
	ctx := req.Context()
	token, err := c.Tokens.Token(ctx)
	if err != nil {
		return nil, err
	}
	t := p.gate.trial(hostOf(req))
	defer t.end()
	tries := 1
	if p.gate.proven(hostOf(req)) {
		tries = bearerTries
	}
	for renewed := false; ; renewed = true {
		if err := t.begin(ctx); err != nil {
			return nil, err
		}
		resp, err := c.once(again, s, token)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode != http.StatusUnauthorized {
			if success(resp) {
				t.accepted()
			}
			return resp, nil
		}
		fresh, err := token, error(nil)
		if !renewed {
			if fresh, err = c.Tokens.renew(ctx, token); err != nil {
				_ = drain(resp)
				return nil, err
			}
		}
		wait := time.Duration(0)
		if fresh.Value == token.Value {
			if tries--; tries == 0 {
				return nil, refuse(t, resp)
			}
			wait = bearerPause
		}
		_ = drain(resp) // only the connection is at stake
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
		token = fresh
	}
}

// pause waits d, or as long as ctx lives.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c Bearer) once(again *replay, s *slot, token Token) (*http.Response, error) {
	r, err := again.request()
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+string(token.Value))
	return s.transport.RoundTrip(r)
}
