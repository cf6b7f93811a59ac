package fakewns

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// check applies the rules to a push. Called with mu held.
func (s *Server) check(p *push) (*app, *channel, verdict) {
	if p.method != http.MethodPost {
		return nil, nil, refuse(http.StatusMethodNotAllowed, "")
	}
	if !p.length {
		return nil, nil, refuse(http.StatusLengthRequired, "")
	}
	name, ok := s.sender(p)
	a := s.apps[name]
	if !ok || a == nil {
		return nil, nil, refuse(http.StatusUnauthorized, "The token is missing, unknown or expired.")
	}
	if v := s.rate(a, p.arrived); v.status != 0 {
		return a, nil, v
	}
	switch a.refusal {
	case NotAllowed:
		return a, nil, refuse(http.StatusForbidden, "Request targets an app that is not in allowed receiving apps list by WNS.")
	case Bare:
		return a, nil, verdict{status: http.StatusForbidden, bare: true}
	}
	c := s.find(p.uri)
	switch {
	case c == nil:
		return a, nil, refuse(http.StatusNotFound, "")
	case c.app != a.Name:
		return a, c, refuse(http.StatusForbidden, "The token is for another app than the channel.")
	case c.blocked:
		return a, c, refuse(http.StatusGone, "Domain Blocked")
	case c.expired:
		return a, c, refuse(http.StatusGone, "The channel is expired.")
	}
	return a, c, p.checkHeaders()
}

// sender is the app whose token was sent.
func (s *Server) sender(p *push) (string, bool) {
	scheme, value, _ := strings.Cut(p.header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || value == "" {
		return "", false
	}
	if t, ok := s.tokens[value]; ok {
		return t.app, p.arrived.Before(t.expires)
	}
	if s.o.Verify != nil {
		return s.o.Verify(value)
	}
	return "", false
}

// rate throttles an app that passed its pushes of a second, until the time it
// is told has gone by.
func (s *Server) rate(a *app, now time.Time) verdict {
	if rest := a.until.Sub(now); rest > 0 {
		return s.throttled(max(rest, time.Second))
	}
	if s.o.RateMax <= 0 {
		return verdict{}
	}
	if now.Sub(a.second) >= time.Second {
		a.second, a.pushes = now, 0
	}
	if a.pushes++; a.pushes > s.o.RateMax {
		a.until = now.Add(s.o.RateRetryAfter)
		return s.throttled(s.o.RateRetryAfter)
	}
	return verdict{}
}

const octets = "application/octet-stream"

var contentTypes = map[string]string{"wns/toast": "text/xml", "wns/badge": "text/xml", "wns/tile": "text/xml", "wns/raw": octets}

// checkHeaders follows Microsoft "Push notification service request and
// response headers".
func (p *push) checkHeaders() verdict {
	bad := func(description string) verdict { return refuse(http.StatusBadRequest, description) }
	want, known := contentTypes[p.kind]
	switch {
	case !known:
		return bad("X-WNS-Type is missing or not known.")
	case p.contentType != want:
		return bad("Content-Type does not fit X-WNS-Type.")
	case p.policy != "" && p.policy != "cache" && p.policy != "no-cache":
		return bad("X-WNS-Cache-Policy is not cache or no-cache.")
	case len(p.header.Values("X-WNS-SuppressPopup")) > 0:
		return bad("X-WNS-SuppressPopup is for phones only.")
	case !isTag(p.tag):
		return bad("X-WNS-Tag has more than 16 characters or others than letters and digits.")
	case !isTag(p.group):
		return bad("X-WNS-Group has more than 16 characters or others than letters and digits.")
	}
	if priority := p.header.Get("X-WNS-PRIORITY"); priority != "" && (len(priority) != 1 || priority < "1" || priority > "4") {
		return bad("X-WNS-PRIORITY is not 1 to 4.")
	}
	if ttl := p.header.Get("X-WNS-TTL"); ttl != "" {
		seconds, err := strconv.ParseUint(ttl, 10, 31)
		if err != nil {
			return bad("X-WNS-TTL is not a number of seconds.")
		}
		if seconds == 0 && p.caches() || seconds > 0 && p.policy == "no-cache" {
			return bad("Ttl value conflicts with X-WNS-Cache-Policy.")
		}
		p.ttl = time.Duration(seconds) * time.Second
	}
	switch {
	case len(p.body) > BodyMax:
		return refuse(http.StatusRequestEntityTooLarge, "")
	case len(p.body) == 0 && p.kind == "wns/raw":
		return bad("A raw notification must not be empty.")
	}
	return verdict{}
}

// caches says whether the push asks to be kept, by header or by the default of
// its type.
func (p *push) caches() bool {
	if p.policy == "" {
		return p.kind == "wns/badge" || p.kind == "wns/tile"
	}
	return p.policy == "cache"
}

func isTag(s string) bool {
	if len(s) > TagMax {
		return false
	}
	for _, c := range []byte(s) {
		if lower := c | 0x20; (c < '0' || c > '9') && (lower < 'a' || lower > 'z') {
			return false
		}
	}
	return true
}
