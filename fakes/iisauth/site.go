package iisauth

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
)

// Site authenticates the requests of one server. It is safe for concurrent use.
type Site struct {
	options  Options
	lockouts *lockouts
	conns    atomic.Uint64
}

// New returns a site.
func New(options Options) *Site {
	options = options.withDefaults()
	return &Site{options: options, lockouts: newLockouts(options)}
}

type contextKey uint8

const (
	connKey contextKey = iota
	identityKey
	siteKey
)

// ConnContext gives each connection its authentication state. It belongs into
// http.Server.ConnContext of the server that serves Handler.
func (s *Site) ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey, &connState{number: s.conns.Add(1), conn: c})
}

// Handler lets authenticated requests through to next.
func (s *Site) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, next) })
}

// IdentityOf is whom the site authenticated the request as; false for a request
// that did not come through a Site.
func IdentityOf(r *http.Request) (Identity, bool) {
	id, ok := r.Context().Value(identityKey).(Identity)
	return id, ok
}

// Challenge answers 401 with what the site offers, for a handler behind a site
// that turns a request away after all. It reports whether there is a site.
func Challenge(w http.ResponseWriter, r *http.Request) bool {
	s, ok := r.Context().Value(siteKey).(*Site)
	if ok {
		s.offer(w.Header(), r, nil)
		s.unauthorized(w, r)
	}
	return ok
}

// ConnOf is the number of the connection the request came on, counted from 1
// by its site, or 0.
func ConnOf(r *http.Request) uint64 {
	if state, ok := r.Context().Value(connKey).(*connState); ok {
		return state.number
	}
	return 0
}

// WithIdentity returns the request as if a site had authenticated it, for
// handlers that are tested or served without one.
func WithIdentity(r *http.Request, id Identity) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), identityKey, id))
}
