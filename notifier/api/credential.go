package api

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"mailbell/notifier"
)

// Scopes of a credential.
const (
	scopeDevice = "device" // the device named by sub, for the mailbox named by mailbox
	scopeAdmin  = "admin"  // looks at and removes any device, registers none
)

// claims are what a credential says, beside the registered claims (RFC 7519
// "Registered Claim Names").
type claims struct {
	jwt.RegisteredClaims
	Mailbox string `json:"mailbox"`
	Scope   string `json:"scope"`
}

// credential is a verified one.
type credential struct {
	subject string
	admin   bool
	mailbox notifier.Mailbox // of a device
}

// verifier checks credentials.
type verifier struct {
	parser *jwt.Parser
	keys   []TrustedKey
}

func newVerifier(keys []TrustedKey, audience string) *verifier {
	return &verifier{keys: keys, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{"EdDSA", "ES256"}), jwt.WithAudience(audience), jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(), jwt.WithLeeway(credentialLeeway), jwt.WithStrictDecoding(),
	)}
}

// errNoCredential is a request without any.
var errNoCredential = errors.New("no credential: send the one from your enrolment as Authorization: Bearer")

// verify reads the credential of a request. Its errors say what is wrong
// without quoting it.
func (v *verifier) verify(r *http.Request) (credential, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	switch {
	case len(r.Header.Values("Authorization")) > 1:
		return credential{}, errors.New("more than one Authorization header")
	case !strings.EqualFold(scheme, "Bearer") || token == "":
		return credential{}, errNoCredential
	case len(token) > credentialLenMax:
		return credential{}, fmt.Errorf("the credential has more than %d bytes", credentialLenMax)
	}
	var c claims
	if _, err := v.parser.ParseWithClaims(token, &c, v.keysFor); err != nil {
		return credential{}, errors.New(whatIsWrong(err))
	}
	return c.accept()
}

// keysFor are the keys that may have signed the credential.
func (v *verifier) keysFor(t *jwt.Token) (any, error) {
	kid, _ := t.Header["kid"].(string)
	var set jwt.VerificationKeySet
	for _, k := range v.keys {
		if k.method() == t.Method.Alg() && (kid == "" || k.ID == "" || k.ID == kid) {
			set.Keys = append(set.Keys, k.Public)
		}
	}
	if len(set.Keys) == 0 {
		return nil, jwt.ErrTokenUnverifiable
	}
	return set, nil
}

// accept checks the claims that are Mailbell's own.
func (c *claims) accept() (credential, error) {
	out := credential{subject: c.Subject}
	if c.Subject == "" {
		return credential{}, errors.New("the credential names no subject (sub)")
	}
	switch c.Scope {
	case scopeAdmin:
		out.admin = true
		return out, nil
	case scopeDevice:
	default:
		return credential{}, errors.New("the credential's scope is neither device nor admin")
	}
	m, err := notifier.ParseMailbox(c.Mailbox)
	if err != nil {
		return credential{}, errors.New("the credential names no valid mailbox")
	}
	out.mailbox = m
	return out, nil
}

// whatIsWrong says it in one sentence; the library's words may quote claims.
func whatIsWrong(err error) string {
	for _, known := range []struct {
		is   error
		text string
	}{
		{jwt.ErrTokenMalformed, "the credential is not a signed JSON Web Token"},
		{jwt.ErrTokenUnverifiable, "the credential is signed with a key or an algorithm that is not trusted (EdDSA or ES256 by the enrolment authority)"},
		{jwt.ErrTokenSignatureInvalid, "the credential's signature is not the enrolment authority's"},
		{jwt.ErrTokenExpired, "the credential has expired; enrol again"},
		{jwt.ErrTokenNotValidYet, "the credential is not valid yet; check the clocks"},
		{jwt.ErrTokenUsedBeforeIssued, "the credential was issued in the future; check the clocks"},
		{jwt.ErrTokenInvalidAudience, "the credential is meant for another service (aud)"},
		{jwt.ErrTokenRequiredClaimMissing, "the credential lacks a claim that is required (exp and aud are)"},
	} {
		if errors.Is(err, known.is) {
			return known.text
		}
	}
	return "the credential is not valid"
}
