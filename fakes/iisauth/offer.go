package iisauth

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// offers says whether the scheme is on offer.
func (s *Site) offers(scheme string) bool {
	return slices.ContainsFunc(s.options.Schemes, func(o string) bool { return strings.EqualFold(o, scheme) })
}

// offer writes the bare schemes into the answer's WWW-Authenticate. bad, when
// not nil, is the bearer token just refused.
func (s *Site) offer(h http.Header, r *http.Request, bad *TokenError) {
	var lines []string
	for _, scheme := range s.options.Schemes {
		lines = append(lines, s.challengeOf(scheme, r, bad))
	}
	if s.options.JoinSchemes {
		lines = []string{strings.Join(lines, ", ")}
	}
	for _, line := range lines {
		h.Add("WWW-Authenticate", line)
	}
	if bad != nil {
		h.Set("x-ms-diagnostics", bad.diagnostics())
	}
}

func (s *Site) challengeOf(scheme string, r *http.Request, bad *TokenError) string {
	word := scheme
	if s.options.LowerCase {
		word = strings.ToLower(scheme)
	}
	switch {
	case strings.EqualFold(scheme, SchemeBasic):
		return fmt.Sprintf("%s realm=%q", word, s.realm(r))
	case strings.EqualFold(scheme, SchemeBearer):
		return word + " " + s.bearerParameters(bad)
	}
	return word
}

func (s *Site) realm(r *http.Request) string {
	if s.options.Realm != "" {
		return s.options.Realm
	}
	return r.Host
}

// exchangeAppID is the application ID of Exchange Online; stsAppID that of the
// token service Exchange trusts to assert users.
const (
	exchangeAppID = "00000002-0000-0ff1-ce00-000000000000"
	stsAppID      = "00000001-0000-0000-c000-000000000000"
)

// bearerParameters are those of Exchange Online's challenge. A server with
// Bearer alone appends its inert Basic, as Exchange Online does.
func (s *Site) bearerParameters(bad *TokenError) string {
	p := fmt.Sprintf(`client_id=%q, trusted_issuers="%s@%s", token_types="app_asserted_user_v1 service_asserted_app_v1", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize"`,
		exchangeAppID, stsAppID, s.options.TenantID)
	if bad != nil {
		p += `, error="invalid_token"`
	}
	if len(s.options.Schemes) == 1 {
		p += `,Basic Realm=""`
	}
	return p
}

func (e *TokenError) diagnostics() string {
	code, category := e.Code, e.Category
	if code == 0 {
		code = 2000001
	}
	if category == "" {
		category = "invalid_token"
	}
	return fmt.Sprintf("%d;reason=%q;error_category=%q", code, e.Reason, category)
}

// html401Bytes is the size of the page a plain IIS sends with its 401.
const html401Bytes = 1293

// html401 is such a page: of that size, in words of its own.
var html401 = func() string {
	const head = `<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">` + "\r\n" +
		`<html xmlns="http://www.w3.org/1999/xhtml"><head><title>401 - Unauthorized</title></head>` + "\r\n" +
		`<body><h1>Server Error</h1><h2>401 - Unauthorized</h2><h3>This page needs credentials that were not given or not accepted.</h3><!--`
	const tail = "-->\r\n</body></html>\r\n"
	return head + strings.Repeat(" ", html401Bytes-len(head)-len(tail)) + tail
}()

// unauthorized finishes a 401 whose WWW-Authenticate lines are set. It reads
// the rest of the request's body, so that the connection can go on.
func (s *Site) unauthorized(w http.ResponseWriter, r *http.Request) {
	_, _ = io.CopyN(io.Discard, r.Body, BodyDrainMax) // a broken body breaks the connection by itself
	h := w.Header()
	h.Set("Server", "Microsoft-IIS/10.0")
	if !s.options.HTML401 {
		h.Set("Content-Length", "0")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	h.Set("Content-Type", "text/html")
	h.Set("Content-Length", fmt.Sprint(html401Bytes))
	w.WriteHeader(http.StatusUnauthorized)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, html401) // the client may be gone; nobody to tell
	}
}
