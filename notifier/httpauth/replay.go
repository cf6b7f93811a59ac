package httpauth

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
)

// replay is a request that can be sent more than once.
type replay struct {
	req  *http.Request
	body func() (io.ReadCloser, error) // nil: no body
}

// newReplay takes over the body of req and closes it.
func newReplay(req *http.Request) (*replay, error) {
	defer closeBody(req)
	switch {
	case req.Body == nil || req.Body == http.NoBody:
		return &replay{req: req}, nil
	case req.GetBody != nil:
		return &replay{req: req, body: req.GetBody}, nil
	}
	data, err := io.ReadAll(io.LimitReader(req.Body, requestBodyMax+1))
	if err != nil {
		return nil, fmt.Errorf("httpauth: body of the request: %w", err)
	}
	if len(data) > requestBodyMax {
		return nil, fmt.Errorf("httpauth: body of the request: longer than %d bytes; set GetBody", requestBodyMax)
	}
	return &replay{req: req, body: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	}}, nil
}

// request returns a fresh copy without credentials, which the caller may change.
func (r *replay) request() (*http.Request, error) {
	c := bare(r.req)
	c.Body, c.GetBody = nil, nil
	if r.body != nil {
		body, err := r.body()
		if err != nil {
			return nil, fmt.Errorf("httpauth: body of the request: %w", err)
		}
		c.Body = body
	}
	return c, nil
}

func (r *replay) context() context.Context { return r.req.Context() }

// bare copies req without any credentials the caller may have left in it: they
// come from the account alone.
func bare(req *http.Request) *http.Request {
	c := req.Clone(req.Context())
	c.Header.Del("Authorization")
	c.URL.User = nil
	return c
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
