//lint:file-ignore SA1019 apns2 speaks through this HTTP/2 transport, and lanes need its connection pool.

package apns

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// peer is an HTTP/2 server made of frames, because Go's own can neither change
// its stream limit on a live connection nor put words into a GOAWAY. It lives
// in memory, so tests run in virtual time.
type peer struct {
	t    testing.TB
	cert tls.Certificate
	pool *x509.CertPool

	streamsFirst, streamsLater uint32 // SETTINGS_MAX_CONCURRENT_STREAMS before and after the first 200
	mute                       bool   // sends no SETTINGS
	dropsToOne                 bool   // a rejection sets the limit to 1 until the next 200
	answer                     func(c *peerConn, q query) reply
	greet                      func(c *peerConn)               // after SETTINGS
	refuse                     func(dial int) error            // fails a dial
	dialed                     func(ctx context.Context) error // delays a dial

	mu        sync.Mutex
	dials     int
	dialing   int
	dialsMost int
	conns     []*peerConn
	seen      []query
	refused   int // streams over the limit
	streams   int // most at once on one connection
	wg        sync.WaitGroup
}

// query is a request as it came.
type query struct {
	conn    int
	number  int // of the request on its connection, from 1
	path    string
	header  map[string]string
	payload []byte
	at      time.Time
}

func (q query) token() string { return strings.TrimPrefix(q.path, "/3/device/") }

// reply is what to do about a query; the zero value is 200.
type reply struct {
	status int
	body   string
	header map[string]string
	after  time.Duration
	silent bool // never answer
	reset  http2.ErrCode
	goAway *http2.GoAwayError
	cut    bool // close the connection
}

// linger is how long a drained connection stays open.
const linger = 100 * time.Millisecond

func reject(status int, reason string) reply {
	return reply{status: status, body: `{"reason":"` + reason + `"}`}
}

func newPeer(t testing.TB) *peer {
	t.Helper()
	p := &peer{t: t, streamsFirst: 1, streamsLater: 1000, answer: func(*peerConn, query) reply { return reply{} }}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "api.push.apple.com"},
		DNSNames: []string{"api.push.apple.com"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	p.cert = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	p.pool = x509.NewCertPool()
	p.pool.AddCert(leaf)
	return p
}

// client makes a client of the peer. The test ends it.
func (p *peer) client(o Options) *Client {
	p.t.Helper()
	if o.Key == nil && o.Certificate == nil {
		o.Key = testKey(p.t)
	}
	o.Dial, o.RootCAs = p.dial, p.pool
	c, err := New(o)
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

// end closes the client and waits for the peer's goroutines.
func (p *peer) end(c *Client) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		p.t.Error(err)
	}
	p.wg.Wait()
}

func (p *peer) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	if addr != "api.push.apple.com:443" {
		return nil, errors.New("unexpected address " + addr)
	}
	p.mu.Lock()
	p.dials++
	n := p.dials
	p.dialing++
	p.dialsMost = max(p.dialsMost, p.dialing)
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.dialing--
		p.mu.Unlock()
	}()
	if p.dialed != nil {
		if err := p.dialed(ctx); err != nil {
			return nil, err
		}
	}
	if p.refuse != nil {
		if err := p.refuse(n); err != nil {
			return nil, err
		}
	}
	client, server := pipe()
	p.wg.Go(func() { p.serve(server) })
	return client, nil
}

// peerConn is the server's end of one connection.
type peerConn struct {
	p      *peer
	number int
	raw    net.Conn
	tls    *tls.Conn

	wmu  sync.Mutex
	fr   *http2.Framer
	henc *hpack.Encoder
	hbuf bytes.Buffer

	mu       sync.Mutex
	limit    uint32 // as the client has acknowledged
	announce []uint32
	open     map[uint32]*query
	requests int
	writing  int
	last     uint32
	gone     bool // GOAWAY sent
	goneLast uint32
}

