package httpauth

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"github.com/golang-jwt/jwt/v5"
)

const clientSecret = "a~very~secret/value+of=the.app"

// authority is a token endpoint: it answers what answer says, and counts.
type authority struct {
	*httptest.Server
	requests  atomic.Int32 // to the token endpoint
	discovery atomic.Int32
	stray     atomic.Int32 // to anywhere else
	form      atomic.Pointer[url.Values]
	answer    func(n int, w http.ResponseWriter)
}

func newAuthority(t *testing.T, answer func(n int, w http.ResponseWriter)) *authority {
	a := &authority{answer: answer}
	a.Server = httptest.NewTLSServer(a)
	t.Cleanup(a.Close)
	return a
}

func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch {
	case strings.HasSuffix(r.URL.Path, "/v2.0/.well-known/openid-configuration"):
		a.discovery.Add(1)
		tenant := strings.Split(r.URL.Path, "/")[1]
		_ = json.NewEncoder(w).Encode(map[string]string{
			"issuer":                 a.URL + "/" + tenant + "/v2.0",
			"authorization_endpoint": a.URL + "/" + tenant + "/oauth2/v2.0/authorize",
			"token_endpoint":         a.URL + "/" + tenant + "/oauth2/v2.0/token",
		})
	case strings.HasSuffix(r.URL.Path, "/oauth2/v2.0/token"):
		_ = r.ParseForm()
		a.form.Store(&r.PostForm)
		a.answer(int(a.requests.Add(1)), w)
	default:
		a.stray.Add(1)
		http.Error(w, "no", http.StatusNotFound)
	}
}

func grant(w http.ResponseWriter, token string, expiresIn int) {
	_, _ = fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":%d,"ext_expires_in":%d,"access_token":%q}`, expiresIn, expiresIn, token)
}

func deny(w http.ResponseWriter, status int, code, description string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": code, "error_description": description, "error_codes": []int{7000215}})
}

func (a *authority) source(t *testing.T, change func(*TokenOptions)) *TokenSource {
	t.Helper()
	o := TokenOptions{
		Tenant: "contoso.test", ClientID: "11111111-2222-3333-4444-555555555555", Secret: clientSecret,
		Authority: a.URL, HTTPClient: a.Client(),
	}
	if change != nil {
		change(&o)
	}
	s, err := NewTokenSource(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestFiftyCallersWithoutATokenAreOneRequest(t *testing.T) {
	a := newAuthority(t, func(n int, w http.ResponseWriter) { grant(w, fmt.Sprintf("token-%d", n), 3599) })
	s := a.source(t, nil)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			token, err := s.Token(t.Context())
			if err != nil || token.Value != "token-1" {
				t.Errorf("token %s, error %v", string(token.Value), err)
			}
		})
	}
	wg.Wait()
	if a.requests.Load() != 1 || a.discovery.Load() != 1 {
		t.Errorf("%d token requests, %d discoveries, want one each", a.requests.Load(), a.discovery.Load())
	}
	form := *a.form.Load()
	for field, want := range map[string]string{
		"grant_type": "client_credentials", "client_id": "11111111-2222-3333-4444-555555555555", "client_secret": clientSecret,
	} {
		if got := form.Get(field); got != want {
			t.Errorf("%s is %q", field, got)
		}
	}
	if !strings.Contains(form.Get("scope"), ScopeDefault) {
		t.Errorf("scope is %q", form.Get("scope"))
	}
}

func TestACertificateSignsTheAssertion(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "app"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	a := newAuthority(t, func(_ int, w http.ResponseWriter) { grant(w, "token", 3599) })
	s := a.source(t, func(o *TokenOptions) {
		o.Secret = ""
		o.Certificate = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	})
	if _, err := s.Token(t.Context()); err != nil {
		t.Fatal(err)
	}
	form := *a.form.Load()
	assertion, err := jwt.Parse(form.Get("client_assertion"), func(*jwt.Token) (any, error) { return key.Public(), nil },
		jwt.WithValidMethods([]string{"PS256"}), jwt.WithAudience(a.URL+"/contoso.test/oauth2/v2.0/token"),
		jwt.WithSubject("11111111-2222-3333-4444-555555555555"), jwt.WithExpirationRequired())
	if err != nil || !assertion.Valid {
		t.Errorf("assertion: %v", err)
	}
	if form.Has("client_secret") {
		t.Error("a secret was sent beside the assertion")
	}
}

