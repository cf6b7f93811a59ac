package loadgen

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// authority is the enrolment authority of the population: it signs the
// credentials with which devices register.
type authority struct{ key ed25519.PrivateKey }

// credentialLife is long enough for the registration of everybody.
const credentialLife = time.Hour

func newAuthority() (*authority, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return &authority{key}, nil
}

// readAuthority reads an Ed25519 private key (PKCS #8, PEM).
func readAuthority(file string) (*authority, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("authority key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("authority key %s: no PEM block", file)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("authority key %s: %w", file, err)
	}
	if k, ok := key.(ed25519.PrivateKey); ok {
		return &authority{k}, nil
	}
	return nil, fmt.Errorf("authority key %s: %w", file, errors.New("want an Ed25519 key"))
}

// publicPEM is the key that the registration service has to trust.
func (a *authority) publicPEM() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(a.key.Public())
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// credential lets one device speak for one mailbox.
func (a *authority) credential(device, mailbox string) (string, error) {
	now := time.Now()
	return jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
		"iss": "loadgen", "aud": "mailbell", "sub": device, "scope": "device", "mailbox": mailbox,
		"iat": now.Unix(), "exp": now.Add(credentialLife).Unix(),
	}).SignedString(a.key)
}
