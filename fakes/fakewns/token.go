package fakewns

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"mailbell/fakes/fault"
	"mailbell/fakes/journal"
)

// Values that a token request must carry.
const (
	tokenPath  = "/accesstoken.srf"
	tokenScope = "notify.windows.com"
)

// tokenAnswer is the JSON of either outcome.
type tokenAnswer struct {
	Type        string `json:"token_type,omitempty"` // "bearer", lower case
	Token       string `json:"access_token,omitempty"`
	ExpiresIn   int    `json:"expires_in,omitempty"` // seconds
	Error       string `json:"error,omitempty"`
	Description string `json:"error_description,omitempty"`
}

func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	now := s.o.Now()
	b, err := io.ReadAll(io.LimitReader(r.Body, formMax))
	if err != nil {
		cut(w)
		return
	}
	form, _ := url.ParseQuery(string(b)) // what cannot be read is missing
	scope := fault.Scope{Server: "wns-token", Account: form.Get("client_id")}
	status, answer, name := s.issue(r, form, now)
	struck := ""
	var retryAfter time.Duration
	if f, ok := s.o.Faults.Strikes(faultToken503, scope); ok {
		struck, status, retryAfter = f.Name, http.StatusServiceUnavailable, f.Duration("retry-after", 0)
	} else if f, ok := s.o.Faults.Strikes(faultTokenHTML, scope); ok {
		struck, status = f.Name, http.StatusOK
	} else if f, ok := s.o.Faults.Strikes(faultTokenSlow, scope); ok {
		struck = f.Name
		if !pause(r, f.Duration("delay", slowDefault)) {
			return
		}
	}
	s.o.Journal.Append(journal.Entry{
		Time: now, Server: "wns-token", Kind: "token", Account: form.Get("client_id"), Operation: r.Method + " " + r.URL.Path,
		Status: status, Reason: answer.Error, Fault: struck, Detail: present(map[string]string{"app": name}),
	})
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	switch {
	case struck == faultToken503:
		if retryAfter > 0 {
			h.Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
		}
		w.WriteHeader(status)
	case struck == faultTokenHTML:
		h.Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html><body>Sign in</body></html>")
	case answer == tokenAnswer{}:
		w.WriteHeader(status)
	default:
		h.Set("Content-Type", "application/json")
		if answer.Error != "" {
			h["x-wlid-error"] = []string{"0x80045A78"}
		}
		out, _ := json.Marshal(answer) // strings and a number have a JSON form
		w.WriteHeader(status)
		_, _ = w.Write(out)
	}
}

// issue judges a token request and issues the token.
func (s *Server) issue(r *http.Request, form url.Values, now time.Time) (int, tokenAnswer, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Tokens++
	bad := func(code, description string) (int, tokenAnswer, string) {
		return http.StatusBadRequest, tokenAnswer{Error: code, Description: description}, ""
	}
	if r.URL.Path != tokenPath {
		return http.StatusNotFound, tokenAnswer{}, ""
	}
	if r.Method != http.MethodPost {
		return http.StatusMethodNotAllowed, tokenAnswer{}, ""
	}
	if t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); t != "application/x-www-form-urlencoded" {
		return bad("invalid_request", "The content type is not application/x-www-form-urlencoded")
	}
	for _, field := range []string{"grant_type", "client_id", "client_secret", "scope"} {
		if form.Get(field) == "" {
			return bad("invalid_request", "The request lacks "+field)
		}
	}
	if form.Get("grant_type") != "client_credentials" {
		return bad("unsupported_grant_type", "The grant type is not supported")
	}
	if form.Get("scope") != tokenScope {
		return bad("invalid_scope", "The scope is not valid")
	}
	for _, a := range s.apps {
		if a.SID != form.Get("client_id") {
			continue
		}
		if a.Secret != form.Get("client_secret") {
			return bad("invalid_client", "Invalid client secret")
		}
		return http.StatusOK, s.newToken(a, now), a.Name
	}
	return bad("invalid_client", "Invalid client id")
}

func (s *Server) newToken(a *app, now time.Time) tokenAnswer {
	if len(s.tokens) >= tokensMax {
		clear(s.tokens)
	}
	// The first bytes make sure that clients meet the characters that must be
	// escaped elsewhere; the last make it end in "==".
	value := base64.StdEncoding.EncodeToString(append([]byte{0x12, 0x06, 0x9a, 0xfb, 0xff, 0xbe}, s.bytes(tokenBytes)...))
	s.tokens[value] = token{app: a.Name, expires: now.Add(s.o.TokenLife)}
	answer := tokenAnswer{Type: "bearer", Token: value}
	if !s.o.NoExpiresIn {
		answer.ExpiresIn = int(s.o.TokenLife.Seconds())
	}
	return answer
}
