package fakeapns

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"time"
)

// auth is what a connection remembers of its provider. Guarded by Server.mu.
type auth struct {
	key    ProviderKey // of the first token that passed
	fixed  bool
	token  string    // in use
	since  time.Time // its first use here
	spoilt bool      // an expired token was used, and Wedge is set
}

// signed is a provider token whose signature was found good.
type signed struct {
	key    string // KeyID
	issuer string
	issued time.Time
	hash   string // shows in the journal instead of the token
}

// authenticationRule follows Apple "Establishing a token-based connection to
// APNs". Where a check's place among the others is not known, the order is:
// signature, age, changes, key relation, environment, team.
func authenticationRule(s *Server, c *conn, r *request) verdict {
	if c.certified {
		return verdict{}
	}
	token, ok := strings.CutPrefix(r.header["authorization"], "bearer ")
	if !ok || token == "" {
		return refuse("MissingProviderToken")
	}
	t, ok := s.verify(token)
	if !ok {
		return refuse("InvalidProviderToken")
	}
	key := s.keys[t.key]
	switch {
	case c.auth.spoilt:
		return refuse("ExpiredProviderToken")
	case t.issued.After(r.arrived.Add(TokenAgeMax)):
		return refuse("InvalidProviderToken")
	case t.issued.Before(r.arrived.Add(-TokenAgeMax)):
		c.auth.spoilt = s.o.Wedge
		return refuse("ExpiredProviderToken")
	}
	changed := c.auth.token != token
	if changed && c.auth.token != "" && r.arrived.Sub(c.auth.since) < TokenChangeMin {
		return refuse("TooManyProviderTokenUpdates")
	}
	if c.auth.fixed && key.KeyID != c.auth.key.KeyID {
		if key.TeamID != c.auth.key.TeamID {
			return refuse("InvalidProviderToken")
		}
		if !slices.Contains(c.auth.key.Related, key.KeyID) && !slices.Contains(key.Related, c.auth.key.KeyID) {
			return refuse("UnrelatedKeyIdInToken")
		}
	}
	if key.Environment != "" && key.Environment != s.o.Environment {
		return refuse("BadEnvironmentKeyIdInToken")
	}
	if changed {
		c.auth.token, c.auth.since = token, r.arrived
		s.stats.ProviderTokens++
	}
	if !c.auth.fixed {
		c.auth.key, c.auth.fixed = key, true
	}
	return verdict{}
}

// verify checks a token's form, key, team and signature, and remembers the
// good ones.
func (s *Server) verify(token string) (signed, bool) {
	if t, ok := s.tokens[token]; ok {
		_, present := s.keys[t.key]
		return t, present
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return signed{}, false
	}
	var header struct{ Alg, Kid string }
	var claims struct {
		Iss string
		Iat json.Number
	}
	if !decodePart(parts[0], &header) || !decodePart(parts[1], &claims) || header.Alg != "ES256" {
		return signed{}, false
	}
	key, ok := s.keys[header.Kid]
	if !ok || key.TeamID != claims.Iss {
		return signed{}, false
	}
	issued, err := claims.Iat.Int64()
	if err != nil {
		return signed{}, false
	}
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(sig) != 64 {
		return signed{}, false
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if !ecdsa.Verify(key.PublicKey, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
		return signed{}, false
	}
	id := sha256.Sum256([]byte(token))
	t := signed{key: key.KeyID, issuer: claims.Iss, issued: time.Unix(issued, 0), hash: hex.EncodeToString(id[:4])}
	if len(s.tokens) >= tokensCached {
		clear(s.tokens)
	}
	s.tokens[token] = t
	return t, true
}

func decodePart(part string, into any) bool {
	b, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(b, into) == nil
}
