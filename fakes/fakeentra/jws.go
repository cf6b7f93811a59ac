package fakeentra

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // the hash of both algorithms
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// A small JWS (RFC 7515, "JWS Compact Serialization") for the two algorithms
// in use: RS256 and PS256.

var errToken = errors.New("fakeentra: malformed token")

type header struct {
	Alg     string `json:"alg"`
	Typ     string `json:"typ,omitempty"`
	Kid     string `json:"kid,omitempty"`
	X5T     string `json:"x5t,omitempty"`
	X5TS256 string `json:"x5t#S256,omitempty"`
}

// compact is a token taken apart and not verified.
type compact struct {
	header    header
	claims    []byte // JSON
	signed    []byte // what the signature covers
	signature []byte
}

func parseCompact(token string) (compact, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return compact{}, fmt.Errorf("%w: %d parts", errToken, len(parts))
	}
	var decoded [3][]byte
	for i, p := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.DecodeString(p); err != nil {
			return compact{}, fmt.Errorf("%w: part %d is not base64url", errToken, i)
		}
	}
	c := compact{claims: decoded[1], signed: []byte(parts[0] + "." + parts[1]), signature: decoded[2]}
	if err := json.Unmarshal(decoded[0], &c.header); err != nil {
		return compact{}, fmt.Errorf("%w: header is not JSON", errToken)
	}
	return c, nil
}

// verify checks the signature; the algorithm must be one of allowed.
func (c compact) verify(key *rsa.PublicKey, allowed ...string) error {
	sum := digest(c.signed)
	for _, alg := range allowed {
		if c.header.Alg != alg {
			continue
		}
		switch alg {
		case "RS256":
			return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum, c.signature)
		case "PS256":
			return rsa.VerifyPSS(key, crypto.SHA256, sum, c.signature, nil)
		}
	}
	return fmt.Errorf("fakeentra: algorithm %q is not allowed", c.header.Alg)
}

// sign makes an RS256 token.
func sign(key *rsa.PrivateKey, kid string, claims any) (string, error) {
	h, err := json.Marshal(header{Alg: "RS256", Typ: "JWT", Kid: kid, X5T: kid})
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed := base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString(b)
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest([]byte(signed)))
	if err != nil {
		return "", err
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

func digest(b []byte) []byte {
	h := crypto.SHA256.New()
	h.Write(b)
	return h.Sum(nil)
}
