package apns

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// idLen is the length of a key ID and of a team ID (Apple "Establishing a
// token-based connection to APNs").
const idLen = 10

// Key signs provider tokens. Make one with [LoadKey]. Its text form shows the
// key ID only.
type Key struct {
	id, team string
	private  *ecdsa.PrivateKey
}

// LoadKey reads the text of a .p8 file: a PKCS #8 private key on the curve
// P-256 in PEM. keyID is the key's ID and teamID the team's, ten characters
// each, as Apple's developer site shows them.
func LoadKey(text []byte, keyID, teamID string) (*Key, error) {
	if err := checkID("key ID", keyID, "it is in the name of the file, AuthKey_<key ID>.p8"); err != nil {
		return nil, err
	}
	if err := checkID("team ID", teamID, "it is on the Membership page of the Apple developer site"); err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("apns: key: not PEM; pass the .p8 file as downloaded from Apple, with its BEGIN PRIVATE KEY line")
	}
	if block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("apns: key: the PEM block is a %s, want a PRIVATE KEY; pass the .p8 file as downloaded from Apple", block.Type)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("apns: key: the PEM block holds no PKCS #8 private key; download the .p8 file again or create a new key")
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("apns: key: %T, want an EC key; APNs takes ES256 only, create an APNs key on the Apple developer site", parsed)
	}
	if private.Curve != elliptic.P256() {
		return nil, fmt.Errorf("apns: key: curve %s, want P-256; APNs takes ES256 only, create an APNs key on the Apple developer site", private.Curve.Params().Name)
	}
	return &Key{id: keyID, team: teamID, private: private}, nil
}

func checkID(name, id, hint string) error {
	if len(id) != idLen {
		return fmt.Errorf("apns: %s: %d characters, want %d; %s", name, len(id), idLen, hint)
	}
	for _, r := range id {
		if (r < '0' || r > '9') && (r < 'A' || r > 'Z') {
			return fmt.Errorf("apns: %s: want capital letters and digits only; %s", name, hint)
		}
	}
	return nil
}

// String names the key without its secret.
func (k *Key) String() string { return "apns key " + k.id }

// GoString is String, so that %#v keeps the secret too.
func (k *Key) GoString() string { return k.String() }

// LogValue is the key ID.
func (k *Key) LogValue() slog.Value { return slog.StringValue(k.id) }

// sign makes a provider token issued at the given time: a JWT with the header
// fields alg and kid, the claims iss and iat, and a signature of 64 bytes r‖s
// (RFC 7518 "Digital Signature with ECDSA").
func (k *Key) sign(issued time.Time) (string, error) {
	header, err := json.Marshal(struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
	}{"ES256", k.id})
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(struct {
		Issuer   string `json:"iss"`
		IssuedAt int64  `json:"iat"`
	}{k.team, issued.Unix()})
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(claims)
	digest := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, k.private, digest[:])
	if err != nil {
		return "", err
	}
	const half = 32
	signature := make([]byte, 2*half)
	r.FillBytes(signature[:half])
	s.FillBytes(signature[half:])
	return text + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}
