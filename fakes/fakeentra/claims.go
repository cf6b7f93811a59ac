package fakeentra

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailbell/fakes/iisauth"
)

// Claims are those of an access token in the v1.0 format, which Exchange gets
// (Microsoft identity platform, "Access token claims reference").
type Claims struct {
	Audience  string   `json:"aud"`
	Issuer    string   `json:"iss"`
	IssuedAt  int64    `json:"iat"`
	NotBefore int64    `json:"nbf"`
	Expires   int64    `json:"exp"`
	AppID     string   `json:"appid"`
	AppIDACR  string   `json:"appidacr"` // "1" secret, "2" certificate
	IDP       string   `json:"idp"`
	ObjectID  string   `json:"oid"`
	Subject   string   `json:"sub"`
	TenantID  string   `json:"tid"`
	Roles     []string `json:"roles,omitempty"`
	TokenID   string   `json:"uti"`
	Version   string   `json:"ver"`
}

// issue makes the access token of a grant.
func (s *Server) issue(g *grant, life time.Duration) (string, error) {
	now := time.Now()
	issuer := "https://sts.windows.net/" + g.tenant.ID + "/"
	acr := "1"
	if g.method == "assertion" {
		acr = "2"
	}
	oid := objectID(g.app.ClientID, g.tenant.ID)
	key := s.signing()
	return sign(key.PrivateKey, key.id, Claims{
		Audience: g.resource, Issuer: issuer, IDP: issuer, TenantID: g.tenant.ID,
		IssuedAt: now.Unix(), NotBefore: now.Unix(), Expires: now.Add(life).Unix(),
		AppID: g.app.ClientID, AppIDACR: acr, ObjectID: oid, Subject: oid,
		Roles: g.app.Roles[g.resource], TokenID: guid(), Version: "1.0",
	})
}

// Mint issues a token without a request, for tests of those who accept tokens.
// The life may be negative.
func (s *Server) Mint(app App, tenant Tenant, resource string, life time.Duration) (string, error) {
	return s.issue(&grant{tenant: tenant, app: app, resource: resource, method: "secret"}, life)
}

// objectID is the service principal of an app in a tenant: the same each time.
func objectID(clientID, tenantID string) string {
	b := digest([]byte(clientID + "\x00" + tenantID))
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// Why Verify refuses a token.
var (
	ErrSignature = errors.New("fakeentra: the token is not one of ours")
	ErrExpired   = errors.New("fakeentra: the token has expired")
	ErrAudience  = errors.New("fakeentra: the token is for another resource")
	ErrTenant    = errors.New("fakeentra: the token is of an unknown tenant")
)

// Verify checks a token that was shown to resource.
func (s *Server) Verify(token, resource string) (Claims, error) {
	var claims Claims
	c, err := parseCompact(token)
	if err != nil {
		return claims, err
	}
	key := s.signing()
	if c.header.Kid != key.id || c.verify(&key.PublicKey, "RS256") != nil || json.Unmarshal(c.claims, &claims) != nil {
		return Claims{}, ErrSignature
	}
	if now := time.Now(); !now.Before(time.Unix(claims.Expires, 0)) || now.Add(ClockSkewMax).Before(time.Unix(claims.NotBefore, 0)) {
		return claims, ErrExpired
	}
	if strings.TrimSuffix(claims.Audience, "/") != resource {
		return claims, ErrAudience
	}
	if _, ok := s.tenant(claims.TenantID); !ok || claims.Issuer != "https://sts.windows.net/"+claims.TenantID+"/" {
		return claims, ErrTenant
	}
	return claims, nil
}

// VerifyToken implements iisauth.TokenVerifier for Exchange Online: besides
// being valid, the token must hold a role of EWS.
func (s *Server) VerifyToken(token string) (iisauth.Identity, error) {
	claims, err := s.Verify(token, ResourceExchange)
	id := iisauth.Identity{Account: claims.AppID, Scheme: iisauth.SchemeBearer, AppOnly: true}
	switch {
	case errors.Is(err, ErrExpired):
		return id, &iisauth.TokenError{Code: 2000003, Reason: "The token has expired.", Category: "token_expired"}
	case errors.Is(err, ErrAudience):
		return id, &iisauth.TokenError{Code: 2000003, Reason: "The audience claim value is invalid.", Category: "invalid_resource"}
	case errors.Is(err, ErrTenant):
		return id, &iisauth.TokenError{Code: 2000001, Reason: "The tenant of the token is not served here.", Category: "invalid_tenant"}
	case err != nil:
		return iisauth.Identity{}, &iisauth.TokenError{Code: 2000001, Reason: "The token has an invalid signature.", Category: "invalid_signature"}
	case !slices.ContainsFunc(claims.Roles, isEWSRole):
		return id, &iisauth.TokenError{Code: 2000008, Reason: "The token contains no permissions, or permissions can not be understood.", Category: "invalid_grant"}
	}
	id.Impersonation = true
	return id, nil
}

// isEWSRole accepts the tenant-wide role and the scoped one of role-based
// access control for applications.
func isEWSRole(role string) bool {
	return role == RoleFullAccess || role == "Application EWS.AccessAsApp"
}
