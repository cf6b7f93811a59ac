package httpauth

import "net/http"

// send sends the current token. A 401 to a token that is no longer new may mean
// that it was revoked: the request is sent once more with a renewed one.
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
		if fresh.Value == token.Value {
			return nil, refuse(t, resp)
		}
		_ = drain(resp) // only the connection is at stake
		token = fresh
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
