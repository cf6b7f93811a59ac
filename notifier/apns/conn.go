//lint:file-ignore SA1019 apns2 speaks through this HTTP/2 transport, and lanes need its connection pool.

package apns

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// conn is one connection of a lane. The lane's lock guards its fields, except
// those that are set before it is shared.
type conn struct {
	cc *http2.ClientConn

	opened   time.Time
	streams  uint32 // the peer's SETTINGS_MAX_CONCURRENT_STREAMS
	inFlight int    // pushes sent and not finished
	answered int    // answers seen
	silent   int    // deadlines in a row
	retired  bool   // takes no new push
	closing  bool

	goAway *http2.GoAwayError
	ended  error         // why reading stopped
	done   chan struct{} // closed when it has
	broken atomic.Bool   // a write failed; the peer may have said why

	stalled time.Time // since when the transport has refused a stream that should be free
	poll    time.Duration

	token      providerToken // the provider token this connection knows
	tokenSince time.Time
}

// bound is how many pushes may be in flight.
func (c *conn) bound(streamsMax int) int {
	if c.answered == 0 {
		// The first push goes alone: with a provider token Apple allows one
		// stream until it has accepted the token, and a fault of the identity
		// shows before anything else is sent.
		return int(min(c.streams, 1))
	}
	return int(min(uint64(c.streams), uint64(streamsMax)))
}

// errTokenSpent says that a connection is at the end of its provider token and
// cannot be given the next.
var errTokenSpent = errors.New("apns: the connection's provider token is spent")

// credential is the provider token for the next push on this connection: the
// current one, or the one the connection knows already for as long as it may
// not see another (Apple "Establishing a token-based connection to APNs": no
// new token more than once every 20 minutes on the same connection).
func (c *conn) credential(p *provider, now time.Time) (string, error) {
	current, err := p.token(now)
	if err != nil {
		return "", err
	}
	switch {
	case c.token.bearer == current.bearer:
	case p.isDead(c.token.bearer):
		// A connection that has heard of an expired token does not recover, not
		// even with a good one.
		return "", errTokenSpent
	case c.token.bearer == "" || now.Sub(c.tokenSince) >= tokenUpdateGap:
		c.token, c.tokenSince = current, now
	case now.Sub(c.token.issued) >= tokenAgeMax:
		return "", errTokenSpent
	}
	return c.token.bearer, nil
}

// lostBecause is the most telling reason for the end of the connection, nil
// while none is known.
func (c *conn) lostBecause() error {
	if c.goAway != nil {
		return *c.goAway
	}
	return c.ended
}

// lastWords waits, after a failed write, until everything the peer said has
// been read. The read deadline bounds it, and the timer where that is not kept.
// No lock may be held.
func (c *conn) lastWords() {
	if !c.broken.Load() {
		return
	}
	late := time.NewTimer(2 * closeGrace)
	defer late.Stop()
	select {
	case <-c.done:
	case <-late.C:
	}
}

// wire is a TLS connection whose incoming frames are read along.
type wire struct {
	*tls.Conn
	raw     net.Conn
	scanner frameScanner
	ended   func(error)
	conn    *conn
	reading atomic.Bool
}

// Read is called by the transport's reader only.
func (w *wire) Read(p []byte) (int, error) {
	w.reading.Store(true)
	n, err := w.Conn.Read(p)
	w.scanner.feed(p[:n])
	if err != nil {
		w.ended(err)
	}
	return n, err
}

// Write fails when the peer has closed. What it said first, a GOAWAY perhaps,
// is read then: by the transport's reader, whose end Close awaits, or here when
// that has not begun.
func (w *wire) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	if err == nil {
		return n, nil
	}
	w.conn.broken.Store(true)
	_ = w.raw.SetReadDeadline(time.Now().Add(closeGrace))
	if !w.reading.Load() {
		buf := make([]byte, frameNoteMax)
		for range farewellReadsMax {
			if _, err := w.Read(buf); err != nil {
				break
			}
		}
	}
	return n, err
}

// Close says goodbye if the peer takes it within closeGrace. The transport has
// such a grace of its own, for a plain *tls.Conn only. After a failed write the
// transport closes at once; what the peer said is read before.
func (w *wire) Close() error {
	if w.reading.Load() {
		w.conn.lastWords()
	}
	t := time.AfterFunc(closeGrace, func() { _ = w.raw.Close() })
	defer t.Stop()
	return w.Conn.Close()
}

// connect dials, shakes hands and waits for the peer's SETTINGS.
func (l *lane) connect(ctx context.Context) (*conn, error) {
	s := l.shared
	dialCtx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	raw, err := s.dial(dialCtx, "tcp", s.addr)
	if err != nil {
		return nil, fmt.Errorf("apns: connect to %s: %w", s.addr, err)
	}
	tlsConn := tls.Client(raw, s.tls)
	if err := tlsConn.HandshakeContext(dialCtx); err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("apns: TLS with %s: %w", s.addr, err)
	}
	if p := tlsConn.ConnectionState().NegotiatedProtocol; p != http2.NextProtoTLS {
		_ = raw.Close()
		return nil, fmt.Errorf("apns: %s did not agree on HTTP/2; is a TLS-inspecting proxy between here and Apple?", s.addr)
	}

	c := &conn{opened: time.Now(), done: make(chan struct{})}
	var once, endOnce sync.Once
	settled := make(chan struct{})
	w := &wire{Conn: tlsConn, raw: raw, conn: c}
	w.scanner.settings = func(streams uint32, named bool) {
		l.settingsSeen(c, streams, named)
		once.Do(func() { close(settled) })
	}
	w.scanner.goAway = func(e http2.GoAwayError) { l.goAwaySeen(c, e) }
	w.ended = func(err error) {
		l.ended(c, err)
		endOnce.Do(func() { close(c.done) })
	}
	// SETTINGS may arrive before NewClientConn returns; nothing that they set
	// off looks at c.cc before the lane has been given c.
	cc, err := l.transport.NewClientConn(w)
	if err != nil {
		_ = w.Close()
		l.mu.Lock()
		if c.goAway != nil {
			err = *c.goAway
		}
		l.mu.Unlock()
		return nil, fmt.Errorf("apns: HTTP/2 with %s: %w", s.addr, err)
	}
	l.mu.Lock()
	c.cc = cc
	l.mu.Unlock()

	wait := time.NewTimer(settingsTimeout)
	defer wait.Stop()
	select {
	case <-settled:
		return c, nil
	case <-c.done:
		l.mu.Lock()
		err = c.lostBecause()
		l.mu.Unlock()
		err = fmt.Errorf("apns: %s closed a new connection: %w", s.addr, err)
	case <-wait.C:
		err = fmt.Errorf("apns: %s sent no SETTINGS within %s", s.addr, settingsTimeout)
	case <-ctx.Done():
		err = ctx.Err()
	}
	_ = cc.Close()
	<-c.done
	return nil, err
}
