package fakeapns

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"mailbell/fakes/fault"
	"mailbell/fakes/journal"
	"mailbell/fakes/memnet"
	"mailbell/fakes/testcert"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testHost  = "api.push.apple.com:443"
	testTopic = "test.contoso.mail"
	testKeyID = "MAILBELL01"
	testTeam  = "CONTOSO001"
)

var testToken = strings.Repeat("a1", 32)

// host is a server in memory with one device, and who may push to it.
type host struct {
	*Server
	t       testing.TB
	net     *memnet.Network
	ca      *testcert.Authority
	key     *ecdsa.PrivateKey
	journal *journal.Journal
	faults  *fault.Set
}

// inBubble runs a test against a server in virtual time. The server has
// testToken as a device of testTopic.
func inBubble(t *testing.T, o Options, test func(h *host)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, o)
		test(h)
		h.end()
	})
}

func newHost(t testing.TB, o Options) *host {
	t.Helper()
	h := &host{t: t, net: memnet.New(memnet.Options{}), journal: journal.New(), faults: fault.New(1)}
	var err error
	if h.ca, err = testcert.NewAuthority(); err != nil {
		t.Fatal(err)
	}
	h.key = newKey(t)
	if o.Certificate, err = h.ca.Server(testHost, "api.sandbox.push.apple.com", "localhost", "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	if o.Listener == nil {
		if o.Listener, err = h.net.Listen(testHost); err != nil {
			t.Fatal(err)
		}
	}
	if o.Keys == nil {
		o.Keys = []ProviderKey{{KeyID: testKeyID, TeamID: testTeam, PublicKey: &h.key.PublicKey, Topics: []string{testTopic}}}
	}
	for i := range o.Keys {
		if o.Keys[i].PublicKey == nil {
			o.Keys[i].PublicKey = &h.key.PublicKey
		}
	}
	o.Journal, o.Faults = h.journal, h.faults
	if h.Server, err = Start(o); err != nil {
		t.Fatal(err)
	}
	h.AddDevice(testToken, testTopic)
	return h
}

