package wns

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// peer plays WNS and its token services over connections in memory, so tests
// run in virtual time.
type peer struct {
	t    testing.TB
	pool *x509.CertPool
	srv  *http.Server

	token  func(n int, form url.Values) (status int, body string) // n-th request
	answer func(w http.ResponseWriter, q query)
	refuse func(addr string) error

	conns chan net.Conn
	done  chan struct{}
	mu    sync.Mutex
	asked int
	seen  []query
	dials []string
	lines []string // request lines, byte for byte
}

// query is a notification as it came.
type query struct {
	number int
	host   string
	uri    string
	header http.Header
	length int64
	body   string
	bearer string
	at     time.Time
}

const (
	testChannel = "https://wns2-by3p.notify.windows.com/?token=AwYAAAB%2fQAhYBZ%bU%3d"
	testSecret  = "s3cr3t/+=&%"
	testSID     = "ms-app://s-1-15-2-1234"
)

func channel(i int) string {
	return fmt.Sprintf("https://dm%dp.notify.windows.com/?token=AwYAAAB%%2f%04d%%3d", i%3, i)
}

var (
	liveApp  = App{Name: "desk", Kind: PartnerCenter, PackageSID: testSID, Secret: testSecret}
	entraApp = App{Name: "sdk", Kind: Entra, ClientID: "11111111-2222-3333-4444-555555555555", Tenant: "contoso.test", Secret: testSecret}
)

func newPeer(t testing.TB) *peer {
	t.Helper()
	p := &peer{
		t: t, conns: make(chan net.Conn), done: make(chan struct{}),
		token: func(n int, _ url.Values) (int, string) {
			return 200, fmt.Sprintf(`{"token_type":"bearer","access_token":"EgAa-%d/+=","expires_in":86400}`, n)
		},
		answer: func(w http.ResponseWriter, _ query) { received(w) },
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "wns"}, IsCA: true, BasicConstraintsValid: true,
		DNSNames:  []string{"*.notify.windows.com", "login.live.com", "login.microsoftonline.com", "tokens.contoso.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(10000 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	p.pool = x509.NewCertPool()
	p.pool.AddCert(leaf)
	p.srv = &http.Server{
		Handler:  http.HandlerFunc(p.handle),
		ErrorLog: log.New(io.Discard, "", 0),
	}
	l := tls.NewListener(p, &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}},
		NextProtos:   []string{"h2", "http/1.1"},
	})
	go func() { _ = p.srv.Serve(l) }()
	return p
}

func received(w http.ResponseWriter) {
	w.Header()["X-WNS-STATUS"] = []string{"received"}
	w.Header()["X-WNS-NOTIFICATIONSTATUS"] = []string{"received"}
	w.Header()["X-WNS-MSG-ID"] = []string{"45DC47913C88B26E"}
	w.Header()["X-WNS-DEBUG-TRACE"] = []string{"BN1WNS2011530"}
	w.Header()["X-WNS-DEVICECONNECTIONSTATUS"] = []string{"Connected"}
}

func (p *peer) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *peer) Close() error   { return nil }
func (p *peer) Addr() net.Addr { return &net.TCPAddr{} }

func (p *peer) dial(_ context.Context, _, addr string) (net.Conn, error) {
	p.mu.Lock()
	p.dials = append(p.dials, addr)
	refuse := p.refuse
	p.mu.Unlock()
	if refuse != nil {
		if err := refuse(addr); err != nil {
			return nil, err
		}
	}
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.done:
		return nil, errors.New("peer closed")
	}
}

func (p *peer) handle(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if !strings.HasSuffix(r.Host, HostSuffix) {
		p.mu.Lock()
		p.asked++
		n := p.asked
		p.lines = append(p.lines, r.Host+r.RequestURI)
		p.mu.Unlock()
		form, _ := url.ParseQuery(string(body))
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			p.t.Errorf("token request: %s %s", r.Method, r.Header.Get("Content-Type"))
		}
		status, text := p.token(n, form)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
		return
	}
	p.mu.Lock()
	q := query{
		number: len(p.seen) + 1, host: r.Host, uri: r.RequestURI, header: r.Header.Clone(), length: r.ContentLength,
		body: string(body), bearer: strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), at: time.Now(),
	}
	p.seen = append(p.seen, q)
	p.mu.Unlock()
	if r.ProtoMajor != 1 || r.Method != http.MethodPost {
		p.t.Errorf("%s %s", r.Method, r.Proto)
	}
	p.answer(w, q)
}

// client makes a client of the peer; finish ends both.
func (p *peer) client(o Options) (c *Client, finish func()) {
	p.t.Helper()
	if o.App.Kind == 0 {
		o.App = liveApp
	}
	o.Dial, o.RootCAs = p.dial, p.pool
	c, err := New(o)
	if err != nil {
		p.t.Fatal(err)
	}
	return c, func() {
		p.t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			p.t.Error(err)
		}
		p.close()
	}
}

func (p *peer) close() {
	close(p.done)
	_ = p.srv.Close()
}

// sleep is for handlers: the peer's end ends it.
func (p *peer) sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.done:
	}
}

func (p *peer) requests() []query {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]query(nil), p.seen...)
}

func (p *peer) tokensAsked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// fail answers with a status and headers in the spelling given.
func fail(status int, headers ...string) func(http.ResponseWriter, query) {
	return func(w http.ResponseWriter, _ query) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header()[headers[i]] = []string{headers[i+1]}
		}
		w.WriteHeader(status)
	}
}

// hijackAndClose cuts the connection without an answer.
func hijackAndClose(w http.ResponseWriter) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = c.Close()
	}
}

func toast(ch string) Request {
	return Request{Channel: ch, Type: Toast, Body: []byte(`<toast launch="a=1&amp;b=2"><visual><binding template="ToastGeneric"><text>Ada</text></binding></visual></toast>`)}
}
