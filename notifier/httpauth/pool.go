package httpauth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options is what a pool needs.
type Options struct {
	// Account names the account in errors and logs.
	Account string
	// Credentials are the account's; None{} to send requests as they are.
	Credentials Credentials
	// Like is another pool of the same account: what a host says of the
	// credentials counts for both. nil: this one stands alone.
	Like *Pool
	// TLS holds a private certificate authority, a client certificate, versions.
	// Verification cannot be switched off. nil: the system's authorities, TLS 1.2 or later.
	TLS *tls.Config
	// Dial opens connections; nil: plain TCP.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Hosts are those that credentials may be sent to: names, or *.name for all
	// below it. nil: any, but for NTLM and Basic none of Office 365.
	Hosts []string

	SlotsMax      int           // connections to a host, which is requests in flight; 0: SlotsDefault
	IdleTimeout   time.Duration // an unused connection is closed after it; 0: IdleTimeoutDefault
	HeaderTimeout time.Duration // for the first line of an answer; 0: HeaderTimeoutDefault

	Logger *slog.Logger // nil: silent
}

// Pool sends requests as one account. It is safe for concurrent use.
type Pool struct {
	account string
	hosts   []string
	gate    *gate

	lent   chan struct{} // an element for every lent slot
	closed chan struct{}

	mu          sync.Mutex
	credentials Credentials
	slots       []*slot // those not lent, the latest used on top
}

var _ http.RoundTripper = (*Pool)(nil)

// NewPool makes a pool. No connection is opened before the first request.
func NewPool(o Options) (*Pool, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("httpauth: account %q: %w", o.Account, err)
	}
	p := &Pool{
		account:     o.Account,
		credentials: o.Credentials,
		hosts:       o.Hosts,
		lent:        make(chan struct{}, o.SlotsMax),
		closed:      make(chan struct{}),
	}
	if o.Like != nil {
		p.gate = o.Like.gate
	} else {
		p.gate = newGate(o.Account, o.Logger)
	}
	newTransport := transportMaker(o)
	for range o.SlotsMax {
		p.slots = append(p.slots, &slot{transport: newTransport(), make: newTransport})
	}
	return p, nil
}

func (o *Options) complete() error {
	switch {
	case o.Account == "":
		return wrongField("Account", "missing; it names the account in errors and logs")
	case o.Credentials == nil:
		return wrongField("Credentials", "missing; None{} sends requests as they are")
	case o.SlotsMax < 0:
		return wrongField("SlotsMax", "must not be negative")
	case o.IdleTimeout < 0:
		return wrongField("IdleTimeout", "must not be negative")
	case o.HeaderTimeout < 0:
		return wrongField("HeaderTimeout", "must not be negative")
	case o.TLS != nil && o.TLS.InsecureSkipVerify:
		return wrongField("TLS.InsecureSkipVerify", "not allowed; add the private authority to TLS.RootCAs")
	}
	if err := o.Credentials.validate(); err != nil {
		return fmt.Errorf("in Credentials: %w", err)
	}
	if o.SlotsMax == 0 {
		o.SlotsMax = SlotsDefault
	}
	if o.IdleTimeout == 0 {
		o.IdleTimeout = IdleTimeoutDefault
	}
	if o.HeaderTimeout == 0 {
		o.HeaderTimeout = HeaderTimeoutDefault
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// RoundTrip sends req as the account. It waits while all slots are lent, until
// req's context ends; the slot comes back when the body of the answer is
// closed, or with the error. Redirects are returned, not followed.
//
// Besides what a transport returns, errors are *RejectedError, *HandshakeError,
// *TokenError, ErrPlaintext, ErrForeignHost and ErrClosed. Except with None, a 401 is
// always an error, never an answer.
func (p *Pool) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := p.admit(req); err != nil {
		closeBody(req)
		return nil, err
	}
	s, err := p.borrow(req.Context())
	if err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := p.Credentials().send(p, s, req)
	if err != nil {
		p.giveBack(s)
		return nil, err
	}
	resp.Request = req // the one that was sent carries credentials
	resp.Body = &lentBody{ReadCloser: resp.Body, giveBack: func() { p.giveBack(s) }}
	return resp, nil
}

// Credentials are those that are in use.
func (p *Pool) Credentials() Credentials {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.credentials
}

// SetCredentials has the account prove who it is by other credentials from now
// on. Refusals of those before are forgotten. Connections that were
// authenticated stay so.
func (p *Pool) SetCredentials(c Credentials) error {
	if c == nil {
		return wrongField("Credentials", "missing")
	}
	if err := c.validate(); err != nil {
		return fmt.Errorf("httpauth: account %q: in Credentials: %w", p.account, err)
	}
	p.mu.Lock()
	p.credentials = c
	p.mu.Unlock()
	p.gate.forget()
	return nil
}

// CloseIdleConnections closes the connections of all slots that are not lent.
func (p *Pool) CloseIdleConnections() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.slots {
		s.transport.CloseIdleConnections()
	}
}

