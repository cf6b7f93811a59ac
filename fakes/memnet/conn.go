package memnet

import (
	"net"
	"sync"
	"time"
)

// link is a connection seen from above: both directions and where it goes.
type link struct {
	network       *Network
	number        uint64 // by order of dialling
	who           string // dialled it, as far as he said
	dialled, host string
	streams       [2]*stream // up and down

	mu   sync.Mutex
	open int // ends not closed yet
}

// reset ends both directions with ECONNRESET.
func (l *link) reset() {
	for _, s := range l.streams {
		s.reset()
	}
	l.forget()
}

func (l *link) hold(way Direction, held bool) {
	if way != Down {
		l.streams[0].hold(held)
	}
	if way != Up {
		l.streams[1].hold(held)
	}
}

// endClosed forgets the link when its second end is closed.
func (l *link) endClosed() {
	l.mu.Lock()
	l.open--
	last := l.open <= 0
	l.mu.Unlock()
	if last {
		l.forget()
	}
}

func (l *link) forget() {
	l.network.mu.Lock()
	delete(l.network.conns, l)
	l.network.mu.Unlock()
}

// conn is one end of a link. Beyond net.Conn it has CloseWrite and SetLinger
// of *net.TCPConn.
type conn struct {
	link          *link
	in, out       *stream
	local, remote net.Addr

	mu     sync.Mutex
	abrupt bool // SetLinger(0): Close resets
	closed bool
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.in.read(b)
	return n, c.wrap("read", err)
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.out.write(b)
	return n, c.wrap("write", err)
}

// Close ends both directions: the far side reads what is under way and then
// EOF. After SetLinger(0) it resets instead.
func (c *conn) Close() error {
	c.mu.Lock()
	again, abrupt := c.closed, c.abrupt
	c.closed = true
	c.mu.Unlock()
	if again {
		return c.wrap("close", net.ErrClosed)
	}
	if abrupt {
		c.link.reset()
	}
	c.out.closeWriter(net.ErrClosed)
	c.in.closeReader()
	c.link.endClosed()
	return nil
}

// CloseWrite ends the outgoing direction; reading goes on.
func (c *conn) CloseWrite() error {
	c.out.closeWriter(errShutDown)
	return nil
}

// SetLinger with 0 makes Close reset the connection, as it does for TCP. Other
// values restore the usual Close.
func (c *conn) SetLinger(seconds int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abrupt = seconds == 0
	return nil
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

func (c *conn) SetReadDeadline(t time.Time) error {
	return c.wrap("set", c.in.setDeadline(&c.in.readDeadline, t))
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	return c.wrap("set", c.out.setDeadline(&c.out.writeDeadline, t))
}

// wrap dresses an error as *net.TCPConn does; io.EOF stays bare.
func (c *conn) wrap(op string, err error) error {
	if err == nil || err == errEOF {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}