func TestErrorsOfTheAuthorityAreTypesWithoutSecrets(t *testing.T) {
	for name, c := range map[string]struct {
		answer    func(int, http.ResponseWriter)
		code      string
		aadsts    string
		permanent bool
		wait      [2]time.Duration
	}{
		"wrong secret": {
			func(_ int, w http.ResponseWriter) {
				deny(w, 401, "invalid_client", "AADSTS7000215: Invalid client secret provided: "+clientSecret+" or "+url.QueryEscape(clientSecret)+
					". Trace ID: 0000 Correlation ID: 1111 Timestamp: 2026-11-24 10:00:00Z")
			},
			"invalid_client", "AADSTS7000215", true,
			[2]time.Duration{9 * time.Minute, 10 * time.Minute},
		},
		"unknown application": {
			func(_ int, w http.ResponseWriter) { deny(w, 400, "unauthorized_client", "AADSTS700016: no such app") },
			"unauthorized_client", "AADSTS700016", true,
			[2]time.Duration{9 * time.Minute, 10 * time.Minute},
		},
		"throttled": {
			func(_ int, w http.ResponseWriter) {
				w.Header().Set("Retry-After", "17")
				deny(w, 429, "temporarily_unavailable", "AADSTS90033: busy")
			},
			"temporarily_unavailable", "AADSTS90033", false,
			[2]time.Duration{16 * time.Second, 17 * time.Second},
		},
		"throttled with a misleading code": {
			func(_ int, w http.ResponseWriter) { deny(w, 429, "invalid_request", "AADSTS90033: busy") },
			"invalid_request", "AADSTS90033", false,
			[2]time.Duration{0, 2 * time.Second},
		},
		"unavailable, no JSON": {
			func(_ int, w http.ResponseWriter) { w.WriteHeader(503); _, _ = io.WriteString(w, "<html>") },
			"", "", false,
			[2]time.Duration{0, 2 * time.Second},
		},
		"200 that is no token": {
			func(_ int, w http.ResponseWriter) {
				_, _ = io.WriteString(w, `{"access_token":"eyJ-a-stray-token", "token_type":`)
			},
			"", "", false,
			[2]time.Duration{0, 2 * time.Second},
		},
		"a redirect": {
			func(_ int, w http.ResponseWriter) { w.Header().Set("Location", "/elsewhere"); w.WriteHeader(307) },
			"", "", false,
			[2]time.Duration{0, 2 * time.Second},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			a := newAuthority(t, c.answer)
			s := a.source(t, func(o *TokenOptions) { o.Logger = slog.New(slog.NewJSONHandler(&log, nil)) })
			_, err := s.Token(t.Context())
			var failure *TokenError
			if !errors.As(err, &failure) {
				t.Fatalf("error %v, want a TokenError", err)
			}
			if failure.Code != c.code || failure.AADSTS != c.aadsts || failure.Permanent != c.permanent {
				t.Errorf("%+v", *failure)
			}
			if wait := time.Until(failure.NextTry); wait < c.wait[0] || wait > c.wait[1] {
				t.Errorf("next try in %v, want %v", wait, c.wait)
			}
			for _, text := range []string{err.Error(), fmt.Sprintf("%+v %#v", err, *failure), log.String()} {
				for _, leak := range []string{clientSecret, url.QueryEscape(clientSecret), "stray-token", "Trace ID"} {
					if strings.Contains(text, leak) {
						t.Errorf("%q leaks in %s", leak, text)
					}
				}
			}
			if a.stray.Load() != 0 {
				t.Error("the request was sent on to somewhere else")
			}
			if _, err := s.Token(t.Context()); !errors.As(err, &failure) || a.requests.Load() != 1 {
				t.Errorf("error %v after %d requests, want the same after one", err, a.requests.Load())
			}
		})
	}
}

func TestAnUnreachableAuthoritySaysSo(t *testing.T) {
	a := newAuthority(t, nil)
	client := a.Client()
	a.Close()
	s := a.source(t, func(o *TokenOptions) { o.HTTPClient = client })
	_, err := s.Token(t.Context())
	var failure *TokenError
	if !errors.As(err, &failure) || failure.Err == nil || failure.Permanent {
		t.Errorf("error %v, want a transient TokenError with its cause", err)
	}
}

