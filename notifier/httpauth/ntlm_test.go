package httpauth

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const wrongPassword, rightPassword = "not-the-one", "correct horse пароль"

func pool(t *testing.T, o Options) *Pool {
	t.Helper()
	if o.Account == "" {
		o.Account = "alice"
	}
	p, err := NewPool(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func alice(password string) NTLM { return NTLM{User: `LAB\alice`, Password: Secret(password)} }

func aliceServer() *ntlmServer { return newNTLMServer(map[string]string{"alice": rightPassword}) }

// post sends a request whose body cannot be rewound and returns the user the
// server saw.
func post(ctx context.Context, p *Pool, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, io.MultiReader(strings.NewReader("question")))
	if err != nil {
		return "", err
	}
	resp, err := p.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d", resp.StatusCode)
	}
	return resp.Header.Get("X-User"), nil
}

func mustPost(t *testing.T, p *Pool, url string) string {
	t.Helper()
	user, err := post(t.Context(), p, url)
	if err != nil {
		t.Fatal(err)
	}
	return user
}

func TestAnAccountNeverRidesOnAnothersConnection(t *testing.T) {
	s := newNTLMServer(map[string]string{"alice": rightPassword, "mallory": "something else"}).start(t)
	first := pool(t, Options{Account: "alice", Credentials: alice(rightPassword)})
	second := pool(t, Options{Account: "mallory", Credentials: NTLM{User: `LAB\mallory`, Password: wrongPassword}})

	for range 3 {
		if user := mustPost(t, first, s.URL); user != "alice" {
			t.Fatalf("the server saw %q", user)
		}
	}
	user, err := post(t.Context(), second, s.URL)
	var rejected *RejectedError
	if !errors.As(err, &rejected) {
		t.Fatalf("a wrong password was answered as %q, error %v", user, err)
	}
	if rejected.Account != "mallory" || rejected.Host != "127.0.0.1" {
		t.Errorf("the error blames %q at %q", rejected.Account, rejected.Host)
	}
	if user := mustPost(t, first, s.URL); user != "alice" {
		t.Errorf("afterwards the server saw %q", user)
	}
}

func TestConcurrentRequestsShareAPoolWithoutA401(t *testing.T) {
	const callers, each, slots = 32, 30, 8
	s := aliceServer()
	var met sync.WaitGroup // of as many requests as there are slots, after one alone
	var asked atomic.Int32
	met.Add(slots)
	s.handler = func(http.ResponseWriter, *http.Request) {
		if n := asked.Add(1); n > 1 && n <= slots+1 {
			met.Done()
			met.Wait()
		}
	}
	s.start(t)
	p := pool(t, Options{Credentials: alice(rightPassword), SlotsMax: slots})
	mustPost(t, p, s.URL)

	var failed atomic.Int32
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				if user, err := post(t.Context(), p, s.URL); err != nil || user != "alice" {
					failed.Add(1)
					t.Errorf("user %q, error %v", user, err)
					return
				}
			}
		})
	}
	wg.Wait()
	opened, handshakes := s.opened.Load(), s.handshakes.Load()
	if failed.Load() != 0 || s.wrong.Load() != 0 {
		t.Errorf("%d requests failed, %d passwords refused", failed.Load(), s.wrong.Load())
	}
	if opened > slots || handshakes != opened {
		t.Errorf("%d connections and %d handshakes with %d slots", opened, handshakes, slots)
	}
	if want := int32(callers*each) + 1 + 2*handshakes; s.requests.Load() != want {
		t.Errorf("%d requests reached the server, want %d: two more for each handshake", s.requests.Load(), want)
	}
}

func TestAnEmpty401BodyIsAsGoodAsAPage(t *testing.T) {
	s := aliceServer()
	s.page = nil
	s.start(t)
	p := pool(t, Options{Credentials: alice(rightPassword), SlotsMax: 1})
	if user := mustPost(t, p, s.URL); user != "alice" {
		t.Errorf("the server saw %q", user)
	}
	if s.opened.Load() != 1 {
		t.Errorf("%d connections for one handshake", s.opened.Load())
	}
}

