package apns

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"software.sslmate.com/src/go-pkcs12"
)

// LoadCertificate reads a .p12 file: the push certificate with its private key
// and, if present, its chain. An expired certificate is an error.
func LoadCertificate(p12 []byte, password string) (tls.Certificate, error) {
	private, leaf, chain, err := pkcs12.DecodeChain(p12, password)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return tls.Certificate{}, errors.New("apns: certificate: the password does not open the .p12 file")
	case err != nil:
		return tls.Certificate{}, fmt.Errorf("apns: certificate: not a .p12 file with one certificate and its private key, export it again from Keychain Access: %w", err)
	}
	if now := time.Now(); now.After(leaf.NotAfter) {
		return tls.Certificate{}, fmt.Errorf("apns: certificate: expired on %s; renew it on the Apple developer site", leaf.NotAfter.Format(time.DateOnly))
	}
	c := tls.Certificate{PrivateKey: private, Leaf: leaf, Certificate: [][]byte{leaf.Raw}}
	for _, ca := range chain {
		c.Certificate = append(c.Certificate, ca.Raw)
	}
	return c, nil
}
