package iisauth

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// connState is the authentication of one connection. Over HTTP/2 several
// requests share it at a time, hence the mutex.
type connState struct {
	number uint64
	conn   net.Conn

	mu       sync.Mutex
	requests int
	pending  *pending // between type 1 and type 3
	spent    bool     // a challenge was given out and is no longer good
	identity Identity // of the connection, by NTLM; zero: anonymous
	seen     Identity // last success recorded for a scheme that authenticates requests
}

// pending is a challenge that waits for its type 3.
type pending struct {
	since        time.Time
	nonce        [8]byte
	fileTime     uint64
	type1, type2 []byte // for the message integrity code
}

// begin counts the request and says whether it is the last the connection may
// carry. max 0 is no limit.
func (c *connState) begin(max int) (last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	return max > 0 && c.requests >= max
}

// await starts a handshake over: whoever the connection was, it is nobody now.
func (c *connState) await(p *pending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending, c.identity = p, Identity{}
}

// take is the pending challenge, which can be taken once. Taking also makes
// the connection anonymous: whatever comes of it replaces what was.
func (c *connState) take() (p *pending, spent bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, spent = c.pending, c.spent
	c.pending, c.identity = nil, Identity{}
	c.spent = c.spent || p != nil
	return p, spent
}

// current is the identity of the connection for a request that is no part of a
// handshake; such a request ends one that is under way.
func (c *connState) current() (Identity, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spent = c.spent || c.pending != nil
	c.pending = nil
	return c.identity, c.identity != Identity{}
}

func (c *connState) set(id Identity) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.identity = id
}

// first says whether id was not the last identity recorded on the connection.
func (c *connState) first(id Identity) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == id {
		return false
	}
	c.seen = id
	return true
}

// reset ends the connection with a TCP RST where the transport can, and the
// request with it.
func (c *connState) reset() {
	conn := c.conn
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok { // *tls.Conn
		conn = wrapped.NetConn()
	}
	if lingering, ok := conn.(interface{ SetLinger(int) error }); ok {
		_ = lingering.SetLinger(0) // then Close sends RST; without, it is an early FIN
	}
	_ = conn.Close()
	panic(http.ErrAbortHandler)
}
