package api

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// TrustedKey is a public key of the enrolment authority.
type TrustedKey struct {
	// ID is matched with a credential's kid; empty fits every kid, as a
	// credential without kid fits every key.
	ID string
	// Public is an ed25519.PublicKey, or an *ecdsa.PublicKey on P-256.
	Public crypto.PublicKey
}

// ParseTrustedKey reads the public key of a PEM file (RFC 7468 "Textual
// Encoding of Subject Public Key Info"), Ed25519 or ECDSA P-256. A PEM header
// "kid" becomes its ID. Anything else is refused, a private key with the hint to
// keep it away from here.
func ParseTrustedKey(text []byte) (TrustedKey, error) {
	block, rest := pem.Decode(text)
	if block == nil {
		return TrustedKey{}, errors.New("api: no PEM block; want -----BEGIN PUBLIC KEY-----")
	}
	if more, _ := pem.Decode(rest); more != nil {
		return TrustedKey{}, errors.New("api: more than one PEM block; give each key a file of its own")
	}
	return parseKey(block)
}

func parseKey(block *pem.Block) (TrustedKey, error) {
	switch block.Type {
	case "PUBLIC KEY":
	case "PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
		return TrustedKey{}, errors.New("api: the file holds a private key; only the authority may have it, give the public key here")
	default:
		return TrustedKey{}, fmt.Errorf("api: PEM block %q; want PUBLIC KEY", block.Type)
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return TrustedKey{}, errors.New("api: the public key cannot be read; want SubjectPublicKeyInfo in DER, as openssl pkey -pubout writes it")
	}
	k := TrustedKey{ID: block.Headers["kid"], Public: public}
	return k, k.validate()
}

func (k TrustedKey) validate() error {
	if k.method() == "" {
		return fmt.Errorf("api: key %q: want Ed25519 or ECDSA on P-256", k.ID)
	}
	return nil
}

// method is the signature algorithm that goes with the key; empty for none
// (RFC 8725 "Perform Algorithm Verification").
func (k TrustedKey) method() string {
	switch public := k.Public.(type) {
	case ed25519.PublicKey:
		if len(public) == ed25519.PublicKeySize {
			return "EdDSA"
		}
	case *ecdsa.PublicKey:
		if public != nil && public.Curve == elliptic.P256() {
			return "ES256"
		}
	}
	return ""
}
