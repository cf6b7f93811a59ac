package httpauth

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"time"
)

// exchange stands between the NTLM negotiator and the transport for one try of
// one request. The negotiator swallows what goes wrong once a handshake has
// begun and needs its answers in a certain form; the exchange gives them that
// form and remembers what happened.
type exchange struct {
	next  http.RoundTripper
	trial *trial

	refusal  *http.Response // the 401 to what was sent before the negotiator came in
	offered  []string       // schemes of the latest 401
	err      error          // why a leg had no answer
	answered bool           // the proof of the password was sent and an answer came
	split    bool           // ... but on another connection than its challenge
	offer    net.Conn       // the connection the challenge came on
}

// RoundTrip sends one leg: anonymous, NEGOTIATE or AUTHENTICATE. An anonymous one
// that was sent and refused already has that refusal for its answer.
func (x *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	leg := legOf(req)
	var conn net.Conn
	switch leg {
	case anonymousLeg:
		if resp := x.refusal; resp != nil {
			closeBody(req)
			x.refusal = nil
			return resp, nil
		}
	case authenticateLeg:
		if err := x.trial.begin(req.Context()); err != nil {
			closeBody(req)
			x.err = err
			return nil, err
		}
		fallthrough
	case negotiateLeg:
		trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { conn = i.Conn }}
		req = req.WithContext(httptrace.WithClientTrace(req.Context(), trace))
	}
	resp, err := x.next.RoundTrip(req)
	if err == nil && resp.StatusCode == http.StatusUnauthorized {
		err = x.tame(resp)
	}
	if err != nil {
		x.err = err
		return nil, err
	}
	switch leg {
	case negotiateLeg:
		x.offer = conn
	case authenticateLeg:
		x.answered, x.split = true, conn != x.offer
	}
	return resp, nil
}

// tame makes a 401 fit for the negotiator: its body read, so that the connection
// is free for the next leg; one challenge a line in the spelling it looks for;
// the channel binding added.
func (x *exchange) tame(resp *http.Response) error {
	if err := drain(resp); err != nil {
		return err
	}
	challenges := parseChallenges(resp.Header.Values("WWW-Authenticate"))
	x.offered = schemes(challenges)
	resp.Header.Del("WWW-Authenticate")
	for _, c := range challenges {
		resp.Header.Add("WWW-Authenticate", bound(c, resp).String())
	}
	return nil
}

// bound adds the channel binding to a challenge that came over TLS.
func bound(c challenge, resp *http.Response) challenge {
	if c.scheme != "NTLM" && c.scheme != "Negotiate" || c.rest == "" || resp.TLS == nil || len(resp.TLS.PeerCertificates) == 0 {
		return c
	}
	msg, err := base64.StdEncoding.DecodeString(c.rest)
	if err != nil {
		return c
	}
	binding, ok := certificateBinding(resp.TLS.PeerCertificates[0])
	if !ok {
		return c
	}
	if msg, ok = bindChallenge(msg, binding); ok {
		c.rest = base64.StdEncoding.EncodeToString(msg)
	}
	return c
}

// drain reads and closes the body of resp, within limits of size and time. A
// body beyond them costs the connection, nothing else.
func drain(resp *http.Response) error {
	timer := time.AfterFunc(drainTimeout, func() { _ = resp.Body.Close() })
	defer timer.Stop()
	_, err := io.CopyN(io.Discard, resp.Body, drainMax)
	_ = resp.Body.Close()
	resp.Body, resp.ContentLength = http.NoBody, 0
	if err != nil && err != io.EOF {
		return fmt.Errorf("httpauth: body of a 401: %w", err)
	}
	return nil
}

type leg uint8

const (
	anonymousLeg leg = iota
	negotiateLeg
	authenticateLeg
)

// legOf tells a leg by the message it carries.
func legOf(req *http.Request) leg {
	_, token, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	msg, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return anonymousLeg
	}
	switch messageType(msg) {
	case 1:
		return negotiateLeg
	case 3:
		return authenticateLeg
	}
	return anonymousLeg
}