func TestUserFormsAreAllUnderstood(t *testing.T) {
	for _, user := range []string{`LAB\alice`, "alice@lab.test", "alice", `lab\ALICE`} {
		t.Run(user, func(t *testing.T) {
			s := aliceServer().start(t)
			p := pool(t, Options{Credentials: NTLM{User: user, Password: rightPassword}})
			if got := mustPost(t, p, s.URL); got != "alice" {
				t.Errorf("the server saw %q", got)
			}
		})
	}
}

func TestOffersAreUnderstoodHoweverTheyAreWritten(t *testing.T) {
	for name, offers := range map[string][]string{
		"lines":                 {"Negotiate", "NTLM"},
		"lower case":            {"negotiate", "ntlm"},
		"one line":              {`Negotiate, NTLM, Basic realm="a, b"`},
		"Bearer first":          {`Bearer client_id="x", trusted_issuers="y@*"`, "NTLM"},
		"all on one line":       {`Bearer client_id="x", authorization_uri="https://login/",Basic Realm="",ntlm`},
		"Negotiate only":        {"Negotiate"},
		"Basic before the rest": {`Basic realm="mail"`, "NTLM"},
	} {
		t.Run(name, func(t *testing.T) {
			s := aliceServer()
			s.offers = offers
			s.start(t)
			p := pool(t, Options{Credentials: alice(rightPassword)})
			if got := mustPost(t, p, s.URL); got != "alice" {
				t.Errorf("the server saw %q", got)
			}
			if s.plain.Load() != 0 {
				t.Error("the password was sent in a Basic header")
			}
		})
	}
}

func TestAPasswordIsNotSentToAServerThatOffersBasicOnly(t *testing.T) {
	s := aliceServer()
	s.offers = []string{`Basic realm="mail"`}
	s.startTLS(t)
	p := pool(t, Options{Credentials: alice(rightPassword), TLS: trust(s)})
	_, err := post(t.Context(), p, s.URL)
	var handshake *HandshakeError
	if !errors.As(err, &handshake) || len(handshake.Offered) != 1 || handshake.Offered[0] != "Basic" {
		t.Errorf("error %v, want a HandshakeError that names Basic", err)
	}
	if s.plain.Load() != 0 || s.requests.Load() != 1 {
		t.Errorf("%d Basic headers in %d requests, want none in one", s.plain.Load(), s.requests.Load())
	}
}

func TestAWrongPasswordIsCheckedOnAFreshConnectionThenRests(t *testing.T) {
	s := aliceServer().start(t)
	p := pool(t, Options{Account: "svc", Credentials: alice(wrongPassword)})
	_, err := post(t.Context(), p, s.URL)
	var rejected *RejectedError
	if !errors.As(err, &rejected) {
		t.Fatalf("error %v, want a RejectedError", err)
	}
	if rejected.Gated || rejected.Status != 401 || rejected.Failures != 1 || len(rejected.Offered) != 2 {
		t.Errorf("first refusal: %+v", rejected)
	}
	if wait := time.Until(rejected.NextTry); wait < 55*time.Second || wait > time.Minute {
		t.Errorf("next try in %v, want a minute", wait)
	}
	if s.type3s.Load() != 2 || s.opened.Load() != 2 {
		t.Errorf("%d tries over %d connections, want two over two", s.type3s.Load(), s.opened.Load())
	}
	before := s.requests.Load()
	if _, err = post(t.Context(), p, s.URL); !errors.As(err, &rejected) || !rejected.Gated {
		t.Errorf("error %v, want the refusal again", err)
	}
	if s.requests.Load() != before {
		t.Error("a request was sent although the account rests")
	}
}

func TestManyCallersWithAWrongPasswordAreOneTry(t *testing.T) {
	s := aliceServer().start(t)
	p := pool(t, Options{Credentials: alice(wrongPassword), SlotsMax: 8})
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			var rejected *RejectedError
			if _, err := post(t.Context(), p, s.URL); !errors.As(err, &rejected) {
				t.Errorf("error %v, want a RejectedError", err)
			}
		})
	}
	wg.Wait()
	if s.wrong.Load() != 2 {
		t.Errorf("the directory counted %d wrong passwords, want 2: the try and its check", s.wrong.Load())
	}
}

