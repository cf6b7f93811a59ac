package ews

import (
	"net/http"
	"slices"
	"sync"
)

// Affinity keeps the requests of one group of subscriptions on the server that
// holds them (EWS "How to: Maintain affinity between a group of subscriptions
// and the Mailbox server in Exchange"). Exchange 2010 routes by exchangecookie,
// later versions by X-BackEndOverrideCookie together with the header
// X-PreferServerAffinity. One Affinity belongs to one group; sharing it drags
// every group to one server. It is safe for concurrent use.
type Affinity struct {
	mu      sync.Mutex
	cookies map[string]string
}

// NewAffinity is a group without cookies yet.
func NewAffinity() *Affinity { return &Affinity{cookies: map[string]string{}} }

// kept are the cookies that route.
var kept = []string{"X-BackEndOverrideCookie", "X-BackEndCookie", "exchangecookie"}

func (a *Affinity) apply(r *http.Request) {
	if a == nil {
		return
	}
	r.Header.Set("X-PreferServerAffinity", "true")
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range kept {
		if v := a.cookies[name]; v != "" {
			r.AddCookie(&http.Cookie{Name: name, Value: v})
		}
	}
}

// keep takes the routing cookies of an answer. The first override cookie stays:
// it names the server that holds the group's first subscription.
func (a *Affinity) keep(resp *http.Response) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range resp.Cookies() {
		if !slices.Contains(kept, c.Name) || c.Value == "" {
			continue
		}
		if c.Name == "X-BackEndOverrideCookie" && a.cookies[c.Name] != "" {
			continue
		}
		a.cookies[c.Name] = c.Value
	}
}