func (p *peer) serve(raw net.Conn) {
	defer raw.Close()
	conn := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{p.cert}, NextProtos: []string{"h2"}, ClientAuth: tls.RequestClientCert})
	if err := conn.Handshake(); err != nil {
		return
	}
	c := &peerConn{p: p, raw: raw, tls: conn, open: map[uint32]*query{}, limit: p.streamsFirst}
	c.fr = http2.NewFramer(conn, conn)
	c.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.henc = hpack.NewEncoder(&c.hbuf)
	p.mu.Lock()
	p.conns = append(p.conns, c)
	c.number = len(p.conns)
	p.mu.Unlock()

	// Like Apple: SETTINGS before the client's preface was read.
	if !p.mute {
		c.settings(p.streamsFirst)
	}
	if p.greet != nil {
		p.greet(c)
	}
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	for {
		f, err := c.fr.ReadFrame()
		if err != nil {
			return
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if f.IsAck() {
				c.mu.Lock()
				c.limit, c.announce = c.announce[0], c.announce[1:]
				c.mu.Unlock()
			} else {
				c.write(func() { _ = c.fr.WriteSettingsAck() })
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				c.write(func() { _ = c.fr.WritePing(true, f.Data) })
			}
		case *http2.MetaHeadersFrame:
			c.headers(f)
		case *http2.DataFrame:
			c.data(f)
		case *http2.RSTStreamFrame:
			c.mu.Lock()
			delete(c.open, f.StreamID)
			c.mu.Unlock()
		}
	}
}

func (c *peerConn) write(f func()) {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	f()
}

func (c *peerConn) settings(streams uint32) {
	c.write(func() {
		c.mu.Lock()
		c.announce = append(c.announce, streams)
		c.mu.Unlock()
		_ = c.fr.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: streams})
	})
}

func (c *peerConn) sendGoAway(e http2.GoAwayError) {
	c.mu.Lock()
	c.gone, c.goneLast = true, e.LastStreamID
	for id := range c.open {
		if id > e.LastStreamID {
			delete(c.open, id)
		}
	}
	c.mu.Unlock()
	c.write(func() { _ = c.fr.WriteGoAway(e.LastStreamID, e.ErrCode, []byte(e.DebugData)) })
}

func (c *peerConn) headers(f *http2.MetaHeadersFrame) {
	q := &query{conn: c.number, header: map[string]string{}, at: time.Now()}
	for _, h := range f.Fields {
		if h.Name == ":path" {
			q.path = h.Value
		}
		q.header[h.Name] = h.Value
	}
	c.mu.Lock()
	if c.gone && f.StreamID > c.goneLast {
		c.mu.Unlock()
		return
	}
	over := len(c.open) >= int(c.limit)
	if !over {
		c.open[f.StreamID] = q
		c.last = f.StreamID
		c.requests++
		q.number = c.requests
	}
	open := len(c.open)
	c.mu.Unlock()
	c.p.mu.Lock()
	c.p.streams = max(c.p.streams, open)
	if over {
		c.p.refused++
	}
	c.p.mu.Unlock()
	if over {
		c.write(func() { _ = c.fr.WriteRSTStream(f.StreamID, http2.ErrCodeRefusedStream) })
	}
}

func (c *peerConn) data(f *http2.DataFrame) {
	n := uint32(len(f.Data()))
	if n > 0 {
		c.write(func() { _ = c.fr.WriteWindowUpdate(0, n) })
	}
	c.mu.Lock()
	q := c.open[f.StreamID]
	c.mu.Unlock()
	if q == nil {
		return
	}
	q.payload = append(q.payload, f.Data()...)
	if !f.StreamEnded() {
		return
	}
	r := c.p.answer(c, *q)
	id := f.StreamID
	act := func() { c.reply(id, *q, r) }
	if r.after > 0 {
		c.p.wg.Add(1)
		time.AfterFunc(r.after, func() { defer c.p.wg.Done(); act() })
		return
	}
	act()
}

