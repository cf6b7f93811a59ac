package ews

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// The cookie that names the server holding a group's subscriptions (EWS "How
// to: Maintain affinity between a group of subscriptions and the Mailbox server
// in Exchange"). X-BackEndCookie (good for 10 minutes) and exchangecookie, by
// which Exchange 2010 routes, need no treatment of their own.
const overrideCookie = "X-BackEndOverrideCookie"

// Affinity keeps the requests of one group of subscriptions on the server that
// holds them: it collects the cookies that the answers set, sends them with
// every later request of the group, and asks for affinity
// (X-PreferServerAffinity). Subscribe the group's anchor first and alone, then
// the others.
//
// One Affinity is for one group and one service URL. Shared between groups it
// would drag all of them to one server; a group whose server has forgotten its
// subscriptions starts anew with a new one. It is safe for concurrent use.
type Affinity struct {
	mu      sync.Mutex
	host    string // of the first answer; cookies go nowhere else
	cookies []cookie
}

type cookie struct {
	name, value string
	until       time.Time // zero: as long as the group lives
}

// NewAffinity is the affinity of a group that has no subscription yet.
func NewAffinity() *Affinity { return &Affinity{} }

// Server is the server that the override cookie names, empty when none came:
// for logs.
func (a *Affinity) Server() string {
	if a == nil {
		return ""
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.cookies {
		if c.name == overrideCookie {
			server, _, _ := strings.Cut(c.value, "~")
			return server
		}
	}
	return ""
}

// affinityText is an Affinity that is written down.
type affinityText struct {
	Host    string       `json:"host"`
	Cookies []cookieText `json:"cookies"`
}

type cookieText struct {
	Name  string    `json:"n"`
	Value string    `json:"v"`
	Until time.Time `json:"t,omitzero"`
}

// MarshalText writes the affinity down, so that it outlives the process; empty
// before the first cookie.
func (a *Affinity) MarshalText() ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.cookies) == 0 {
		return nil, nil
	}
	text := affinityText{Host: a.host}
	for _, c := range a.cookies {
		text.Cookies = append(text.Cookies, cookieText{c.name, c.value, c.until})
	}
	return json.Marshal(text)
}

// UnmarshalText reads what MarshalText wrote.
func (a *Affinity) UnmarshalText(b []byte) error {
	var text affinityText
	if len(b) > 0 {
		if err := json.Unmarshal(b, &text); err != nil {
			return fmt.Errorf("ews: affinity: %w", err)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.host, a.cookies = text.Host, nil
	for _, c := range text.Cookies {
		if len(a.cookies) < cookiesMax && c.Name != "" && len(c.Name)+len(c.Value) <= cookieSizeMax {
			a.cookies = append(a.cookies, cookie{c.Name, c.Value, c.Until})
		}
	}
	return nil
}

// apply puts the group's cookies and wish into a request.
func (a *Affinity) apply(r *http.Request, host string) {
	if a == nil {
		return
	}
	r.Header.Set("X-PreferServerAffinity", "true")
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.host != host {
		return
	}
	now := time.Now()
	var line strings.Builder
	for _, c := range a.cookies {
		if !c.until.IsZero() && !now.Before(c.until) {
			continue
		}
		if line.Len() > 0 {
			line.WriteString("; ")
		}
		line.WriteString(c.name + "=" + c.value)
	}
	if line.Len() > 0 {
		r.Header.Set("Cookie", line.String())
	}
}

// keep collects the cookies of an answer.
//
// The first override cookie stays: later ones repeat it or, when the front end
// routed a request elsewhere, would tear the group apart.
func (a *Affinity) keep(resp *http.Response, host string) {
	if a == nil || len(resp.Header["Set-Cookie"]) == 0 {
		return
	}
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.host == "" {
		a.host = host
	}
	if a.host != host {
		return
	}
	for _, set := range resp.Cookies() {
		i := slices.IndexFunc(a.cookies, func(c cookie) bool { return c.name == set.Name })
		until, gone := expiry(set, now)
		switch {
		case len(set.Name)+len(set.Value) > cookieSizeMax:
		case gone || set.Value == "":
			if i >= 0 {
				a.cookies = slices.Delete(a.cookies, i, i+1)
			}
		case i >= 0 && set.Name == overrideCookie:
		case i >= 0:
			a.cookies[i].value, a.cookies[i].until = set.Value, until
		case len(a.cookies) < cookiesMax:
			a.cookies = append(a.cookies, cookie{set.Name, set.Value, until})
		}
	}
}

// expiry is until when a cookie is good (RFC 6265 "HTTP State Management
// Mechanism", section 5.3: Max-Age counts more than Expires); zero: no end.
func expiry(c *http.Cookie, now time.Time) (until time.Time, gone bool) {
	switch {
	case c.MaxAge < 0:
		return time.Time{}, true
	case c.MaxAge > 0:
		return now.Add(time.Duration(c.MaxAge) * time.Second), false
	case !c.Expires.IsZero():
		return c.Expires, !now.Before(c.Expires)
	}
	return time.Time{}, false
}
