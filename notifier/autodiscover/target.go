package autodiscover

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

const (
	soapPath = "/autodiscover/autodiscover.svc"
	poxPath  = "/autodiscover/autodiscover.xml"
)

// rules says where credentials may go.
type rules struct {
	fixed   map[string]string // domain → URL
	hosts   map[string]bool   // where redirects may lead
	domains map[string]bool   // where addresses may lead
}

// permit returns the URL that a redirect from one URL leads to, if it may be
// followed with the credentials for mailboxes of domain.
func (r *rules) permit(domain, from, location string) (string, error) {
	refuse := func(host, reason string) (string, error) {
		return "", &RedirectRefusedError{Domain: domain, Host: host, Reason: reason}
	}
	base, err := url.Parse(from)
	if err != nil {
		return refuse("an unreadable URL", "its origin cannot be parsed")
	}
	u, err := base.Parse(location)
	if err != nil || u.Hostname() == "" {
		return refuse("an unreadable URL", "Location cannot be parsed")
	}
	host := strings.ToLower(u.Hostname())
	samePlace := base.Scheme == "https" && normalHost(base) == normalHost(u)
	switch {
	case u.Scheme != "https":
		return refuse(host, "not https")
	case u.User != nil:
		return refuse(host, "a user name in the URL")
	case u.Port() != "" && u.Port() != "443" && !samePlace && normalHost(u) != hostOf(r.fixed[domain]):
		return refuse(host, "port "+u.Port())
	case !autodiscoverPath(u):
		return refuse(host, "the path is not one of Autodiscover")
	case host != domain && !strings.HasSuffix(host, "."+domain) && !r.hosts[host] && normalHost(u) != hostOf(r.fixed[domain]):
		return refuse(host, "the host is neither in the mailbox's domain nor in RedirectHosts; add it there to allow it")
	}
	return normal(u), nil
}

// permitAddress says whether mailboxes may be followed from one domain to another.
func (r *rules) permitAddress(from, to address) error {
	if from.domain == to.domain || r.domains[to.domain] {
		return nil
	}
	return &RedirectRefusedError{
		Domain: from.domain, Host: to.domain,
		Reason: "the domain is not in AddressDomains; add it there if the credentials are for it too",
	}
}

// autodiscoverPath reports whether the path is /autodiscover/…autodiscover.svc or
// .xml, in any case, with nothing encoded or climbing in it.
func autodiscoverPath(u *url.URL) bool {
	p := strings.ToLower(u.Path)
	return u.RawPath == "" && u.Opaque == "" && !strings.Contains(p, "//") && !strings.Contains(p, "..") &&
		strings.HasPrefix(p, "/autodiscover/") &&
		(strings.HasSuffix(p, "/autodiscover.svc") || strings.HasSuffix(p, "/autodiscover.xml"))
}

// normal writes a URL so that equal places compare equal: host in lower case, no
// default port, no query.
func normal(u *url.URL) string {
	c := url.URL{Scheme: "https", Host: normalHost(u), Path: u.Path}
	return c.String()
}

func normalHost(u *url.URL) string {
	host := strings.ToLower(u.Host)
	if u.Scheme == "https" {
		host = strings.TrimSuffix(host, ":443")
	}
	return host
}

// hostOf returns the host and port of a URL in normal form.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return normalHost(u)
}

// placeKey identifies a URL whatever the case of its path, which IIS ignores.
func placeKey(raw string) string { return strings.ToLower(raw) }

// asSOAP and asPOX turn the URL of one dialect into that of the other.
func asSOAP(raw string) string { return withSuffix(raw, ".svc") }
func asPOX(raw string) string  { return withSuffix(raw, ".xml") }

func withSuffix(raw, suffix string) string {
	if len(raw) < len(suffix) {
		return raw
	}
	return raw[:len(raw)-len(suffix)] + suffix
}

func isPOX(raw string) bool { return strings.HasSuffix(strings.ToLower(raw), ".xml") }

// fixedURL reads a URL of configuration. Without a path it means the SOAP end point.
func fixedURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return "", errors.New("not a URL")
	case u.Scheme != "https" || u.Hostname() == "":
		return "", errors.New("want an https URL")
	case u.User != nil:
		return "", errors.New("no user name or password here; they belong to the account")
	case u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("no query or fragment allowed")
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = soapPath
	}
	if !autodiscoverPath(u) {
		return "", fmt.Errorf("path %q: want %s", u.Path, soapPath)
	}
	return normal(u), nil
}

// ewsURL returns raw if credentials may be sent there, else "".
func ewsURL(raw string) string {
	raw = strings.TrimSpace(raw)
	u, err := url.Parse(raw)
	if err != nil || !strings.EqualFold(u.Scheme, "https") || u.Hostname() == "" || u.User != nil {
		return ""
	}
	return raw
}
