// Package memnet is a network in memory, for worlds that live inside a
// testing/synctest bubble or that want misfortunes a real network cannot be
// told to have.
//
// A Network hands out connections that behave like TCP: two directions with
// bounded buffers, writes that block when the far side does not read,
// deadlines, half close, a reset that throws away what was under way. TLS,
// HTTP/1.1 and HTTP/2 run over them unchanged. Bytes take Latency plus a
// jitter drawn from the seed, and arrive in order.
//
// Misfortunes go by host: Cut resets its connections, Silence makes those
// there are say nothing more, Partition also keeps new ones away, Heal ends
// it all. What was sent into a silence is delivered when it heals, as TCP
// would by sending it again.
//
// Waiting is done in sync.Cond and channels and by plain timers only, so that
// a waiting goroutine is durably blocked in the sense of testing/synctest. An
// idle connection holds no goroutine and no timer.
//
// It does not model: loss (TCP hides it), congestion, bandwidth, keep-alive
// probes, or the time-out after which a sender gives a silent peer up.
package memnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"mailbell/fakes/network"
)

// Limits and defaults.
const (
	// BufferBytesDefault is how much one direction holds that has arrived and
	// is not read before writes block: about a socket buffer.
	BufferBytesDefault = 256 << 10
	// FlightBytesMax is how much one direction holds including what has not
	// arrived yet. It is far more than a socket's, for a reason: a program that
	// writes with a mutex locked and waits for the clock while another waits for
	// the mutex stops the clock of a testing/synctest bubble for good, since
	// waiting for a mutex does not count as idle. HTTP/2 of net/http does that.
	FlightBytesMax = 8 << 20
	// BacklogMax is how many connections wait for Accept; further dials wait
	// (net.core.somaxconn of older kernels).
	BacklogMax = 128
)

// Options configures a Network. The zero value is instant and faultless.
type Options struct {
	Seed    int64         // draws jitter and fragments
	Latency time.Duration // one way; a dial takes two
	Jitter  time.Duration // up to this much more, one way
	// BufferBytes bounds what one direction of a connection holds unread. 0:
	// BufferBytesDefault.
	BufferBytes int
	// FragmentMax makes each Read return between 1 and so many bytes. 0: as
	// many as there are.
	FragmentMax int
}

// Network is an in-memory network.Network. It is safe for concurrent use.
type Network struct {
	options Options

	mu        sync.Mutex
	listeners map[string]*listener // nil value: the host is known, nobody listens
	barriers  map[string]*barrier  // hosts that are partitioned
	conns     map[*link]struct{}
	dialled   uint64 // connections made so far
	addresses int    // servers numbered so far
	closed    bool
}

var _ network.Network = (*Network)(nil)

// Barrier is what happens to who dials a partitioned host.
type Barrier uint8

// The barriers.
const (
	Hang   Barrier = iota // dials wait until the partition heals or their context ends
	Refuse                // dials are refused at once
)

// barrier is a partition in force.
type barrier struct {
	kind   Barrier
	healed chan struct{}
}

// New returns an empty network.
func New(options Options) *Network {
	if options.BufferBytes <= 0 {
		options.BufferBytes = BufferBytesDefault
	}
	return &Network{
		options:   options,
		listeners: map[string]*listener{},
		barriers:  map[string]*barrier{},
		conns:     map[*link]struct{}{},
	}
}

// Listen implements network.Network.
func (n *Network) Listen(host string) (net.Listener, error) {
	name, err := network.Normalize(host)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, fmt.Errorf("memnet: listen %s: %w", name, net.ErrClosed)
	}
	if n.listeners[name] != nil {
		return nil, fmt.Errorf("memnet: listen %s: %w", name, network.ErrHostTaken)
	}
	n.addresses++
	ln := &listener{
		network: n, name: name, addr: serverAddr(n.addresses, name),
		backlog: make(chan *conn, BacklogMax), done: make(chan struct{}),
	}
	n.listeners[name] = ln
	return ln, nil
}

// Dial implements network.Network. It takes two latencies, and for a host
// behind a Hang barrier as long as ctx allows.
func (n *Network) Dial(ctx context.Context, networkName, addr string) (net.Conn, error) {
	name, err := network.Normalize(addr)
	if err != nil {
		return nil, err
	}
	c, err := n.dial(ctx, name)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: networkName, Addr: network.Addr(name), Err: err}
	}
	return c, nil
}

func (n *Network) dial(ctx context.Context, name string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ln, err := n.pass(ctx, name)
	if err != nil {
		return nil, err
	}
	client, server := n.connect(name, ln)
	if err := ln.offer(ctx, server); err != nil {
		client.link.reset()
		return nil, err
	}
	if err := wait(ctx, n.options.Latency); err != nil {
		client.link.reset()
		return nil, err
	}
	return client, nil
}

