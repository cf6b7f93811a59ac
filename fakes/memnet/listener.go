package memnet

import (
	"context"
	"net"
	"strconv"
	"sync"
	"syscall"
)

// listener is a host that accepts connections.
type listener struct {
	network *Network
	name    string
	addr    net.Addr
	backlog chan *conn
	done    chan struct{}
	once    sync.Once
}

// offer hands a new connection to Accept, waiting while the backlog is full.
func (ln *listener) offer(ctx context.Context, server *conn) error {
	select {
	case <-ln.done:
		return syscall.ECONNREFUSED
	default:
	}
	select {
	case ln.backlog <- server:
		// A listener that closed meanwhile has drained its backlog, perhaps
		// before this connection was in it.
		select {
		case <-ln.done:
			ln.drain()
		default:
		}
		return nil
	case <-ln.done:
		return syscall.ECONNREFUSED
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Accept waits for the next connection.
func (ln *listener) Accept() (net.Conn, error) {
	select {
	case <-ln.done:
		return nil, ln.closedError()
	default:
	}
	select {
	case c := <-ln.backlog:
		return c, nil
	case <-ln.done:
		return nil, ln.closedError()
	}
}

func (ln *listener) closedError() error {
	return &net.OpError{Op: "accept", Net: "tcp", Addr: ln.addr, Err: net.ErrClosed}
}

// Close stops listening. Connections nobody accepted are reset; the others
// live on. The host stays known: dialling it is refused.
func (ln *listener) Close() error {
	first := false
	ln.once.Do(func() {
		first = true
		ln.network.mu.Lock()
		ln.network.listeners[ln.name] = nil
		ln.network.mu.Unlock()
		close(ln.done)
		ln.drain()
	})
	if !first {
		return &net.OpError{Op: "close", Net: "tcp", Addr: ln.addr, Err: net.ErrClosed}
	}
	return nil
}

func (ln *listener) drain() {
	for {
		select {
		case c := <-ln.backlog:
			c.link.reset()
		default:
			return
		}
	}
}

// Addr is an address of documentation space with the port of the host.
func (ln *listener) Addr() net.Addr { return ln.addr }

// serverAddr numbers servers through TEST-NET-3 (RFC 5737, "Documentation
// Address Blocks").
func serverAddr(i int, name string) net.Addr {
	_, port, _ := net.SplitHostPort(name) // normalised before
	p, err := strconv.Atoi(port)
	if err != nil {
		p = 443
	}
	return &net.TCPAddr{IP: net.IPv4(203, 0, 113, byte(1+i%254)), Port: p}
}

// clientAddr numbers the clients' ends through TEST-NET-2 and the ephemeral
// ports.
func clientAddr(i uint64) net.Addr {
	const first, ports = 32768, 28232
	return &net.TCPAddr{IP: net.IPv4(198, 51, 100, byte(1+i/ports%254)), Port: int(first + i%ports)}
}
