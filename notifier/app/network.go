package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"strings"
	"time"

	"mailbell/notifier/wns"
)

// Network is the seam to the outside: everything that dials, listens or looks
// names up goes through it.
type Network struct {
	// Dial connects; nil: the system's way, and for WNS, whose addresses come
	// from strangers, one that refuses private addresses.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Listen listens; nil: net.Listen.
	Listen func(network, addr string) (net.Listener, error)
	// LookupSRV looks SRV records up; nil: the system's resolver.
	LookupSRV func(ctx context.Context, service, proto, name string) (cname string, addrs []*net.SRV, err error)
	// RootCAs are trusted to sign servers; nil: the system's.
	RootCAs *x509.CertPool
	// Hosts leads "host:port" or "*.suffix:port" to another address, like a
	// hosts file. What is named here is trusted, private addresses included.
	Hosts map[string]string
}

const (
	clientTimeout = 30 * time.Second
	dialTimeout   = 10 * time.Second
	keepAlive     = 30 * time.Second
)

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// dialer is the way out to servers that the configuration names.
func (n Network) dialer() dialFunc {
	base := n.Dial
	if base == nil {
		base = (&net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}).DialContext
	}
	return n.mapped(base)
}

// strangerDialer is the way out to servers that devices name.
func (n Network) strangerDialer() dialFunc {
	base := n.Dial
	if base == nil {
		base = wns.SafeDialer()
	}
	return n.mapped(base)
}

func (n Network) mapped(base dialFunc) dialFunc {
	if len(n.Hosts) == 0 {
		return base
	}
	plain := n.Dial
	if plain == nil {
		plain = (&net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}).DialContext
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		addr = strings.ToLower(addr)
		if to, ok := n.Hosts[addr]; ok {
			return plain(ctx, network, to)
		}
		if _, parent, ok := strings.Cut(addr, "."); ok {
			if to, ok := n.Hosts["*."+parent]; ok {
				return plain(ctx, network, to)
			}
		}
		return base(ctx, network, addr)
	}
}

// HTTPClient is a client for servers that the configuration names, such as
// token endpoints. It follows no redirects.
func (n Network) HTTPClient() *http.Client {
	return &http.Client{
		Timeout: clientTimeout,
		Transport: &http.Transport{
			DialContext: n.dialer(), TLSClientConfig: &tls.Config{RootCAs: n.RootCAs, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: dialTimeout, IdleConnTimeout: time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
