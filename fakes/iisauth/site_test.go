package iisauth

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	ntlmssp "github.com/Azure/go-ntlmssp"
	"go.uber.org/goleak"

	"mailbell/fakes/fault"
	"mailbell/fakes/journal"
	"mailbell/fakes/memnet"
	"mailbell/fakes/testcert"
	"mailbell/fakes/testtool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Secrets that must never show up in a journal.
const (
	passwordOfAlice = "c0rrect-horse"
	passwordOfJoerg = "пароль🔔"
	goodToken       = "good-token-value"
	wrongPassword   = "gu3ss"
)

func accounts() Accounts {
	return Accounts{
		{User: "alice", NetBIOS: "LAB", DNSDomain: "lab.test", UPN: "alice@lab.test", Password: passwordOfAlice, Impersonation: true},
		{User: "bob", NetBIOS: "LAB", DNSDomain: "lab.test", UPN: "bob@lab.test", Password: "b0b-secret"},
		{User: "Jörg", NetBIOS: "LAB", DNSDomain: "lab.test", UPN: "jörg@lab.test", Password: passwordOfJoerg},
		{User: "off", NetBIOS: "LAB", Password: "x", Disabled: true},
		{User: "stuck", NetBIOS: "LAB", Password: "x", Locked: true},
		{User: "old", NetBIOS: "LAB", Password: "x", Expired: true},
	}
}

// world is a site behind a TLS server on loopback.
type world struct {
	*httptest.Server
	site    *Site
	journal *journal.Journal
	faults  *fault.Set
}

