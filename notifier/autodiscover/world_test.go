package autodiscover

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// world is a set of hosts without a network: what a host answers, and who asked.
type world struct {
	mu       sync.Mutex
	hosts    map[string]http.Handler // "https://mail.contoso.test"
	records  []*net.SRV
	log      []exchange
	flying   int
	flyMax   int
	lookedUp int
}

// exchange is one request the world saw.
type exchange struct {
	method, url string
	credentials bool
	users       int
	anchor      string
}

func newWorld() *world { return &world{hosts: map[string]http.Handler{}} }

func (w *world) serve(host string, h http.Handler) { w.hosts[host] = h }

func (w *world) serveFunc(host string, h http.HandlerFunc) { w.hosts[host] = h }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (w *world) transport(credentials bool) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		e := exchange{method: r.Method, url: r.URL.String(), credentials: credentials, anchor: r.Header.Get("X-AnchorMailbox")}
		var body []byte
		if r.Body != nil {
			body, _ = io.ReadAll(r.Body)
			_ = r.Body.Close()
			e.users = bytes.Count(body, []byte("<a:Mailbox>")) + bytes.Count(body, []byte("<EMailAddress>"))
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		place := r.URL.Scheme + "://" + r.URL.Host
		w.mu.Lock()
		w.log = append(w.log, e)
		h := w.hosts[place]
		w.flying++
		w.flyMax = max(w.flyMax, w.flying)
		w.mu.Unlock()
		defer func() {
			w.mu.Lock()
			w.flying--
			w.mu.Unlock()
		}()
		if h == nil {
			return nil, &net.DNSError{Err: "no such host", Name: r.URL.Hostname(), IsNotFound: true}
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		return rec.Result(), nil
	})
}

