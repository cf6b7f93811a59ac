package api

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestCredentialsAreChecked(t *testing.T) {
	set := func(name string, value any) func(jwt.MapClaims) {
		return func(c jwt.MapClaims) { c[name] = value }
	}
	unset := func(name string) func(jwt.MapClaims) { return func(c jwt.MapClaims) { delete(c, name) } }
	foreign := func(d *desk) string {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			d.t.Fatal(err)
		}
		d.private["EdDSA"] = key
		return d.credential(nil)
	}
	for _, c := range []struct {
		name string
		make func(*desk) string
		ok   bool
		says string
	}{
		{"Ed25519", func(d *desk) string { return d.credential(nil) }, true, ""},
		{"ES256", func(d *desk) string { return d.signed("ES256", nil, nil) }, true, ""},
		{"with the key's ID", func(d *desk) string { return d.signed("EdDSA", map[string]any{"kid": "ed"}, nil) }, true, ""},
		{"with any ID where the key has none", func(d *desk) string { return d.signed("ES256", map[string]any{"kid": "x"}, nil) }, true, ""},
		{"with another key's ID", func(d *desk) string { return d.signed("EdDSA", map[string]any{"kid": "x"}, nil) }, false, "not trusted"},
		{"without issuer and time of issue", func(d *desk) string {
			return d.credential(func(c jwt.MapClaims) { delete(c, "iss"); delete(c, "iat") })
		}, true, ""},
		{"one audience of several", func(d *desk) string { return d.credential(set("aud", []string{"x", "mailbell"})) }, true, ""},
		{"expired within the leeway", func(d *desk) string { return d.credential(set("exp", time.Now().Add(-59*time.Second).Unix())) }, true, ""},

		{"none", func(*desk) string { return "" }, false, "no credential"},
		{"not a token", func(*desk) string { return "abc" }, false, "not a signed"},
		{"unsigned", func(d *desk) string {
			_, claims, _ := strings.Cut(d.credential(nil), ".")
			claims, _, _ = strings.Cut(claims, ".")
			return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + claims + "."
		}, false, ""},
		{"signed with the public key as a secret", func(d *desk) string {
			token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"aud": "mailbell", "sub": "phone", "exp": time.Now().Add(time.Hour).Unix()})
			text, err := token.SignedString([]byte(d.opt.Keys[0].Public.(ed25519.PublicKey)))
			if err != nil {
				d.t.Fatal(err)
			}
			return text
		}, false, ""},
		{"of a foreign key", foreign, false, "signature"},
		{"changed afterwards", func(d *desk) string {
			head, rest, _ := strings.Cut(d.credential(nil), ".")
			_, signature, _ := strings.Cut(rest, ".")
			_, claims, _ := strings.Cut(d.deviceOf("phone", "bob@contoso.test"), ".")
			claims, _, _ = strings.Cut(claims, ".")
			return head + "." + claims + "." + signature
		}, false, "signature"},
		{"expired", func(d *desk) string { return d.credential(set("exp", time.Now().Add(-61*time.Second).Unix())) }, false, "expired"},
		{"without expiry", func(d *desk) string { return d.credential(unset("exp")) }, false, "required"},
		{"not valid yet", func(d *desk) string { return d.credential(set("nbf", time.Now().Add(2*time.Minute).Unix())) }, false, "not valid yet"},
		{"issued in the future", func(d *desk) string { return d.credential(set("iat", time.Now().Add(2*time.Minute).Unix())) }, false, "future"},
		{"for another service", func(d *desk) string { return d.credential(set("aud", "other")) }, false, "another service"},
		{"for nobody", func(d *desk) string { return d.credential(unset("aud")) }, false, ""},
		{"without subject", func(d *desk) string { return d.credential(unset("sub")) }, false, "subject"},
		{"without scope", func(d *desk) string { return d.credential(unset("scope")) }, false, "scope"},
		{"of an unknown scope", func(d *desk) string { return d.credential(set("scope", "root")) }, false, "scope"},
		{"of a device without mailbox", func(d *desk) string { return d.credential(unset("mailbox")) }, false, "mailbox"},
		{"endless", func(*desk) string { return strings.Repeat("a", credentialLenMax+1) }, false, "bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, nil, func(d *desk) {
				text := c.make(d)
				a := d.do("PUT", "/v1/devices/phone", text, iphone())
				if c.ok {
					if a.status != http.StatusCreated {
						t.Errorf("%d: %s", a.status, a.body)
					}
					return
				}
				if a.status != http.StatusUnauthorized || !strings.Contains(a.problem.Detail, c.says) {
					t.Errorf("%d %q, want 401 with %q", a.status, a.problem.Detail, c.says)
				}
				if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer ") {
					t.Errorf("WWW-Authenticate %q", a.header.Get("WWW-Authenticate"))
				}
				if text != "" && len(text) < 2000 && len(text) > 20 && strings.Contains(string(a.body), text) {
					t.Error("the answer quotes the credential")
				}
				if _, ok := d.registration("phone"); ok {
					t.Error("it was registered all the same")
				}
			})
		})
	}
}

func TestOtherSchemesAreNoCredential(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		if a := d.do("GET", "/v1/devices/phone", "", nil, "Authorization", "Basic cGhvbmU6eA=="); a.status != 401 {
			t.Errorf("%d", a.status)
		}
		if a := d.do("GET", "/v1/devices/phone", "", nil, "Authorization", "bearer "+d.credential(nil)); a.status != 404 {
			t.Errorf("the scheme in lower case: %d", a.status)
		}
	})
}

func TestTrustedKeysAreRead(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	good := publicPEM(t, public)
	block, _ := pem.Decode(good)
	block.Headers = map[string]string{"kid": "key-1"}
	for _, c := range []struct {
		name string
		text []byte
		kid  string
		says string
	}{
		{"Ed25519", good, "", ""},
		{"P-256", publicPEM(t, &p256.PublicKey), "", ""},
		{"with an ID", pem.EncodeToMemory(block), "key-1", ""},
		{"P-384", publicPEM(t, &p384.PublicKey), "", "P-256"},
		{"RSA", publicPEM(t, &r.PublicKey), "", "P-256"},
		{"nothing", nil, "", "BEGIN PUBLIC KEY"},
		{"text", []byte("ssh-ed25519 AAAA"), "", "BEGIN PUBLIC KEY"},
		{"two keys", append(publicPEM(t, public), good...), "", "more than one"},
		{"a private key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), "", "private key"},
		{"a certificate", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1}}), "", "PUBLIC KEY"},
		{"rubbish", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte{1, 2, 3}}), "", "cannot be read"},
	} {
		k, err := ParseTrustedKey(c.text)
		if c.says == "" {
			if err != nil || k.ID != c.kid || k.method() == "" {
				t.Errorf("%s: %+v, %v", c.name, k, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
