package apns

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"time"

	"golang.org/x/net/http2"
)

// Hosts of the two environments (Apple "Sending notification requests to
// APNs"). Both listen on 443 and 2197.
const (
	HostProduction  = "https://api.push.apple.com"
	HostDevelopment = "https://api.sandbox.push.apple.com"
)

// Options say where to push and as whom. Zero values mean the defaults.
type Options struct {
	// Host is the origin to push to; default HostProduction.
	Host string
	// Key or Certificate is our identity; exactly one must be set.
	Key         *Key
	Certificate *tls.Certificate
	// Dial opens the TCP connection; TLS is added here. Default: net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// RootCAs verifies the host; default: the system's.
	RootCAs *x509.CertPool
	// Lanes is the number of connections, 1 to LanesMax; default LanesDefault.
	Lanes int
	// StreamsMax bounds the pushes in flight on one connection, below whatever
	// the peer allows; default StreamsDefault.
	StreamsMax int
	// PushTimeout is how long a push may wait for its answer once it is sent;
	// default PushTimeoutDefault.
	PushTimeout time.Duration
	// UnavailableWait is Response.RetryAfter of a push that met an internal
	// error or an unavailable service; default UnavailableWaitDefault.
	UnavailableWait time.Duration
	// Logger hears of connections and their ends; nil: nobody does.
	Logger *slog.Logger
}

// shared is what all lanes of a client have in common.
type shared struct {
	origin, addr string
	provider     *provider // nil with a certificate
	tls          *tls.Config
	dial         func(ctx context.Context, network, addr string) (net.Conn, error)
	streamsMax   int
	pushTimeout  time.Duration
	log          *slog.Logger
}

// validate names the field that is wrong and fills in the defaults.
func (o *Options) validate() (*shared, error) {
	if o.Host == "" {
		o.Host = HostProduction
	}
	u, err := url.Parse(o.Host)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("apns: Options.Host: want an origin such as %s", HostProduction)
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	switch {
	case o.Key == nil && o.Certificate == nil:
		return nil, errors.New("apns: Options: no identity; set Key (a .p8 key) or Certificate (a .p12 certificate)")
	case o.Key != nil && o.Certificate != nil:
		return nil, errors.New("apns: Options: Key and Certificate are both set; APNs ignores the key on a certificate connection, set one of them")
	case o.Key != nil && o.Key.private == nil:
		return nil, errors.New("apns: Options.Key: empty; make it with LoadKey")
	case o.Certificate != nil && len(o.Certificate.Certificate) == 0:
		return nil, errors.New("apns: Options.Certificate: empty; make it with LoadCertificate")
	}
	if o.Lanes == 0 {
		o.Lanes = LanesDefault
	}
	if o.Lanes < 1 || o.Lanes > LanesMax {
		return nil, fmt.Errorf("apns: Options.Lanes: %d, want 1 to %d", o.Lanes, LanesMax)
	}
	if o.StreamsMax == 0 {
		o.StreamsMax = StreamsDefault
	}
	if o.StreamsMax < 0 {
		return nil, fmt.Errorf("apns: Options.StreamsMax: %d, want 1 or more", o.StreamsMax)
	}
	if o.PushTimeout == 0 {
		o.PushTimeout = PushTimeoutDefault
	}
	if o.PushTimeout < 0 {
		return nil, fmt.Errorf("apns: Options.PushTimeout: %s, want more than zero", o.PushTimeout)
	}
	if o.UnavailableWait == 0 {
		o.UnavailableWait = UnavailableWaitDefault
	}
	if o.UnavailableWait < 0 {
		return nil, fmt.Errorf("apns: Options.UnavailableWait: %s, want more than zero", o.UnavailableWait)
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: tcpKeepAlive}).DialContext
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &shared{
		origin: "https://" + u.Host, addr: net.JoinHostPort(u.Hostname(), port),
		dial: o.Dial, streamsMax: o.StreamsMax, pushTimeout: o.PushTimeout, log: o.Logger,
		tls: &tls.Config{
			MinVersion: tls.VersionTLS12,
			RootCAs:    o.RootCAs,
			ServerName: u.Hostname(),
			NextProtos: []string{http2.NextProtoTLS},
		},
	}
	if o.Key != nil {
		s.provider = &provider{key: o.Key}
	} else {
		s.tls.Certificates = []tls.Certificate{*o.Certificate}
	}
	return s, nil
}
