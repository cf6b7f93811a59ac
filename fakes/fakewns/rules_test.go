package fakewns_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"mailbell/fakes/fakewns"
)

// Checklist push 55.
func TestRule55ServesHTTP11OverKeepAlive(t *testing.T) {
	s := overTCP(t, fakewns.Options{}).login()
	for range 3 {
		r := s.request(http.MethodPost, s.NewChannel("mail"), toast)
		resp, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.ProtoMajor != 1 || resp.ProtoMinor != 1 || resp.Close {
			t.Errorf("protocol %s, close %v", resp.Proto, resp.Close)
		}
	}
}

// Checklist push 56.
func TestRule56ComparesTheURIByteForByte(t *testing.T) {
	s := overTCP(t, fakewns.Options{}).login()
	subdomains := map[string]bool{}
	var uri string
	for i := 0; i < 200 && (len(subdomains) < 3 || !strings.Contains(uri, "%2f") || !strings.Contains(uri, "%2b")); i++ {
		uri = s.NewChannel("mail")
		subdomains[strings.SplitN(uri, ".", 2)[0]] = true
	}
	if len(subdomains) < 3 || len(uri) < 300 || len(uri) > 450 || !strings.Contains(uri, "%3d") {
		t.Fatalf("%d subdomains, %d characters: %s", len(subdomains), len(uri), uri)
	}
	if a := s.send(uri, toast); a.status != 200 {
		t.Fatalf("as issued: %d", a.status)
	}
	host, query, _ := strings.Cut(uri, "/?token=")
	decoded, err := url.QueryUnescape(query)
	if err != nil {
		t.Fatal(err)
	}
	for name, other := range map[string]string{
		"upper-case escapes": host + "/?token=" + url.QueryEscape(decoded),
		"another path":       strings.Replace(uri, "/?", "/x?", 1),
		"another parameter":  uri + "&a=b",
		"another subdomain":  strings.Replace(uri, "https://", "https://x", 1),
		"no token":           host + "/",
	} {
		if a := s.send(other, toast); a.status != 404 || a.notification() != "" {
			t.Errorf("%s: %d %q, want 404 without status headers", name, a.status, a.notification())
		}
	}
}

// Checklist push 57.
func TestRule57RefusesBodiesWithoutLength(t *testing.T) {
	s := overTCP(t, fakewns.Options{}).login()
	r := s.request(http.MethodPost, s.NewChannel("mail"), "")
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(toast)), -1
	if a := s.do(r); a.status != 411 {
		t.Errorf("chunked: %d, want 411", a.status)
	}
	uri := s.NewChannel("mail")
	if a := s.send(uri, toast, "Expect", "100-continue"); a.status != 200 {
		t.Errorf("Expect: %d, want 200", a.status)
	}
	if list := s.pushes(); list[len(list)-1].Detail["expect"] == "" {
		t.Error("Expect is not flagged in the journal")
	}
}

// Checklist push 58.
func TestRule58AllowsPOSTOnly(t *testing.T) {
	s := overTCP(t, fakewns.Options{}).login()
	for _, m := range []string{"GET", "PUT", "DELETE"} {
		if a := s.do(s.request(m, s.NewChannel("mail"), toast)); a.status != 405 {
			t.Errorf("%s: %d, want 405", m, a.status)
		}
	}
}

// Checklist push 59.
func TestRule59AnswersCarryTheirIdentifiers(t *testing.T) {
	s := overTCP(t, fakewns.Options{}).login()
	a := s.send(s.NewChannel("mail"), toast, "MS-CV", "abc.7")
	if id := a.header.Get("X-WNS-MSG-ID"); len(id) != 16 || s.pushes()[0].Detail["msg_id"] != id {
		t.Errorf("X-WNS-MSG-ID %q", id)
	}
	for _, h := range []string{"X-WNS-DEBUG-TRACE", "Strict-Transport-Security", "Date"} {
		if a.header.Get(h) == "" {
			t.Errorf("%s is missing", h)
		}
	}
	// The client keeps the names it reads in their canonical case.
	if cv := a.header.Get("MS-CV"); cv != "abc.7" {
		t.Errorf("MS-CV %q, want the request's", cv)
	}
	if cv := s.send(s.NewChannel("mail"), toast).header.Get("MS-CV"); cv == "" || cv == "abc.7" {
		t.Errorf("MS-CV %q, want a fresh one", cv)
	}
}

// Checklist push 60.
func TestRule60SendsBothStatusHeaders(t *testing.T) {
	s := overTCP(t, fakewns.Options{}).login()
	a := s.send(s.NewChannel("mail"), toast)
	if a.status != 200 || a.header.Get("X-WNS-STATUS") != "received" || a.header.Get("X-WNS-NOTIFICATIONSTATUS") != "received" {
		t.Errorf("%d %v", a.status, a.header)
	}
}

