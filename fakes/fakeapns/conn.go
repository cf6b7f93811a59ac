package fakeapns

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"mailbell/fakes/testcert"
)

// conn is one connection. serve reads its frames; a second goroutine writes
// what the outbox collects.
type conn struct {
	s      *Server
	number uint64
	raw    net.Conn
	tls    *tls.Conn
	in     *http2.Framer
	out    *outbox

	certified bool   // a client certificate was shown: certificate mode
	certTopic string // its UID

	// Guarded by Server.mu.
	auth    auth
	trusted bool // may open as many streams as the server allows
	points  int  // of errors

	mu        sync.Mutex
	hearing   sync.Cond // on mu: deaf or closed changed
	deaf      bool      // reads nothing
	streams   map[uint32]*stream
	requests  int      // streams that a slot was given
	dropAt    int      // requests at which the connection is cut; 0: never
	opened    uint32   // highest stream the client opened
	taken     uint32   // highest stream that was looked at
	limits    []uint32 // acknowledged limit, then those announced since
	ready     bool     // the first SETTINGS are on their way
	draining  bool     // GOAWAY was sent: new streams are ignored
	lingers   bool     // … and the connection stays open when all is answered
	closed    bool
	timers    map[*time.Timer]struct{}
	idleSince time.Time

	window int64  // what the client may still send on the connection
	unsaid uint32 // bytes received since the last WINDOW_UPDATE
}

// stream is a request that has no answer yet.
type stream struct {
	r      *request
	window int64
	done   bool // END_STREAM was seen
}

func newConn(s *Server, raw net.Conn, number uint64) *conn {
	c := &conn{
		s: s, number: number, raw: raw, tls: tls.Server(raw, s.tls), out: newOutbox(), window: windowSize,
		streams: map[uint32]*stream{}, timers: map[*time.Timer]struct{}{}, limits: []uint32{streamsOpenMax},
	}
	c.hearing.L = &c.mu
	c.out.overflow = func() { raw.Close() }
	return c
}

func (c *conn) serve() {
	defer c.s.gone(c)
	defer c.close()
	_ = c.raw.SetDeadline(time.Now().Add(handshakeTimeout))
	if err := c.handshake(); err != nil {
		c.s.count(func(st *Stats) { st.HandshakesFailed++ })
		return
	}
	_ = c.raw.SetDeadline(time.Time{})

	var writing sync.WaitGroup
	defer writing.Wait()
	defer c.close()
	writing.Go(c.write)

	refused := c.readCertificate()
	limit := c.s.firstLimit(c)
	// Apple's SETTINGS come right after the handshake, whatever the client says.
	c.mu.Lock()
	c.ready, c.limits = true, append(c.limits, limit)
	c.mu.Unlock()
	c.out.settings(
		http2.Setting{ID: http2.SettingHeaderTableSize, Val: headerTableSize},
		http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: limit},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: windowSize},
		http2.Setting{ID: http2.SettingMaxFrameSize, Val: frameSizeMax},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: headerListMax},
	)
	if refused != "" {
		c.goAway(refused)
	}
	var broken http2.ConnectionError
	if errors.As(c.read(), &broken) {
		c.mu.Lock()
		taken := c.taken
		c.mu.Unlock()
		c.out.goAway(taken, http2.ErrCode(broken), nil)
		c.out.end()
		_ = c.raw.SetWriteDeadline(time.Now().Add(lingerTimeout))
		writing.Wait()
	}
}

// write is the second goroutine.
func (c *conn) write() {
	if !c.out.run(c.tls) {
		c.cut()
		return
	}
	_ = c.tls.CloseWrite()
	_ = c.raw.SetReadDeadline(time.Now().Add(lingerTimeout))
}

// readCertificate decides about certificate mode. It returns the reason to
// refuse the certificate for, if there is one.
func (c *conn) readCertificate() string {
	shown := c.tls.ConnectionState().PeerCertificates
	if len(shown) == 0 {
		return ""
	}
	c.certified, c.certTopic = true, testcert.UID(shown[0])
	if c.s.o.ClientCAs != nil && !trustedBy(c.s.o.ClientCAs, shown) {
		return "BadCertificate"
	}
	if !fitsEnvironment(shown[0], c.s.o.Environment) {
		return "BadCertificateEnvironment"
	}
	return ""
}

