package httpauth

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
)

// slot is the right to one connection to each host. It is used by one request
// at a time.
type slot struct {
	transport *http.Transport
	make      func() *http.Transport
}

// refresh forgets the slot's connections: what follows goes over new ones.
func (s *slot) refresh() {
	s.transport.CloseIdleConnections()
	s.transport = s.make()
}

// transportMaker returns the constructor of a slot's transport.
func transportMaker(o Options) func() *http.Transport {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.TLS != nil {
		config = o.TLS.Clone()
	}
	// IIS does not do NTLM over HTTP/2, and says so in a way that Go does not
	// understand ("HTTP/2 on IIS", HTTP_1_1_REQUIRED): it is never offered.
	config.NextProtos = []string{"http/1.1"}
	dial := o.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: dialKeepAlive}).DialContext
	}
	return func() *http.Transport {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(true)
		return &http.Transport{
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				c, err := dial(ctx, network, addr)
				if err != nil {
					return nil, err
				}
				return &connection{c}, nil
			},
			TLSClientConfig:        config,
			Protocols:              protocols,
			TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{},
			MaxConnsPerHost:        1,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        o.IdleTimeout,
			ResponseHeaderTimeout:  o.HeaderTimeout,
			TLSHandshakeTimeout:    handshakeTimeout,
			MaxResponseHeaderBytes: responseHeaderMax,
			DisableCompression:     true, // who wants it asks; a compressed stream may be held back
		}
	}
}

// connection gives every dialled connection an identity that can be compared.
type connection struct{ net.Conn }

// lentBody gives the slot back when the body is closed.
type lentBody struct {
	io.ReadCloser
	giveBack func()
	once     sync.Once
}

// Close may be called more than once.
func (b *lentBody) Close() error {
	err := b.ReadCloser.Close()
	b.once.Do(b.giveBack)
	return err
}
