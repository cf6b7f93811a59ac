package wns

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Options say for which app to send, and how. Zero values mean the defaults.
type Options struct {
	App App
	// Dial opens TCP connections, to channels and to the token service; TLS is
	// added here. Default: SafeDialer for channels, net.Dialer for the token
	// service, whose address the operator sets.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// RootCAs verifies hosts; default: the system's.
	RootCAs *x509.CertPool
	// InFlightMax bounds the notifications in flight and the connections to one
	// host; default InFlightDefault.
	InFlightMax int
	// Timeout is how long a notification may wait for its answer, connecting
	// included; default TimeoutDefault.
	Timeout time.Duration
	// Logger hears of everything that is not received; nil: nobody does.
	Logger *slog.Logger
}

// Response is what became of a notification.
type Response struct {
	Status       int           // HTTP status; 0 without an answer
	Notification string        // X-WNS-NotificationStatus or X-WNS-Status in lower case: received, dropped, channelthrottled …
	Device       string        // X-WNS-DeviceConnectionStatus: connected, disconnected …
	MessageID    string        // X-WNS-Msg-ID
	DebugTrace   string        // X-WNS-Debug-Trace, which Microsoft's support asks for
	Description  string        // X-WNS-Error-Description
	CV           string        // MS-CV, which Microsoft's support asks for
	Reason       string        // one of the Reason constants
	Action       Action        // what to do next
	RetryAfter   time.Duration // least wait before a Retry, or before Pause ends; 0: none named
	Err          error         // nil when delivered; a *RejectedError when WNS refused
}

// RejectedError is an answer of WNS that is not "received".
type RejectedError struct {
	Status       int
	Notification string
	Description  string // WNS's words
	Meaning      string // what it means and how to repair it
}

func (e *RejectedError) Error() string {
	text := fmt.Sprintf("wns: %d", e.Status)
	if e.Notification != "" {
		text += " " + e.Notification
	}
	text += ": " + e.Meaning
	if e.Description != "" {
		text += " (WNS says: " + e.Description + ")"
	}
	return text
}

var (
	errClosed    = errors.New("wns: the client is closed")
	errThrottled = errors.New("wns: WNS has asked this app to wait; nothing was sent")
)

// Client sends for one app. It is safe for concurrent use. Close it after use.
type Client struct {
	app       App
	timeout   time.Duration
	http      *http.Client
	transport *http.Transport
	tokenHTTP *http.Transport
	tokens    *tokenSource
	slots     chan struct{}
	pacer     *pacer
	guards    [watchedEnd]*guard
	forbidden *memory
	log       *slog.Logger

	mu      sync.Mutex
	active  int
	closed  bool
	closing chan struct{} // closed by Close: waits end
	idle    chan struct{} // made by Close; closed when active falls to zero
	flights map[*flight]struct{}
	cut     bool // what is in flight is to end
}

// flight is a request in flight, for Close to cut.
type flight struct{ cancel context.CancelFunc }

// New checks the options and makes a client. It does not connect.
func New(o Options) (*Client, error) {
	if err := o.App.validate(); err != nil {
		return nil, err
	}
	if o.InFlightMax == 0 {
		o.InFlightMax = InFlightDefault
	}
	if o.InFlightMax < 1 || o.InFlightMax > InFlightMax {
		return nil, fmt.Errorf("wns: Options.InFlightMax: %d, want 1 to %d", o.InFlightMax, InFlightMax)
	}
	if o.App.RateMax == 0 {
		o.App.RateMax = RateDefault
	}
	if o.Timeout == 0 {
		o.Timeout = TimeoutDefault
	}
	if o.Timeout < 0 {
		return nil, fmt.Errorf("wns: Options.Timeout: %s, want more than zero", o.Timeout)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	channelDial, tokenDial := o.Dial, o.Dial
	if o.Dial == nil {
		channelDial = SafeDialer()
		tokenDial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: tcpKeepAlive}).DialContext
	}
	c := &Client{
		app:       o.App,
		timeout:   o.Timeout,
		transport: newTransport(channelDial, o.RootCAs, o.InFlightMax),
		tokenHTTP: newTransport(tokenDial, o.RootCAs, 1),
		slots:     make(chan struct{}, o.InFlightMax),
		pacer:     newPacer(o.App.RateMax),
		forbidden: newMemory(forbiddenAge, forbiddenCount),
		log:       o.Logger,
		closing:   make(chan struct{}),
		flights:   map[*flight]struct{}{},
	}
	c.http = newHTTPClient(c.transport)
	c.tokens = &tokenSource{app: o.App, http: newHTTPClient(c.tokenHTTP), log: o.Logger}
	c.guards[forbidden] = newGuard(guardAge, guardChannels, guardPercent)
	c.guards[gone] = newGuard(guardAge, goneChannels, gonePercent)
	c.guards[failing] = newGuard(outageAge, guardChannels, outagePercent)
	return c, nil
}