// Checklist push 61.
func TestRule61TellsTheDeviceStatusOnlyWhenAsked(t *testing.T) {
	s := overTCP(t, fakewns.Options{}).login()
	uri := s.NewChannel("mail")
	const h = "X-WNS-DEVICECONNECTIONSTATUS"
	if got := s.send(uri, toast).header.Get(h); got != "" {
		t.Errorf("not asked: %q", got)
	}
	if got := s.send(uri, toast, "X-WNS-RequestForStatus", "true").header.Get(h); got != "connected" {
		t.Errorf("online: %q", got)
	}
	s.SetOnline(uri, false)
	if got := s.send(uri, toast, "X-WNS-RequestForStatus", "true").header.Get(h); got != "disconnected" {
		t.Errorf("away: %q", got)
	}
}

// Checklist push 62.
func TestRule62WritesHeaderNamesInUpperCase(t *testing.T) {
	s := overTCP(t, fakewns.Options{}).login()
	uri := s.NewChannel("mail")
	host, path, _ := strings.Cut(strings.TrimPrefix(uri, "https://"), "/")
	raw, err := s.net.Dial(t.Context(), "tcp", host+":443")
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Client(raw, &tls.Config{RootCAs: s.roots.Pool(), ServerName: host})
	defer c.Close()
	fmt.Fprintf(c, "POST /%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: text/xml\r\nX-WNS-Type: wns/toast\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", path, host, s.token, len(toast), toast)
	lines := map[string]bool{}
	for sc := bufio.NewScanner(c); sc.Scan() && sc.Text() != ""; {
		name, _, _ := strings.Cut(sc.Text(), ":")
		lines[name] = true
	}
	for _, want := range []string{"HTTP/1.1 200 OK", "X-WNS-STATUS", "X-WNS-NOTIFICATIONSTATUS", "X-WNS-MSG-ID", "X-WNS-DEBUG-TRACE", "MS-CV"} {
		if !lines[want] {
			t.Errorf("%s is not on the wire: %v", want, lines)
		}
	}
}

// Checklist push 68.
func TestRule68RefusesUnknownTokens(t *testing.T) {
	s := overTCP(t, fakewns.Options{}).login()
	uri := s.NewChannel("mail")
	for name, value := range map[string]string{"none": "-", "unknown": "Bearer x", "empty": "Bearer ", "another scheme": "Basic " + s.token} {
		if a := s.send(uri, toast, "Authorization", value); a.status != 401 {
			t.Errorf("%s: %d, want 401", name, a.status)
		}
	}
	s.RevokeTokens()
	if a := s.send(uri, toast); a.status != 401 {
		t.Errorf("revoked: %d, want 401", a.status)
	}
	if a := s.login().send(uri, toast); a.status != 200 {
		t.Errorf("renewed: %d, want 200", a.status)
	}
}

// Checklist push 69.
func TestRule69RefusesForeignApps(t *testing.T) {
	s := overTCP(t, fakewns.Options{}).login()
	if a := s.send(s.NewChannel("other"), toast); a.status != 403 {
		t.Errorf("channel of another app: %d, want 403", a.status)
	}
	s.RefuseApp("mail", fakewns.NotAllowed)
	a := s.send(s.NewChannel("mail"), toast)
	if got := a.header.Get("X-WNS-ERROR-DESCRIPTION"); a.status != 403 || got != "Request targets an app that is not in allowed receiving apps list by WNS." {
		t.Errorf("not allowed: %d %q", a.status, got)
	}
	s.RefuseApp("mail", fakewns.Bare)
	a = s.send(s.NewChannel("mail"), toast)
	for name := range a.header {
		if strings.HasPrefix(strings.ToUpper(name), "X-WNS-") {
			t.Errorf("bare refusal has %s", name)
		}
	}
	if a.status != 403 {
		t.Errorf("bare: %d, want 403", a.status)
	}
	s.RefuseApp("mail", fakewns.NoRefusal)
	if a := s.send(s.NewChannel("mail"), toast); a.status != 200 {
		t.Errorf("lifted: %d, want 200", a.status)
	}
}

// Checklist push 70.
func TestRule70TellsGoneChannelsApart(t *testing.T) {
	s := overTCP(t, fakewns.Options{}).login()
	revoked, expired, blocked := s.NewChannel("mail"), s.NewChannel("mail"), s.NewChannel("mail")
	s.Revoke(revoked)
	s.Expire(expired)
	s.BlockDomain(blocked)
	if a := s.send(revoked, toast); a.status != 404 || a.notification() != "" {
		t.Errorf("revoked: %d %q", a.status, a.notification())
	}
	e, b := s.send(expired, toast), s.send(blocked, toast)
	if e.status != 410 || b.status != 410 || e.header.Get("X-WNS-ERROR-DESCRIPTION") == b.header.Get("X-WNS-ERROR-DESCRIPTION") {
		t.Errorf("expired %d, blocked %d: want 410 with different descriptions", e.status, b.status)
	}
	if s.Expire("https://unknown/") {
		t.Error("Expire knows a channel that was never made")
	}
}

