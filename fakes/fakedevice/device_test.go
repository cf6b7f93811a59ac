package fakedevice

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"mailbell/fakes/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service stands in for the registration service: it notes what it is asked and
// answers as it is told.
type service struct {
	status int
	body   string
	seen   func() // called during a request

	method, path, query string
	header              http.Header
	sent                string
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	s.method, s.path, s.query, s.header, s.sent = r.Method, r.URL.Path, r.URL.RawQuery, r.Header, string(b)
	if s.seen != nil {
		s.seen()
	}
	if s.status >= 400 {
		w.Header().Set("Content-Type", "application/problem+json")
	}
	w.WriteHeader(s.status)
	_, _ = io.WriteString(w, s.body)
}

// phone is a device with an iPhone's address at a service.
func phone(t *testing.T, s *service) (*Device, *journal.Journal) {
	t.Helper()
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	a, err := NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	j := journal.New()
	return &Device{
		ID: "ada-iphone-1", Mailbox: "Ada@contoso.test", Locale: "ja-JP", APNs: &APNs{Token: "a1b2", Topic: "test.contoso.mail", Environment: "production"},
		Service: srv.URL, Client: srv.Client(), Authority: a, Journal: j,
	}, j
}

func TestRegisteringSendsTheAddressAndACredential(t *testing.T) {
	for name, c := range map[string]struct {
		change func(d *Device)
		want   string
	}{
		"an iPhone": {func(*Device) {}, `{"platform":"ios","mailbox":"Ada@contoso.test","locale":"ja-JP","apns":{"token":"a1b2","topic":"test.contoso.mail","environment":"production"}}`},
		"a Windows device": {func(d *Device) {
			d.APNs, d.WNS = nil, &WNS{Channel: "https://bn1.notify.windows.com/?token=A%2f", App: "mail"}
		}, `{"platform":"windows","mailbox":"Ada@contoso.test","locale":"ja-JP","wns":{"channel":"https://bn1.notify.windows.com/?token=A%2f","app":"mail"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := &service{status: 201, body: "{}"}
			d, _ := phone(t, s)
			c.change(d)
			if err := d.Register(t.Context()); err != nil {
				t.Fatal(err)
			}
			if s.method != "PUT" || s.path != "/v1/devices/ada-iphone-1" || s.header.Get("Content-Type") != "application/json" || s.sent != c.want {
				t.Errorf("%s %s %q\n%s\nwant\n%s", s.method, s.path, s.header.Get("Content-Type"), s.sent, c.want)
			}
			token, ok := strings.CutPrefix(s.header.Get("Authorization"), "Bearer ")
			if !ok {
				t.Fatal("no credential")
			}
			claims := verify(t, d.Authority, token)
			for k, want := range map[string]any{"aud": "mailbell", "sub": "ada-iphone-1", "mailbox": "Ada@contoso.test", "scope": "device"} {
				if claims[k] != want {
					t.Errorf("claim %s is %v, want %v", k, claims[k], want)
				}
			}
		})
	}
}

// verify reads a credential as a service does that knows the public key only.
func verify(t *testing.T, a *Authority, token string) jwt.MapClaims {
	t.Helper()
	block, rest := pem.Decode(a.PublicKeyPEM())
	if block == nil || block.Type != "PUBLIC KEY" || len(bytes.TrimSpace(rest)) != 0 {
		t.Fatalf("PEM: %s", a.PublicKeyPEM())
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.MapClaims{}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"EdDSA", "ES256"}), jwt.WithAudience("mailbell"), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
	if _, err := parser.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return public, nil }); err != nil {
		t.Fatal(err)
	}
	if iss, _ := claims.GetIssuer(); iss == "" {
		t.Error("no iss")
	}
	return claims
}

func TestBothKindsOfAuthorityMintWhatTheirKeyVerifies(t *testing.T) {
	for name, makeOne := range map[string]func() (*Authority, error){"EdDSA": NewAuthority, "ES256": NewES256Authority} {
		t.Run(name, func(t *testing.T) {
			a, err := makeOne()
			if err != nil {
				t.Fatal(err)
			}
			token, err := a.Mint(Claims{Device: "d", Mailbox: "ada@contoso.test", Scope: ScopeAdmin})
			if err != nil {
				t.Fatal(err)
			}
			if claims := verify(t, a, token); claims["scope"] != "admin" {
				t.Errorf("%v", claims)
			}
			parsed, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
			if err != nil || parsed.Header["alg"] != name {
				t.Errorf("%v, %v", parsed.Header, err)
			}
		})
	}
}

func TestACredentialEndsWhenItsLifeDoes(t *testing.T) {
	a, err := NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	for life, past := range map[time.Duration]bool{-time.Minute: true, 0: false, 10 * time.Minute: false} {
		token, err := a.Mint(Claims{Device: "d", Life: life})
		if err != nil {
			t.Fatal(err)
		}
		parsed, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
		if err != nil {
			t.Fatal(err)
		}
		exp, err := parsed.Claims.GetExpirationTime()
		if err != nil || exp.Before(time.Now()) != past {
			t.Errorf("life %v: expires %v, %v", life, exp, err)
		}
	}
}

func TestTheJournalKnowsBeforeTheRequestAndAfterTheAnswer(t *testing.T) {
	for _, c := range []struct {
		name, before, after string
		do                  func(t *testing.T, d *Device) error
		method              string
		status              int
	}{
		{"register", "register", "registered", func(t *testing.T, d *Device) error { return d.Register(t.Context()) }, "PUT", 201},
		{"wipe", "wipe", "wiped", func(t *testing.T, d *Device) error { return d.Wipe(t.Context()) }, "DELETE", 204},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &service{status: c.status}
			d, j := phone(t, s)
			during := -1
			s.seen = func() { during = len(j.After(0)) }
			if err := c.do(t, d); err != nil {
				t.Fatal(err)
			}
			list := j.After(0)
			if s.method != c.method || during != 1 || len(list) != 2 || list[0].Kind != c.before || list[0].Status != 0 || list[1].Kind != c.after || list[1].Status != c.status {
				t.Fatalf("%s, %d entries during the request, then %+v", s.method, during, list)
			}
			for _, e := range list {
				if e.Server != "device" || e.Device != d.ID || e.Mailbox != "ada@contoso.test" || e.Detail["platform"] != "ios" || e.Detail["address"] != "a1b2" {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}

func TestARefusalIsAnErrorWithItsFields(t *testing.T) {
	s := &service{status: 400, body: `{"type":"urn:mailbell:problem:invalid-registration","title":"The registration is not valid","status":400,"detail":"see errors","errors":[{"field":"apns.token","detail":"want hex"}]}`}
	d, j := phone(t, s)
	var refusal *Error
	if err := d.Register(t.Context()); !errors.As(err, &refusal) {
		t.Fatal(err)
	}
	if refusal.Status != 400 || refusal.Type != "urn:mailbell:problem:invalid-registration" || len(refusal.Errors) != 1 || refusal.Errors[0].Field != "apns.token" {
		t.Errorf("%+v", refusal)
	}
	if list := j.After(0); len(list) != 2 || list[1].Status != 400 {
		t.Errorf("journal %+v", list)
	}
}

func TestARefusalThatIsNoProblemDocumentKeepsItsStatus(t *testing.T) {
	s := &service{status: 502, body: "<html>"}
	d, _ := phone(t, s)
	var refusal *Error
	if err := d.Register(t.Context()); !errors.As(err, &refusal) || refusal.Status != 502 {
		t.Errorf("%v", err)
	}
}

func TestWithoutAnAnswerNothingIsGranted(t *testing.T) {
	s := &service{status: 201}
	d, j := phone(t, s)
	s.seen = func() { panic(http.ErrAbortHandler) }
	if err := d.Register(t.Context()); err == nil {
		t.Fatal("registered without an answer")
	}
	if list := j.After(0); len(list) != 2 || list[1].Kind != "registered" || list[1].Status != 0 {
		t.Errorf("journal %+v", list)
	}
}

func TestACredentialForAnotherMailboxCanBeClaimed(t *testing.T) {
	s := &service{status: 403, body: "{}"}
	d, _ := phone(t, s)
	d.ClaimedMailbox = "eve@contoso.test"
	_ = d.Register(t.Context()) // refused
	claims := verify(t, d.Authority, strings.TrimPrefix(s.header.Get("Authorization"), "Bearer "))
	if claims["mailbox"] != "eve@contoso.test" || !strings.Contains(s.sent, `"Ada@contoso.test"`) {
		t.Errorf("%v, %s", claims, s.sent)
	}
}

func TestTheServiceIsAskedWhatBecameOfMails(t *testing.T) {
	at := time.Date(2026, 11, 24, 9, 30, 0, 0, time.UTC)
	body, _ := json.Marshal(map[string]any{"notifications": []Outcome{{Notification: "n", Push: "p", Mailbox: "ada@contoso.test", Item: "AAMk", Verdict: "Drop", Reason: "quiet", Status: 200, At: at}}})
	s := &service{status: 200, body: string(body)}
	d, j := phone(t, s)
	list, err := d.Notifications(t.Context())
	if err != nil || len(list) != 1 || list[0].Item != "AAMk" || list[0].Verdict != "Drop" || !list[0].At.Equal(at) {
		t.Errorf("%+v, %v", list, err)
	}
	if s.method != "GET" || s.path != "/v1/devices/ada-iphone-1/notifications" || j.Last() != 0 {
		t.Errorf("%s %s, %d journal entries", s.method, s.path, j.Last())
	}
}

func TestADeviceKnowsWhetherItIsRegistered(t *testing.T) {
	for status, want := range map[int]bool{200: true, 404: false} {
		d, _ := phone(t, &service{status: status, body: "{}"})
		if got, err := d.Registered(t.Context()); err != nil || got != want {
			t.Errorf("%d: %v, %v", status, got, err)
		}
	}
	d, _ := phone(t, &service{status: 503, body: "{}"})
	if _, err := d.Registered(t.Context()); err == nil {
		t.Error("503 is no answer")
	}
}