// newTransport speaks HTTP/1.1 only: nothing else is documented for WNS.
func newTransport(dial func(ctx context.Context, network, addr string) (net.Conn, error), roots *x509.CertPool, perHost int) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:            dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		Protocols:              protocols,
		MaxIdleConnsPerHost:    perHost, // the default of 2 would mean a handshake per notification
		MaxConnsPerHost:        perHost,
		IdleConnTimeout:        idleConnTimeout,
		TLSHandshakeTimeout:    tlsTimeout,
		MaxResponseHeaderBytes: headerBytesMax,
		DisableCompression:     true,
	}
}

func newHTTPClient(t *http.Transport) *http.Client {
	return &http.Client{
		Transport: t,
		// A redirect would take the token or the secret along.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Send sends one notification and says what became of it. It waits for its
// turn as long as ctx allows, then for the answer up to Options.Timeout. After
// 401 it renews the access token and sends once more.
func (c *Client) Send(ctx context.Context, r Request) Response {
	u, err := r.check(c.app.Kind)
	if err != nil {
		return Response{Reason: ReasonInvalidRequest, Action: Drop, Err: err}
	}
	if !c.enter() {
		return Response{Reason: ReasonClosed, Action: Retry, Err: errClosed}
	}
	defer c.leave()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-c.closing:
		return Response{Reason: ReasonClosed, Action: Retry, Err: errClosed}
	case <-ctx.Done():
		return c.failed(ctx, &r, ctx.Err(), false)
	}

	for try := 1; ; try++ {
		token, err := c.tokens.token(ctx)
		if err != nil {
			return c.withoutToken(ctx, &r, err)
		}
		throttled, err := c.pacer.wait(ctx, c.closing)
		if err != nil {
			return c.failed(ctx, &r, err, false)
		}
		if throttled > 0 {
			return Response{Reason: ReasonThrottled, Action: Pause, RetryAfter: throttled, Err: errThrottled}
		}
		a, err := c.post(ctx, u, &r, token.value)
		if err != nil {
			return c.failed(ctx, &r, err, true)
		}
		if a.status == http.StatusUnauthorized {
			if try == 1 && c.tokens.reject(token) {
				continue
			}
		} else {
			c.tokens.accept(token)
		}
		return c.judged(&r, token, a)
	}
}

// post sends the request once. Its errors hold neither the channel nor the
// token.
func (c *Client) post(ctx context.Context, u *url.URL, r *Request, token string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	defer c.fly(cancel)()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+u.Host, bytes.NewReader(r.Body))
	if err != nil {
		return answer{}, errors.New("wns: the channel is not a URL")
	}
	req.URL = u // its query is the text as given, which parsing again would not change but rebuilding would
	if err := r.header(req.Header); err != nil {
		return answer{}, fmt.Errorf("wns: correlation vector: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, redact(err, token, r.Channel, u.RawQuery)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, answerDrainMax))
	_ = resp.Body.Close()
	a := readAnswer(resp, time.Now())
	if a.cv == "" {
		a.cv = req.Header.Get("MS-CV")
	}
	for _, secret := range []string{token, r.Channel, u.RawQuery} {
		a.description = strings.ReplaceAll(a.description, secret, "<secret>")
	}
	return a, nil
}

// judged turns WNS's answer into a Response, with the guards' say.
func (c *Client) judged(r *Request, token accessToken, a answer) Response {
	now := time.Now()
	v := judge(a.status, a.notification, a.description)
	resp := Response{
		Status: a.status, Notification: a.notification, Device: a.device, MessageID: a.messageID,
		DebugTrace: a.debugTrace, Description: a.description, CV: a.cv,
		Reason: v.reason, Action: v.action, RetryAfter: a.retryAfter,
	}
	if resp.RetryAfter == 0 && (v.action == Retry || v.action == Pause) {
		resp.RetryAfter = v.wait
	}
	if v.action != Delivered {
		resp.Err = &RejectedError{Status: a.status, Notification: a.notification, Description: a.description, Meaning: v.meaning}
	}
	if v.reason == ReasonThrottled {
		c.pacer.throttled(resp.RetryAfter)
	}
	wave := c.wave(r, v.watched, now)
	switch {
	case wave:
		resp.Action = Pause
		resp.RetryAfter = max(a.retryAfter, probeWait)
		resp.Err = fmt.Errorf("wns: several channels in a short time had the same refusal, so it is not the channels' fault: %w", resp.Err)
	case v.watched == forbidden:
		// One channel: its own fault, once a fresh token has been refused too.
		first := c.forbidden.note(r.Channel, now)
		if fresh := token.fetched.After(first.Add(-tokenRenewGap)); fresh && now.Sub(first) >= forbiddenApart {
			resp.Action, resp.RetryAfter = Forget, 0
		} else {
			c.tokens.refresh(token)
		}
	case v.action == Delivered:
		c.forbidden.forget(r.Channel)
	}
	if resp.Action != Delivered {
		c.log.Warn("wns: not received", "app", c.app.Name, "channel", channelHash(r.Channel), "type", r.Type.String(), "action", resp.Action.String(),
			"status", a.status, "notification_status", a.notification, "description", a.description, "msg_id", a.messageID, "debug_trace", a.debugTrace, "ms_cv", a.cv)
	}
	return resp
}

// wave notes an answer with every guard and says whether it is part of a wave.
func (c *Client) wave(r *Request, kind watched, now time.Time) (wave bool) {
	for i, g := range c.guards {
		switch {
		case g == nil:
		case watched(i) == kind:
			wave = g.hit(r.Channel, now)
		default:
			g.other(now)
		}
	}
	return wave
}

// withoutToken turns the lack of an access token into a Response.
func (c *Client) withoutToken(ctx context.Context, r *Request, err error) Response {
	var down *tokenDownError
	switch {
	case errors.As(err, &down):
		return Response{Reason: ReasonNoToken, Action: Pause, RetryAfter: down.wait, Err: err}
	default:
		return c.failed(ctx, r, err, false)
	}
}

// failed turns the lack of an answer into a Response.
func (c *Client) failed(ctx context.Context, r *Request, err error, sent bool) Response {
	resp := Response{Reason: ReasonConnection, Action: Retry, Err: err}
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, errClosed):
		resp.Reason = ReasonClosed
		return resp
	case ctx.Err() == nil && c.isCut():
		resp.Reason, resp.Err = ReasonClosed, fmt.Errorf("%w; the outcome is unknown", errClosed)
		return resp
	case ctx.Err() != nil || !sent:
		resp.Reason, resp.Err = ReasonCancelled, fmt.Errorf("wns: %w", err)
		return resp
	case errors.As(err, &timeout) && timeout.Timeout():
		resp.Reason = ReasonNoAnswer
	}
	resp.Err = fmt.Errorf("wns: %w", err)
	if c.wave(r, failing, time.Now()) {
		resp.Action, resp.RetryAfter = Pause, probeWait
	}
	c.log.Warn("wns: no answer", "app", c.app.Name, "channel", channelHash(r.Channel), "type", r.Type.String(), "action", resp.Action.String(), "error", resp.Err)
	return resp
}

