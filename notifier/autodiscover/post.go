package autodiscover

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// failure is why a request brought no answer about users.
type failure struct {
	kind     failureKind
	status   int
	location string        // of a redirect
	after    time.Duration // the server's wish
	err      error
}

type failureKind uint8

const (
	broken     failureKind = iota // the candidate is of no use
	redirected                    // the answer is a redirect
	noSuchPath                    // this dialect is not spoken here
	busy                          // wait
	transient                     // may pass
	invalid                       // the server does not like the question
)

// post asks an end point about users, within the budget of time.
func (c *Client) post(ctx context.Context, ep *endpoint, users []*user, budget time.Duration) (reply, *failure) {
	if err := c.throttle.enter(ctx); err != nil {
		kind := broken
		if errors.Is(err, ErrBusy) {
			kind = busy
		}
		return reply{}, &failure{kind: kind, err: err}
	}
	defer c.throttle.leave()
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()

	var addresses []string
	for _, u := range users {
		addresses = append(addresses, u.address.String())
	}
	var body []byte
	if ep.pox {
		body = poxRequest(addresses[0])
	} else {
		body = soapRequest(ep.url, addresses, ep.wanted())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, ep.url, bytes.NewReader(body))
	if err != nil {
		return reply{}, &failure{err: err}
	}
	req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	req.Header.Set("Accept", "text/xml")
	req.Header.Set("User-Agent", c.options.UserAgent)
	req.Header.Set("X-AnchorMailbox", addresses[0])
	req.Header.Set("Client-Request-Id", newRequestID())
	req.Header.Set("Return-Client-Request-Id", "true")
	resp, err := c.options.Transport.RoundTrip(req)
	if err != nil {
		return reply{}, &failure{err: err}
	}
	defer closeBody(resp)
	if f := failureOf(resp); f != nil {
		return reply{}, f
	}
	data, err := readBody(resp)
	if err != nil {
		f := &failure{kind: transient, status: resp.StatusCode, err: err} // cut off
		if errors.Is(err, errTooLong) {
			f.kind = broken
		}
		return reply{}, f
	}
	parse := parsePOX
	if !ep.pox {
		parse = func(data []byte) (reply, error) { return parseSOAP(data, len(users)) }
	}
	r, err := parse(data)
	return r, judge(resp.StatusCode, r, err)
}

// failureOf judges the status of an answer, nil if its body is worth reading.
func failureOf(resp *http.Response) *failure {
	f := &failure{status: resp.StatusCode, err: &ServerError{Status: resp.StatusCode}}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusInternalServerError: // a SOAP fault comes with 500
		return nil
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		f.kind, f.location = redirected, resp.Header.Get("Location")
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		f.kind = noSuchPath
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		f.kind, f.after = busy, retryAfter(resp.Header)
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		f.kind = transient
	}
	return f
}

// judge turns what stands in an answer into a failure, nil if it is about users.
func judge(status int, r reply, err error) *failure {
	f := &failure{status: status, err: err}
	var fault *faultError
	switch {
	case errors.As(err, &fault):
		f.err = &ServerError{Code: fault.code, Status: status, Text: fault.text}
		switch {
		case fault.code == "ServerBusy":
			f.kind = busy
		case fault.byServer():
			f.kind = transient
		default:
			f.kind = invalid
		}
		return f
	case err != nil && status != http.StatusOK:
		f.kind, f.err = transient, &ServerError{Status: status}
		return f
	case errors.Is(err, errCutOff):
		f.kind = transient
		return f
	case err != nil:
		return f
	}
	f.err = &ServerError{Code: r.code, Status: status, Text: r.text}
	switch r.code {
	case "NoError", "":
		return nil
	case "ServerBusy":
		f.kind = busy
	case "InternalServerError":
		f.kind = transient
	case "InvalidRequest", "InvalidSetting":
		f.kind = invalid
	}
	return f
}

// probe asks a host without credentials what it is. Only an Exchange server
// says X-SOAP-Enabled, usually on a 401.
func (c *Client) probe(ctx context.Context, url string, budget time.Duration) (*http.Response, error) {
	if err := c.throttle.enter(ctx); err != nil {
		return nil, err
	}
	defer c.throttle.leave()
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", c.options.UserAgent)
	resp, err := c.options.Anonymous.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	closeBody(resp)
	return resp, nil
}

// readBody reads a body of at most bodyMax bytes.
func readBody(resp *http.Response) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(resp.Body, bodyMax+1))
	if err == nil && len(data) > bodyMax {
		err = errTooLong
	}
	return data, err
}

var errTooLong = fmt.Errorf("autodiscover: the answer is longer than %d bytes", bodyMax)

// closeBody reads a little of what is left, so that the connection can be kept.
func closeBody(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, drainMax)
	_ = resp.Body.Close()
}

// retryAfter reads Retry-After: seconds or a date. RFC 9110, section 10.2.3.
func retryAfter(h http.Header) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.Atoi(v); err == nil {
		return max(0, time.Duration(min(seconds, 24*3600))*time.Second)
	}
	if at, err := http.ParseTime(v); err == nil {
		return min(max(0, time.Until(at)), 24*time.Hour)
	}
	return 0
}

// newRequestID makes a random UUID, by which Microsoft's logs can be searched.
func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // does not fail
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