func start(t *testing.T, o Options) *world {
	t.Helper()
	w := &world{journal: journal.New(), faults: fault.New(1)}
	o.Journal, o.Faults = w.journal, w.faults
	if o.Directory == nil {
		o.Directory = accounts()
	}
	w.Server = httptest.NewUnstartedServer(nil)
	w.site = New(o)
	w.Config.Handler = w.site.Handler(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		id, ok := IdentityOf(r)
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(rw, "%v %s %v %d %v", ok, id.Account, id.Impersonation, len(body), err)
	}))
	w.Config.ConnContext = w.site.ConnContext
	w.TLS = &tls.Config{Certificates: []tls.Certificate{o.Certificate}, NextProtos: []string{"http/1.1"}}
	if o.Certificate.Certificate == nil {
		w.TLS.Certificates = []tls.Certificate{certificate(t)}
	}
	w.StartTLS()
	t.Cleanup(w.Close)
	t.Cleanup(func() { w.leaksNothing(t) })
	return w
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	authority, err := testcert.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := authority.Server("mail.contoso.test", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// leaksNothing greps the journal for everything secret.
func (w *world) leaksNothing(t *testing.T) {
	t.Helper()
	b, err := json.Marshal(w.journal.After(0))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{passwordOfAlice, passwordOfJoerg, "b0b-secret", goodToken, "TlRMTVNTUA", wrongPassword} {
		if bytes.Contains(b, []byte(secret)) {
			t.Errorf("the journal contains %q", secret)
		}
	}
}

// reasons lists the journal's reasons of one kind.
func (w *world) reasons(kind string) (out []string) {
	for _, e := range w.journal.After(0) {
		if e.Kind == kind {
			out = append(out, e.Operation+":"+e.Reason)
		}
	}
	return out
}

// transport is a transport with connections of its own and one at a time.
func (w *world) transport(t *testing.T) *http.Transport {
	tr := w.Client().Transport.(*http.Transport).Clone()
	tr.TLSClientConfig.InsecureSkipVerify = true
	tr.MaxConnsPerHost, tr.MaxIdleConnsPerHost = 1, 1
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// drained reads 401 bodies before anyone else sees the answer, as a careful
// client does.
type drained struct{ http.RoundTripper }

func (d drained) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := d.RoundTripper.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

func (w *world) post(t *testing.T, rt http.RoundTripper, user, password string) (status int, identity, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", w.URL+"/EWS/Exchange.asmx", strings.NewReader(strings.Repeat("x", 5000)))
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		req.SetBasicAuth(user, password)
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get(IdentityHeader), string(b)
}

// Checklist auth 8, 9.
func TestNegotiatorAuthenticatesUnderEveryOfferAndName(t *testing.T) {
	for name, o := range map[string]Options{
		"both":         {},
		"negotiate":    {Schemes: []string{"Negotiate"}},
		"ntlm":         {Schemes: []string{"NTLM"}},
		"page":         {HTML401: true},
		"no timestamp": {TargetInfo: TargetInfoNoTimestamp},
		"no info":      {TargetInfo: TargetInfoNone},
		"strict time":  {TimestampEqual: true},
		"with bearer":  {Schemes: []string{"Bearer", "NTLM", "Basic"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, o)
			for _, u := range []struct{ name, password, account string }{
				{`LAB\alice`, passwordOfAlice, "alice"},
				{`lab.test\ALICE`, passwordOfAlice, "alice"},
				{`alice@lab.test`, passwordOfAlice, "alice"},
				{`alice`, passwordOfAlice, "alice"},
				{`LAB\jörg`, passwordOfJoerg, "Jörg"},
				{`JÖRG@LAB.TEST`, passwordOfJoerg, "Jörg"},
			} {
				rt := ntlmssp.Negotiator{RoundTripper: drained{w.transport(t)}}
				status, identity, body := w.post(t, rt, u.name, u.password)
				if status != 200 || identity != u.account {
					t.Errorf("%s: %d as %q: %v", u.name, status, identity, w.reasons("auth"))
				}
				if !strings.Contains(body, "5000 <nil>") {
					t.Errorf("%s: body %q", u.name, body)
				}
			}
		})
	}
}

// Checklist auth 14.
func TestConnectionStaysAuthenticatedAndOthersAreNot(t *testing.T) {
	w := start(t, Options{})
	tr := w.transport(t)
	rt := ntlmssp.Negotiator{RoundTripper: drained{tr}}
	if status, _, _ := w.post(t, rt, `LAB\alice`, passwordOfAlice); status != 200 {
		t.Fatal(status)
	}
	if status, identity, body := w.post(t, tr, "", ""); status != 200 || identity != "alice" || !strings.HasPrefix(body, "true alice true") {
		t.Errorf("same connection: %d as %q, %q", status, identity, body)
	}
	if status, identity, _ := w.post(t, w.transport(t), "", ""); status != 401 || identity != "" {
		t.Errorf("other connection: %d as %q", status, identity)
	}
	// A wrong password sent over the authenticated connection still enters as
	// alice: that is the trap a shared transport falls into.
	if status, identity, _ := w.post(t, rt, `LAB\bob`, wrongPassword); status != 200 || identity != "alice" {
		t.Errorf("bob with a wrong password: %d as %q", status, identity)
	}
}

// Checklist auth 14.
func TestSingleRequestModeForgetsTheUser(t *testing.T) {
	w := start(t, Options{SingleRequest: true})
	tr := w.transport(t)
	if status, _, _ := w.post(t, ntlmssp.Negotiator{RoundTripper: drained{tr}}, `LAB\alice`, passwordOfAlice); status != 200 {
		t.Fatal(status)
	}
	if status, _, _ := w.post(t, tr, "", ""); status != 401 {
		t.Errorf("next request: %d, want 401", status)
	}
}

// Checklist auth 10.
func TestRefusalsListBareSchemesAndCount(t *testing.T) {
	w := start(t, Options{})
	for user, reason := range map[string]string{
		`LAB\alice`: "wrong-password", `LAB\nobody`: "unknown-user", `ELSE\alice`: "unknown-user",
		`LAB\off`: "disabled", `LAB\stuck`: "locked", `LAB\old`: "expired",
	} {
		w.journal.Clear()
		req, _ := http.NewRequestWithContext(t.Context(), "POST", w.URL, strings.NewReader("x"))
		req.SetBasicAuth(user, wrongPassword)
		resp, err := ntlmssp.Negotiator{RoundTripper: drained{w.transport(t)}}.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got := resp.Header.Values("WWW-Authenticate"); resp.StatusCode != 401 || fmt.Sprint(got) != "[Negotiate NTLM]" {
			t.Errorf("%s: %d %q", user, resp.StatusCode, got)
		}
		reasons := w.reasons("auth")
		if last := reasons[len(reasons)-1]; last != "ntlm-type3:"+reason {
			t.Errorf("%s: %v, want %s", user, reasons, reason)
		}
	}
	if got := w.site.Failures("alice@lab.test"); got != 1 {
		t.Errorf("failures of alice: %d, want 1", got)
	}
}

// Checklist auth 10.
// Checklist auth 35 in part: journals, after every test of this package and of fakeentra; the fakes log nothing of requests.
func TestWrongPasswordsLockAnAccountUntilUnlocked(t *testing.T) {
	w := start(t, Options{LockoutThreshold: 3})
	try := func(password string) int {
		status, _, _ := w.post(t, ntlmssp.Negotiator{RoundTripper: drained{w.transport(t)}}, `LAB\alice`, password)
		return status
	}
	for range 2 {
		try(wrongPassword)
	}
	if status := try(passwordOfAlice); status != 200 {
		t.Fatalf("after two failures: %d", status)
	}
	for range 3 {
		try(wrongPassword)
	}
	if status := try(passwordOfAlice); status != 401 || !w.site.Locked("alice") {
		t.Fatalf("after three failures: %d, locked %v", status, w.site.Locked("alice"))
	}
	w.site.Unlock("alice")
	if status := try(passwordOfAlice); status != 200 {
		t.Errorf("after unlock: %d", status)
	}
}

// Checklist auth 1.
func TestOfferHasTheConfiguredForm(t *testing.T) {
	for name, c := range map[string]struct {
		options Options
		want    []string
	}{
		"default": {Options{}, []string{"Negotiate", "NTLM"}},
		"basic":   {Options{Schemes: []string{"NTLM", "Basic"}, Realm: "mail"}, []string{"NTLM", `Basic realm="mail"`}},
		"joined":  {Options{Schemes: []string{"Negotiate", "NTLM", "Basic"}, Realm: "m", JoinSchemes: true}, []string{`Negotiate, NTLM, Basic realm="m"`}},
		"lower":   {Options{LowerCase: true}, []string{"negotiate", "ntlm"}},
		"online": {Options{Schemes: []string{"Bearer"}}, []string{`Bearer client_id="00000002-0000-0ff1-ce00-000000000000", trusted_issuers="00000001-0000-0000-c000-000000000000@*", ` +
			`token_types="app_asserted_user_v1 service_asserted_app_v1", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize",Basic Realm=""`}},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, c.options)
			resp, err := w.transport(t).RoundTrip(httptest.NewRequestWithContext(t.Context(), "GET", w.URL, nil))
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if got := resp.Header.Values("WWW-Authenticate"); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", c.want) {
				t.Errorf("offer %q\nwant  %q", got, c.want)
			}
		})
	}
}