func TestADeadConnectionIsNotAWrongPassword(t *testing.T) {
	cut := func(w http.ResponseWriter) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}
	t.Run("closed once at the proof, then well", func(t *testing.T) {
		s := aliceServer()
		s.onType3 = func(w http.ResponseWriter, n int) bool {
			if n == 1 {
				cut(w)
			}
			return n == 1
		}
		s.start(t)
		p := pool(t, Options{Credentials: alice(rightPassword)})
		if user := mustPost(t, p, s.URL); user != "alice" {
			t.Errorf("the server saw %q", user)
		}
	})
	t.Run("closed at every proof", func(t *testing.T) {
		s := aliceServer()
		s.onType3 = func(w http.ResponseWriter, _ int) bool { cut(w); return true }
		s.start(t)
		p := pool(t, Options{Credentials: alice(rightPassword)})
		for range 3 { // the account does not rest for it
			_, err := post(t.Context(), p, s.URL)
			var handshake *HandshakeError
			if !errors.As(err, &handshake) || handshake.Err == nil {
				t.Fatalf("error %v, want a HandshakeError with its cause", err)
			}
		}
		if s.type3s.Load() != 6 {
			t.Errorf("%d proofs sent, want two a request", s.type3s.Load())
		}
	})
	t.Run("torn between challenge and proof", func(t *testing.T) {
		s := aliceServer()
		s.torn = true
		s.start(t)
		p := pool(t, Options{Credentials: alice(rightPassword)})
		_, err := post(t.Context(), p, s.URL)
		var handshake *HandshakeError
		if !errors.As(err, &handshake) || !strings.Contains(handshake.Reason, "between challenge and answer") {
			t.Errorf("error %v, want a HandshakeError about the torn handshake", err)
		}
	})
	t.Run("closed once, then refused once, then well", func(t *testing.T) {
		s := aliceServer()
		s.onType3 = func(w http.ResponseWriter, n int) bool {
			switch n {
			case 1:
				cut(w)
			case 2:
				s.refuse(w)
			}
			return n <= 2
		}
		s.start(t)
		p := pool(t, Options{Credentials: alice(rightPassword)})
		if user := mustPost(t, p, s.URL); user != "alice" {
			t.Errorf("the server saw %q", user)
		}
	})
	t.Run("the first verdict came over a torn connection", func(t *testing.T) {
		s := aliceServer()
		s.onType3 = func(w http.ResponseWriter, n int) bool {
			if n == 1 {
				s.refuse(w)
			}
			return n == 1
		}
		s.start(t)
		p := pool(t, Options{Credentials: alice(rightPassword)})
		if user := mustPost(t, p, s.URL); user != "alice" {
			t.Errorf("the server saw %q", user)
		}
	})
}

func TestADeadlineInTheHandshakeIsADeadline(t *testing.T) {
	s := aliceServer()
	release := make(chan struct{})
	reached := make(chan struct{}, 1)
	s.onType3 = func(http.ResponseWriter, int) bool {
		select {
		case reached <- struct{}{}:
		default:
		}
		<-release
		return true
	}
	s.start(t)
	defer close(release)
	p := pool(t, Options{Credentials: alice(rightPassword)})
	for name, c := range map[string]struct {
		end  func() (context.Context, context.CancelFunc)
		want error
	}{
		"cancelled": {func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				<-reached
				cancel()
			}()
			return ctx, cancel
		}, context.Canceled},
		"expired": {func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(t.Context(), 100*time.Millisecond)
		}, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := c.end()
			defer cancel()
			_, err := post(ctx, p, s.URL)
			if handshake := (*HandshakeError)(nil); !errors.Is(err, c.want) || errors.As(err, &handshake) {
				t.Errorf("error %v, want %v alone", err, c.want)
			}
			if err := p.gate.check("127.0.0.1"); err != nil {
				t.Errorf("the account rests: %v", err)
			}
		})
	}
}