// read reads frames until the connection ends, and says why it did.
func (c *conn) read() error {
	in := bufio.NewReaderSize((*ear)(c), 64<<10)
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(in, preface); err != nil {
		return err
	}
	if string(preface) != http2.ClientPreface {
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	c.idleNow()
	c.in = http2.NewFramer(nil, in)
	c.in.SetMaxReadFrameSize(frameSizeMax)
	c.in.SetReuseFrames()
	c.in.ReadMetaHeaders = hpack.NewDecoder(headerTableSize, nil)
	c.in.MaxHeaderListSize = headerListMax
	for {
		f, err := c.in.ReadFrame()
		if err != nil {
			var bad http2.StreamError
			if !errors.As(err, &bad) {
				return err
			}
			c.mu.Lock()
			c.opened = max(c.opened, bad.StreamID) // what follows on it is no surprise
			c.mu.Unlock()
			c.abandon(bad.StreamID)
			c.out.reset(bad.StreamID, bad.Code)
			continue
		}
		if err := c.frame(f); err != nil {
			return err
		}
	}
}

func (c *conn) frame(f http2.Frame) error {
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		return c.headers(f)
	case *http2.DataFrame:
		return c.data(f)
	case *http2.SettingsFrame:
		if f.IsAck() {
			c.acknowledged()
			return nil
		}
		_ = f.ForeachSetting(func(s http2.Setting) error { c.out.configure(s); return nil })
		c.out.settingsAck()
	case *http2.PingFrame:
		if !f.IsAck() {
			c.s.count(func(st *Stats) { st.Pings++ })
			c.out.pong(f.Data)
		}
	case *http2.WindowUpdateFrame:
		if c.out.credit(f.StreamID, f.Increment) {
			return http2.ConnectionError(http2.ErrCodeFlowControl)
		}
	case *http2.RSTStreamFrame:
		c.abandon(f.StreamID)
		c.out.forget(f.StreamID)
	case *http2.PushPromiseFrame:
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	return nil // PRIORITY, GOAWAY and frames not known
}

// headers opens a stream, or ends one with trailers.
func (c *conn) headers(f *http2.MetaHeadersFrame) error {
	id := f.StreamID
	c.mu.Lock()
	if st := c.streams[id]; st != nil {
		c.mu.Unlock()
		if !f.StreamEnded() || st.done {
			return http2.ConnectionError(http2.ErrCodeProtocol)
		}
		c.complete(st)
		return nil
	}
	if id%2 == 0 {
		c.mu.Unlock()
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	if id <= c.opened {
		c.mu.Unlock()
		c.out.reset(id, http2.ErrCodeStreamClosed)
		return nil
	}
	c.opened = id
	if c.draining {
		c.mu.Unlock()
		return nil // above the last stream that the GOAWAY named
	}
	if uint32(len(c.streams)) >= c.limit() {
		c.mu.Unlock()
		c.s.count(func(st *Stats) { st.Refused++ })
		if c.s.o.ViolationGoAway {
			c.drain(http2.ErrCodeRefusedStream, []byte("Maximum active streams violated for this endpoint."))
			return nil
		}
		c.out.reset(id, http2.ErrCodeRefusedStream)
		return nil
	}
	if f.Truncated {
		c.mu.Unlock()
		c.out.reset(id, http2.ErrCodeProtocol)
		return nil
	}
	if c.requests++; c.dropAt > 0 && c.requests >= c.dropAt {
		c.mu.Unlock()
		c.cut()
		return nil
	}
	st := &stream{r: newRequest(f, c.s.o.Now(), c.s.o.JournalHeaders), window: windowSize}
	c.streams[id] = st
	open := len(c.streams)
	c.mu.Unlock()
	c.s.count(func(st *Stats) { st.Streams++; st.StreamsMost = max(st.StreamsMost, open) })
	if f.StreamEnded() {
		c.complete(st)
	}
	return nil
}

// data takes a piece of a body and gives the client its window back.
func (c *conn) data(f *http2.DataFrame) error {
	id, n := f.StreamID, f.Length // with padding: RFC 9113 "DATA"
	c.window -= int64(n)
	if c.window < 0 {
		return http2.ConnectionError(http2.ErrCodeFlowControl)
	}
	if c.unsaid += n; c.unsaid >= windowStep {
		c.out.windowUpdate(0, c.unsaid)
		c.window += int64(c.unsaid)
		c.unsaid = 0
	}
	c.mu.Lock()
	st, opened, ignored := c.streams[id], c.opened, c.draining && id > c.taken
	c.mu.Unlock()
	switch {
	case st == nil && id > opened:
		return http2.ConnectionError(http2.ErrCodeProtocol)
	case ignored:
		return nil
	case st == nil || st.done:
		c.out.reset(id, http2.ErrCodeStreamClosed)
		return nil
	}
	if st.window -= int64(n); st.window < 0 {
		c.abandon(id)
		c.out.reset(id, http2.ErrCodeFlowControl)
		return nil
	}
	st.r.take(f.Data())
	switch {
	case f.StreamEnded():
		c.complete(st)
	case st.r.bodySize > bodyMax:
		c.abandon(id)
		c.out.reset(id, http2.ErrCodeEnhanceYourCalm)
	case st.window < windowSize-windowStep:
		c.out.windowUpdate(id, uint32(windowSize-st.window))
		st.window = windowSize
	}
	return nil
}

// complete hands a request over for decision.
func (c *conn) complete(st *stream) {
	c.mu.Lock()
	st.done = true
	c.mu.Unlock()
	priority := st.r.header["apns-priority"]
	if priority == "" {
		priority = "10"
	}
	st.r.payload = readPayload(st.r.body, st.r.pushType(), priority)
	c.s.handle(c, st.r)
}

// answer frees the stream's slot and only then writes the answer, so that the
// client's next stream is never refused for the slot of this one.
func (c *conn) answer(id uint32, v *verdict) {
	c.mu.Lock()
	if _, open := c.streams[id]; !open || c.closed {
		c.mu.Unlock()
		return // the client lost interest
	}
	c.free(id)
	c.announce(v.limit)
	c.out.answer(id, v)
	if v.half {
		c.out.end()
	}
	c.finish()
	c.mu.Unlock()
	if v.last {
		c.drain(http2.ErrCodeNo, nil)
	}
}

// free ends a stream. Called with mu held.
func (c *conn) free(id uint32) {
	delete(c.streams, id)
	if len(c.streams) == 0 {
		c.idleSince = time.Now()
	}
}

// finish ends a draining connection after its last answer. Called with mu held.
func (c *conn) finish() {
	if c.draining && !c.lingers && len(c.streams) == 0 {
		c.out.end()
	}
}

// take marks a stream as looked at, from which on it is answered whatever
// happens. It says no when a GOAWAY has excluded the stream, or the client
// gave it up.
func (c *conn) take(id uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, open := c.streams[id]; !open || c.closed {
		return false
	}
	c.taken = max(c.taken, id)
	return true
}

// abandon ends a stream without an answer.
func (c *conn) abandon(id uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, open := c.streams[id]; open {
		c.free(id)
		c.finish()
	}
}

// isOpen says whether the client still waits for an answer.
func (c *conn) isOpen(id uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, open := c.streams[id]
	return open && !c.closed
}

// limit is how many streams may be open. A raised limit counts at once, a
// lowered one when the client acknowledged it (RFC 9113 "Settings
// Synchronization"). Called with mu held.
func (c *conn) limit() uint32 {
	if c.s.o.EnforceAtOnce {
		return c.limits[len(c.limits)-1]
	}
	var most uint32
	for _, l := range c.limits {
		most = max(most, l)
	}
	return most
}

// announce tells the client a limit unless it is the present one. Called with
// mu held.
func (c *conn) announce(limit uint32) {
	if c.limits[len(c.limits)-1] == limit {
		return
	}
	c.limits = append(c.limits, limit)
	c.out.settings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: limit})
}

