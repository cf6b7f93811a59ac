package fakeentra

import (
	"context"
	"crypto/hmac"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailbell/fakes/fault"
	"mailbell/fakes/journal"
)

// grant is a token request on its way.
type grant struct {
	tenant     Tenant
	tenantName string // as in the path
	app        App
	resource   string
	scope      string
	method     string // secret, basic or assertion
}

func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, FormBytesMax)
	g := &grant{tenantName: r.PathValue("tenant")}
	refused := s.examine(r, g)
	if s.struck(w, r, g) {
		return
	}
	if refused != nil {
		s.record(r, g, refused.status, refused.name, "", map[string]string{"code": strconv.Itoa(refused.code)})
		s.writeError(w, refused)
		return
	}
	s.mu.Lock()
	life := s.expiresIn
	s.mu.Unlock()
	token, err := s.issue(g, life)
	if err != nil {
		s.record(r, g, http.StatusInternalServerError, "server_error", "", nil)
		http.Error(w, "signing failed", http.StatusInternalServerError)
		return
	}
	seconds := int(life / time.Second)
	answer := map[string]any{"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token}
	if s.options.RefreshIn > 0 {
		answer["refresh_in"] = int(s.options.RefreshIn / time.Second)
	}
	s.record(r, g, http.StatusOK, "", "", map[string]string{"expires_in": strconv.Itoa(seconds)})
	writeJSON(w, http.StatusOK, answer)
}

// examine checks a token request in the order of the real service: form,
// tenant, application, scope, credential.
func (s *Server) examine(r *http.Request, g *grant) *oauthError {
	if r.Method != http.MethodPost {
		return &oauthError{http.StatusBadRequest, "invalid_request", 900561, "The endpoint only accepts POST requests. Received a " + clip(r.Method) + " request."}
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/x-www-form-urlencoded" {
		return missingParameter("grant_type")
	}
	if err := r.ParseForm(); err != nil {
		return missingParameter("grant_type")
	}
	form := r.PostForm
	switch form.Get("grant_type") {
	case "client_credentials":
	case "":
		return missingParameter("grant_type")
	default:
		return &oauthError{http.StatusBadRequest, "unsupported_grant_type", 70003, "The app requested an unsupported grant type."}
	}
	var ok bool
	if g.tenant, ok = s.tenant(g.tenantName); !ok {
		return tenantNotFound(g.tenantName)
	}
	clientID, secret := form.Get("client_id"), form.Get("client_secret")
	if secret != "" {
		g.method = "secret"
	}
	if id, password, basic := basicClient(r); basic {
		clientID, secret, g.method = id, password, "basic"
	}
	if clientID == "" {
		return missingParameter("client_id")
	}
	if g.app, ok = s.app(clientID, g.tenant); !ok {
		g.app = App{}
		return appNotFound(clientID, g.tenant)
	}
	if refused := s.examineScope(form.Get("scope"), g); refused != nil {
		return refused
	}
	return s.examineCredential(form, secret, g)
}

// examineScope wants the /.default of one resource; OpenID scopes beside it are
// tolerated.
func (s *Server) examineScope(scope string, g *grant) *oauthError {
	if scope == "" {
		return missingParameter("scope")
	}
	var wanted []string
	for _, one := range strings.Fields(scope) {
		if !slices.Contains([]string{"openid", "profile", "offline_access", "email"}, one) {
			wanted = append(wanted, one)
		}
	}
	if len(wanted) != 1 {
		return badScope(70011, "The provided request must include a 'scope' input parameter of one resource.")
	}
	resource, ok := strings.CutSuffix(wanted[0], "/.default")
	if !ok {
		return badScope(1002012, fmt.Sprintf("The provided value for scope %s is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).", clip(wanted[0])))
	}
	if !slices.Contains(s.options.Resources, strings.TrimSuffix(resource, "/")) {
		return &oauthError{
			http.StatusBadRequest, "invalid_resource", 500011,
			fmt.Sprintf("The resource principal named %s was not found in the tenant.", clip(resource)),
		}
	}
	g.resource, g.scope = strings.TrimSuffix(resource, "/"), wanted[0]
	return nil
}