// Checklist auth 2.
func TestBodyOf401IsEmptyOrAPageAndTheConnectionLives(t *testing.T) {
	for _, page := range []bool{false, true} {
		w := start(t, Options{HTML401: page})
		tr := w.transport(t)
		for range 3 {
			status, _, body := w.post(t, tr, "", "")
			if want := map[bool]int{false: 0, true: 1293}[page]; status != 401 || len(body) != want {
				t.Errorf("%d with %d bytes, want 401 with %d", status, len(body), want)
			}
		}
		for _, e := range w.journal.After(0) {
			if e.Conn != 1 {
				t.Errorf("connection %d, want 1", e.Conn)
			}
		}
	}
}

// raw is a client that speaks over one connection of its own.
type raw struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (w *world) dial(t *testing.T) *raw {
	t.Helper()
	c, err := tls.Dial("tcp", w.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &raw{t, c, bufio.NewReader(c)}
}

// do sends one request; what is after the scheme word is base64 encoded.
func (c *raw) do(scheme string, message []byte) *http.Response {
	c.t.Helper()
	authorization := ""
	if scheme != "" {
		authorization = "Authorization: " + scheme + " " + base64.StdEncoding.EncodeToString(message) + "\r\n"
	}
	return c.send(authorization)
}

func (c *raw) send(headers string) *http.Response {
	c.t.Helper()
	if _, err := fmt.Fprintf(c, "POST /EWS HTTP/1.1\r\nHost: mail.contoso.test\r\n%sContent-Length: 4\r\n\r\nbody", headers); err != nil {
		c.t.Fatal(err)
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp
}

func challengeIn(t *testing.T, resp *http.Response, scheme string) []byte {
	t.Helper()
	lines := resp.Header.Values("WWW-Authenticate")
	if resp.StatusCode != 401 || len(lines) != 1 || !strings.HasPrefix(lines[0], scheme+" ") {
		t.Fatalf("answer to a type 1: %d %q", resp.StatusCode, lines)
	}
	b, err := base64.StdEncoding.DecodeString(lines[0][len(scheme)+1:])
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// challengeFor asks a site without a server for its type 2.
func challengeFor(t *testing.T, s *Site, type1 []byte) []byte {
	t.Helper()
	r := httptest.NewRequestWithContext(s.ConnContext(t.Context(), nil), "POST", "/", nil)
	r.Header.Set("Authorization", "NTLM "+base64.StdEncoding.EncodeToString(type1))
	w := httptest.NewRecorder()
	s.Handler(http.NotFoundHandler()).ServeHTTP(w, r)
	return challengeIn(t, w.Result(), "NTLM")
}

// Checklist auth 15.
func TestType3OnAnotherConnectionIsWorthNothing(t *testing.T) {
	w := start(t, Options{})
	one, two := w.dial(t), w.dial(t)
	type1 := negotiate(t)
	type2 := challengeIn(t, one.do("NTLM", type1), "NTLM")
	type3 := response{user: "alice", domain: "LAB", password: passwordOfAlice}.marshal(t, type1, type2)
	if resp := two.do("NTLM", type3); resp.StatusCode != 401 {
		t.Errorf("on another connection: %d", resp.StatusCode)
	}
	if resp := one.do("NTLM", type3); resp.StatusCode != 200 {
		t.Errorf("on its own connection: %d", resp.StatusCode)
	}
	if resp := one.do("NTLM", type3); resp.StatusCode != 401 {
		t.Errorf("again: %d, want 401: a challenge is good once", resp.StatusCode)
	}
	if resp := one.do("", nil); resp.StatusCode != 401 {
		t.Errorf("after the failure: %d, want 401: the connection starts over", resp.StatusCode)
	}
	got := w.reasons("auth")
	if want := "[ntlm-type1:challenge ntlm-type3:handshake-split ntlm-type3: ntlm-type3:challenge-spent anonymous:anonymous]"; fmt.Sprint(got) != want {
		t.Errorf("journal %v\nwant    %v", got, want)
	}
}

// Checklist auth 4.
func TestHandshakeUnderNegotiateKeepsTheSchemeWord(t *testing.T) {
	w := start(t, Options{})
	c := w.dial(t)
	type1 := negotiate(t)
	type2 := challengeIn(t, c.do("negotiate", type1), "negotiate")
	if resp := c.do("negotiate", response{user: "alice", domain: "LAB", password: passwordOfAlice}.marshal(t, type1, type2)); resp.StatusCode != 200 {
		t.Error(resp.StatusCode)
	}
}

// Checklist auth 5, 16.
func TestRequestBetweenType1AndType3SpendsTheChallenge(t *testing.T) {
	w := start(t, Options{})
	c := w.dial(t)
	type1 := negotiate(t)
	type2 := challengeIn(t, c.do("NTLM", type1), "NTLM")
	c.do("", nil)
	if resp := c.do("NTLM", response{user: "alice", domain: "LAB", password: passwordOfAlice}.marshal(t, type1, type2)); resp.StatusCode != 401 {
		t.Errorf("%d, want 401", resp.StatusCode)
	}
}

// Checklist auth 16.
func TestNewType1OnAnAuthenticatedConnectionMayChangeTheUser(t *testing.T) {
	w := start(t, Options{})
	c := w.dial(t)
	type1 := negotiate(t)
	for _, u := range []struct{ user, password string }{{"alice", passwordOfAlice}, {"bob", "b0b-secret"}} {
		type2 := challengeIn(t, c.do("NTLM", type1), "NTLM")
		resp := c.do("NTLM", response{user: u.user, domain: "LAB", password: u.password}.marshal(t, type1, type2))
		if got := resp.Header.Get(IdentityHeader); got != u.user {
			t.Errorf("seen as %q, want %s", got, u.user)
		}
	}
	challengeIn(t, c.do("NTLM", type1), "NTLM")
	if resp := c.do("", nil); resp.StatusCode != 401 {
		t.Errorf("after a new type 1: %d, want 401", resp.StatusCode)
	}
}

// Checklist auth 5.
func TestChallengeExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := New(Options{Directory: accounts()})
		ctx := site.ConnContext(t.Context(), nil)
		ask := func(message []byte) *http.Response {
			r := httptest.NewRequestWithContext(ctx, "POST", "/", nil)
			r.Header.Set("Authorization", "NTLM "+base64.StdEncoding.EncodeToString(message))
			w := httptest.NewRecorder()
			site.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
			return w.Result()
		}
		for after, want := range map[time.Duration]int{ChallengeAgeMax: 200, ChallengeAgeMax + time.Second: 401} {
			type1 := negotiate(t)
			type2 := challengeIn(t, ask(type1), "NTLM")
			type3 := response{user: "alice", domain: "LAB", password: passwordOfAlice}.marshal(t, type1, type2)
			time.Sleep(after)
			if resp := ask(type3); resp.StatusCode != want {
				t.Errorf("after %v: %d, want %d", after, resp.StatusCode, want)
			}
		}
	})
}