func (c *peerConn) reply(id uint32, q query, r reply) {
	switch {
	case r.cut:
		_ = c.raw.Close()
		return
	case r.goAway != nil:
		c.sendGoAway(*r.goAway)
		if r.status == 0 {
			_ = c.raw.Close()
			return
		}
	case r.silent:
		return
	case r.reset != 0:
		c.mu.Lock()
		delete(c.open, id)
		c.mu.Unlock()
		c.write(func() { _ = c.fr.WriteRSTStream(id, r.reset) })
		return
	}
	if r.status == 0 {
		r.status = 200
	}
	c.mu.Lock()
	_, open := c.open[id]
	delete(c.open, id) // the slot is free before the answer is out
	limit := c.limit
	if len(c.announce) > 0 {
		limit = c.announce[len(c.announce)-1]
	}
	c.writing++
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.writing--
		if c.gone && len(c.open) == 0 && c.writing == 0 {
			// Linger, or a client that writes meanwhile never reads the answers.
			c.p.wg.Add(1)
			time.AfterFunc(linger, func() { defer c.p.wg.Done(); _ = c.raw.Close() })
		}
	}()
	if !open {
		return
	}
	c.p.mu.Lock()
	c.p.seen = append(c.p.seen, q)
	c.p.mu.Unlock()
	if r.status == 200 && limit != c.p.streamsLater {
		c.settings(c.p.streamsLater)
	}
	if r.status != 200 && r.status != 410 && c.p.dropsToOne && limit != 1 {
		c.settings(1)
	}
	c.write(func() {
		c.hbuf.Reset()
		field := func(name, value string) { _ = c.henc.WriteField(hpack.HeaderField{Name: name, Value: value}) }
		field(":status", itoa(r.status))
		field("apns-id", q.header["apns-id"])
		for k, v := range r.header {
			field(k, v)
		}
		_ = c.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.hbuf.Bytes(), EndHeaders: true, EndStream: r.body == ""})
		if r.body != "" {
			_ = c.fr.WriteData(id, true, []byte(r.body))
		}
	})
}

func itoa(n int) string {
	return string([]byte{byte('0' + n/100), byte('0' + n/10%10), byte('0' + n%10)})
}

// counts of the moment.
func (p *peer) counts() (dials, seen, refused int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dials, len(p.seen), p.refused
}

func (p *peer) requests() []query {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]query(nil), p.seen...)
}

// pipe is a connection in memory with buffers that never fill.
func pipe() (client, server net.Conn) {
	a, b := newHalf(), newHalf()
	return &pipeEnd{in: a, out: b}, &pipeEnd{in: b, out: a}
}

type half struct {
	mu   sync.Mutex
	cond *sync.Cond
	buf  bytes.Buffer
	done bool
}

func newHalf() *half {
	h := &half{}
	h.cond = sync.NewCond(&h.mu)
	return h
}

type pipeEnd struct{ in, out *half }

func (e *pipeEnd) Read(p []byte) (int, error) {
	e.in.mu.Lock()
	defer e.in.mu.Unlock()
	for e.in.buf.Len() == 0 {
		if e.in.done {
			return 0, io.EOF
		}
		e.in.cond.Wait()
	}
	return e.in.buf.Read(p)
}

func (e *pipeEnd) Write(p []byte) (int, error) {
	e.out.mu.Lock()
	defer e.out.mu.Unlock()
	if e.out.done {
		return 0, io.ErrClosedPipe
	}
	e.out.cond.Signal()
	return e.out.buf.Write(p)
}

func (e *pipeEnd) Close() error {
	for _, h := range []*half{e.in, e.out} {
		h.mu.Lock()
		h.done = true
		h.cond.Broadcast()
		h.mu.Unlock()
	}
	return nil
}

type pipeAddr struct{}

func (pipeAddr) Network() string { return "tcp" }
func (pipeAddr) String() string  { return "192.0.2.1:443" }

func (*pipeEnd) LocalAddr() net.Addr              { return pipeAddr{} }
func (*pipeEnd) RemoteAddr() net.Addr             { return pipeAddr{} }
func (*pipeEnd) SetDeadline(time.Time) error      { return nil }
func (*pipeEnd) SetReadDeadline(time.Time) error  { return nil }
func (*pipeEnd) SetWriteDeadline(time.Time) error { return nil }

const (
	testKeyID  = "ABC123DEFG"
	testTeamID = "DEF123GHIJ"
)

func testKey(t testing.TB) *Key {
	t.Helper()
	k, err := LoadKey(p8(t, elliptic.P256()), testKeyID, testTeamID)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func p8(t testing.TB, curve elliptic.Curve) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