// Close refuses further requests, those waiting for a slot included, and closes
// the connections: idle ones now, others when their answer's body is closed. It
// may be called more than once.
func (p *Pool) Close() error {
	p.mu.Lock()
	if !p.isClosed() {
		close(p.closed)
	}
	p.mu.Unlock()
	p.CloseIdleConnections()
	return nil
}

// Format prints the account's name only, so that no credentials are printed by accident.
func (p *Pool) Format(s fmt.State, _ rune) { _, _ = fmt.Fprintf(s, "httpauth.Pool(%s)", p.account) }

// admit applies the rules that need no connection.
func (p *Pool) admit(req *http.Request) error {
	if req.URL == nil || req.URL.Host == "" {
		return errors.New("httpauth: request without a host")
	}
	host := hostOf(req)
	switch {
	case p.Credentials().encrypted() && req.URL.Scheme != "https":
		return fmt.Errorf("%w: account %q, %s", ErrPlaintext, p.account, host)
	case p.Credentials() != None{} && !p.mayKnow(host):
		return fmt.Errorf("%w: account %q, %s", ErrForeignHost, p.account, host)
	}
	return p.gate.check(host)
}

// mayKnow reports whether the credentials may be shown to the host.
func (p *Pool) mayKnow(host string) bool {
	if p.hosts != nil {
		for _, pattern := range p.hosts {
			pattern = strings.ToLower(pattern)
			if suffix, ok := strings.CutPrefix(pattern, "*"); ok && strings.HasPrefix(suffix, ".") {
				if strings.HasSuffix(host, suffix) {
					return true
				}
			} else if host == pattern {
				return true
			}
		}
		return false
	}
	return !p.Credentials().onPremises() || !office365(host)
}

// office365 reports whether a host belongs to one of the clouds of Office 365.
// Microsoft CSS-Exchange, Get-CloudServiceEndpoint: their Exchange and
// Autodiscover end points.
func office365(host string) bool {
	for _, domain := range [...]string{
		"outlook.com", "office365.com", "office365.us", "partner.outlook.cn",
		"outlook.sovcloud.fr", "outlook.sovcloud.de",
	} {
		if host == domain || strings.HasSuffix(host, "."+domain) {
			return true
		}
	}
	return false
}

func hostOf(req *http.Request) string {
	return strings.TrimSuffix(strings.ToLower(req.URL.Hostname()), ".")
}

func (p *Pool) borrow(ctx context.Context) (*slot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if p.isClosed() {
		return nil, ErrClosed
	}
	select {
	case p.lent <- struct{}{}:
	case <-p.closed:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.slots) - 1
	s := p.slots[last]
	p.slots = p.slots[:last]
	return s, nil
}

func (p *Pool) giveBack(s *slot) {
	p.mu.Lock()
	p.slots = append(p.slots, s)
	if p.isClosed() {
		s.transport.CloseIdleConnections()
	}
	p.mu.Unlock()
	<-p.lent
}

func (p *Pool) isClosed() bool {
	select {
	case <-p.closed:
		return true
	default:
		return false
	}
}

// send sends the request as it is.
func (None) send(_ *Pool, s *slot, req *http.Request) (*http.Response, error) {
	return s.transport.RoundTrip(req)
}

// send sends the password along. A 401 is a verdict at once: each request is
// judged by what it carries, whatever its connection went through.
func (c Basic) send(p *Pool, s *slot, req *http.Request) (*http.Response, error) {
	t := p.gate.trial(hostOf(req))
	defer t.end()
	if err := t.begin(req.Context()); err != nil {
		closeBody(req)
		return nil, err
	}
	r := bare(req)
	r.SetBasicAuth(c.User, string(c.Password))
	resp, err := s.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusUnauthorized {
		return nil, refuse(t, resp)
	}
	if success(resp) {
		t.accepted()
	}
	return resp, nil
}

// refuse turns a 401 into a verdict.
func refuse(t *trial, resp *http.Response) error {
	_ = drain(resp) // only the connection is at stake
	return t.rejected(resp, schemes(parseChallenges(resp.Header.Values("WWW-Authenticate"))))
}

func success(resp *http.Response) bool { return resp.StatusCode/100 == 2 }