// acknowledged follows the client's ACK.
func (c *conn) acknowledged() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.limits) > 1 {
		c.limits = c.limits[1:]
	}
}

// goAway ends the connection with Apple's JSON as debug data.
func (c *conn) goAway(reason string) {
	c.end(GoAway{Reason: reason})
}

// drain sends GOAWAY with debug data that is no JSON.
func (c *conn) drain(code http2.ErrCode, debug []byte) {
	c.end(GoAway{Code: code, Debug: string(debug)})
}

// after calls f in d unless the connection ends before.
func (c *conn) after(d time.Duration, f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.s.group.Add(1)
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		defer c.s.group.Done()
		c.mu.Lock()
		delete(c.timers, t)
		closed := c.closed
		c.mu.Unlock()
		if !closed {
			f()
		}
	})
	c.timers[t] = struct{}{}
}

// idleNow begins to watch for idleness.
func (c *conn) idleNow() {
	if c.s.o.IdleTimeout <= 0 {
		return
	}
	c.mu.Lock()
	c.idleSince = time.Now()
	c.mu.Unlock()
	c.after(c.s.o.IdleTimeout, c.idleCheck)
}

func (c *conn) idleCheck() {
	c.mu.Lock()
	rest := c.s.o.IdleTimeout - time.Since(c.idleSince)
	if len(c.streams) > 0 {
		rest = c.s.o.IdleTimeout
	}
	c.mu.Unlock()
	switch {
	case rest > 0:
		c.after(rest, c.idleCheck)
	case c.s.o.IdleGoAway:
		c.goAway("IdleTimeout")
	default:
		c.mu.Lock()
		c.draining = true
		c.finish()
		c.mu.Unlock()
	}
}

// close ends everything of the connection but its goroutines.
func (c *conn) close() {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		c.hearing.Broadcast()
		for t := range c.timers {
			if t.Stop() {
				c.s.group.Done()
			}
		}
		clear(c.timers)
	}
	c.mu.Unlock()
	c.out.kill()
	c.raw.Close()
}

// cut closes the connection without a word: by a TCP reset where there is TCP.
func (c *conn) cut() {
	lingerNot(c.raw)
	c.close()
}

// resetConn closes a connection by a TCP reset where there is TCP.
func resetConn(raw net.Conn) {
	lingerNot(raw)
	raw.Close()
}

func lingerNot(raw net.Conn) {
	if l, ok := raw.(interface{ SetLinger(seconds int) error }); ok {
		_ = l.SetLinger(0) // a plain close is the next best
	}
}