func TestAStalledProofTimesOutWithoutAVerdict(t *testing.T) {
	s := aliceServer()
	release := make(chan struct{})
	s.onType3 = func(http.ResponseWriter, int) bool { <-release; return true }
	s.start(t)
	defer close(release)
	p := pool(t, Options{Credentials: alice(rightPassword), HeaderTimeout: 50 * time.Millisecond})
	_, err := post(t.Context(), p, s.URL)
	var handshake *HandshakeError
	var timeout net.Error
	if !errors.As(err, &handshake) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("error %v, want a HandshakeError caused by a timeout", err)
	}
	if s.type3s.Load() != 1 {
		t.Errorf("%d proofs sent, want one: who waited once need not wait twice", s.type3s.Load())
	}
}

func TestAChallengeThatCannotBeAnsweredIsNoVerdict(t *testing.T) {
	for name, spoil := range map[string]func(*ntlmServer){
		"KEY_EXCH unasked": func(s *ntlmServer) { s.keyExch = true },
		"malformed":        func(s *ntlmServer) { s.badType2 = true },
	} {
		t.Run(name, func(t *testing.T) {
			s := aliceServer()
			spoil(s)
			s.start(t)
			p := pool(t, Options{Credentials: alice(rightPassword)})
			_, err := post(t.Context(), p, s.URL)
			var handshake *HandshakeError
			if !errors.As(err, &handshake) || !strings.Contains(handshake.Reason, "cannot be answered") {
				t.Errorf("error %v, want a HandshakeError about the challenge", err)
			}
			if s.type3s.Load() != 0 {
				t.Error("a proof was sent all the same")
			}
		})
	}
}

func TestTheAnswerIsBoundToTheServersCertificate(t *testing.T) {
	for name, cert := range map[string]*tls.Certificate{
		"the test server's own": nil,
		"signed with SHA-384":   selfSigned(t, x509.ECDSAWithSHA384),
	} {
		t.Run(name, func(t *testing.T) {
			s := aliceServer()
			s.needsBound = true
			if cert != nil {
				s.TLS = &tls.Config{Certificates: []tls.Certificate{*cert}}
			}
			s.startTLS(t)
			p := pool(t, Options{Credentials: alice(rightPassword), TLS: trust(s)})
			if user := mustPost(t, p, s.URL); user != "alice" {
				t.Errorf("the server saw %q", user)
			}
			if s.unbound.Load() != 0 {
				t.Error("an answer came without channel binding")
			}
		})
	}
	t.Run("not over plain HTTP", func(t *testing.T) {
		s := aliceServer().start(t) // it refuses a binding there
		mustPost(t, pool(t, Options{Credentials: alice(rightPassword)}), s.URL)
	})
}

func TestHTTP2IsNeverSpoken(t *testing.T) {
	s := aliceServer()
	s.EnableHTTP2 = true
	var protocol atomic.Value
	s.handler = func(_ http.ResponseWriter, r *http.Request) { protocol.Store(r.Proto) }
	s.startTLS(t)
	config := trust(s)
	config.NextProtos = []string{"h2"}
	p := pool(t, Options{Credentials: alice(rightPassword), TLS: config})
	mustPost(t, p, s.URL)
	if protocol.Load() != "HTTP/1.1" {
		t.Errorf("spoke %v", protocol.Load())
	}
}

func TestAStreamComesThroughChunkByChunkAndHoldsItsSlot(t *testing.T) {
	s := aliceServer()
	more := make(chan struct{})
	s.handler = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/stream" {
			return
		}
		for range 3 {
			_, _ = io.WriteString(w, "tick")
			_ = http.NewResponseController(w).Flush()
			<-more
		}
	}
	s.start(t)
	p := pool(t, Options{Credentials: alice(rightPassword), SlotsMax: 1})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/stream", strings.NewReader("x"))
	resp, err := p.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	chunk := make([]byte, 4)
	for range 3 {
		if _, err := io.ReadFull(resp.Body, chunk); err != nil || string(chunk) != "tick" {
			t.Fatalf("%q, %v", chunk, err)
		}
		more <- struct{}{}
	}

	waiting, cancel := context.WithCancel(t.Context())
	outcome := make(chan error, 1)
	go func() {
		_, err := post(waiting, p, s.URL)
		outcome <- err
	}()
	select {
	case err := <-outcome:
		t.Fatalf("a second request was answered while the only slot was lent: %v", err)
	case <-time.After(30 * time.Millisecond):
	}
	cancel()
	if err := <-outcome; !errors.Is(err, context.Canceled) {
		t.Errorf("waiting ended with %v, want context.Canceled", err)
	}

	_, _ = io.Copy(io.Discard, resp.Body)
	if err := errors.Join(resp.Body.Close(), resp.Body.Close()); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	mustPost(t, p, s.URL)
	if got := len(p.lent); got != 0 {
		t.Errorf("%d slots still lent", got)
	}
	if s.opened.Load() != 1 {
		t.Errorf("%d connections, want the one", s.opened.Load())
	}
}