func (w *world) lookup(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lookedUp++
	if service != "autodiscover" || proto != "tcp" || len(w.records) == 0 {
		return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return "", w.records, nil
}

func (w *world) client(t *testing.T, change func(*Options)) *Client {
	t.Helper()
	o := Options{Transport: w.transport(true), Anonymous: w.transport(false), LookupSRV: w.lookup}
	if change != nil {
		change(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// check fails the test if credentials went anywhere they must not go.
func (w *world) check(t *testing.T, allowed ...string) {
	t.Helper()
	for _, e := range w.log {
		u, err := url.Parse(e.url)
		if err != nil {
			t.Fatal(err)
		}
		if e.credentials && (u.Scheme != "https" || u.User != nil || len(allowed) > 0 && !slices.Contains(allowed, u.Host)) {
			t.Errorf("credentials went to %s", e.url)
		}
	}
}

func (w *world) asked(prefix string) (n int) {
	for _, e := range w.log {
		if strings.HasPrefix(e.method+" "+e.url, prefix) {
			n++
		}
	}
	return n
}

// server is an Exchange server's Autodiscover, reduced to what a test sets.
type server struct {
	mu      sync.Mutex
	users   map[string]string // address → the inside of UserResponse; missing: InvalidUser
	any     string            // for every address that is not in users
	max     int               // users in a request; 0: any number
	poison  string            // address that spoils a whole request
	stops   int               // answers so many users at most; 0: all
	unknown []string          // settings this server does not know, refused per user
	noSOAP  bool
	before  http.HandlerFunc // runs first; its answer stands if it writes one
	sizes   []int            // users of each request that was answered
	asked   [][]string       // settings of each request
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.before != nil {
		rec := httptest.NewRecorder()
		rec.Code = 0
		s.before(rec, r)
		if rec.Code != 0 {
			for k, v := range rec.Header() {
				w.Header()[k] = v
			}
			w.WriteHeader(rec.Code)
			_, _ = w.Write(rec.Body.Bytes())
			return
		}
	}
	if r.Method == http.MethodGet {
		if !s.noSOAP {
			w.Header().Set("X-SOAP-Enabled", "True")
		}
		w.Header().Set("WWW-Authenticate", "NTLM")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if s.noSOAP == strings.HasSuffix(r.URL.Path, ".svc") {
		http.NotFound(w, r)
		return
	}
	var question struct {
		Users    []string `xml:"Body>GetUserSettingsRequestMessage>Request>Users>User>Mailbox"`
		Settings []string `xml:"Body>GetUserSettingsRequestMessage>Request>RequestedSettings>Setting"`
		POX      string   `xml:"Request>EMailAddress"`
	}
	if err := xml.NewDecoder(r.Body).Decode(&question); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	if s.noSOAP {
		_, _ = io.WriteString(w, s.users[question.POX])
		return
	}
	s.asked = append(s.asked, question.Settings)
	if s.max > 0 && len(question.Users) > s.max || s.poison != "" && slices.Contains(question.Users, s.poison) {
		_, _ = io.WriteString(w, soapReply("InvalidRequest", ""))
		return
	}
	var b strings.Builder
	for i, u := range question.Users {
		if s.stops > 0 && i == s.stops {
			break
		}
		inside, ok := s.users[strings.ToLower(u)]
		if !ok {
			inside = firstOf(s.any, "<ErrorCode>InvalidUser</ErrorCode>")
		}
		b.WriteString("<UserResponse>" + strings.ReplaceAll(inside, "{user}", u))
		if strings.Contains(inside, "NoError") {
			b.WriteString("<UserSettingErrors>")
			for _, name := range s.unknown {
				if slices.Contains(question.Settings, name) {
					b.WriteString("<UserSettingError><ErrorCode>InvalidSetting</ErrorCode><SettingName>" + name + "</SettingName></UserSettingError>")
				}
			}
			b.WriteString("</UserSettingErrors>")
		}
		b.WriteString("</UserResponse>")
	}
	s.sizes = append(s.sizes, len(question.Users))
	_, _ = io.WriteString(w, soapReply("NoError", b.String()))
}

func soapReply(code, users string) string {
	return `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>` +
		`<GetUserSettingsResponseMessage xmlns="http://schemas.microsoft.com/exchange/2010/Autodiscover"><Response><ErrorCode>` + code +
		`</ErrorCode><ErrorMessage>text</ErrorMessage><UserResponses>` + users + `</UserResponses></Response></GetUserSettingsResponseMessage></s:Body></s:Envelope>`
}

// settingsOf is a good answer: the EWS URL tells the user, so that a mix-up shows.
func settingsOf(host string) string {
	return `<ErrorCode>NoError</ErrorCode><UserSettings>` +
		`<UserSetting><Name>ExternalEwsUrl</Name><Value>https://` + host + `/EWS/Exchange.asmx?{user}</Value></UserSetting>` +
		`<UserSetting><Name>GroupingInformation</Name><Value>` + host + `</Value></UserSetting></UserSettings>`
}

func redirectTo(kind, target string) string {
	return `<ErrorCode>` + kind + `</ErrorCode><RedirectTarget>` + target + `</RedirectTarget>`
}

func population(n int, domain string) []string {
	var a []string
	for i := range n {
		a = append(a, fmt.Sprintf("user%04d@%s", i, domain))
	}
	return a
}

// wantAll fails the test unless each address has its own settings from host.
func wantAll(t *testing.T, results []Result, addresses []string, host string) {
	t.Helper()
	if len(results) != len(addresses) {
		t.Fatalf("%d results for %d addresses", len(results), len(addresses))
	}
	for i, r := range results {
		if r.Address != addresses[i] || r.Err != nil || r.Settings.EWSURL != "https://"+host+"/EWS/Exchange.asmx?"+addresses[i] {
			t.Fatalf("result %d of %s: %+v", i, addresses[i], r)
		}
	}
}

func one(t *testing.T, c *Client, address string) Result {
	t.Helper()
	results := c.Discover(t.Context(), []string{address})
	if len(results) != 1 || results[0].Address != address {
		t.Fatalf("results %+v", results)
	}
	return results[0]
}

func ladderText(r Result) string {
	var b strings.Builder
	for _, s := range r.Ladder {
		fmt.Fprintf(&b, "%s → %s (%d)\n", s.Candidate, s.Outcome, s.Status)
	}
	return b.String()
}

func redirectHandler(status int, location string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", location)
		w.WriteHeader(status)
	}
}
