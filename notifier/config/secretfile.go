package config

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// resolve is the file that a field names.
func (b *builder) resolve(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(b.dir, name)
}

// file reads the file that a field names; nil after a complaint. The complaint
// does not repeat the name: it stands in the line that is named, and more
// often than one would think it is the secret itself.
func (b *builder) file(field, name string, most int64) []byte {
	text, err := b.read(b.resolve(name), most)
	if err == nil {
		if text == nil {
			text = []byte{}
		}
		return text
	}
	reason := err
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		reason = path.Err
	}
	where := ""
	if !filepath.IsAbs(name) {
		where = "; the name is relative to " + filepath.Clean(b.dir)
	}
	b.wrong(field, "want the name of a file that can be read: %v%s", reason, where)
	return nil
}

// secret is the first line of the file that a field names; empty after a
// complaint. what says what the file should hold.
func (b *builder) secret(field, name, what string) string {
	if !b.need(field, name, "the name of a file whose first line is "+what) {
		return ""
	}
	text := b.file(field, name, SecretMax)
	if text == nil {
		return ""
	}
	line, err := firstLine(text)
	if err != nil {
		b.wrong(field, "%v; it should be %s", err, what)
	}
	return line
}

// firstLine is the first line of a file with a secret.
func firstLine(text []byte) (string, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // editors on Windows write it
	line, _, _ := strings.Cut(string(text), "\n")
	line = strings.TrimSuffix(line, "\r")
	switch {
	case strings.Contains(line, "\x00") || !utf8.ValidString(line):
		return "", errors.New("the file is not UTF-8 text; save it as UTF-8 (PowerShell: Out-File -Encoding ascii)")
	case strings.TrimSpace(line) == "":
		return "", errors.New("the first line of the file is empty")
	}
	return line, nil
}

// keyPair reads a certificate and its key from certificate_file and key_file of a
// section; nil after a complaint.
func (b *builder) keyPair(section, certificate, key string) *tls.Certificate {
	certField, keyField := section+".certificate_file", section+".key_file"
	haveCert := b.need(certField, certificate, "a PEM file with the certificate that goes with key_file")
	haveKey := b.need(keyField, key, "a PEM file with the private key of certificate_file")
	if !haveCert || !haveKey {
		return nil
	}
	c, k := b.file(certField, certificate, SecretMax), b.file(keyField, key, SecretMax)
	if c == nil || k == nil {
		return nil
	}
	pair, err := tls.X509KeyPair(c, k)
	if err != nil {
		b.wrong(certField, "certificate and key do not go together: %s", strings.TrimPrefix(err.Error(), "tls: "))
		return nil
	}
	return &pair
}

// pool is the system's authorities and those of the file that a field names; nil
// when it names none.
func (b *builder) pool(field, name string) *x509.CertPool {
	if name == "" {
		return nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if text := b.file(field, name, CAMax); text != nil && !pool.AppendCertsFromPEM(text) {
		b.wrong(field, "the file holds no certificate in PEM; want -----BEGIN CERTIFICATE-----")
	}
	return pool
}
