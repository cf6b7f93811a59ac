package fakeautodiscover

import (
	"net/http"
	"strings"

	"mailbell/fakes/fault"
	"mailbell/fakes/journal"
)

// Probe is for plain HTTP: a GET of autodiscover.xml is redirected to
// Options.ProbeRedirect, or where the fault autodiscover.probe says. Whatever
// secret a client brings along is recorded as a violation.
func (s *Server) Probe() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			s.violation(r, "plain-http-credentials")
		}
		if r.Header.Get("Cookie") != "" {
			s.violation(r, "plain-http-cookie")
		}
		if r.ContentLength != 0 {
			s.violation(r, "plain-http-body")
		}
		status, to := http.StatusNotFound, ""
		var struck fault.Fault
		if r.Method == http.MethodGet && strings.EqualFold(r.URL.Path, pathPOX) {
			to = s.options.ProbeRedirect
			var ok bool
			if struck, ok = s.options.Faults.Strikes("autodiscover.probe", fault.Scope{Server: "autodiscover"}); ok {
				to = struck.Args["to"]
			}
		}
		if to != "" {
			status = struck.Int("status", http.StatusFound)
			w.Header().Set("Location", to)
		}
		s.record(r, journal.Entry{Operation: "probe", Status: status, Fault: struck.Name})
		w.WriteHeader(status)
	})
}

// Trap is for names that nobody may contact, such as autodiscover.<parent
// domain>: every request is a violation, and its credentials are another. It
// asks for Basic, as those who lie in wait under such names do.
func (s *Server) Trap() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.violation(r, "trap")
		s.wantBasic(w, r, "trap-credentials")
	})
}

// Stranger is a host that a redirect may lead to and that offers Basic only. A
// client may look, and is recorded; credentials for it are a violation.
func (s *Server) Stranger() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.record(r, journal.Entry{Operation: "stranger", Status: http.StatusUnauthorized})
		s.wantBasic(w, r, "stranger-credentials")
	})
}

func (s *Server) wantBasic(w http.ResponseWriter, r *http.Request, reason string) {
	if r.Header.Get("Authorization") != "" {
		s.violation(r, reason)
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="`+r.Host+`"`)
	w.WriteHeader(http.StatusUnauthorized)
}
