package fakeentra

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"

	"mailbell/fakes/iisauth"
	"mailbell/fakes/journal"
)

// Server is the handler of the token service's host. It is safe for concurrent
// use, and its apps may change while it runs.
type Server struct {
	options Options
	signing func() signingKey
	mux     *http.ServeMux

	mu        sync.Mutex
	apps      map[string]App // by lower-case client ID
	expiresIn time.Duration
	seen      map[string]time.Time // assertions used: client ID and jti, until they expire
}

var (
	_ http.Handler          = (*Server)(nil)
	_ iisauth.TokenVerifier = (*Server)(nil)
)

// New returns a server. Its signing key is made when the first token needs it.
func New(options Options) *Server {
	options = options.withDefaults()
	s := &Server{
		options: options, signing: sync.OnceValue(newSigningKey),
		mux: http.NewServeMux(), apps: map[string]App{}, expiresIn: options.ExpiresIn, seen: map[string]time.Time{},
	}
	for _, a := range options.Apps {
		s.PutApp(a)
	}
	s.mux.HandleFunc("/{tenant}/oauth2/v2.0/token", s.serveToken)
	s.mux.HandleFunc("GET /{tenant}/v2.0/.well-known/openid-configuration", s.serveConfiguration)
	s.mux.HandleFunc("GET /{tenant}/discovery/v2.0/keys", s.serveKeys)
	s.mux.HandleFunc("GET /common/discovery/instance", s.serveInstance)
	return s
}

// signingKey is the key of the tokens and its ID.
type signingKey struct {
	*rsa.PrivateKey
	id string
}

func newSigningKey() signingKey {
	key, err := rsa.GenerateKey(rand.Reader, KeyBits)
	if err != nil {
		panic(fmt.Sprintf("fakeentra: signing key: %v", err)) // only for sizes that are too small
	}
	return signingKey{key, base64.RawURLEncoding.EncodeToString(digest(key.N.Bytes())[:20])}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// PutApp creates or replaces an application. One without a ClientID is ignored.
func (s *Server) PutApp(a App) {
	if a.ClientID == "" {
		return
	}
	if a.Roles == nil {
		a.Roles = map[string][]string{ResourceExchange: {RoleFullAccess}}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apps[strings.ToLower(a.ClientID)] = a
}

// RemoveApp deletes an application; its tokens stay valid until they expire.
func (s *Server) RemoveApp(clientID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.apps, strings.ToLower(clientID))
}

// SetExpiresIn changes the life of tokens issued from now on.
func (s *Server) SetExpiresIn(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expiresIn = d
}

// tenant finds a tenant by ID or domain.
func (s *Server) tenant(name string) (Tenant, bool) {
	for _, t := range s.options.Tenants {
		if t.ID == "" {
			continue
		}
		if strings.EqualFold(t.ID, name) {
			return t, true
		}
		for _, d := range t.Domains {
			if strings.EqualFold(d, name) {
				return t, true
			}
		}
	}
	return Tenant{}, false
}

// app finds an application that is installed in the tenant.
func (s *Server) app(clientID string, t Tenant) (App, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.apps[strings.ToLower(clientID)]
	return a, ok && (a.Tenant == "" || strings.EqualFold(a.Tenant, t.ID))
}

func (s *Server) base() string { return "https://" + s.options.Host + "/" }

// serveConfiguration is OpenID Connect Discovery. The issuer names the tenant's
// ID whatever the path said.
func (s *Server) serveConfiguration(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("tenant")
	t, ok := s.tenant(name)
	if !ok {
		s.other(r, http.StatusBadRequest)
		s.writeError(w, tenantNotFound(name))
		return
	}
	s.other(r, http.StatusOK)
	writeJSON(w, http.StatusOK, map[string]any{
		"token_endpoint":                        s.base() + name + "/oauth2/v2.0/token",
		"authorization_endpoint":                s.base() + name + "/oauth2/v2.0/authorize",
		"device_authorization_endpoint":         s.base() + name + "/oauth2/v2.0/devicecode",
		"jwks_uri":                              s.base() + name + "/discovery/v2.0/keys",
		"issuer":                                s.base() + t.ID + "/v2.0",
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "private_key_jwt", "client_secret_basic"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"response_types_supported":              []string{"code", "id_token", "code id_token", "id_token token"},
		"subject_types_supported":               []string{"pairwise"},
		"scopes_supported":                      []string{"openid", "profile", "email", "offline_access"},
		"tenant_region_scope":                   "EU",
		"cloud_instance_name":                   "microsoftonline.com",
	})
}

func (s *Server) serveKeys(w http.ResponseWriter, r *http.Request) {
	s.other(r, http.StatusOK)
	key := s.signing()
	writeJSON(w, http.StatusOK, map[string]any{"keys": []map[string]string{{
		"kty": "RSA", "use": "sig", "kid": key.id, "x5t": key.id,
		"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()),
		"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()),
	}}})
}

// serveInstance tells clients that this host is a known cloud.
func (s *Server) serveInstance(w http.ResponseWriter, r *http.Request) {
	s.other(r, http.StatusOK)
	writeJSON(w, http.StatusOK, map[string]any{
		"tenant_discovery_endpoint": s.base() + "common/v2.0/.well-known/openid-configuration",
		"api-version":               "1.1",
		"metadata": []map[string]any{{
			"preferred_network": s.options.Host, "preferred_cache": s.options.Host, "aliases": []string{s.options.Host},
		}},
	})
}

// other records a request that is not for a token.
func (s *Server) other(r *http.Request, status int) {
	s.options.Journal.Append(journal.Entry{Server: "entra", Kind: "request", Operation: r.URL.Path, Status: status})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store, no-cache")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may be gone; nobody to tell
}
