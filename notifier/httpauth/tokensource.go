package httpauth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
)

// TokenOptions is what a token source needs.
type TokenOptions struct {
	Tenant   string // directory: its ID or a domain of it
	ClientID string // application ID

	// One of the two proves that the caller is the application.
	Secret      Secret
	Certificate tls.Certificate // with an RSA key

	Authority string // https URL without the tenant; "": AuthorityDefault
	Scope     string // one resource and "/.default"; "": ScopeDefault

	// InstanceDiscovery asks login.microsoftonline.com whether the authority is one
	// of Microsoft's before it is used.
	InstanceDiscovery bool

	HTTPClient *http.Client  // nil: one of its own, with the system's authorities
	Timeout    time.Duration // for one token; 0: 30 s
	Logger     *slog.Logger  // nil: silent
}

// Token is an access token.
type Token struct {
	Value    Secret
	Received time.Time
	Expires  time.Time
	renewAt  time.Time
}

// usable reports whether the token still has a moment to live.
func (t *Token) usable(now time.Time) bool {
	return t != nil && now.Before(t.Expires.Add(-min(expiryMargin, t.Expires.Sub(t.Received)/10)))
}

// TokenSource gets tokens for an application by the client credentials grant,
// and keeps the current one. It is safe for concurrent use.
//
// Callers of Token share one request. A token that is due for renewal is renewed
// in the background while it is still used; no goroutine runs when nobody asks.
// Close waits for the one that may be running.
type TokenSource struct {
	name    string
	secret  Secret // to keep it out of what the authority says
	acquire func(context.Context) (confidential.AuthResult, error)
	release func()
	timeout time.Duration
	logger  *slog.Logger
	current atomic.Pointer[Token]

	mu       sync.Mutex
	closed   bool
	flight   *flight // nil: no request under way
	failures int
	failure  *TokenError // the latest; nil after a success
	running  sync.WaitGroup
}

// flight is one acquisition and those who wait for it.
type flight struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when token and err are set
	token  Token
	err    error
}

// NewTokenSource makes a token source. Nothing is sent before the first use.
func NewTokenSource(o TokenOptions) (*TokenSource, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("httpauth: tokens: %w", err)
	}
	credential, err := o.credential()
	if err != nil {
		return nil, fmt.Errorf("httpauth: tokens: %w", err)
	}
	client := newAuthorityClient(o.HTTPClient)
	application, err := confidential.New(strings.TrimSuffix(o.Authority, "/")+"/"+o.Tenant, o.ClientID, credential,
		confidential.WithHTTPClient(client),
		confidential.WithInstanceDiscovery(o.InstanceDiscovery),
		confidential.WithCache(noCache{}),
		confidential.WithAzureRegion("DisableMsalForceRegion"), // the environment has no say
	)
	if err != nil {
		return nil, fmt.Errorf("httpauth: tokens: Authority, Tenant or ClientID: %w", err)
	}
	return &TokenSource{
		name:   o.ClientID,
		secret: o.Secret,
		acquire: func(ctx context.Context) (confidential.AuthResult, error) {
			return application.AcquireTokenByCredential(ctx, []string{o.Scope})
		},
		release: client.release,
		timeout: o.Timeout,
		logger:  o.Logger,
	}, nil
}

func (o *TokenOptions) complete() error {
	if o.Authority == "" {
		o.Authority = AuthorityDefault
	}
	if o.Scope == "" {
		o.Scope = ScopeDefault
	}
	if o.Timeout == 0 {
		o.Timeout = tokenTimeoutDefault
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	authority, err := url.Parse(o.Authority)
	switch {
	case err != nil || authority.Scheme != "https" || authority.Host == "" || strings.Trim(authority.Path, "/") != "":
		return wrongField("Authority", "want an https URL without a path; the tenant has a field of its own")
	case o.Tenant == "" || strings.ContainsAny(o.Tenant, "/?#"):
		return wrongField("Tenant", "want the directory's ID or one of its domains")
	case o.ClientID == "":
		return wrongField("ClientID", "missing")
	case !strings.HasSuffix(o.Scope, "/.default") || strings.ContainsAny(o.Scope, " \t"):
		return wrongField("Scope", `want one resource followed by "/.default"`)
	case o.Timeout < 0:
		return wrongField("Timeout", "must not be negative")
	case (o.Secret == "") == (len(o.Certificate.Certificate) == 0):
		return wrongField("Secret, Certificate", "want one of the two")
	}
	return nil
}

func (o *TokenOptions) credential() (confidential.Credential, error) {
	if o.Secret != "" {
		return confidential.NewCredFromSecret(string(o.Secret))
	}
	var chain []*x509.Certificate
	for _, der := range o.Certificate.Certificate {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return confidential.Credential{}, wrongField("Certificate", err.Error())
		}
		chain = append(chain, cert)
	}
	credential, err := confidential.NewCredFromCert(chain, o.Certificate.PrivateKey)
	if err != nil {
		return credential, wrongField("Certificate", err.Error())
	}
	return credential, nil
}

