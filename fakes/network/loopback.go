package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// errClosed is the cause of anything asked of a closed Loopback.
var errClosed = errors.New("network is closed")

// Loopback is a Network of TCP listeners on this machine.
//
// Every host gets a port of its own. A host whose listener was closed stays
// known, and dialling it is refused as by a machine whose server is down; when
// it listens again it gets its former port if that is still free, so that
// programs which hold a copy of Hosts find it again.
type Loopback struct {
	mu     sync.Mutex
	hosts  map[string]*entry // by normalised host
	closed bool
}

// entry is what is known of a host.
type entry struct {
	addr     netip.AddrPort // where clients dial, always a loopback address
	listener *listener      // nil while nobody listens
}

var _ Network = (*Loopback)(nil)

// NewLoopback returns an empty network.
func NewLoopback() *Loopback { return &Loopback{hosts: map[string]*entry{}} }

// Listen binds a free port of 127.0.0.1 for host.
func (l *Loopback) Listen(host string) (net.Listener, error) { return l.listen(host, "") }

// ListenAt binds addr, for instance "127.0.0.1:8443" or "[::1]:0", for host.
// An unspecified address ("0.0.0.0:8443", ":8443") accepts connections from
// other machines, yet Dial still takes the loopback way. Any other address is
// refused.
func (l *Loopback) ListenAt(host, addr string) (net.Listener, error) {
	if addr == "" {
		return nil, fmt.Errorf("network: listen %s: address is empty", host)
	}
	return l.listen(host, addr)
}

func (l *Loopback) listen(host, addr string) (net.Listener, error) {
	name, err := Normalize(host)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, fmt.Errorf("network: listen %s: %w", name, errClosed)
	}
	known := l.hosts[name]
	if known != nil && known.listener != nil {
		return nil, fmt.Errorf("network: listen %s: %w", name, ErrHostTaken)
	}
	tcp, err := bind(addr, known)
	if err != nil {
		return nil, fmt.Errorf("network: listen %s: %w", name, err)
	}
	dial, err := loopbackOf(tcp.Addr())
	if err != nil {
		return nil, fmt.Errorf("network: listen %s at %s: %w", name, addr, errors.Join(err, tcp.Close()))
	}
	ln := &listener{Listener: tcp, network: l, name: name}
	l.hosts[name] = &entry{addr: dial, listener: ln}
	return ln, nil
}

// bind listens on addr; without one, on the port the host had before if that
// can be had, else on any.
func bind(addr string, known *entry) (net.Listener, error) {
	if addr != "" {
		return net.Listen("tcp", addr)
	}
	if known != nil {
		if ln, err := net.Listen("tcp", known.addr.String()); err == nil {
			return ln, nil
		}
	}
	return net.Listen("tcp", "127.0.0.1:0")
}

// loopbackOf is the loopback address under which a bound listener is reached.
func loopbackOf(a net.Addr) (netip.AddrPort, error) {
	bound, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}, err
	}
	ip := bound.Addr().Unmap()
	switch {
	case ip.IsLoopback():
	case ip.IsUnspecified():
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	default:
		return netip.AddrPort{}, errors.New("want a loopback or unspecified address")
	}
	return netip.AddrPortFrom(ip, bound.Port()), nil
}

// Dial connects to the listener of addr over loopback. The error is a
// *net.OpError whose cause is ErrUnknownHost for a name without a listener,
// and ECONNREFUSED for one whose listener is closed.
func (l *Loopback) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	name, err := Normalize(addr)
	if err != nil {
		return nil, err
	}
	target, err := l.lookup(name)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: Addr(name), Err: err}
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", target.String())
}

func (l *Loopback) lookup(name string) (netip.AddrPort, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return netip.AddrPort{}, errClosed
	}
	known := l.hosts[name]
	if known == nil {
		known = l.hosts[Wildcard(name)]
	}
	switch {
	case known == nil:
		return netip.AddrPort{}, fmt.Errorf("%s: %w", name, ErrUnknownHost)
	case known.listener == nil:
		return netip.AddrPort{}, syscall.ECONNREFUSED
	}
	return known.addr, nil
}

// Hosts maps every known host, wildcards included, to its loopback address:
// what a program outside this process needs to dial into the world.
func (l *Loopback) Hosts() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	hosts := make(map[string]string, len(l.hosts))
	for name, known := range l.hosts {
		hosts[name] = known.addr.String()
	}
	return hosts
}

// Close closes all listeners and refuses everything from then on. Connections
// live on: they belong to their servers and clients.
func (l *Loopback) Close() error {
	l.mu.Lock()
	l.closed = true
	var open []*listener
	for _, known := range l.hosts {
		if known.listener != nil {
			open = append(open, known.listener)
		}
	}
	l.mu.Unlock()
	var errs []error
	for _, ln := range open {
		if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// listener gives its host back when it is closed.
type listener struct {
	net.Listener
	network *Loopback
	name    string
}

func (ln *listener) Close() error {
	ln.network.mu.Lock()
	if known := ln.network.hosts[ln.name]; known != nil && known.listener == ln {
		known.listener = nil
	}
	ln.network.mu.Unlock()
	return ln.Listener.Close()
}