func (h *host) end() {
	h.t.Helper()
	if err := h.Close(); err != nil {
		h.t.Error(err)
	}
	if err := h.net.Close(); err != nil {
		h.t.Error(err)
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign makes a provider token by hand, so that it can be a wrong one too.
func sign(t testing.TB, key *ecdsa.PrivateKey, alg, kid, team string, issued time.Time) string {
	t.Helper()
	enc := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	head := enc(map[string]string{"alg": alg, "kid": kid}) + "." + enc(map[string]any{"iss": team, "iat": issued.Unix()})
	digest := sha256.Sum256([]byte(head))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return head + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func (h *host) bearer(issued time.Time) string {
	return "bearer " + sign(h.t, h.key, "ES256", testKeyID, testTeam, issued)
}

func (h *host) mustFault(f fault.Fault) {
	h.t.Helper()
	if _, err := h.faults.Add(f); err != nil {
		h.t.Fatal(err)
	}
}

// pushes are the journal's entries of kind push.
func (h *host) pushes() (out []journal.Entry) {
	for _, e := range h.journal.After(0) {
		if e.Kind == "push" {
			out = append(out, e)
		}
	}
	return out
}

func (h *host) lastPush() journal.Entry {
	h.t.Helper()
	list := h.pushes()
	if len(list) == 0 {
		h.t.Fatal("no push in the journal")
	}
	return list[len(list)-1]
}

// peer is a client made of frames.
type peer struct {
	h    *host
	raw  net.Conn
	tls  *tls.Conn
	fr   *http2.Framer
	enc  *hpack.Encoder
	buf  bytes.Buffer
	next uint32
	auth string

	mute bool // acknowledges no SETTINGS

	mu       sync.Mutex
	writing  sync.Mutex
	answers  map[uint32]*got
	settings []map[http2.SettingID]uint32
	aways    []goneAway
	windows  map[uint32]uint32 // WINDOW_UPDATE by stream
	pongs    int
	ended    bool
	reset    bool
	done     chan struct{}
}

type goneAway struct {
	last  uint32
	code  http2.ErrCode
	debug string
}

// got is what a stream got.
type got struct {
	status int
	header map[string]string
	body   string
	datas  int  // DATA frames
	ended  bool // END_STREAM
	resets []http2.ErrCode
}

func (g *got) reason() string {
	var v struct{ Reason string }
	_ = json.Unmarshal([]byte(g.body), &v)
	return v.Reason
}

// dialTLS connects; nil config trusts the server and offers h2.
func (h *host) dialTLS(config *tls.Config) (net.Conn, *tls.Conn) {
	h.t.Helper()
	raw, err := h.net.Dial(context.Background(), "tcp", testHost)
	if err != nil {
		h.t.Fatal(err)
	}
	if config == nil {
		config = &tls.Config{NextProtos: []string{"h2"}}
	}
	config.RootCAs, config.ServerName = h.ca.Pool(), "api.push.apple.com"
	c := tls.Client(raw, config)
	if err := c.Handshake(); err != nil {
		h.t.Fatal(err)
	}
	return raw, c
}

// dialAt connects to a server on loopback.
func (h *host) dialAt() (net.Conn, *tls.Conn) {
	h.t.Helper()
	raw, err := net.Dial("tcp", h.Addr().String())
	if err != nil {
		h.t.Fatal(err)
	}
	c := tls.Client(raw, &tls.Config{NextProtos: []string{"h2"}, RootCAs: h.ca.Pool(), ServerName: "api.push.apple.com"})
	if err := c.Handshake(); err != nil {
		h.t.Fatal(err)
	}
	return raw, c
}

// dial opens a connection that has said the preface and reads along.
func (h *host) dial() *peer { return h.dialWith(nil) }

func (h *host) dialWith(config *tls.Config) *peer { return h.open(config, false) }

// dialMute is a peer that never acknowledges SETTINGS.
func (h *host) dialMute() *peer { return h.open(nil, true) }

func (h *host) open(config *tls.Config, mute bool) *peer {
	h.t.Helper()
	raw, c := h.dialTLS(config)
	p := &peer{
		h: h, raw: raw, mute: mute, tls: c, next: 1, answers: map[uint32]*got{}, windows: map[uint32]uint32{}, done: make(chan struct{}),
		auth: h.bearer(time.Now()),
	}
	p.fr = http2.NewFramer(c, c)
	p.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	p.enc = hpack.NewEncoder(&p.buf)
	p.write(func() error {
		if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
			return err
		}
		return p.fr.WriteSettings()
	})
	go p.read()
	synctestWait()
	return p
}

// synctestWait lets everything settle; only bubbles use peers.
func synctestWait() { synctest.Wait() }

func (p *peer) close() {
	_ = p.raw.Close()
	<-p.done
}

func (p *peer) write(f func() error) {
	p.writing.Lock()
	defer p.writing.Unlock()
	_ = f() // a server that cut the connection is seen by the reader
}

func (p *peer) read() {
	defer close(p.done)
	for {
		f, err := p.fr.ReadFrame()
		p.mu.Lock()
		if err != nil {
			p.ended = true
			p.reset = !strings.Contains(err.Error(), "EOF")
			p.mu.Unlock()
			return
		}
		p.take(f)
		p.mu.Unlock()
	}
}

func (p *peer) take(f http2.Frame) {
	id := f.Header().StreamID
	g := p.answers[id]
	if g == nil {
		g = &got{header: map[string]string{}}
	}
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		for _, h := range f.Fields {
			g.header[h.Name] = h.Value
		}
		g.status, _ = strconv.Atoi(f.PseudoValue("status"))
		g.ended = f.StreamEnded()
		p.answers[id] = g
	case *http2.DataFrame:
		g.body += string(f.Data())
		g.datas++
		g.ended = f.StreamEnded()
		p.answers[id] = g
	case *http2.RSTStreamFrame:
		g.resets = append(g.resets, f.ErrCode)
		p.answers[id] = g
	case *http2.SettingsFrame:
		if f.IsAck() {
			return
		}
		m := map[http2.SettingID]uint32{}
		_ = f.ForeachSetting(func(s http2.Setting) error { m[s.ID] = s.Val; return nil })
		p.settings = append(p.settings, m)
		if !p.mute {
			go p.write(p.fr.WriteSettingsAck)
		}
	case *http2.PingFrame:
		if f.IsAck() {
			p.pongs++
		}
	case *http2.GoAwayFrame:
		p.aways = append(p.aways, goneAway{f.LastStreamID, f.ErrCode, string(f.DebugData())})
	case *http2.WindowUpdateFrame:
		p.windows[id] += f.Increment
	}
}

// limits are the stream limits told so far.
func (p *peer) limits() (out []uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.settings {
		if v, ok := m[http2.SettingMaxConcurrentStreams]; ok {
			out = append(out, v)
		}
	}
	return out
}

func (p *peer) on(id uint32) got {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g := p.answers[id]; g != nil {
		return *g
	}
	return got{}
}

func (p *peer) over() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

func (p *peer) goAways() []goneAway {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]goneAway(nil), p.aways...)
}

