package loadgen

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// caller speaks JSON over HTTP with one service. Safe for concurrent use.
type caller struct {
	base   string
	client *http.Client
}

func newCaller(base string, t *http.Transport) *caller {
	t.MaxIdleConnsPerHost = WorkersDefault + enrolWorkers
	return &caller{base, &http.Client{Transport: t, Timeout: callTimeout}}
}

// do makes a call and reads the answer into out, unless out is nil. What is not
// a success is an error with the beginning of the answer in it.
func (c *caller) do(ctx context.Context, method, path, bearer string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := c.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	limited := io.LimitReader(resp.Body, answerMax)
	if resp.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(limited, 500))
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, bytes.TrimSpace(text))
	}
	if out != nil {
		if err := json.NewDecoder(limited).Decode(out); err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
	}
	_, err = io.Copy(io.Discard, limited) // so that the connection is used again
	return err
}

// hangUp closes the idle connections.
func (c *caller) hangUp() error {
	c.client.CloseIdleConnections()
	return nil
}

// poll calls done every so often until it is content, ctx ends, or it fails.
func poll(ctx context.Context, every time.Duration, done func() (bool, error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