// Checklist auth 11, 12, 13.
func TestType3IsJudgedByMICBindingAndTime(t *testing.T) {
	cert := certificate(t)
	flagsPair := appendAVPair(nil, avFlags, []byte{avFlagMIC, 0, 0, 0})
	right := appendAVPair(nil, avChannelBindings, channelBinding(cert.Leaf))
	wrong := appendAVPair(nil, avChannelBindings, bytes.Repeat([]byte{7}, 16))
	zero := appendAVPair(nil, avChannelBindings, make([]byte, 16))
	alice := func(r response) response {
		r.user, r.domain, r.password = "alice", "LAB", passwordOfAlice
		return r
	}
	for _, c := range []struct {
		name     string
		options  Options
		response response
		reason   string // "": accepted
	}{
		{"plain", Options{}, response{}, ""},
		{"NTLMv1", Options{}, response{v1: true}, "not-ntlmv2"},
		{"MIC promised and right", Options{}, response{pairs: flagsPair, mic: true}, ""},
		{"MIC promised and right after a key exchange", Options{}, response{pairs: flagsPair, mic: true, keyExchange: true}, ""},
		{"MIC promised and zero", Options{}, response{pairs: flagsPair}, "mic-wrong"},
		{"old", Options{}, response{fileTime: fileTime(time.Now().Add(-37 * time.Hour))}, "timestamp"},
		{"from the future", Options{}, response{fileTime: fileTime(time.Now().Add(37 * time.Hour))}, "timestamp"},
		{"another time than offered", Options{TimestampEqual: true}, response{fileTime: fileTime(time.Now().Add(time.Minute))}, "timestamp"},
		{"None, wrong binding", Options{ExtendedProtection: EPANone}, response{pairs: wrong}, ""},
		{"Allow, no binding", Options{ExtendedProtection: EPAAllow}, response{}, ""},
		{"Allow, right binding", Options{ExtendedProtection: EPAAllow}, response{pairs: right}, ""},
		{"Allow, wrong binding", Options{ExtendedProtection: EPAAllow}, response{pairs: wrong}, "channel-binding"},
		{"Allow, zero binding", Options{ExtendedProtection: EPAAllow}, response{pairs: zero}, "channel-binding"},
		{"Require, no binding", Options{ExtendedProtection: EPARequire}, response{}, "channel-binding"},
		{"Require, right binding", Options{ExtendedProtection: EPARequire}, response{pairs: right}, ""},
		{"Require, wrong binding", Options{ExtendedProtection: EPARequire}, response{pairs: wrong}, "channel-binding"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.options.Certificate = cert
			w := start(t, c.options)
			conn := w.dial(t)
			type1 := negotiate(t)
			type2 := challengeIn(t, conn.do("NTLM", type1), "NTLM")
			conn.do("NTLM", alice(c.response).marshal(t, type1, type2))
			reasons := w.reasons("auth")
			if last := reasons[len(reasons)-1]; last != "ntlm-type3:"+c.reason {
				t.Errorf("verdict %q, want %q", last, c.reason)
			}
		})
	}
}