// pass finds the listener of name, waiting out barriers and one latency.
func (n *Network) pass(ctx context.Context, name string) (*listener, error) {
	if err := wait(ctx, n.options.Latency); err != nil {
		return nil, err
	}
	for {
		ln, stop, err := n.find(name)
		if err != nil || stop == nil {
			return ln, err
		}
		select {
		case <-stop.healed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// find looks up the listener of name, or the barrier in its way.
func (n *Network) find(name string) (*listener, *barrier, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, nil, net.ErrClosed
	}
	host := name
	ln, known := n.listeners[host]
	if !known {
		host = network.Wildcard(name)
		ln, known = n.listeners[host]
	}
	if !known {
		return nil, nil, fmt.Errorf("%s: %w", name, network.ErrUnknownHost)
	}
	for _, h := range []string{"", name, host} {
		switch b := n.barriers[h]; {
		case b == nil:
		case b.kind == Refuse:
			return nil, nil, syscall.ECONNREFUSED
		default:
			return nil, b, nil
		}
	}
	if ln == nil {
		return nil, nil, syscall.ECONNREFUSED
	}
	return ln, nil, nil
}

// connect makes the two ends of a connection.
func (n *Network) connect(name string, ln *listener) (client, server *conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dialled++
	l := &link{network: n, dialled: name, host: ln.name}
	up := newStream(n.options, n.dialled, 0)
	down := newStream(n.options, n.dialled, 1)
	l.streams = [2]*stream{up, down}
	from := clientAddr(n.dialled)
	client = &conn{link: l, in: down, out: up, local: from, remote: ln.addr}
	server = &conn{link: l, in: up, out: down, local: ln.addr, remote: from}
	l.open = 2
	n.conns[l] = struct{}{}
	return client, server
}

// Cut resets all connections of a host, both ends: reads and writes fail with
// ECONNRESET and what was under way is lost. host is "name:port" as dialled or
// as listened on; "" is every host. It returns how many connections it cut.
func (n *Network) Cut(host string) int {
	links := n.linksOf(host)
	for _, l := range links {
		l.reset()
	}
	return len(links)
}

// Silence makes the present connections of a host half-open: they stay, and
// nothing gets through in either direction until Heal. New connections work.
// It returns how many connections it silenced.
func (n *Network) Silence(host string) int {
	links := n.linksOf(host)
	for _, l := range links {
		l.hold(true)
	}
	return len(links)
}

// Partition keeps new connections from a host and silences the present ones.
// A second partition of the host replaces the first.
func (n *Network) Partition(host string, kind Barrier) {
	host = normalizeScope(host)
	n.mu.Lock()
	if old := n.barriers[host]; old != nil {
		close(old.healed)
	}
	n.barriers[host] = &barrier{kind: kind, healed: make(chan struct{})}
	n.mu.Unlock()
	n.Silence(host)
}

// Heal ends Silence and Partition for a host. Heal("") ends them all.
func (n *Network) Heal(host string) {
	host = normalizeScope(host)
	n.mu.Lock()
	for h, b := range n.barriers {
		if host == "" || h == host {
			close(b.healed)
			delete(n.barriers, h)
		}
	}
	n.mu.Unlock()
	for _, l := range n.linksOf(host) {
		l.hold(false)
	}
}

// Conns is how many connections of a host are open on at least one end.
func (n *Network) Conns(host string) int { return len(n.linksOf(host)) }

// Dialled is how many connections were ever made.
func (n *Network) Dialled() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dialled
}

// Close closes all listeners, resets all connections and refuses everything
// from then on.
func (n *Network) Close() error {
	n.mu.Lock()
	n.closed = true
	var open []*listener
	for _, ln := range n.listeners {
		if ln != nil {
			open = append(open, ln)
		}
	}
	n.mu.Unlock()
	var errs []error
	for _, ln := range open {
		if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	n.Heal("")
	n.Cut("")
	return errors.Join(errs...)
}

func (n *Network) linksOf(host string) []*link {
	host = normalizeScope(host)
	n.mu.Lock()
	defer n.mu.Unlock()
	var links []*link
	for l := range n.conns {
		if host == "" || l.host == host || l.dialled == host {
			links = append(links, l)
		}
	}
	return links
}

// normalizeScope is Normalize for a scope; an address that is none matches
// nothing.
func normalizeScope(host string) string {
	if name, err := network.Normalize(host); err == nil {
		return name
	}
	return host
}

// wait lets d pass on the clock, or fails with the reason ctx ended.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