// Token returns a token that is good for a request now. It waits for one, until
// ctx ends, if there is none. After a failure it fails at once until the time
// for another try has come; the error is a *TokenError.
func (s *TokenSource) Token(ctx context.Context) (Token, error) {
	t := s.current.Load()
	now := time.Now()
	if !t.usable(now) {
		return s.await(ctx, t)
	}
	if !now.Before(t.renewAt) {
		_, _ = s.start(t) // this caller needs no outcome; the log has it
	}
	return *t, nil
}

// Close ends the request that may be under way and waits for it. Token fails
// from then on. It may be called more than once.
func (s *TokenSource) Close() error {
	s.mu.Lock()
	s.closed = true
	if s.flight != nil {
		s.flight.cancel()
	}
	s.mu.Unlock()
	s.running.Wait()
	s.current.Store(nil)
	s.release()
	return nil
}

// Format prints the application's ID only, so that no secret is printed by accident.
func (s *TokenSource) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "httpauth.TokenSource(%s)", s.name)
}

// renew returns another token than old, which a server refused, or old itself if
// that is too young for the refusal to be about its age.
func (s *TokenSource) renew(ctx context.Context, old Token) (Token, error) {
	now := time.Now()
	if t := s.current.Load(); t.usable(now) && t.Value != old.Value {
		return *t, nil
	}
	if now.Sub(old.Received) < forcedRenewalAge {
		return old, nil
	}
	return s.await(ctx, &old)
}

// await waits for a token other than old.
func (s *TokenSource) await(ctx context.Context, old *Token) (Token, error) {
	f, err := s.start(old)
	if err != nil {
		return Token{}, err
	}
	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		return Token{}, ctx.Err()
	}
}

// start returns the acquisition that is under way, and starts one if there is
// none and old has not been replaced in the meantime.
func (s *TokenSource) start(old *Token) (*flight, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if s.flight != nil {
		return s.flight, nil
	}
	now := time.Now()
	if t := s.current.Load(); t.usable(now) && (old == nil || t.Value != old.Value) {
		f := &flight{done: make(chan struct{}), token: *t}
		close(f.done)
		return f, nil
	}
	if s.failure != nil && now.Before(s.failure.NextTry) {
		return nil, s.failure
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	f := &flight{cancel: cancel, done: make(chan struct{})}
	s.flight = f
	s.running.Go(func() { s.fly(ctx, f) })
	return f, nil
}

func (s *TokenSource) fly(ctx context.Context, f *flight) {
	defer f.cancel()
	received := time.Now() // before the request: never believe in a longer life
	result, err := s.acquire(ctx)
	if err == nil && !result.ExpiresOn.After(received) {
		err = errExpired
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight = nil
	if err != nil {
		s.failures++
		s.failure = s.explain(err)
		f.err = s.failure
		if s.closed {
			f.err = ErrClosed
		} else {
			s.logger.Warn("no token", "application", s.name, "error", s.failure, "next_try", s.failure.NextTry)
		}
	} else {
		s.failures, s.failure = 0, nil
		f.token = Token{
			Value:    Secret(result.AccessToken),
			Received: received,
			Expires:  result.ExpiresOn,
			renewAt:  renewalTime(received, result.ExpiresOn, result.Metadata.RefreshOn),
		}
		s.current.Store(&f.token)
	}
	close(f.done)
}

var errExpired = errors.New("the token has expired already; check the clock")

// renewalTime is the earlier of the time the authority asks for and ten minutes
// before the end; without such a wish never in the first half of a token's life.
// Some jitter keeps several instances from renewing together.
func renewalTime(received, expires, refresh time.Time) time.Time {
	at := expires.Add(-renewBefore)
	if half := received.Add(expires.Sub(received) / 2); at.Before(half) {
		at = half
	}
	if !refresh.IsZero() && refresh.Before(at) {
		at = refresh
	}
	if spread := min(renewJitter, at.Sub(received)/4); spread > 0 {
		at = at.Add(-rand.N(spread))
	}
	return at
}
