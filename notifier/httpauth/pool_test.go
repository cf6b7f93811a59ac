package httpauth

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

func TestOptionsAreCheckedByName(t *testing.T) {
	for name, c := range map[string]struct {
		options Options
		field   string
	}{
		"no account":       {Options{Credentials: None{}}, "Account"},
		"no credentials":   {Options{Account: "a"}, "Credentials"},
		"no user":          {Options{Account: "a", Credentials: NTLM{Password: "x"}}, "User"},
		"no password":      {Options{Account: "a", Credentials: Basic{User: "x"}}, "Password"},
		"half a user":      {Options{Account: "a", Credentials: NTLM{User: `LAB\`, Password: "x"}}, "NTLM.User"},
		"colon in a user":  {Options{Account: "a", Credentials: Basic{User: "a:b", Password: "x"}}, "Basic.User"},
		"no tokens":        {Options{Account: "a", Credentials: Bearer{}}, "Bearer.Tokens"},
		"slots":            {Options{Account: "a", Credentials: None{}, SlotsMax: -1}, "SlotsMax"},
		"no verification":  {Options{Account: "a", Credentials: None{}, TLS: &tls.Config{InsecureSkipVerify: true}}, "InsecureSkipVerify"}, //nolint:gosec // that is the point
		"negative timeout": {Options{Account: "a", Credentials: None{}, HeaderTimeout: -1}, "HeaderTimeout"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewPool(c.options); err == nil || !strings.Contains(err.Error(), c.field) {
				t.Errorf("error %v, want one that names %s", err, c.field)
			}
		})
	}
}

func TestNoneSendsRequestsAsTheyAre(t *testing.T) {
	s := aliceServer().start(t)
	p := pool(t, Options{Credentials: None{}})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
	resp, err := p.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 401 || len(body) != iisPageSize {
		t.Errorf("status %d with %d bytes, want the server's own 401", resp.StatusCode, len(body))
	}
}

func basicServer(t *testing.T, tlsOn bool) (*httptest.Server, *atomic.Int32) {
	var requests atomic.Int32
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if user, password, ok := r.BasicAuth(); !ok || password != rightPassword {
			w.Header().Set("WWW-Authenticate", `Basic realm="mail"`)
			w.Header().Set("X-Ms-Diagnostics", `4000000;reason="test"`)
			w.WriteHeader(401)
		} else {
			w.Header().Set("X-User", user)
		}
	})
	s := httptest.NewUnstartedServer(h)
	if tlsOn {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s, &requests
}

func TestBasicIsSentUnaskedAndOnlyOverTLS(t *testing.T) {
	s, requests := basicServer(t, true)
	p := pool(t, Options{Credentials: Basic{User: `LAB\alice`, Password: rightPassword}, TLS: s.Client().Transport.(*http.Transport).TLSClientConfig})
	if user := mustPost(t, p, s.URL); user != `LAB\alice` || requests.Load() != 1 {
		t.Errorf("user %q after %d requests, want one", user, requests.Load())
	}

	plain, requests := basicServer(t, false)
	if _, err := post(t.Context(), p, plain.URL); !errors.Is(err, ErrPlaintext) || requests.Load() != 0 {
		t.Errorf("error %v after %d requests, want ErrPlaintext after none", err, requests.Load())
	}
}

func TestAWrongBasicPasswordIsOneTry(t *testing.T) {
	s, requests := basicServer(t, true)
	p := pool(t, Options{Credentials: Basic{User: "alice", Password: wrongPassword}, TLS: s.Client().Transport.(*http.Transport).TLSClientConfig})
	for range 2 {
		_, err := post(t.Context(), p, s.URL)
		var rejected *RejectedError
		if !errors.As(err, &rejected) || rejected.Diagnostics == "" {
			t.Fatalf("error %v, want a RejectedError with diagnostics", err)
		}
	}
	if requests.Load() != 1 {
		t.Errorf("%d requests, want 1", requests.Load())
	}
}

func TestCredentialsOfTheRequestAreReplaced(t *testing.T) {
	s, _ := basicServer(t, true)
	p := pool(t, Options{Credentials: Basic{User: "alice", Password: rightPassword}, TLS: s.Client().Transport.(*http.Transport).TLSClientConfig})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.Replace(s.URL, "https://", "https://eve:secret@", 1), nil)
	req.Header.Set("Authorization", "Basic ZXZlOnNlY3JldA==")
	resp, err := p.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if user := resp.Header.Get("X-User"); user != "alice" {
		t.Errorf("the server saw %q", user)
	}
	if got := resp.Request.Header.Get("Authorization"); got != "Basic ZXZlOnNlY3JldA==" {
		t.Error("the answer's request carries the account's credentials")
	}
}

func TestCredentialsGoOnlyToTheHostsTheyAreFor(t *testing.T) {
	tokens, err := NewTokenSource(TokenOptions{Tenant: "t", ClientID: "c", Secret: "s"})
	if err != nil {
		t.Fatal(err)
	}
	defer tokens.Close()
	for name, c := range map[string]struct {
		credentials Credentials
		hosts       []string
		url         string
		allowed     bool
	}{
		"NTLM at home":                  {alice("x"), nil, "https://mail.contoso.test/", true},
		"NTLM at Office 365":            {alice("x"), nil, "https://autodiscover-s.outlook.com/", false},
		"NTLM at Office 365, odd case":  {alice("x"), nil, "https://Outlook.OFFICE365.com.:443/", false},
		"Basic at Office 365":           {Basic{"u", "p"}, nil, "https://outlook.office365.us/", false},
		"a name that only looks like":   {alice("x"), nil, "https://notoutlook.com/", true},
		"a bearer token at Office 365":  {Bearer{tokens}, nil, "https://outlook.office365.com/", true},
		"listed":                        {alice("x"), []string{"mail.contoso.test"}, "https://MAIL.contoso.test:8443/", true},
		"below a listed name":           {alice("x"), []string{"*.contoso.test"}, "https://autodiscover.contoso.test/", true},
		"the listed name's parent":      {alice("x"), []string{"*.contoso.test"}, "https://contoso.test/", false},
		"not listed":                    {Bearer{tokens}, []string{"outlook.office365.com"}, "https://evil.test/", false},
		"nothing listed":                {alice("x"), []string{}, "https://mail.contoso.test/", false},
		"requests without credentials":  {None{}, []string{}, "https://mail.contoso.test/", true},
		"a bearer token without TLS":    {Bearer{tokens}, nil, "http://outlook.office365.com/", false},
		"Basic without TLS":             {Basic{"u", "p"}, nil, "http://mail.contoso.test/", false},
		"no host to speak of":           {alice("x"), nil, "https:///x", false},
		"suffix pattern without a dot ": {alice("x"), []string{"*contoso.test"}, "https://evilcontoso.test/", false},
	} {
		t.Run(name, func(t *testing.T) {
			p := pool(t, Options{
				Credentials: c.credentials, Hosts: c.hosts,
				Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("unreachable") },
			})
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.admit(req); (err == nil) != c.allowed {
				t.Errorf("error %v, allowed %v", err, c.allowed)
			}
		})
	}
}

func TestAClosedPoolRefusesAndWakesThoseWhoWait(t *testing.T) {
	s := aliceServer().start(t)
	p := pool(t, Options{Credentials: alice(rightPassword), SlotsMax: 1})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
	resp, err := p.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	outcome := make(chan error, 1)
	go func() {
		_, err := post(t.Context(), p, s.URL)
		outcome <- err
	}()
	if err := errors.Join(p.Close(), p.Close()); err != nil {
		t.Fatal(err)
	}
	if err := <-outcome; !errors.Is(err, ErrClosed) {
		t.Errorf("waiting ended with %v, want ErrClosed", err)
	}
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Errorf("the answer under way was cut: %v", err)
	}
	_ = resp.Body.Close()
	if _, err := post(t.Context(), p, s.URL); !errors.Is(err, ErrClosed) {
		t.Errorf("error %v, want ErrClosed", err)
	}
}

type closeCounter struct {
	io.Reader
	closed atomic.Int32
}

func (c *closeCounter) Close() error { c.closed.Add(1); return nil }

func TestTheRequestsBodyIsAlwaysClosed(t *testing.T) {
	s := aliceServer().start(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	closed := pool(t, Options{Credentials: alice(rightPassword)})
	_ = closed.Close()
	for name, c := range map[string]struct {
		pool *Pool
		ctx  context.Context
		url  string
	}{
		"answered":        {pool(t, Options{Credentials: alice(rightPassword)}), t.Context(), s.URL},
		"refused":         {pool(t, Options{Credentials: alice(wrongPassword)}), t.Context(), s.URL},
		"foreign host":    {pool(t, Options{Credentials: alice("x")}), t.Context(), "https://outlook.com/"},
		"context ended":   {pool(t, Options{Credentials: alice("x")}), ended, s.URL},
		"pool closed":     {closed, t.Context(), s.URL},
		"plaintext":       {pool(t, Options{Credentials: Basic{"u", "p"}}), t.Context(), s.URL},
		"no credentials":  {pool(t, Options{Credentials: None{}}), t.Context(), s.URL},
		"gate, then rest": {pool(t, Options{Credentials: alice(wrongPassword)}), t.Context(), s.URL},
	} {
		t.Run(name, func(t *testing.T) {
			body := &closeCounter{Reader: strings.NewReader("question")}
			req, _ := http.NewRequestWithContext(c.ctx, http.MethodPost, c.url, body)
			if resp, err := c.pool.RoundTrip(req); err == nil {
				_ = resp.Body.Close()
			}
			if body.closed.Load() == 0 {
				t.Error("left open")
			}
		})
	}
}

func TestARequestBodyThatCannotBeKeptIsRefused(t *testing.T) {
	s := aliceServer().start(t)
	p := pool(t, Options{Credentials: alice(rightPassword), SlotsMax: 1})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, io.LimitReader(endless{}, requestBodyMax+1))
	if _, err := p.RoundTrip(req); err == nil || !strings.Contains(err.Error(), "GetBody") {
		t.Errorf("error %v, want one that names GetBody", err)
	}
	mustPost(t, p, s.URL)
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestA401BodyWithoutEndCostsTheConnectionOnly(t *testing.T) {
	s := aliceServer()
	s.page = make([]byte, drainMax+1<<16)
	s.start(t)
	p := pool(t, Options{Credentials: alice(rightPassword), SlotsMax: 1})
	_, err := post(t.Context(), p, s.URL)
	var handshake *HandshakeError
	if !errors.As(err, &handshake) {
		t.Errorf("error %v, want a HandshakeError", err)
	}
	if err := p.gate.check("127.0.0.1"); err != nil {
		t.Errorf("the account rests: %v", err)
	}
}
