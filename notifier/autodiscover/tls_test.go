package autodiscover

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// signer issues certificates for tests.
type signer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newSigner(t *testing.T) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lab authority"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{cert, key}
}

func (s *signer) issue(t *testing.T, name string, until time.Duration) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(until),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, s.cert, s.key.Public(), s.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: s.key}
}

func TestOnlyAHostWithAVerifiedCertificateIsAsked(t *testing.T) {
	authority, stranger := newSigner(t), newSigner(t)
	certificates := map[string]tls.Certificate{
		"contoso.test":              authority.issue(t, "www.contoso.test", time.Hour),              // wrong name
		"autodiscover.contoso.test": authority.issue(t, "autodiscover.contoso.test", -12*time.Hour), // expired
		"unknown.contoso.test":      stranger.issue(t, "unknown.contoso.test", time.Hour),           // unknown authority
		"good.contoso.test":         authority.issue(t, "good.contoso.test", time.Hour),             // as it should be
		"fixed.fabrikam.test":       stranger.issue(t, "fixed.fabrikam.test", time.Hour),            // fixed, and still not trusted
	}
	var requests atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.TLS.ServerName != "good.contoso.test" {
			t.Errorf("a request reached %s", r.TLS.ServerName)
		}
		(&server{any: settingsOf("m")}).ServeHTTP(w, r)
	}))
	s.TLS = &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		c := certificates[h.ServerName]
		return &c, nil
	}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(authority.cert)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if !strings.HasSuffix(addr, ":443") {
				return nil, errors.New("refused")
			}
			return new(net.Dialer).DialContext(ctx, network, s.Listener.Addr().String())
		},
	}
	defer transport.CloseIdleConnections()
	w := newWorld()
	w.records = []*net.SRV{{Target: "unknown.contoso.test", Port: 443, Priority: 1}, {Target: "good.contoso.test", Port: 443, Priority: 2}}
	c := w.client(t, func(o *Options) {
		o.Transport, o.Anonymous = transport, transport
		o.Endpoints = map[string]string{"fabrikam.test": "https://fixed.fabrikam.test"}
	})
	r := one(t, c, "ada@contoso.test")
	if r.Err != nil || requests.Load() != 2 {
		t.Errorf("error %v after %d requests\n%s", r.Err, requests.Load(), ladderText(r))
	}
	if text := ladderText(r); strings.Count(text, "failed to verify certificate") != 3 {
		t.Errorf("the operator sees\n%s", text)
	}
	var unknown *tls.CertificateVerificationError
	if r = one(t, c, "brook@fabrikam.test"); !errors.As(r.Err, &unknown) {
		t.Errorf("error %v", r.Err)
	}
}
