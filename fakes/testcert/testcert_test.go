package testcert

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"testing/synctest"
	"time"
)

func authority(t *testing.T) *Authority {
	t.Helper()
	a, err := NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestServerCertificateVerifiesForItsNamesInAndOutOfABubble(t *testing.T) {
	a := authority(t)
	cert, err := a.Server("mail.contoso.test:443", "*.notify.windows.com", "127.0.0.1", "[::1]:443")
	if err != nil {
		t.Fatal(err)
	}
	verify := func(pool *x509.CertPool, name string) error {
		_, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: name, CurrentTime: time.Now()})
		return err
	}
	check := func(t *testing.T) {
		for _, name := range []string{"mail.contoso.test", "db5p.notify.windows.com", "127.0.0.1", "::1"} {
			if err := verify(a.Pool(), name); err != nil {
				t.Errorf("%s at %v: %v", name, time.Now(), err)
			}
		}
	}
	check(t)
	synctest.Test(t, check)
	for _, name := range []string{"evil.test", "notify.windows.com", "a.b.notify.windows.com"} {
		if verify(a.Pool(), name) == nil {
			t.Errorf("verifies for %s", name)
		}
	}
	if verify(authority(t).Pool(), "mail.contoso.test") == nil {
		t.Error("verifies against another authority")
	}
}

func TestExpiredServerIsExpiredByEveryClock(t *testing.T) {
	a := authority(t)
	cert, err := a.ExpiredServer("mail.contoso.test")
	if err != nil {
		t.Fatal(err)
	}
	check := func(t *testing.T) {
		if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: a.Pool(), DNSName: "mail.contoso.test", CurrentTime: time.Now()}); err == nil {
			t.Errorf("valid at %v", time.Now())
		}
	}
	check(t)
	synctest.Test(t, check)
}

func TestClientCertificateCarriesTheTopicAsUID(t *testing.T) {
	a := authority(t)
	cert, err := a.Client("Apple Push Services: test.contoso.mail", "test.contoso.mail")
	if err != nil {
		t.Fatal(err)
	}
	if got := UID(cert.Leaf); got != "test.contoso.mail" {
		t.Errorf("UID %q", got)
	}
	if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: a.Pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	if UID(a.Certificate()) != "" {
		t.Error("the authority has a UID")
	}
}

func TestPEMFormsLoadAgain(t *testing.T) {
	a := authority(t)
	cert, err := a.Server("mail.contoso.test")
	if err != nil {
		t.Fatal(err)
	}
	chain, key, err := KeyPairPEM(cert)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.X509KeyPair(chain, key); err != nil {
		t.Error(err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(a.PEM()) {
		t.Error("the authority's PEM does not load")
	}
}

func TestServerCertificateNeedsAName(t *testing.T) {
	if _, err := authority(t).Server(); err == nil {
		t.Error("no error")
	}
}
