package fakeautodiscover

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"mailbell/fakes/fault"
	"mailbell/fakes/iisauth"
	"mailbell/fakes/journal"
)

// Server is the handler of all Autodiscover paths of a host. It is safe for
// concurrent use.
type Server struct {
	options       Options
	authenticated http.Handler
	requests      atomic.Uint64
	concurrent    atomic.Int64

	mu      sync.Mutex
	budgets map[string]*rate.Limiter // by account
}

var _ http.Handler = (*Server)(nil)

// New returns a server.
func New(options Options) *Server {
	s := &Server{options: options.withDefaults(), budgets: map[string]*rate.Limiter{}}
	s.authenticated = http.HandlerFunc(s.serveAuthenticated)
	if options.Site != nil {
		s.authenticated = options.Site.Handler(s.authenticated)
	}
	return s
}

// Paths, in lower case.
const (
	pathSOAP = "/autodiscover/autodiscover.svc"
	pathPOX  = "/autodiscover/autodiscover.xml"
	pathJSON = "/autodiscover/autodiscover.json"
)

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.concurrent.Add(1)
	defer s.concurrent.Add(-1)
	path := strings.ToLower(r.URL.Path)
	switch {
	case path == pathSOAP && !s.options.SOAPOff, path == pathPOX && !s.options.POXOff:
		if s.interrupted(w, r) {
			return
		}
		s.capabilities(w.Header())
		s.authenticated.ServeHTTP(w, r)
	case path == pathJSON, strings.HasPrefix(path, pathJSON+"/"):
		s.serveJSON(w, r)
	default:
		http.NotFound(w, r)
		s.record(r, journal.Entry{Operation: "other", Status: http.StatusNotFound})
	}
}

// capabilities are the headers by which a client tells a server that speaks
// SOAP from a web site (EWS Managed API, "AutodiscoverService").
func (s *Server) capabilities(h http.Header) {
	if s.options.SOAPOff {
		return
	}
	for _, name := range []string{"X-SOAP-Enabled", "X-WSSecurity-Enabled", "X-OAuth-Enabled"} {
		h.Set(name, "True")
	}
}

// interrupted lets the faults strike that come before authentication.
func (s *Server) interrupted(w http.ResponseWriter, r *http.Request) bool {
	scope := fault.Scope{Server: "autodiscover"}
	own := "://" + r.Host + r.URL.Path
	redirect := func(f fault.Fault, to string, status int) bool {
		s.record(r, journal.Entry{Operation: "other", Status: status, Fault: f.Name})
		w.Header().Set("Location", to)
		w.WriteHeader(status)
		return true
	}
	if f, ok := s.options.Faults.Strikes("autodiscover.503", scope); ok {
		if after := f.Args["retry-after"]; after != "" {
			w.Header().Set("Retry-After", after)
		}
		http.Error(w, "Service Unavailable", http.StatusServiceUnavailable)
		s.record(r, journal.Entry{Operation: "other", Status: http.StatusServiceUnavailable, Fault: f.Name})
		return true
	}
	if f, ok := s.options.Faults.Strikes("autodiscover.html", scope); ok {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><html><head><title>Welcome</title></head><body><p>Welcome to our company!<br></body></html>")
		s.record(r, journal.Entry{Operation: "other", Status: http.StatusOK, Fault: f.Name})
		return true
	}
	if f, ok := s.options.Faults.Strikes("autodiscover.redirect", scope); ok {
		return redirect(f, f.Args["to"], f.Int("status", http.StatusFound))
	}
	if f, ok := s.options.Faults.Strikes("autodiscover.redirect-http", scope); ok {
		return redirect(f, "http"+own, http.StatusFound)
	}
	if f, ok := s.options.Faults.Strikes("autodiscover.redirect-loop", scope); ok {
		return redirect(f, "https"+own, http.StatusFound)
	}
	if f, ok := s.options.Faults.Strikes("autodiscover.redirect-chain", scope); ok {
		hop, _ := strconv.Atoi(r.URL.Query().Get("hop")) // none: the first
		if hop < f.Int("hops", HopsDefault) {
			return redirect(f, "https"+own+"?hop="+strconv.Itoa(hop+1), http.StatusFound)
		}
	}
	return false
}

func (s *Server) serveAuthenticated(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, RequestBytesMax)
	if id, ok := iisauth.IdentityOf(r); ok && id.AppOnly && r.Header.Get("X-AnchorMailbox") == "" {
		s.violation(r, "anchor-missing")
	}
	if strings.EqualFold(r.URL.Path, pathSOAP) {
		s.serveSOAP(w, r)
	} else {
		s.servePOX(w, r)
	}
}

// spend takes n users from the account's budget; false when it is used up.
func (s *Server) spend(account string, n int) bool {
	if s.options.BudgetBurst == 0 {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.budgets[account]
	if l == nil {
		l = rate.NewLimiter(rate.Limit(s.options.BudgetPerSecond), s.options.BudgetBurst)
		s.budgets[account] = l
	}
	return l.AllowN(time.Now(), n)
}

// style is how the next answer is written.
func (s *Server) style() Style {
	if s.options.Profile != fault.Hostile {
		return s.options.Style
	}
	n := s.requests.Add(1)
	draw := func(what string) bool { return fault.Uniform(s.options.Seed, "style "+what, n) < 0.5 }
	style := Style{Declaration: draw("declaration"), OpenEmpty: draw("empty"), Reverse: draw("order"), Unasked: draw("unasked")}
	if draw("prefix") {
		style.Prefix = "x"
	}
	return style
}

// record appends a request to the journal.
func (s *Server) record(r *http.Request, e journal.Entry) {
	e.Server, e.Kind, e.Conn = "autodiscover", "request", iisauth.ConnOf(r)
	e.Mailbox = strings.ToLower(e.Mailbox)
	if e.Detail == nil {
		e.Detail = map[string]string{}
	}
	if id, ok := iisauth.IdentityOf(r); ok {
		e.Account, e.Detail["auth"] = id.Account, id.Scheme
	}
	e.Detail["scheme"] = "http"
	if r.TLS != nil {
		e.Detail["scheme"] = "https"
	}
	e.Detail["method"], e.Detail["host"], e.Detail["path"], e.Detail["agent"] = r.Method, r.Host, r.URL.Path, r.UserAgent()
	e.Detail["concurrent"] = strconv.FormatInt(s.concurrent.Load(), 10)
	s.options.Journal.Append(e)
	s.options.Logger.DebugContext(r.Context(), "autodiscover", "operation", e.Operation, "status", e.Status, "reason", e.Reason)
}

func (s *Server) violation(r *http.Request, reason string) {
	s.options.Journal.Append(journal.Entry{
		Server: "autodiscover", Kind: "violation", Reason: reason, Conn: iisauth.ConnOf(r),
		Detail: map[string]string{"host": r.Host, "path": r.URL.Path, "agent": r.UserAgent()},
	})
}
