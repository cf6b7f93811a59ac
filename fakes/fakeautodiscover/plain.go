package fakeautodiscover

import (
	"net/http"
	"strings"

	"mailbell/fakes/journal"
)

// Probe is for plain HTTP: a GET of autodiscover.xml is redirected to
// Options.ProbeRedirect. Whatever secret a client brings along is recorded as
// a violation.
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
		status := http.StatusNotFound
		if r.Method == http.MethodGet && strings.EqualFold(r.URL.Path, pathPOX) && s.options.ProbeRedirect != "" {
			status = http.StatusFound
			w.Header().Set("Location", s.options.ProbeRedirect)
		}
		w.WriteHeader(status)
		s.record(r, journal.Entry{Operation: "probe", Status: status})
	})
}

// Trap is for names that nobody may contact, such as autodiscover.<parent
// domain>: every request is a violation. It asks for Basic, as those who lie in
// wait under such names do.
func (s *Server) Trap() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.violation(r, "trap")
		w.Header().Set("WWW-Authenticate", `Basic realm="trap"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
}
