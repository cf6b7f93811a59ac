package fakewns_test

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mailbell/fakes/fakewns"
	"mailbell/fakes/fault"
	"mailbell/fakes/journal"
	"mailbell/fakes/memnet"
	"mailbell/fakes/network"
	"mailbell/fakes/testcert"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	sid    = "ms-app://s-1-15-2-1"
	secret = "one / two + three"
	toast  = `<toast launch="action=open"><visual><binding template="ToastGeneric"><text>Ada</text><text>Figures</text></binding></visual></toast>`
	day    = 24 * time.Hour
)

// service is a server on a network, with the apps mail, other and sdk, and a
// client that reaches it by its real names.
type service struct {
	*fakewns.Server
	t       testing.TB
	net     network.Network
	roots   *testcert.Authority
	client  *http.Client
	journal *journal.Journal
	faults  *fault.Set
	token   string // sent with every push
}

// closer is a network that can be closed; both kinds can.
type closer interface {
	network.Network
	Close() error
}

// overTCP serves on loopback.
func overTCP(t testing.TB, o fakewns.Options) *service { return serve(t, network.NewLoopback(), o) }

// inMemory serves inside the bubble that it is called in.
func inMemory(t testing.TB, o fakewns.Options) *service {
	return serve(t, memnet.New(memnet.Options{}), o)
}

func serve(t testing.TB, n closer, o fakewns.Options) *service {
	t.Helper()
	s := &service{t: t, net: n, journal: journal.New(), faults: fault.New(1)}
	o.Journal, o.Faults = s.journal, s.faults
	o.Apps = []fakewns.App{
		{Name: "mail", SID: sid, Secret: secret},
		{Name: "other", SID: "ms-app://s-1-15-2-2", Secret: "two"},
		{Name: "sdk", SID: "ms-app://s-1-15-2-3", Secret: "three", AppSDK: true},
	}
	s.Server = fakewns.New(o)
	var err error
	if s.roots, err = testcert.NewAuthority(); err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	var servers []*http.Server
	for host, handler := range map[string]http.Handler{"*.notify.windows.com:443": s.ChannelHandler(), "login.live.com:443": s.TokenHandler()} {
		l, err := n.Listen(host)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := s.roots.Server(host)
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: handler}
		servers = append(servers, srv)
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
		serving.Go(func() { _ = srv.Serve(l) })
	}
	tr := &http.Transport{DialContext: n.Dial, TLSClientConfig: &tls.Config{RootCAs: s.roots.Pool()}, MaxIdleConnsPerHost: 64}
	s.client = &http.Client{Transport: tr}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		for _, srv := range servers {
			_ = srv.Close()
		}
		serving.Wait()
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func form(id, secret string) url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}, "scope": {"notify.windows.com"}}
}

// fetch asks for a token. The answer is nil when it is no JSON.
func (s *service) fetch(f url.Values) (status int, answer map[string]any) {
	s.t.Helper()
	resp, err := s.client.PostForm("https://login.live.com/accesstoken.srf", f)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if json.NewDecoder(resp.Body).Decode(&answer) != nil {
		answer = nil
	}
	return resp.StatusCode, answer
}

// login takes a new token of the app mail.
func (s *service) login() *service {
	s.t.Helper()
	status, answer := s.fetch(form(sid, secret))
	token, _ := answer["access_token"].(string)
	if status != http.StatusOK || token == "" {
		s.t.Fatalf("no token: %d %v", status, answer["error"])
	}
	s.token = token
	return s
}

// request is a toast, or whatever its headers are changed to.
func (s *service) request(method, uri, body string) *http.Request {
	s.t.Helper()
	r, err := http.NewRequest(method, uri, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	r.Header.Set("Content-Type", "text/xml")
	r.Header.Set("X-WNS-Type", "wns/toast")
	return r
}

// answer is what a push got.
type answer struct {
	status int
	header http.Header
}

func (a answer) notification() string { return a.header.Get("X-WNS-NOTIFICATIONSTATUS") }

// do sends a push and insists on the empty body that every answer has.
func (s *service) do(r *http.Request) answer {
	s.t.Helper()
	resp, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || len(body) != 0 || resp.Header.Get("Content-Length") != "0" {
		s.t.Errorf("%d with a body of %d bytes, Content-Length %q: %v", resp.StatusCode, len(body), resp.Header.Get("Content-Length"), err)
	}
	return answer{resp.StatusCode, resp.Header}
}

// send posts a body. Headers come in pairs; the value "-" leaves one out.
func (s *service) send(uri, body string, headers ...string) answer {
	s.t.Helper()
	r := s.request(http.MethodPost, uri, body)
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] == "-" {
			r.Header.Del(headers[i])
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	return s.do(r)
}

// pushes are the journal's entries of kind push.
func (s *service) pushes() (out []journal.Entry) {
	for _, e := range s.journal.After(0) {
		if e.Server == "wns" && e.Kind == "push" {
			out = append(out, e)
		}
	}
	return out
}

// effect is what the last push did on its device.
func (s *service) effect() string {
	s.t.Helper()
	list := s.pushes()
	if len(list) == 0 {
		s.t.Fatal("no push in the journal")
	}
	return list[len(list)-1].Detail["effect"]
}

func (s *service) state(uri string) fakewns.State {
	s.t.Helper()
	st, ok := s.Device(uri)
	if !ok {
		s.t.Fatalf("no channel %.60s…", uri)
	}
	return st
}

func (s *service) strike(f fault.Fault) {
	s.t.Helper()
	if _, err := s.faults.Add(f); err != nil {
		s.t.Fatal(err)
	}
}
