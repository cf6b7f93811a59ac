// Package memnet is a network in memory, for worlds that live inside a
// testing/synctest bubble or that want misfortunes a real network cannot be
// told to have.
//
// A Network hands out connections that behave like TCP: two directions with
// bounded buffers, writes that block when the far side does not read,
// deadlines, half close, a reset that throws away what was under way. TLS,
// HTTP/1.1 and HTTP/2 run over them unchanged. Bytes take Latency plus a
// jitter drawn from the seed, wait for their turn when the Bandwidth is used up,
// are late by a Stall now and then, as when TCP sends again what was lost, and
// arrive in order.
//
// Misfortunes go by link: "host:port" is all connections of that host, who>host
// those that who has dialled by his end of the network (As), "" all there are.
// Cut resets connections, Silence makes those there are say nothing more, one
// way or both, Partition also keeps new ones away, Heal ends it all. What was
// sent into a silence is delivered when it heals, as TCP would by sending it
// again.
//
// Waiting is done in sync.Cond and channels and by plain timers only, so that
// a waiting goroutine is durably blocked in the sense of testing/synctest. An
// idle connection holds no goroutine and no timer.
//
// It does not model: congestion, keep-alive probes, or the time-out after which a
// sender gives a silent peer up.
package memnet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
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
	// StallDefault is the shortest retransmission time-out of Linux
	// (TCP_RTO_MIN in include/net/tcp.h).
	StallDefault = 200 * time.Millisecond
	// BacklogMax is how many connections wait for Accept; further dials wait
	// (net.core.somaxconn of older kernels).
	BacklogMax = 128
)

// Options configures a Network. The zero value is instant and faultless.
type Options struct {
	Seed    int64         // draws jitter and fragments
	Latency time.Duration // one way; a dial takes two
	Jitter  time.Duration // up to this much more, one way
	// Bandwidth of one direction of a connection, in bytes a second. 0: no limit.
	Bandwidth int
	// StallOneIn makes one in so many writes, by the seed, late by Stall, and what
	// follows it: a lost segment that is sent again. 0: none.
	StallOneIn int
	Stall      time.Duration // 0: StallDefault
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
	barriers  map[scope]*barrier   // links that are partitioned
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
	if options.Stall <= 0 {
		options.Stall = StallDefault
	}
	return &Network{
		options:   options,
		listeners: map[string]*listener{},
		barriers:  map[scope]*barrier{},
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
	return n.dialAs(ctx, "", networkName, addr)
}

// As returns the network as who sees it: what is dialled through it can be met
// by a misfortune for "who>host:port".
func (n *Network) As(who string) network.Network { return end{n, who} }

// end is somebody's end of a network.
type end struct {
	*Network
	who string
}

func (e end) Dial(ctx context.Context, networkName, addr string) (net.Conn, error) {
	return e.dialAs(ctx, e.who, networkName, addr)
}

func (n *Network) dialAs(ctx context.Context, who, networkName, addr string) (net.Conn, error) {
	name, err := network.Normalize(addr)
	if err != nil {
		return nil, err
	}
	c, err := n.dial(ctx, who, name)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: networkName, Addr: network.Addr(name), Err: err}
	}
	return c, nil
}

func (n *Network) dial(ctx context.Context, who, name string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ln, err := n.pass(ctx, who, name)
	if err != nil {
		return nil, err
	}
	client, server := n.connect(who, name, ln)
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
func (n *Network) pass(ctx context.Context, who, name string) (*listener, error) {
	if err := wait(ctx, n.options.Latency); err != nil {
		return nil, err
	}
	for {
		ln, stop, err := n.find(who, name)
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
func (n *Network) find(who, name string) (*listener, *barrier, error) {
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
		for _, w := range []string{"", who} {
			switch b := n.barriers[scope{w, h}]; {
			case b == nil:
			case b.kind == Refuse:
				return nil, nil, syscall.ECONNREFUSED
			default:
				return nil, b, nil
			}
		}
	}
	if ln == nil {
		return nil, nil, syscall.ECONNREFUSED
	}
	return ln, nil, nil
}

// connect makes the two ends of a connection.
func (n *Network) connect(who, name string, ln *listener) (client, server *conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dialled++
	l := &link{network: n, number: n.dialled, who: who, dialled: name, host: ln.name}
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

// Cut resets all connections of a link, both ends: reads and writes fail with
// ECONNRESET and what was under way is lost. A host is named as dialled or as
// listened on. It returns how many connections it cut.
func (n *Network) Cut(link string) int {
	links := n.linksOf(scopeOf(link))
	for _, l := range links {
		l.reset()
	}
	return len(links)
}

// Direction of bytes, seen from who dialled.
type Direction uint8

// The directions.
const (
	BothWays Direction = iota
	Up                 // to the host
	Down               // from it
)

// Silence makes the present connections of a link half-open: they stay, and
// nothing gets through until Heal. New connections work. It returns how many
// connections it silenced.
func (n *Network) Silence(link string) int { return n.SilenceWay(link, BothWays) }

// SilenceWay is Silence in one direction only, or in both.
func (n *Network) SilenceWay(link string, way Direction) int {
	links := n.linksOf(scopeOf(link))
	for _, l := range links {
		l.hold(way, true)
	}
	return len(links)
}

// Partition keeps new connections from a link and silences the present ones.
// A second partition of the same link replaces the first.
func (n *Network) Partition(link string, kind Barrier) {
	s := scopeOf(link)
	n.mu.Lock()
	if old := n.barriers[s]; old != nil {
		close(old.healed)
	}
	n.barriers[s] = &barrier{kind: kind, healed: make(chan struct{})}
	n.mu.Unlock()
	n.Silence(link)
}

// Heal ends Silence and Partition for a link, whatever put its connections into
// silence. Heal("") ends them all.
func (n *Network) Heal(link string) {
	s := scopeOf(link)
	n.mu.Lock()
	for b, barrier := range n.barriers {
		if s == (scope{}) || b == s {
			close(barrier.healed)
			delete(n.barriers, b)
		}
	}
	n.mu.Unlock()
	for _, l := range n.linksOf(s) {
		l.hold(BothWays, false)
	}
}

// Conns is how many connections of a link are open on at least one end.
func (n *Network) Conns(link string) int { return len(n.linksOf(scopeOf(link))) }

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

func (n *Network) linksOf(s scope) []*link {
	n.mu.Lock()
	defer n.mu.Unlock()
	var links []*link
	for l := range n.conns {
		if s.has(l) {
			links = append(links, l)
		}
	}
	// In the order in which they were dialled: the seed decides, not the map.
	slices.SortFunc(links, func(a, b *link) int { return cmp.Compare(a.number, b.number) })
	return links
}

// scope is whom a misfortune meets: connections that who dialled to host; empty
// is anybody, and any.
type scope struct{ who, host string }

// scopeOf reads "", "host:port" and "who>host:port". A host that is none matches
// nothing.
func scopeOf(link string) scope {
	who, host, found := strings.Cut(link, ">")
	if !found {
		who, host = "", link
	}
	if name, err := network.Normalize(host); err == nil {
		host = name
	}
	return scope{who, host}
}

func (s scope) has(l *link) bool {
	return (s.who == "" || s.who == l.who) && (s.host == "" || s.host == l.host || s.host == l.dialled)
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
