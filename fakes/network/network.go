// Package network is the wire of the simulated world: servers listen under the
// host names they have in reality, clients dial those names, and nothing ever
// leaves the machine.
//
// There are two implementations. Loopback, here, is TCP on 127.0.0.1, for
// scenarios, the load generator and programs outside the test process. The
// network of package memnet lives in memory and works inside a
// testing/synctest bubble.
//
// A client plugs Dial into its transport and goes on believing that it talks
// to api.push.apple.com. A name nobody listens on is refused with
// ErrUnknownHost: a program under test that tries to reach the real internet
// fails instead.
package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
)

// Network is where servers listen and clients dial by host name. Implementations
// are safe for concurrent use.
type Network interface {
	// Listen announces a server as host, "mail.contoso.test:443" or, for every
	// name one label below, "*.notify.windows.com:443". It fails while another
	// listener has that host.
	Listen(host string) (net.Listener, error)
	// Dial connects to the listener of addr, "host:port". It has the form of
	// net.Dialer.DialContext. An exact host wins over a wildcard.
	Dial(ctx context.Context, network, addr string) (net.Conn, error)
}

var (
	// ErrUnknownHost is the cause when a name that never was in the simulated
	// world is dialled.
	ErrUnknownHost = errors.New("no such host in the simulated world")
	// ErrHostTaken is the cause when a host is listened on twice.
	ErrHostTaken = errors.New("host has a listener already")
)

// Addr is the address of a simulated host as net.Addr.
type Addr string

// Network says "tcp": that is what the clients believe.
func (a Addr) Network() string { return "tcp" }

// String is "host:port".
func (a Addr) String() string { return string(a) }

// Normalize brings "Host:port" into the one form used for comparison: lower
// case, without a final dot. It fails unless there is a host and a port.
func Normalize(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("network: address %q: want host:port: %w", addr, err)
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "" || port == "" {
		return "", fmt.Errorf("network: address %q: want host:port", addr)
	}
	return net.JoinHostPort(host, port), nil
}

// Wildcard is the wildcard that covers a normalised addr:
// "*.notify.windows.com:443" for "db5.notify.windows.com:443". Like a wildcard
// of a certificate it stands for one label. It is "" when there is none.
func Wildcard(addr string) string {
	if strings.HasPrefix(addr, "*.") || strings.HasPrefix(addr, "[") {
		return ""
	}
	if _, rest, ok := strings.Cut(addr, "."); ok {
		return "*." + rest
	}
	return ""
}
