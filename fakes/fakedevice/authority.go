// Package fakedevice plays the people's side of the simulated world: the mail
// app on a phone or PC, which registers for notifications, and the enrolment
// authority, which gives it a credential. It speaks HTTP to the registration
// service and nothing else, as a real app does.
//
// The journal learns of every registration and wipe twice, before the request
// (kinds "register", "wipe") and after its answer ("registered", "wiped"), so
// that an oracle knows from when to when a device may expect anything. Entries
// have Server "device", the device's ID, its mailbox, the answer's status, and
// Detail platform and address (device token or channel URI).
//
// Not modelled: the app's user interface, renewing a push address by itself
// (set APNs or WNS and register again), and attestation of devices.
package fakedevice

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The scopes of a credential.
const (
	ScopeDevice = "device"
	ScopeAdmin  = "admin"
)

// Audience is the service that credentials are for.
const Audience = "mailbell"

// Authority is an enrolment authority: it signs credentials. Safe for
// concurrent use.
type Authority struct {
	id     string
	method jwt.SigningMethod
	key    crypto.Signer
}

// NewAuthority makes an authority with an Ed25519 key.
func NewAuthority() (*Authority, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("fakedevice: %w", err)
	}
	return &Authority{"enrolment", jwt.SigningMethodEdDSA, key}, nil
}

// NewES256Authority makes an authority with an ECDSA P-256 key.
func NewES256Authority() (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("fakedevice: %w", err)
	}
	return &Authority{"enrolment", jwt.SigningMethodES256, key}, nil
}

// PublicKeyPEM is the key that the registration service has to trust.
func (a *Authority) PublicKeyPEM() []byte {
	der, err := x509.MarshalPKIXPublicKey(a.key.Public())
	if err != nil {
		panic(err) // both kinds of key have a PKIX form
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// Claims are what a credential says.
type Claims struct {
	Device   string
	Mailbox  string
	Scope    string        // empty: ScopeDevice
	Audience string        // empty: Audience
	Life     time.Duration // 0: an hour; negative: expired already
}

// Mint makes a credential.
func (a *Authority) Mint(c Claims) (string, error) {
	if c.Scope == "" {
		c.Scope = ScopeDevice
	}
	if c.Audience == "" {
		c.Audience = Audience
	}
	if c.Life == 0 {
		c.Life = time.Hour
	}
	now := time.Now()
	claims := jwt.MapClaims{"iss": a.id, "aud": c.Audience, "sub": c.Device, "scope": c.Scope, "iat": now.Add(min(c.Life, 0)).Unix(), "exp": now.Add(c.Life).Unix()}
	if c.Mailbox != "" {
		claims["mailbox"] = c.Mailbox
	}
	s, err := jwt.NewWithClaims(a.method, claims).SignedString(a.key)
	if err != nil {
		return "", fmt.Errorf("fakedevice: %w", err)
	}
	return s, nil
}