func (s *Server) examineCredential(form url.Values, secret string, g *grant) *oauthError {
	if assertion := form.Get("client_assertion"); assertion != "" {
		g.method = "assertion"
		if form.Get("client_assertion_type") != assertionType {
			return missingParameter("client_assertion_type")
		}
		return s.checkAssertion(g.app, g.tenantName, assertion)
	}
	switch {
	case secret == "":
		return noCredential()
	case g.app.Secret == "" || !sameSecret(secret, g.app.Secret):
		return wrongSecret(g.app)
	case g.app.SecretExpired:
		return expiredSecret(g.app)
	}
	return nil
}

// basicClient reads a client's Basic header, whose parts are form-encoded
// (RFC 6749, "Client Password").
func basicClient(r *http.Request) (id, secret string, ok bool) {
	u, p, ok := r.BasicAuth()
	if !ok {
		return "", "", false
	}
	id, errID := url.QueryUnescape(u)
	secret, errSecret := url.QueryUnescape(p)
	return id, secret, errID == nil && errSecret == nil
}

// sameSecret compares in constant time, whatever the lengths.
func sameSecret(a, b string) bool { return hmac.Equal(digest([]byte(a)), digest([]byte(b))) }

// struck lets the faults of token requests strike.
func (s *Server) struck(w http.ResponseWriter, r *http.Request, g *grant) bool {
	scope := fault.Scope{Server: "entra", Account: g.app.ClientID}
	if f, ok := s.options.Faults.Strikes("entra.slow", scope); ok && !sleep(r.Context(), f.Duration("for", SlowDefault)) {
		s.record(r, g, 0, "gone", f.Name, nil)
		return true
	}
	if f, ok := s.options.Faults.Strikes("entra.429", scope); ok {
		w.Header().Set("Retry-After", strconv.Itoa(f.Int("retry-after", 5)))
		s.fail(w, r, g, f, &oauthError{http.StatusTooManyRequests, "temporarily_unavailable", 90055, "The request was throttled."})
		return true
	}
	if f, ok := s.options.Faults.Strikes("entra.503", scope); ok {
		if after := f.Args["retry-after"]; after != "" {
			w.Header().Set("Retry-After", after)
		}
		s.fail(w, r, g, f, &oauthError{http.StatusServiceUnavailable, "temporarily_unavailable", 90033, "A transient error has occurred. Please try again."})
		return true
	}
	if f, ok := s.options.Faults.Strikes("entra.500", scope); ok {
		s.record(r, g, http.StatusInternalServerError, "", f.Name, nil)
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte("<html><body>Our services aren't available right now</body></html>"))
		return true
	}
	if f, ok := s.options.Faults.Strikes("entra.refuse", scope); ok {
		s.fail(w, r, g, f, wrongSecret(g.app))
		return true
	}
	return false
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, g *grant, f fault.Fault, e *oauthError) {
	s.record(r, g, e.status, e.name, f.Name, map[string]string{"code": strconv.Itoa(e.code)})
	s.writeError(w, e)
}

func (s *Server) record(r *http.Request, g *grant, status int, reason, struck string, detail map[string]string) {
	if detail == nil {
		detail = map[string]string{}
	}
	detail["tenant"], detail["scope"], detail["method"] = g.tenant.ID, g.scope, g.method
	s.options.Journal.Append(journal.Entry{
		Server: "entra", Kind: "token", Account: g.app.ClientID, Operation: "token", Status: status, Reason: reason, Fault: struck, Detail: detail,
	})
	s.options.Logger.DebugContext(r.Context(), "token request", "app", g.app.ClientID, "status", status, "reason", reason)
}

// sleep waits for d; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