// Checklist auth 3.
func TestMalformedMessagesAre401AndDoNoHarm(t *testing.T) {
	w := start(t, Options{})
	c := w.dial(t)
	type2 := append([]byte(ntlmSignature), 2, 0, 0, 0)
	for name, message := range map[string][]byte{
		"short type 1": append([]byte(ntlmSignature), 1, 0, 0, 0),
		"signature":    append([]byte("NTLMSSP!"), make([]byte, 30)...),
		"type 2":       append(type2, make([]byte, 60)...),
		"empty":        {},
		"SPNEGO":       {0x60, 0x48, 0x06, 0x06},
		"large":        make([]byte, MessageBytesMax+1),
	} {
		if resp := c.do("NTLM", message); resp.StatusCode != 401 || len(resp.Header.Values("WWW-Authenticate")) != 2 {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
	if resp := c.send("Authorization: NTLM !!!\r\n"); resp.StatusCode != 401 {
		t.Errorf("bad base64: %d", resp.StatusCode)
	}
}

// Checklist auth 23.
func TestBasicIsOffUnlessOfferedAndItsMisuseIsRecorded(t *testing.T) {
	w := start(t, Options{})
	req, _ := http.NewRequestWithContext(t.Context(), "GET", w.URL, nil)
	req.SetBasicAuth("alice", passwordOfAlice)
	resp, err := w.transport(t).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 401 {
		t.Errorf("not offered: %d", resp.StatusCode)
	}
	if got := w.reasons("violation"); fmt.Sprint(got) != "[:basic-unoffered]" {
		t.Errorf("violations %v", got)
	}
}

func TestBasicAuthenticatesTheRequestOnly(t *testing.T) {
	w := start(t, Options{Schemes: []string{SchemeBasic}})
	tr := w.transport(t)
	for _, c := range []struct {
		user, password string
		status         int
	}{
		{"alice", passwordOfAlice, 200},
		{"alice", wrongPassword, 401},
		{"", "", 401},
		{`LAB\Jörg`, passwordOfJoerg, 200},
		{`LAB\nobody`, "x", 401},
	} {
		if status, _, _ := w.post(t, tr, c.user, c.password); status != c.status {
			t.Errorf("%s: %d, want %d", c.user, status, c.status)
		}
	}
	if got := w.reasons("violation"); len(got) != 0 {
		t.Errorf("violations %v", got)
	}
}

// Checklist auth 23.
func TestPasswordOverPlainHTTPIsAViolation(t *testing.T) {
	j := journal.New()
	site := New(Options{Directory: accounts(), Schemes: []string{SchemeBasic}, Journal: j})
	r := httptest.NewRequestWithContext(site.ConnContext(t.Context(), nil), "GET", "http://mail/", nil)
	r.SetBasicAuth("alice", passwordOfAlice)
	site.Handler(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
	if e := j.After(0)[0]; e.Kind != "violation" || e.Reason != "basic-plain-http" {
		t.Errorf("first entry %+v", e)
	}
}

type tokens struct{}

func (tokens) VerifyToken(token string) (Identity, error) {
	switch token {
	case goodToken:
		return Identity{Account: "app-1", AppOnly: true, Impersonation: true}, nil
	case "expired":
		return Identity{}, fmt.Errorf("wrapped: %w", &TokenError{Code: 2000003, Reason: "The token has expired.", Category: "token_expired"})
	}
	return Identity{}, errors.New("no")
}

// Checklist auth 30.
func TestBearerIsJudgedByTheVerifierWithExchangeOnlinesChallenge(t *testing.T) {
	w := start(t, Options{Schemes: []string{SchemeBearer}, Tokens: tokens{}})
	c := w.dial(t)
	if resp := c.send("Authorization: Bearer " + goodToken + "\r\n"); resp.StatusCode != 200 || resp.Header.Get(IdentityHeader) != "app-1" {
		t.Errorf("good token: %d as %q", resp.StatusCode, resp.Header.Get(IdentityHeader))
	}
	if resp := c.send(""); resp.StatusCode != 401 || strings.Contains(resp.Header.Get("WWW-Authenticate"), "error=") {
		t.Errorf("no token: %d %q", resp.StatusCode, resp.Header.Get("WWW-Authenticate"))
	}
	resp := c.send("Authorization: Bearer expired\r\n")
	if got := resp.Header.Get("x-ms-diagnostics"); resp.StatusCode != 401 || got != `2000003;reason="The token has expired.";error_category="token_expired"` {
		t.Errorf("expired: %d %q", resp.StatusCode, got)
	}
	if got := resp.Header.Get("WWW-Authenticate"); !strings.Contains(got, `error="invalid_token",Basic Realm=""`) {
		t.Errorf("challenge %q", got)
	}
}

// Checklist auth 18 in part: the stream is reset, with INTERNAL_ERROR.
func TestHTTP2CannotCarryNTLM(t *testing.T) {
	site := New(Options{Directory: accounts()})
	server := httptest.NewUnstartedServer(site.Handler(http.NotFoundHandler()))
	server.Config.ConnContext = site.ConnContext
	server.Config.ErrorLog = nil
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	req, _ := http.NewRequestWithContext(t.Context(), "POST", server.URL, strings.NewReader("x"))
	req.Header.Set("Authorization", "NTLM "+base64.StdEncoding.EncodeToString(negotiate(t)))
	if resp, err := server.Client().Do(req); err == nil {
		_ = resp.Body.Close()
		t.Errorf("answer %s over %s, want a stream error", resp.Status, resp.Proto)
	}
}

func TestMissingConnContextIsToldPlainly(t *testing.T) {
	w := httptest.NewRecorder()
	New(Options{}).Handler(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 500 || !strings.Contains(w.Body.String(), "ConnContext") {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

// Checklist auth 19.
func TestFaultsStrikeWhereTheyAreDocumented(t *testing.T) {
	for _, c := range []struct {
		fault string
		check func(t *testing.T, status int, err error)
	}{
		{"iis.401", func(t *testing.T, status int, err error) {
			if err != nil || status != 401 {
				t.Errorf("%d, %v; want 401", status, err)
			}
		}},
		{"iis.close-challenge", func(t *testing.T, status int, err error) {
			if err != nil || status != 401 {
				t.Errorf("%d, %v; want 401: the handshake is split", status, err)
			}
		}},
		{"iis.key-exch", func(t *testing.T, status int, err error) {
			if err != nil || status != 401 {
				t.Errorf("%d, %v; want 401: the client gives up", status, err)
			}
		}},
		{"iis.bad-challenge", func(t *testing.T, status int, err error) {
			if err != nil || status != 401 {
				t.Errorf("%d, %v; want 401: the client gives up", status, err)
			}
		}},
	} {
		t.Run(c.fault, func(t *testing.T) {
			w := start(t, Options{})
			if _, err := w.faults.Add(fault.Fault{Name: c.fault, Count: 1}); err != nil {
				t.Fatal(err)
			}
			status, _, _ := w.post(t, ntlmssp.Negotiator{RoundTripper: drained{w.transport(t)}}, `LAB\alice`, passwordOfAlice)
			c.check(t, status, nil)
			if len(w.faults.List()) != 0 {
				t.Error("the fault did not strike")
			}
			if status, _, _ := w.post(t, ntlmssp.Negotiator{RoundTripper: drained{w.transport(t)}}, `LAB\alice`, passwordOfAlice); status != 200 {
				t.Errorf("afterwards: %d", status)
			}
		})
	}
}

// Checklist auth 19 in part: resets at type 1 and type 3; one in the middle of a 200 is ews.stream.cutmid.
func TestResetAtTheHandshakeIsARealReset(t *testing.T) {
	for _, name := range []string{"iis.reset-type1", "iis.reset-type3"} {
		w := start(t, Options{})
		if _, err := w.faults.Add(fault.Fault{Name: name}); err != nil {
			t.Fatal(err)
		}
		c := w.dial(t)
		type1 := negotiate(t)
		if name == "iis.reset-type3" {
			type1 = response{user: "alice", domain: "LAB"}.marshal(t, type1, challengeIn(t, c.do("NTLM", type1), "NTLM"))
		}
		if _, err := fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nAuthorization: NTLM %s\r\nContent-Length: 0\r\n\r\n", base64.StdEncoding.EncodeToString(type1)); err != nil {
			t.Fatal(err)
		}
		if _, err := http.ReadResponse(c.r, nil); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %v, want ECONNRESET", name, err)
		}
	}
}

// Checklist auth 20 in part: the requests of a connection; how long one may idle is the http.Server's.
func TestConnectionEndsAfterItsRequests(t *testing.T) {
	w := start(t, Options{RequestsPerConn: 2})
	c := w.dial(t)
	if resp := c.send(""); resp.Close {
		t.Error("closed after the first request")
	}
	if resp := c.send(""); !resp.Close {
		t.Error("not closed after the second request")
	}
}

// TestConcurrentRequestsOverPinnedConnectionsNeverMix is what a careful client
// does: one connection, one request at a time, one account.
//
// Checklist auth 17, 22.
func TestConcurrentRequestsOverPinnedConnectionsNeverMix(t *testing.T) {
	w := start(t, Options{HTML401: true})
	var wg sync.WaitGroup
	for i := range 8 {
		user, password := "alice", passwordOfAlice
		if i%2 == 1 {
			user, password = "bob", "b0b-secret"
		}
		rt := ntlmssp.Negotiator{RoundTripper: drained{w.transport(t)}}
		wg.Go(func() {
			for range 20 {
				req, _ := http.NewRequestWithContext(t.Context(), "POST", w.URL, strings.NewReader("body"))
				req.SetBasicAuth(`LAB\`+user, password)
				resp, err := rt.RoundTrip(req)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if got := resp.Header.Get(IdentityHeader); resp.StatusCode != 200 || got != user {
					t.Errorf("%d as %q, want %s", resp.StatusCode, got, user)
				}
			}
		})
	}
	wg.Wait()
	handshakes := 0
	for _, r := range w.reasons("auth") {
		if r == "ntlm-type3:" {
			handshakes++
		}
	}
	if handshakes != 8 {
		t.Errorf("%d handshakes, want 8: one a connection", handshakes)
	}
}

func TestHandshakeWorksInABubble(t *testing.T) {
	cert := certificate(t)
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(memnet.Options{Latency: 3 * time.Millisecond})
		ln, err := n.Listen("mail.contoso.test:443")
		if err != nil {
			t.Fatal(err)
		}
		faults := fault.New(1)
		if _, err := faults.Add(fault.Fault{Name: "iis.stall-type3", Scope: fault.Scope{Account: "alice"}, Args: map[string]string{"for": "40s"}}); err != nil {
			t.Fatal(err)
		}
		site := New(Options{Directory: accounts(), Certificate: cert, Faults: faults})
		server := &http.Server{
			Handler: site.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), ConnContext: site.ConnContext,
			TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}},
		}
		served := make(chan error, 1)
		go func() { served <- server.ServeTLS(ln, "", "") }()
		tr := &http.Transport{DialContext: n.Dial, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		req, _ := http.NewRequestWithContext(t.Context(), "POST", "https://mail.contoso.test/EWS", strings.NewReader("x"))
		req.SetBasicAuth(`LAB\alice`, passwordOfAlice)
		start := time.Now()
		resp, err := ntlmssp.Negotiator{RoundTripper: drained{tr}}.RoundTrip(req)
		if err != nil || resp.StatusCode != 200 {
			t.Errorf("%v, %v", resp, err)
		}
		if took := time.Since(start).Round(time.Second); took != 40*time.Second {
			t.Errorf("the stalled handshake took %v", took)
		}
		_ = resp.Body.Close()
		tr.CloseIdleConnections()
		_ = server.Close()
		<-served
	})
}

func TestCurlAuthenticates(t *testing.T) {
	curl := testtool.Curl.Path(t, "NTLM was not tried with a second real client")
	if version, err := exec.CommandContext(t.Context(), curl, "--version").Output(); err != nil || !bytes.Contains(version, []byte("NTLM")) {
		testtool.Curl.Missing(t, "this one is built without NTLM, which was not tried with a second real client")
	}
	authority, err := testcert.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := authority.Server("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, authority.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, page := range []bool{false, true} {
		w := start(t, Options{Certificate: cert, HTML401: page, ExtendedProtection: EPAAllow, TargetInfo: TargetInfoFull})
		for user, want := range map[string]string{
			`LAB\alice:` + passwordOfAlice: "200 200", `alice@lab.test:` + passwordOfAlice: "200 200", `LAB\alice:` + wrongPassword: "401 401",
		} {
			out, err := exec.CommandContext(t.Context(), curl, "--silent", "--ntlm", "--user", user, "--cacert", ca, "--data", "<soap/>",
				"--output", "/dev/null", "--output", "/dev/null", "--write-out", "%{http_code} ", w.URL+"/EWS/Exchange.asmx", w.URL+"/EWS/Exchange.asmx").Output()
			if err != nil {
				t.Errorf("curl: %v", err)
			}
			if got := strings.TrimSpace(string(out)); got != want {
				t.Errorf("statuses %s, want %s: %v", got, want, w.reasons("auth"))
			}
		}
	}
}
