package config

import (
	"crypto/tls"
	"encoding/base64"
	"net/url"
	"strings"

	"mailbell/notifier/engine"
)

func (b *builder) engine(e Engine) engine.Options {
	out := engine.Options{
		URL: e.URL, LedgerAge: e.LedgerAge, DedupeWindow: e.DedupeWindow,
		DiskMax: int64(e.DiskMaxMiB) << 20, Replicas: e.Replicas,
	}
	if b.one("engine.sync", e.Sync, "interval", "always") == "always" {
		out.Sync = engine.Always
	}
	switch {
	case e.Dir == "" && e.URL == "":
		b.wrong("engine.dir", "missing: a directory for the embedded engine, or url for an external one")
	case e.Dir != "" && e.URL != "":
		b.wrong("engine.url", "give dir or url, not both")
	case e.URL != "":
		b.unused("engine", "it is for the embedded engine; an external one has its own setting", "sync", "disk_max_mib")
		b.external(e, &out)
	default:
		b.unused("engine", "it is for an external engine, with url", "ca_file", "certificate_file", "key_file", "replicas")
		out.Dir = b.resolve(e.Dir)
	}
	if e.DiskMaxMiB != 0 && (e.DiskMaxMiB > diskMaxMiB || out.DiskMax < engine.DiskMaxMin) {
		b.wrong("engine.disk_max_mib", "want %d to %d", engine.DiskMaxMin>>20, diskMaxMiB)
	}
	out.Key = b.engineKey(e.SecretFile)
	return out
}

// diskMaxMiB is 1 PiB; more is a slip.
const diskMaxMiB = 1 << 30

// engineKey reads the key that encrypts what is stored.
func (b *builder) engineKey(name string) []byte {
	const field, howTo = "engine.encryption_key_file", "make one with: notifier config key"
	text := b.secret(field, name, "32 random bytes in base64; "+howTo)
	if text == "" {
		return nil
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(key) != EngineKeyBytes {
		b.wrong(field, "the first line of the file is not %d bytes in base64; %s", EngineKeyBytes, howTo)
		return nil
	}
	return key
}

// external is the way to a NATS of one's own.
func (b *builder) external(e Engine, out *engine.Options) {
	if e.Replicas != 0 && e.Replicas != 1 && e.Replicas != 3 && e.Replicas != engine.ReplicasMax {
		b.wrong("engine.replicas", "want 1, 3 or %d", engine.ReplicasMax)
	}
	if b.isSet("engine.ca_file") || b.isSet("engine.certificate_file") || b.isSet("engine.key_file") {
		out.TLS = &tls.Config{RootCAs: b.pool("engine.ca_file", e.CAFile), MinVersion: tls.VersionTLS12}
	}
	if e.CertFile != "" || e.KeyFile != "" {
		if pair := b.keyPair("engine", e.CertFile, e.KeyFile); pair != nil {
			out.TLS.Certificates = []tls.Certificate{*pair}
		}
	}
	for part := range strings.SplitSeq(e.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(part))
		switch {
		case err != nil || u.Hostname() == "" || (u.Scheme != "tls" && u.Scheme != "nats"):
			b.wrong("engine.url", "want tls://host:port, several separated by commas")
			return
		case u.User != nil:
			b.wrong("engine.url", "a user name or password has no place in this file; use certificate_file and key_file")
			return
		case u.Scheme == "nats" && out.TLS == nil && !loopback(u.Hostname()):
			b.wrong("engine.url", "nats:// is not encrypted; use tls://")
			return
		}
	}
}