// Checklist push 71, 72, 73, 74.
func TestRules71To74JudgeHeadersAndSize(t *testing.T) {
	const octets = "application/octet-stream"
	raw := []string{"X-WNS-Type", "wns/raw", "Content-Type", octets}
	s := overTCP(t, fakewns.Options{}).login()
	for _, c := range []struct {
		name    string
		status  int
		body    string
		headers []string
	}{
		{"71 no type", 400, toast, []string{"X-WNS-Type", "-"}},
		{"71 type without prefix", 400, toast, []string{"X-WNS-Type", "toast"}},
		{"71 content type of raw for a toast", 400, toast, []string{"Content-Type", octets}},
		{"71 content type of a toast for raw", 400, "x", []string{"X-WNS-Type", "wns/raw"}},
		{"71 charset", 200, toast, []string{"Content-Type", "text/xml; charset=utf-8"}},
		{"72 ttl 0 with cache", 400, toast, []string{"X-WNS-TTL", "0", "X-WNS-Cache-Policy", "cache"}},
		{"72 ttl with no-cache", 400, toast, []string{"X-WNS-TTL", "60", "X-WNS-Cache-Policy", "no-cache"}},
		{"72 ttl 0 for a badge, cached by default", 400, `<badge value="1"/>`, []string{"X-WNS-TTL", "0", "X-WNS-Type", "wns/badge"}},
		{"72 ttl alone", 200, toast, []string{"X-WNS-TTL", "60"}},
		{"72 ttl with cache", 200, toast, []string{"X-WNS-TTL", "60", "X-WNS-Cache-Policy", "cache"}},
		{"72 ttl no number", 400, toast, []string{"X-WNS-TTL", "1h"}},
		{"73 popup", 400, toast, []string{"X-WNS-SuppressPopup", "true"}},
		{"73 tag of 16", 200, toast, []string{"X-WNS-Tag", strings.Repeat("a", 16)}},
		{"73 tag of 17", 400, toast, []string{"X-WNS-Tag", strings.Repeat("a", 17)}},
		{"73 tag with dash", 400, toast, []string{"X-WNS-Tag", "a-b"}},
		{"73 group of 17", 400, toast, []string{"X-WNS-Group", strings.Repeat("a", 17)}},
		{"74 5000 bytes", 200, strings.Repeat("x", 5000), raw},
		{"74 5001 bytes", 413, strings.Repeat("x", 5001), raw},
		{"74 empty raw", 400, "", raw},
		{"priority 5", 400, toast, []string{"X-WNS-PRIORITY", "5"}},
		{"unknown cache policy", 400, toast, []string{"X-WNS-Cache-Policy", "maybe"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := s.send(s.NewChannel("mail"), c.body, c.headers...)
			if a.status != c.status {
				t.Errorf("%d %q, want %d", a.status, a.header.Get("X-WNS-ERROR-DESCRIPTION"), c.status)
			}
			if strings.HasPrefix(c.name, "72") && a.status == 400 && c.name != "72 ttl no number" {
				if got := a.header.Get("X-WNS-ERROR-DESCRIPTION"); got != "Ttl value conflicts with X-WNS-Cache-Policy." {
					t.Errorf("description %q", got)
				}
			}
		})
	}
}

// Checklist push 75.
func TestRule75AcceptsWhatWindowsCannotRead(t *testing.T) {
	s := overTCP(t, fakewns.Options{}).login()
	for name, body := range map[string]string{
		"not well-formed": "<toast>", "another root": "<tile/>", "bad UTF-8": "<toast launch=\"\xff\"/>", "two roots": "<toast/><toast/>",
		"text behind": "<toast/>x", "wrong case": "<Toast/>", "empty": "",
	} {
		uri := s.NewChannel("mail")
		if a := s.send(uri, body); a.status != 200 || a.notification() != "received" {
			t.Errorf("%s: %d %q, want 200 received", name, a.status, a.notification())
		}
		if s.effect() != "malformed" || len(s.state(uri).Toasts) != 0 {
			t.Errorf("%s: effect %q, %d toasts", name, s.effect(), len(s.state(uri).Toasts))
		}
	}
}

// Checklist push 76.
func TestRule76AppSDKChannelsShowNoBadge(t *testing.T) {
	s := overTCP(t, fakewns.Options{})
	_, out := s.fetch(form("ms-app://s-1-15-2-3", "three"))
	s.token = out["access_token"].(string)
	uri := s.NewChannel("sdk")
	if a := s.send(uri, `<badge value="3"/>`, "X-WNS-Type", "wns/badge"); a.status != 200 || s.effect() != "not-supported" {
		t.Errorf("badge: %d %s", a.status, s.effect())
	}
	if a := s.send(uri, toast); a.status != 200 || len(s.state(uri).Toasts) != 1 || s.state(uri).Badge != "" {
		t.Errorf("toast: %d %+v", a.status, s.state(uri))
	}
}

// Checklist push 65.
func TestTokensIssuedElsewhereAreAcceptedThroughVerify(t *testing.T) {
	s := overTCP(t, fakewns.Options{Verify: func(token string) (string, bool) { return "sdk", token == "entra" }})
	s.token = "entra"
	if a := s.send(s.NewChannel("sdk"), toast); a.status != 200 {
		t.Errorf("%d, want 200", a.status)
	}
	s.token = "other"
	if a := s.send(s.NewChannel("sdk"), toast); a.status != 401 {
		t.Errorf("%d, want 401", a.status)
	}
}