func TestTokenOptionsAreCheckedByName(t *testing.T) {
	base := TokenOptions{Tenant: "t", ClientID: "c", Secret: "s"}
	for field, change := range map[string]func(*TokenOptions){
		"Tenant":              func(o *TokenOptions) { o.Tenant = "" },
		"ClientID":            func(o *TokenOptions) { o.ClientID = "" },
		"Secret, Certificate": func(o *TokenOptions) { o.Secret = "" },
		"Authority":           func(o *TokenOptions) { o.Authority = "http://login.microsoftonline.com" },
		"the tenant has a":    func(o *TokenOptions) { o.Authority = "https://login.microsoftonline.com/tenant" },
		"Scope":               func(o *TokenOptions) { o.Scope = "https://outlook.office365.com/.default offline_access" },
		"Certificate:": func(o *TokenOptions) {
			o.Secret, o.Certificate = "", tls.Certificate{Certificate: [][]byte{{1}}}
		},
	} {
		o := base
		change(&o)
		if _, err := NewTokenSource(o); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("error %v, want one that names %s", err, field)
		}
	}
}

// bench is a token source whose authority is a function, for virtual time.
type bench struct {
	*TokenSource
	requests int
	fail     error
	life     time.Duration
	refresh  time.Duration // 0: the authority does not say
	slow     time.Duration
}

func newBench() *bench {
	b := &bench{life: time.Hour}
	b.TokenSource = &TokenSource{
		name: "app", timeout: tokenTimeoutDefault, release: func() {}, logger: slog.New(slog.DiscardHandler),
		acquire: func(ctx context.Context) (confidential.AuthResult, error) {
			b.requests++
			if b.slow > 0 {
				select {
				case <-time.After(b.slow):
				case <-ctx.Done():
					return confidential.AuthResult{}, ctx.Err()
				}
			}
			if b.fail != nil {
				return confidential.AuthResult{}, b.fail
			}
			r := confidential.AuthResult{AccessToken: fmt.Sprintf("token-%d", b.requests), ExpiresOn: time.Now().Add(b.life)}
			if b.refresh > 0 {
				r.Metadata.RefreshOn = time.Now().Add(b.refresh)
			}
			return r, nil
		},
	}
	return b
}

func (b *bench) want(t *testing.T, token string, requests int) {
	t.Helper()
	got, err := b.Token(t.Context())
	synctest.Wait()
	if err != nil || string(got.Value) != token || b.requests != requests {
		t.Fatalf("token %s, error %v, %d requests; want %s after %d", string(got.Value), err, b.requests, token, requests)
	}
}

func TestATokenIsRenewedInTheBackgroundOfAUse(t *testing.T) {
	for name, c := range map[string]struct {
		life, refresh   time.Duration
		notBefore, from time.Duration
	}{
		"ten minutes before its end":   {time.Hour, 0, 48 * time.Minute, 50 * time.Minute},
		"when the authority asks":      {24 * time.Hour, 12 * time.Hour, 12*time.Hour - 2*time.Minute, 12 * time.Hour},
		"in the second half at most":   {290 * time.Second, 0, 100 * time.Second, 145 * time.Second},
		"early, if the authority asks": {time.Hour, 10 * time.Minute, 7 * time.Minute, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench()
				b.life, b.refresh = c.life, c.refresh
				b.want(t, "token-1", 1)
				time.Sleep(c.notBefore)
				b.want(t, "token-1", 1)
				time.Sleep(c.from - c.notBefore)
				b.want(t, "token-1", 2) // the caller is served at once
				b.want(t, "token-2", 2)
				_ = b.Close()
			})
		})
	}
}

func TestAnOldTokenServesWhileRenewalFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.want(t, "token-1", 1)
		time.Sleep(50 * time.Minute)
		b.fail = errors.New("down")
		b.want(t, "token-1", 2)
		b.want(t, "token-1", 2) // not again at once
		time.Sleep(9*time.Minute + 40*time.Second)
		_, err := b.Token(t.Context())
		var failure *TokenError
		if !errors.As(err, &failure) {
			t.Errorf("a token at its end was used; error %v", err)
		}
		b.fail = nil
		time.Sleep(tokenRetryMax)
		b.want(t, "token-4", 4)
		_ = b.Close()
	})
}

func TestFailuresBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.fail = errors.New("down")
		start := time.Now()
		for time.Since(start) < time.Hour {
			_, _ = b.Token(t.Context())
			time.Sleep(100 * time.Millisecond)
		}
		if b.requests < 12 || b.requests > 40 {
			t.Errorf("%d requests in an hour of failure", b.requests)
		}
		_ = b.Close()
	})
}

func TestAWaitingCallersContextIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.slow = 10 * time.Second
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.Token(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the deadline", err)
		}
		b.want(t, "token-1", 1) // the request went on for the others
		_ = b.Close()
	})
}

func TestCloseEndsTheRequestUnderWayAndWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.slow = time.Minute
		outcome := make(chan error, 1)
		go func() {
			_, err := b.Token(t.Context())
			outcome <- err
		}()
		synctest.Wait()
		start := time.Now()
		_ = b.Close()
		if err := <-outcome; !errors.Is(err, ErrClosed) || time.Since(start) != 0 {
			t.Errorf("error %v after %v, want ErrClosed at once", err, time.Since(start))
		}
		if _, err := b.Token(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("error %v, want ErrClosed", err)
		}
		_ = b.Close()
	})
}

func TestOnlyAnOldTokenIsRenewedBecauseOfA401(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		first, _ := b.Token(t.Context())
		if same, err := b.renew(t.Context(), first); err != nil || same.Value != first.Value || b.requests != 1 {
			t.Errorf("a new token was renewed: %v, %d requests", err, b.requests)
		}
		time.Sleep(forcedRenewalAge)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if second, err := b.renew(t.Context(), first); err != nil || second.Value != "token-2" {
					t.Errorf("%s, %v", string(second.Value), err)
				}
			})
		}
		wg.Wait()
		if b.requests != 2 {
			t.Errorf("%d requests, want one renewal", b.requests)
		}
		_ = b.Close()
	})
}

// answering is a pool, in virtual time, whose requests a function answers instead
// of a network.
func answering(t *testing.T, b *bench, ews http.HandlerFunc) *Pool {
	t.Helper()
	p := pool(t, Options{Account: "app", Credentials: Bearer{b.TokenSource}, SlotsMax: 1})
	p.slots[0].transport.RegisterProtocol("https", answer(ews))
	return p
}

type answer http.HandlerFunc

func (f answer) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	f(w, r)
	return w.Result(), nil
}

func unauthorized(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", `Bearer client_id="x", error="invalid_token"`)
	w.WriteHeader(http.StatusUnauthorized)
}

const ewsURL = "https://outlook.office365.com/EWS/Exchange.asmx"

func TestAServerInTroubleThatRefusesANewTokenIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trouble := 0
		b := newBench()
		defer b.Close()
		p := answering(t, b, func(w http.ResponseWriter, _ *http.Request) {
			if trouble--; trouble >= 0 {
				unauthorized(w)
			}
		})
		trouble = 1 // a host that never took a token has one chance
		if _, err := post(t.Context(), p, ewsURL); err == nil {
			t.Error("an account that nobody knows is tried again and again")
		}
		time.Sleep(gateStep(1))
		mustPost(t, p, ewsURL)
		trouble = bearerTries // the token of before, and all but one showing of a new one
		began := time.Now()
		mustPost(t, p, ewsURL)
		if took := time.Since(began); took != (bearerTries-1)*bearerPause || b.requests != 2 {
			t.Errorf("it took %v, and %d tokens were asked for", took, b.requests)
		}
	})
}

func TestARevokedTokenIsReplacedAndTheRequestRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		valid, refused := "token-1", 0
		b := newBench()
		defer b.Close()
		p := answering(t, b, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if r.Header.Get("Authorization") != "Bearer "+valid || string(body) != "question" {
				refused++
				unauthorized(w)
			}
		})
		mustPost(t, p, ewsURL)

		valid = "token-2"
		time.Sleep(forcedRenewalAge)
		mustPost(t, p, ewsURL)
		if refused != 1 || b.requests != 2 {
			t.Errorf("%d refusals, %d token requests; want one refusal and one renewal", refused, b.requests)
		}

		valid = "none"
		var rejected *RejectedError
		if _, err := post(t.Context(), p, ewsURL); !errors.As(err, &rejected) || b.requests != 2 {
			t.Errorf("error %v after %d token requests; want a RejectedError without renewal", err, b.requests)
		}
		if strings.Contains(rejected.Error(), "token-2") {
			t.Error("the token is in the error")
		}
	})
}
