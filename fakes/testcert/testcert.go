// Package testcert is the certificate authority of the simulated world.
//
// An Authority signs leaf certificates for the servers of the world, for any
// set of names, wildcards and IP addresses, and client certificates for the
// certificate mode of APNs. Its clients trust it through Pool or PEM. Nothing
// is written to disk and nothing is shared between two authorities: a
// certificate of one fails verification against the other, which is how the
// "unknown authority" case is made.
//
// All certificates are ECDSA P-256 and valid from NotBefore to NotAfter. That
// span covers both today and the year 2000, in which a testing/synctest bubble
// starts its clock, so a world may be built inside a bubble or outside.
package testcert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"time"
)

// Validity of everything an Authority signs. 2049 is the last year that X.509
// writes with two digits (RFC 5280, "Validity").
var (
	NotBefore = time.Date(1999, time.January, 1, 0, 0, 0, 0, time.UTC)
	NotAfter  = time.Date(2049, time.January, 1, 0, 0, 0, 0, time.UTC)
)

// oidUID is the attribute userId (RFC 4519, "uid"); an APNs certificate names
// its topic in it.
var oidUID = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}

// Authority signs certificates. It is immutable, so safe for concurrent use.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes an authority with a fresh key.
func NewAuthority() (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("testcert: authority key: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Organization: []string{"Mailbell simulated world"}, CommonName: "Mailbell test authority " + serial.Text(36)[:6]},
		NotBefore:             NotBefore,
		NotAfter:              NotAfter,
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("testcert: authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("testcert: authority: %w", err)
	}
	return &Authority{cert: cert, key: key}, nil
}

// Server makes a server certificate for names: host names, wildcards such as
// "*.notify.windows.com", or IP addresses; a ":port" behind a name is ignored.
// The first name is also the common name. Leaf is set in the result.
func (a *Authority) Server(names ...string) (tls.Certificate, error) {
	if len(names) == 0 {
		return tls.Certificate{}, errors.New("testcert: server certificate without a name")
	}
	return a.sign(serverTemplate(names))
}

// ExpiredServer is Server with a validity that ended on the day it began,
// NotBefore, so it is expired by any clock of the world.
func (a *Authority) ExpiredServer(names ...string) (tls.Certificate, error) {
	if len(names) == 0 {
		return tls.Certificate{}, errors.New("testcert: server certificate without a name")
	}
	template := serverTemplate(names)
	template.NotAfter = NotBefore.Add(24 * time.Hour)
	return a.sign(template)
}

// Client makes a client certificate. uid, when it is not empty, becomes the
// attribute UID of the subject: the topic of an APNs certificate.
func (a *Authority) Client(commonName, uid string) (tls.Certificate, error) {
	subject := pkix.Name{CommonName: commonName}
	if uid != "" {
		subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: oidUID, Value: uid}}
	}
	return a.sign(&x509.Certificate{
		Subject:     subject,
		NotBefore:   NotBefore,
		NotAfter:    NotAfter,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

// UID is the attribute UID of a certificate's subject, or "".
func UID(cert *x509.Certificate) string {
	for _, attribute := range cert.Subject.Names {
		if attribute.Type.Equal(oidUID) {
			s, _ := attribute.Value.(string)
			return s
		}
	}
	return ""
}

// Certificate is the authority's own certificate.
func (a *Authority) Certificate() *x509.Certificate { return a.cert }

// Pool is a new pool that trusts this authority alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// PEM is the authority's certificate in PEM, for curl and configuration files.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// KeyPairPEM writes a certificate of this package as PEM: the chain, and the
// key in PKCS #8.
func KeyPairPEM(cert tls.Certificate) (chain, key []byte, err error) {
	for _, der := range cert.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return nil, nil, fmt.Errorf("testcert: private key: %w", err)
	}
	return chain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func serverTemplate(names []string) *x509.Certificate {
	template := &x509.Certificate{
		NotBefore:   NotBefore,
		NotAfter:    NotAfter,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for i, name := range names {
		name = hostOf(name)
		if i == 0 {
			template.Subject.CommonName = name
		}
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, strings.ToLower(name))
		}
	}
	return template
}

func (a *Authority) sign(template *x509.Certificate) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("testcert: key: %w", err)
	}
	if template.SerialNumber, err = newSerial(); err != nil {
		return tls.Certificate{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("testcert: certificate for %q: %w", template.Subject.CommonName, err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("testcert: certificate for %q: %w", template.Subject.CommonName, err)
	}
	return tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("testcert: serial number: %w", err)
	}
	return serial.SetBit(serial, 119, 1), nil
}

// hostOf drops a port from "host:port" and brackets from "[::1]".
func hostOf(name string) string {
	if host, _, err := net.SplitHostPort(name); err == nil {
		return host
	}
	return strings.Trim(name, "[]")
}
