package autodiscover

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Options is what a client needs.
type Options struct {
	// Transport sends requests with the realm's credentials. It must not follow
	// redirects.
	Transport http.RoundTripper
	// Anonymous sends requests without; nil: one that trusts the system's authorities.
	Anonymous http.RoundTripper
	// LookupSRV asks DNS; nil: the system's resolver.
	LookupSRV func(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)

	// Endpoints gives domains a fixed https URL, such as
	// https://mail.contoso.com/autodiscover/autodiscover.svc, which is then the only one tried.
	Endpoints map[string]string
	// RedirectHosts are hosts outside a mailbox's domain to which a redirect may lead
	// with credentials. nil: those of Office 365; empty: none.
	RedirectHosts []string
	// AddressDomains are further domains that a mailbox may be said to have moved to,
	// beside its own and those of Endpoints: contoso.mail.onmicrosoft.com.
	AddressDomains []string

	BatchMax    int           // users in one request; 0: BatchDefault
	ParallelMax int           // requests at a time; 0: ParallelDefault
	Timeout     time.Duration // for a candidate, and for a request; 0: TimeoutDefault
	UserAgent   string        // stable and own: administrators filter on it; "": Mailbell
	Logger      *slog.Logger  // nil: silent
}

// office365Hosts are the Autodiscover hosts of Office 365's clouds. Microsoft
// CSS-Exchange, Get-CloudServiceEndpoint.
func office365Hosts() []string {
	return []string{
		"autodiscover-s.outlook.com",
		"autodiscover-s.office365.us",
		"autodiscover-s-dod.office365.us",
		"autodiscover-s.partner.outlook.cn",
		"autodiscover-s.outlook.sovcloud.fr",
		"autodiscover-s.outlook.sovcloud.de",
	}
}

func (o *Options) complete() error {
	switch {
	case o.Transport == nil:
		return wrongField("Transport", "missing")
	case o.BatchMax < 0:
		return wrongField("BatchMax", "must not be negative")
	case o.ParallelMax < 0:
		return wrongField("ParallelMax", "must not be negative")
	case o.Timeout < 0:
		return wrongField("Timeout", "must not be negative")
	}
	if o.Anonymous == nil {
		o.Anonymous = &http.Transport{
			DialContext:       (&net.Dialer{Timeout: TimeoutDefault}).DialContext,
			TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS12},
			DisableKeepAlives: true,
		}
	}
	if o.LookupSRV == nil {
		o.LookupSRV = net.DefaultResolver.LookupSRV
	}
	if o.RedirectHosts == nil {
		o.RedirectHosts = office365Hosts()
	}
	if o.BatchMax == 0 {
		o.BatchMax = BatchDefault
	}
	if o.ParallelMax == 0 {
		o.ParallelMax = ParallelDefault
	}
	if o.Timeout == 0 {
		o.Timeout = TimeoutDefault
	}
	if o.UserAgent == "" {
		o.UserAgent = "Mailbell"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// rules compiles what configuration says about redirects.
func (o *Options) rules() (*rules, error) {
	r := &rules{fixed: map[string]string{}, hosts: map[string]bool{}, domains: map[string]bool{}}
	for domain, raw := range o.Endpoints {
		domain = strings.ToLower(domain)
		if !validDomain(domain) {
			return nil, wrongField("Endpoints", strconv.Quote(domain)+" is not a domain")
		}
		u, err := fixedURL(raw)
		if err != nil {
			return nil, wrongField("Endpoints", domain+": "+err.Error())
		}
		r.fixed[domain] = u
		r.domains[domain] = true
	}
	for _, host := range o.RedirectHosts {
		if host = strings.ToLower(host); !validDomain(host) {
			return nil, wrongField("RedirectHosts", strconv.Quote(host)+" is not a host name")
		}
		r.hosts[host] = true
	}
	for _, domain := range o.AddressDomains {
		if domain = strings.ToLower(domain); !validDomain(domain) {
			return nil, wrongField("AddressDomains", strconv.Quote(domain)+" is not a domain")
		}
		r.domains[domain] = true
	}
	return r, nil
}

// wrongField says what is wrong with a field of the options.
func wrongField(field, fix string) error { return fmt.Errorf("%s: %s", field, fix) }
