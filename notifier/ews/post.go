package ews

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// request makes the HTTP request around an envelope. Its body can be sent
// again, as authentication on a new connection needs.
func (c *Client) request(ctx context.Context, who Caller, envelope []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(envelope))
	if err != nil {
		return nil, err
	}
	h := r.Header
	h.Set("Content-Type", "text/xml; charset=utf-8")
	h.Set("Accept", "text/xml")
	// No layer between may compress and thereby hold back a stream; and an
	// ordinary answer is so small that unpacking costs more than sending it.
	h.Set("Accept-Encoding", "identity")
	h.Set("User-Agent", c.userAgent)
	// EWS "Instrumenting client requests …": both sides log the same GUID.
	h.Set("client-request-id", newRequestID())
	h.Set("return-client-request-id", "true")
	// EWS "Impersonation and EWS in Exchange": needed on every request, or it
	// may be proxied, slowly or into errors.
	if a := who.anchor(); a != "" {
		h.Set("X-AnchorMailbox", a)
	}
	who.Affinity.apply(r, c.host)
	return r, nil
}

// post sends an ordinary request and reads its answer, within the request
// timeout, and hands each response message to message: a function that leaves
// the element entered. The answer's strings must be copied out of it.
func (c *Client) post(ctx context.Context, who Caller, operation string, envelope []byte, message func(*scanner)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, c.late)
	defer cancel()
	began := time.Now()
	r, err := c.request(ctx, who, envelope)
	if err != nil {
		return fmt.Errorf("ews: %s: %w", operation, err)
	}
	a := c.borrow()
	defer c.giveBack(a)
	resp, err := c.transport.RoundTrip(r)
	if err != nil {
		return c.told(r, operation, began, transportError(ctx, operation, err))
	}
	defer resp.Body.Close()
	who.Affinity.keep(resp, c.host)
	if resp.StatusCode != http.StatusOK {
		return c.told(r, operation, began, a.failure(ctx, operation, resp))
	}
	if err = encodingError(operation, resp); err != nil {
		return c.told(r, operation, began, err)
	}
	if err = a.read(resp.Body, AnswerSizeMax); err != nil {
		return c.told(r, operation, began, transportError(ctx, operation, err))
	}
	return c.told(r, operation, began, a.decode(operation, resp, message))
}

// told notes a request and its outcome, with the ID by which the server's logs
// know it.
func (c *Client) told(r *http.Request, operation string, began time.Time, err error) error {
	ctx := r.Context()
	if !c.log.Enabled(ctx, levelRequest) {
		return err
	}
	c.log.Log(ctx, levelRequest, "ews request", "operation", operation, "request_id", r.Header.Get("client-request-id"),
		"took", time.Since(began), "err", err)
	return err
}

// transportError is an error of the transport or of reading a body. What ended
// the context is said rather than what that did to the connection.
func transportError(ctx context.Context, operation string, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		err = cause
	}
	return fmt.Errorf("ews: %s: %w", operation, err)
}

// answer is the room for reading and scanning an ordinary answer.
type answer struct {
	body bytes.Buffer
	scan scanner
}

func (c *Client) borrow() *answer {
	if a, ok := c.answers.Get().(*answer); ok {
		return a
	}
	return new(answer)
}

func (c *Client) giveBack(a *answer) {
	if a.body.Cap() > readKeepMax || cap(a.scan.scratch) > readKeepMax {
		return
	}
	a.body.Reset()
	c.answers.Put(a)
}

// read takes the body of an answer.
func (a *answer) read(body io.Reader, sizeMax int64) error {
	if _, err := a.body.ReadFrom(io.LimitReader(body, sizeMax+1)); err != nil {
		return err
	}
	if int64(a.body.Len()) > sizeMax {
		return fmt.Errorf("an answer of more than %d bytes", sizeMax)
	}
	return nil
}

// scanner begins to scan the answer that was read.
func (a *answer) scanner() *scanner {
	a.scan = scanner{buf: a.body.Bytes(), attrs: a.scan.attrs[:0], scratch: a.scan.scratch[:0]}
	return &a.scan
}

// decode walks an answer with status 200.
func (a *answer) decode(operation string, resp *http.Response, message func(*scanner)) error {
	s := a.scanner()
	fault, messages := envelope(s, operation+"Response", message)
	switch {
	case s.err != nil && looksHTML(a.body.Bytes()):
		return newHTTPError(operation, resp, true)
	case s.err != nil:
		return syntaxError(operation, s.err)
	case fault != nil:
		fault.Operation, fault.HTTPStatus = operation, resp.StatusCode
		return fault
	case messages == 0:
		return &SyntaxError{Operation: operation, Reason: "no response message in it"}
	}
	return nil
}

// failure is the error of an answer whose status is not 200: the SOAP fault
// that it holds, else the status. A 401 says nothing but that, and a redirect
// nothing but where to.
func (a *answer) failure(ctx context.Context, operation string, resp *http.Response) error {
	if resp.StatusCode < http.StatusBadRequest || resp.StatusCode == http.StatusUnauthorized {
		_, _ = io.CopyN(io.Discard, resp.Body, FailureSizeMax) // lets the connection be used again
		return newHTTPError(operation, resp, false)
	}
	if err := a.read(resp.Body, FailureSizeMax); err != nil && a.body.Len() == 0 {
		if ctx.Err() != nil {
			return transportError(ctx, operation, err)
		}
		return newHTTPError(operation, resp, false)
	}
	s := a.scanner()
	fault, _ := envelope(s, operation+"Response", (*scanner).skip)
	if s.err != nil || fault == nil {
		return newHTTPError(operation, resp, looksHTML(a.body.Bytes()))
	}
	fault.Operation, fault.HTTPStatus = operation, resp.StatusCode
	if fault.BackOff == 0 {
		fault.BackOff = retryAfter(resp.Header)
	}
	return fault
}

// encodingError refuses an answer that is packed although that was declined.
func encodingError(operation string, resp *http.Response) error {
	if e := resp.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return &SyntaxError{Operation: operation, Reason: "its content encoding is " + shorten(e, errorNameMax) + ", which was not asked for"}
	}
	return nil
}

// looksHTML says whether a body is a page for people.
func looksHTML(body []byte) bool {
	head := bytes.ToLower(body[:min(len(body), 512)])
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xEF\xBB\xBF")), " \t\r\n")
	return bytes.HasPrefix(head, []byte("<!doctype html")) || bytes.Contains(head, []byte("<html"))
}

func syntaxError(operation string, err error) error {
	if e, ok := errors.AsType[*SyntaxError](err); ok {
		e.Operation = operation
		return e
	}
	return fmt.Errorf("ews: %s: %w", operation, err)
}

// newRequestID is a random UUID (RFC 9562 "Universally Unique IDentifiers",
// version 4).
func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// postOne is post for operations that are answered by a single response
// message. field leaves each child element that not all messages have. A
// refusal is returned as the error.
func (c *Client) postOne(ctx context.Context, who Caller, operation string, envelope []byte, o *outcome, field func(*scanner)) error {
	messages := 0
	err := c.post(ctx, who, operation, envelope, func(s *scanner) {
		messages++
		o.begin(s)
		for s.child() {
			if !o.take(s) {
				field(s)
			}
		}
	})
	switch {
	case err != nil:
		return err
	case messages > 1:
		return &SyntaxError{Operation: operation, Reason: "several response messages where one was due"}
	}
	if e := o.err(operation); e != nil {
		e.HTTPStatus = http.StatusOK
		return e
	}
	return nil
}
