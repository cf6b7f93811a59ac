package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Limits of the client.
const (
	answerMax    = 256 << 20        // bytes of one answer
	pageMax      = 1000             // entries that Await asks for at a time
	waitMax      = 60 * time.Second // the API waits no longer
	readyPoll    = 20 * time.Millisecond
	readyTextMax = 1 << 20
)

// World is a connection to a running `fakes`.
type World struct {
	base    string
	http    *http.Client
	ready   Ready
	roots   *x509.CertPool
	dial    net.Dialer
	process *process // nil when somebody else started the fakes
}

// Dial connects to fakes by the URL of their control API.
func Dial(ctx context.Context, control string) (*World, error) {
	w := &World{base: strings.TrimSuffix(control, "/"), http: &http.Client{Transport: &http.Transport{}}, roots: x509.NewCertPool()}
	if err := w.call(ctx, http.MethodGet, "/ready", nil, &w.ready); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	text, err := w.raw(ctx, "/ca.pem")
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	if !w.roots.AppendCertsFromPEM(text) {
		return nil, errors.Join(errors.New("fakes: GET /ca.pem: no certificate in the answer"), w.Close())
	}
	return w, nil
}

// DialFile connects to fakes by the file that they write when they are ready
// (--ready-file), and waits for it until ctx ends.
func DialFile(ctx context.Context, path string) (*World, error) {
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(path)
		if err == nil {
			var r Ready
			if err := json.Unmarshal(text, &r); err != nil {
				return nil, fmt.Errorf("fakes: %s: %w", path, err)
			}
			return Dial(ctx, r.Control)
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("fakes: %w", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("fakes: %s was not written: %w", path, ctx.Err())
		}
	}
}

// Close ends the fakes if Start started them, and waits for their end.
func (w *World) Close() error {
	w.http.CloseIdleConnections()
	if w.process == nil {
		return nil
	}
	return w.process.stop()
}

// Ready is where everything is, and with which credentials.
func (w *World) Ready() Ready { return w.ready }

// RootCAs are the authorities that the certificates of the fakes are from.
func (w *World) RootCAs() *x509.CertPool { return w.roots }

// ProviderKey is the .p8 file to push to APNs with; its ID and team are in
// Ready.Push.
func (w *World) ProviderKey(ctx context.Context) ([]byte, error) { return w.raw(ctx, "/apns-key.p8") }

// Authorities are those that all certificates are from, in PEM: for a program
// that wants a file.
func (w *World) Authorities(ctx context.Context) ([]byte, error) { return w.raw(ctx, "/ca.pem") }

// DialContext connects to a real name of the simulated world, such as
// api.push.apple.com:443, wherever that is served. Put it into an
// http.Transport. An address that the world does not know is an error: nothing
// leaves for the real one.
func (w *World) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	to, ok := w.ready.Hosts[strings.ToLower(addr)]
	if !ok {
		if _, domain, dotted := strings.Cut(strings.ToLower(addr), "."); dotted {
			to, ok = w.ready.Hosts["*."+domain]
		}
	}
	if !ok {
		return nil, &net.OpError{Op: "dial", Net: network, Err: fmt.Errorf("fakes: %s is not a host of the simulated world", addr)}
	}
	return w.dial.DialContext(ctx, network, to)
}

// HTTPClient is a client that reaches the simulated world by its real names and
// trusts its certificates. http2 makes it offer HTTP/2 as well, which NTLM
// cannot be used with.
func (w *World) HTTPClient(http2 bool) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: w.DialContext, ForceAttemptHTTP2: http2, TLSClientConfig: &tls.Config{RootCAs: w.roots, MinVersion: tls.VersionTLS12},
	}}
}

// Mail delivers a mail. A recipient without a mailbox is no error but told in
// its place.
func (w *World) Mail(ctx context.Context, m Mail) ([]Delivered, error) {
	var out struct {
		Delivered []Delivered `json:"delivered"`
	}
	err := w.call(ctx, http.MethodPost, "/mail", m, &out)
	return out.Delivered, err
}

// AddFault puts a fault in force and returns it with its ID.
func (w *World) AddFault(ctx context.Context, f Fault) (Fault, error) {
	var out Fault
	err := w.call(ctx, http.MethodPost, "/faults", f, &out)
	return out, err
}

// Faults are those in force.
func (w *World) Faults(ctx context.Context) ([]Fault, error) {
	var out struct {
		Faults []Fault `json:"faults"`
	}
	err := w.call(ctx, http.MethodGet, "/faults", nil, &out)
	return out.Faults, err
}

// ClearFaults ends the faults of these IDs; without any, all.
func (w *World) ClearFaults(ctx context.Context, ids ...string) error {
	if len(ids) == 0 {
		return w.call(ctx, http.MethodDelete, "/faults", nil, nil)
	}
	for _, id := range ids {
		if err := w.call(ctx, http.MethodDelete, "/faults?id="+url.QueryEscape(id), nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// Move moves a mailbox to another Exchange server; took is how long it is on
// its way.
func (w *World) Move(ctx context.Context, mailbox, server string, took time.Duration) error {
	return w.call(ctx, http.MethodPost, "/mailboxes/"+url.PathEscape(mailbox)+"/move", map[string]any{"server": server, "took": Duration(took)}, nil)
}

// State is how things stand now.
func (w *World) State(ctx context.Context) (State, error) {
	var out State
	err := w.call(ctx, http.MethodGet, "/state", nil, &out)
	return out, err
}

// Reset makes everything as it was when the fakes started, while they go on
// listening: no mail, subscription, device, fault or move is left, and the
// journal is empty. Streams that were open are cut.
func (w *World) Reset(ctx context.Context) error {
	return w.call(ctx, http.MethodPost, "/reset", nil, nil)
}

// Do makes any other call of the control API: GET / lists them. in and out are
// JSON, and may be nil.
func (w *World) Do(ctx context.Context, method, path string, in, out any) error {
	return w.call(ctx, method, path, in, out)
}

func (w *World) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("fakes: %s %s: %w", method, path, err)
		}
		body = bytes.NewReader(text)
	}
	text, err := w.send(ctx, method, path, body)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("fakes: %s %s: %w", method, path, err)
	}
	return nil
}

func (w *World) raw(ctx context.Context, path string) ([]byte, error) {
	return w.send(ctx, http.MethodGet, path, nil)
}

func (w *World) send(ctx context.Context, method, path string, body io.Reader) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, w.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("fakes: %w", err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := w.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("fakes: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerMax))
	if err != nil {
		return nil, fmt.Errorf("fakes: %s %s: %w", method, path, err)
	}
	if resp.StatusCode/100 != 2 {
		var refusal struct {
			Error string `json:"error"`
		}
		if json.Unmarshal(text, &refusal) != nil || refusal.Error == "" {
			refusal.Error = strings.TrimSpace(string(text[:min(len(text), 200)]))
		}
		return nil, &Error{Call: method + " " + path, Status: resp.StatusCode, Reason: refusal.Error}
	}
	return text, nil
}