func TestABodyClosedEarlyGivesBackASlotThatServes(t *testing.T) {
	s := aliceServer()
	s.handler = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/endless" {
			for r.Context().Err() == nil {
				if _, err := w.Write(bytes.Repeat([]byte("x"), 1<<12)); err != nil {
					return
				}
			}
		}
	}
	s.start(t)
	p := pool(t, Options{Credentials: alice(rightPassword), SlotsMax: 1})
	for range 3 {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/endless", nil)
		resp, err := p.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		mustPost(t, p, s.URL)
	}
}

func TestAnErrorGivesTheSlotBack(t *testing.T) {
	p := pool(t, Options{
		Credentials: alice(rightPassword), SlotsMax: 1,
		Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route") },
	})
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if _, err := post(ctx, p, "http://mail.lab.test/"); err == nil || !strings.Contains(err.Error(), "no route") {
			t.Fatalf("error %v, want that of the dialer", err)
		}
		cancel()
	}
}

func TestIdleConnectionsThatDiedAreReplaced(t *testing.T) {
	s := aliceServer().start(t)
	p := pool(t, Options{Credentials: alice(rightPassword), SlotsMax: 1})
	for range 3 {
		mustPost(t, p, s.URL)
		p.CloseIdleConnections()
	}
	if s.handshakes.Load() != 3 {
		t.Errorf("%d handshakes, want one a connection", s.handshakes.Load())
	}
}

func TestRedirectsAreHandedToTheCaller(t *testing.T) {
	s := aliceServer()
	s.handler = func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://elsewhere.test/", http.StatusFound)
	}
	s.start(t)
	p := pool(t, Options{Credentials: alice(rightPassword)})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
	resp, err := p.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusFound || resp.Request != req || req.Header.Get("Authorization") != "" {
		t.Errorf("status %d, request %v", resp.StatusCode, resp.Request.Header)
	}
}

// MS-NLMP 4.2.4, "NTLMv2 Authentication": the test server agrees with the
// published values, so that it can judge the client.
func TestTheTestServerAgreesWithPublishedVectors(t *testing.T) {
	unhex := func(s string) []byte { b, _ := hex.DecodeString(s); return b }
	key := v2Key("User", "Domain", "Password")
	temp := bytes.Join([][]byte{
		{1, 1, 0, 0, 0, 0, 0, 0},
		make([]byte, 8), bytes.Repeat([]byte{0xaa}, 8), make([]byte, 4),
		pair(2, utf16le("Domain")), pair(1, utf16le("Server")), pair(0, nil), make([]byte, 4),
	}, nil)
	proof := hmacMD5(key, unhex("0123456789abcdef"), temp)
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"ntHash":  {ntHash("Password"), "a4f49c406510bdcab6824ee7c30fd852"},
		"key":     {key, "0c868a403bfd7a93a3001ef22ef02e3f"},
		"proof":   {proof, "68cd0ab851e51c96aabc927bebef6a1c"},
		"session": {hmacMD5(key, proof), "8de40ccadbc14a82f15cb0ad0de95ca3"},
		"UPN key": {v2Key("user@domain.test", "", "Password"), "20e534aed6f54ecbd037e1c8944ec848"},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func trust(s *ntlmServer) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return &tls.Config{RootCAs: roots}
}

func sumOf(hash string, data []byte) []byte {
	switch hash {
	case "SHA-256":
		h := sha256.Sum256(data)
		return h[:]
	case "SHA-384":
		h := sha512.Sum384(data)
		return h[:]
	}
	panic("hash " + hash)
}

func selfSigned(t *testing.T, algorithm x509.SignatureAlgorithm) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lab"}, SignatureAlgorithm: algorithm,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