// ask is a request; the zero value is a good one.
type ask struct {
	method, path string
	token        string
	header       map[string]string // in place of, or besides, the usual; "-" leaves out
	twice        string            // a header sent twice
	body         string
	noBody       bool
	open         bool // leaves the stream open after the header
}

const goodBody = `{"aps":{"alert":{"title":"Ada Example","body":"Figures"},"badge":7}}`

// send writes a request and returns its stream.
func (p *peer) send(a ask) uint32 {
	if a.method == "" {
		a.method = "POST"
	}
	if a.token == "" {
		a.token = testToken
	}
	if a.path == "" {
		a.path = "/3/device/" + a.token
	}
	if a.body == "" {
		a.body = goodBody
	}
	fields := []hpack.HeaderField{{Name: ":method", Value: a.method}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "api.push.apple.com"}, {Name: ":path", Value: a.path}}
	usual := map[string]string{"authorization": p.auth, "apns-topic": testTopic, "apns-push-type": "alert"}
	for k, v := range a.header {
		usual[k] = v
	}
	for k, v := range usual {
		if v == "-" {
			continue
		}
		fields = append(fields, hpack.HeaderField{Name: k, Value: v})
		if k == a.twice {
			fields = append(fields, hpack.HeaderField{Name: k, Value: v})
		}
	}
	var id uint32
	p.write(func() error {
		id = p.next
		p.next += 2
		p.buf.Reset()
		for _, f := range fields {
			_ = p.enc.WriteField(f)
		}
		if err := p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.buf.Bytes(), EndHeaders: true, EndStream: a.noBody}); err != nil || a.noBody || a.open {
			return err
		}
		b := []byte(a.body)
		for len(b) > 16384 {
			if err := p.fr.WriteData(id, false, b[:16384]); err != nil {
				return err
			}
			b = b[16384:]
		}
		return p.fr.WriteData(id, true, b)
	})
	return id
}

// push sends a request and waits for what becomes of it.
func (p *peer) push(a ask) got {
	id := p.send(a)
	synctestWait()
	return p.on(id)
}

// trusted makes the connection's first push, which raises its limit.
func (p *peer) trusted() *peer {
	p.h.t.Helper()
	if g := p.push(ask{}); g.status != 200 {
		p.h.t.Fatalf("first push: %d %s", g.status, g.body)
	}
	return p
}

func (p *peer) want(g got, status int, reason string) {
	p.h.t.Helper()
	if g.status != status || g.reason() != reason {
		p.h.t.Errorf("answer %d %q, want %d %q", g.status, g.reason(), status, reason)
	}
}

func tokenOf(i int) string { return fmt.Sprintf("%064x", i+1) }
