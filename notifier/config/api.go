package config

import (
	"net"

	"mailbell/notifier/api"
	"mailbell/notifier/app"
)

func (b *builder) api(a API) app.API {
	out := app.API{Listen: a.Listen, Audience: a.Audience}
	if b.need("api.listen", a.Listen, "host:port, or :port for all addresses of this host") {
		b.hostPort("api.listen", a.Listen, false)
	}
	host, _, err := net.SplitHostPort(a.Listen)
	switch {
	case a.CertFile != "" || a.KeyFile != "":
		out.TLS = b.keyPair("api", a.CertFile, a.KeyFile)
	case err == nil && !loopback(host):
		b.wrong("api.certificate_file", "missing: other hosts can reach api.listen; give a certificate, or listen on 127.0.0.1")
	}
	if len(a.AuthorityKeys) == 0 {
		b.wrong("api.authority_keys", "missing: PEM files with the public keys of the enrolment authority")
	}
	for i, name := range a.AuthorityKeys {
		field := index("api.authority_keys", i)
		if !b.need(field, name, "the name of a PEM file") {
			continue
		}
		text := b.file(field, name, SecretMax)
		if text == nil {
			continue
		}
		key, err := api.ParseTrustedKey(text)
		b.accept(field, err)
		out.Keys = append(out.Keys, key)
	}
	return out
}