// channelHash stands for a channel in logs.
func channelHash(uri string) string {
	sum := sha256.Sum256([]byte(uri))
	return hex.EncodeToString(sum[:6])
}

// fly lets Close cut a request; the function returned ends that.
func (c *Client) fly(cancel context.CancelFunc) (landed func()) {
	f := &flight{cancel}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		cancel()
	}
	c.flights[f] = struct{}{}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.flights, f)
	}
}

func (c *Client) isCut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cut
}

func (c *Client) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.active++
	return true
}

func (c *Client) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.active--
	if c.active == 0 && c.idle != nil {
		close(c.idle)
	}
}

// Close drains: nothing new is admitted, notifications that wait for their
// turn or for a token return Retry at once, those that were sent are waited
// for until ctx ends and are cut then (Retry, outcome unknown). Close returns
// when every connection and goroutine of the client has ended; its error is
// ctx's if it cut anything. Closing again does nothing.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	close(c.closing)
	idle := make(chan struct{})
	if c.active == 0 {
		close(idle)
	} else {
		c.idle = idle
	}
	c.mu.Unlock()

	c.tokens.shut()
	var err error
	select {
	case <-idle:
	case <-ctx.Done():
		err = fmt.Errorf("wns: close: notifications without an answer were cut: %w", ctx.Err())
	}
	c.mu.Lock()
	c.cut = true
	for f := range c.flights {
		f.cancel()
	}
	c.mu.Unlock()
	<-idle
	c.tokens.work.Wait()
	c.transport.CloseIdleConnections()
	c.tokenHTTP.CloseIdleConnections()
	return err
}
