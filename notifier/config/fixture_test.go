package config_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"software.sslmate.com/src/go-pkcs12"

	"mailbell/notifier/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secret marks everything that no error may show.
const secret = "S3CRET"

// good is a configuration that has nothing wrong. Cases name its lines.
const good = `engine:
  dir: data
  encryption_key_file: engine.key
exchange:
  accounts:
    - user: CONTOSO\svc-mailbell
      password_file: listener.password
push:
  apns:
    - key_file: apple.p8
      key_id: ABC123DEFG
      team_id: DEF123GHIJ
  wns:
    - package_sid: ms-app://s-1-15-2-1
      secret_file: wns.secret
policy:
  - mailboxes: ["*"]
api:
  listen: :8443
  certificate_file: api.crt
  key_file: api.key
  authority_keys: [authority.pem]
`

// files are what a configuration may name, made once.
var files = sync.OnceValue(func() map[string][]byte {
	_, enrol := must2(ed25519.GenerateKey(rand.Reader))
	apple := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	application := must(rsa.GenerateKey(rand.Reader, 2048))
	certificate := selfSigned(apple)
	return map[string][]byte{
		"engine.key":        []byte(base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")) + "\n"),
		"short.key":         []byte(base64.StdEncoding.EncodeToString([]byte(secret)) + "\n"),
		"bad.key":           []byte(secret + "!\n"),
		"utf16.key":         []byte("\xff\xfeA\x00A\x00\r\x00\n\x00"),
		"listener.password": []byte(secret + " listener\r\nsecond line\n"),
		"bom.password":      []byte("\ufeff" + secret + " after a mark\n"),
		"empty.password":    nil,
		"blank.password":    []byte("\n" + secret + "\n"),
		"big.password":      []byte(strings.Repeat(secret, 64<<10)),
		"apple.p8":          toPEM("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(apple))),
		"p384.p8":           toPEM("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(p384))),
		"not-pem":           []byte(secret + "\n"),
		"apple.p12":         must(pkcs12.Modern.Encode(apple, must(x509.ParseCertificate(certificate)), nil, secret+" p12")),
		"apple.password":    []byte(secret + " p12\n"),
		"wns.secret":        []byte(secret + " wns\n"),
		"api.crt":           toPEM("CERTIFICATE", certificate),
		"api.key":           toPEM("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(apple))),
		"other.key":         toPEM("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(application))),
		"oauth.secret":      []byte(secret + " oauth\n"),
		"oauth.crt":         toPEM("CERTIFICATE", selfSigned(application)),
		"authority.pem":     toPEM("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(enrol.Public()))),
		"enrol-private.pem": toPEM("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(enrol))),
	}
})

func selfSigned(key crypto.Signer) []byte {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mailbell.contoso.test"}, DNSNames: []string{"mailbell.contoso.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	return must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
}

func toPEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func must2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(err)
	}
	return a, b
}

// place puts a configuration and all files into a directory of the test and
// returns the name of the configuration.
func place(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files() {
		write(t, filepath.Join(dir, name), content)
	}
	path := filepath.Join(dir, "notifier.yaml")
	write(t, path, []byte(text))
	return path
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// refused loads a configuration that has to be wrong.
func refused(t *testing.T, text string) *config.Error {
	t.Helper()
	path := place(t, text)
	c, err := config.Load(path)
	if err == nil {
		_ = c.Close()
		t.Fatal("accepted")
	}
	e, ok := errors.AsType[*config.Error](err)
	if !ok {
		t.Fatalf("%T: %v; want a *config.Error", err, err)
	}
	if e.File != path || !strings.Contains(e.Error(), path) {
		t.Errorf("the error names the file %q, want %q: %v", e.File, path, e)
	}
	if strings.Contains(e.Error(), secret) {
		t.Errorf("the error shows a secret: %v", e)
	}
	return e
}

// edit changes good.
func edit(t *testing.T, change ...string) string {
	t.Helper()
	for i := 0; i < len(change); i += 2 {
		if !strings.Contains(good, change[i]) {
			t.Fatalf("the good configuration has no %q", change[i])
		}
	}
	return strings.NewReplacer(change...).Replace(good)
}
