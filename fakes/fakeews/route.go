package fakeews

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	overrideCookie = "X-BackEndOverrideCookie"
	backEndCookie  = "X-BackEndCookie"
	exchangeCookie = "exchangecookie"

	backEndCookieLife  = 10 * time.Minute
	exchangeCookieLife = 365 * 24 * time.Hour
)

// route chooses the server a request is for. EWS "How to: Maintain affinity
// between a group of subscriptions and the Mailbox server": from 2013 on,
// X-PreferServerAffinity with a valid override cookie decides, then
// X-AnchorMailbox, then the mailbox impersonated; in 2010 exchangecookie alone.
// Everything else goes round.
func (s *Server) route(c *call) string {
	servers := s.org.Servers()
	if len(servers) == 1 {
		return servers[0]
	}
	if !s.behaviour.OverrideRoute {
		if cookie, err := c.r.Cookie(exchangeCookie); err == nil && cookie.Value != "" {
			return servers[cookieServer(cookie.Value, len(servers))]
		}
		return servers[int(s.next.Add(1))%len(servers)]
	}
	if prefersAffinity(c.r) {
		if name, ok := s.overridden(c.r); ok {
			return name
		}
	}
	if anchor, ok := s.org.Settings(c.r.Header.Get("X-AnchorMailbox")); ok {
		return anchor.Server
	}
	if m, ok := s.org.Settings(c.mailbox); ok {
		return m.Server
	}
	return servers[int(s.next.Add(1))%len(servers)]
}

func prefersAffinity(r *http.Request) bool {
	return strings.EqualFold(strings.TrimSpace(r.Header.Get("X-PreferServerAffinity")), "true")
}

// overridden is the server a valid override cookie names: "host~number".
func (s *Server) overridden(r *http.Request) (string, bool) {
	cookie, err := r.Cookie(overrideCookie)
	if err != nil {
		return "", false
	}
	host, number, ok := strings.Cut(cookie.Value, "~")
	if _, err := strconv.ParseUint(number, 10, 64); !ok || err != nil || s.org.ServerFQDN(host) == "" {
		return "", false
	}
	short, _, _ := strings.Cut(strings.ToLower(host), ".")
	return short, true
}

// setCookies sets what the answer to this request sets.
func (s *Server) setCookies(c *call) {
	secure := c.r.TLS != nil // a client of a fake without TLS would not return secure cookies
	set := func(name, value string, life time.Duration) {
		cookie := &http.Cookie{Name: name, Value: value, Path: "/", Secure: secure, HttpOnly: true}
		if life > 0 {
			cookie.Expires = time.Now().Add(life)
		}
		http.SetCookie(c.w, cookie)
	}
	if _, err := c.r.Cookie(exchangeCookie); err != nil {
		set(exchangeCookie, s.newExchangeCookie(c.host), exchangeCookieLife)
	}
	if !s.behaviour.OverrideRoute {
		return
	}
	if _, err := c.r.Cookie(backEndCookie); err != nil {
		set(backEndCookie, fmt.Sprintf("S-1-5-21~%016x", s.next.Load()), backEndCookieLife)
	}
	_, carried := s.overridden(c.r)
	first := c.request.operation == "Subscribe" && prefersAffinity(c.r) && c.r.Header.Get("X-AnchorMailbox") != "" && !carried
	always := s.options.CookieAlways || s.draw(c, "cookie always", 0.1)
	if !first && !always {
		return
	}
	if s.strikes(c, "ews.nocookie") || first && s.draw(c, "cookie withheld", 0.1) {
		return
	}
	set(overrideCookie, s.org.ServerFQDN(c.host)+"~1941996223", 0)
}

// newExchangeCookie is 32 hex digits that lead back to the server.
func (s *Server) newExchangeCookie(host string) string {
	servers := s.org.Servers()
	for {
		value := strings.ReplaceAll(requestID(), "-", "")
		if servers[cookieServer(value, len(servers))] == host {
			return value
		}
	}
}

func cookieServer(value string, servers int) int {
	h := fnv.New32a()
	h.Write([]byte(value))
	return int(h.Sum32() % uint32(servers))
}
