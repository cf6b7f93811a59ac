package fakeentra

import (
	"crypto/rsa"
	"crypto/sha1"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// assertionClaims are those of a client assertion (Microsoft identity platform,
// "Application authentication certificate credentials").
type assertionClaims struct {
	Audience  audience `json:"aud"`
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	ID        string   `json:"jti"`
	NotBefore float64  `json:"nbf"`
	Expires   float64  `json:"exp"`
}

// audience is a string or a list of strings (RFC 7519, "aud").
type audience []string

func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if err := json.Unmarshal(b, &one); err == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// checkAssertion verifies an assertion for an app and spends its jti.
func (s *Server) checkAssertion(app App, tenantName, assertion string) *oauthError {
	c, err := parseCompact(assertion)
	if err != nil {
		return badAssertion(700027, "it is not a signed JWT")
	}
	cert := registered(app, c.header)
	if cert == nil {
		return badAssertion(700027, "no certificate of the application has the thumbprint of the header")
	}
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return badAssertion(700027, "the certificate's key is not RSA")
	}
	if err := c.verify(key, "PS256", "RS256"); err != nil {
		return badAssertion(700027, "the signature does not verify")
	}
	var claims assertionClaims
	if err := json.Unmarshal(c.claims, &claims); err != nil {
		return badAssertion(700027, "the claims are not JSON")
	}
	if !strings.EqualFold(claims.Issuer, app.ClientID) || !strings.EqualFold(claims.Subject, app.ClientID) {
		return badAssertion(700027, "iss and sub must be the client ID")
	}
	endpoint := s.base() + tenantName + "/oauth2/v2.0/token"
	if !slices.ContainsFunc(claims.Audience, func(a string) bool { return strings.EqualFold(a, endpoint) }) {
		return badAssertion(700027, "aud must be "+endpoint)
	}
	now, expires := time.Now(), unixTime(claims.Expires)
	switch {
	case claims.Expires == 0, now.After(expires.Add(ClockSkewMax)),
		now.Add(ClockSkewMax).Before(unixTime(claims.NotBefore)), expires.After(now.Add(AssertionLifeMax)):
		return badAssertion(700024, "it is not within its valid time range")
	case claims.ID == "":
		return badAssertion(700027, "jti is missing")
	case !s.spend(app, claims.ID, expires):
		return badAssertion(700027, "its jti was used before")
	}
	return nil
}

// registered is the app's certificate that the header names by thumbprint.
func registered(app App, h header) *x509.Certificate {
	for _, cert := range app.Certificates {
		sha1Sum := sha1.Sum(cert.Raw)
		if h.X5TS256 != "" {
			if same(h.X5TS256, digest(cert.Raw)) {
				return cert
			}
		} else if h.X5T != "" && same(h.X5T, sha1Sum[:]) {
			return cert
		}
	}
	return nil
}

// same compares a thumbprint in base64url or, as MSAL for Go writes it, in
// plain base64; padded or not.
func same(text string, sum []byte) bool {
	text = strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(text)
	return subtle.ConstantTimeCompare([]byte(text), []byte(base64.RawURLEncoding.EncodeToString(sum))) == 1
}

// spend remembers an assertion until it expires; false when it is known.
func (s *Server) spend(app App, id string, expires time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for k, until := range s.seen {
		if now.After(until) {
			delete(s.seen, k)
		}
	}
	key := app.ClientID + "\x00" + id
	if _, used := s.seen[key]; used {
		return false
	}
	s.seen[key] = expires.Add(ClockSkewMax)
	return true
}

func unixTime(seconds float64) time.Time { return time.Unix(int64(seconds), 0) }
