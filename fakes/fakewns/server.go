package fakewns

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Server is the token service and the channel service. It starts no
// goroutines; whoever serves its handlers ends them.
type Server struct {
	o Options

	mu       sync.Mutex
	random   *rand.Rand
	apps     map[string]*app     // by name
	channels map[string]*channel // by host and request URI, byte for byte
	tokens   map[string]token
	throttle time.Duration // Retry-After while Throttle is on; 0: it is off
	drawn    uint64        // requests that latency and misbehaviour were drawn for
	stats    Stats
}

type app struct {
	App
	refusal Refusal
	second  time.Time // that pushes are counted in
	pushes  int
	until   time.Time // throttled
}

type token struct {
	app     string
	expires time.Time
}

// Stats counts what happened since the start.
type Stats struct {
	Tokens   uint64 `json:"tokens"` // token requests, whatever the answer
	Pushes   uint64 `json:"pushes"` // push requests, whatever the answer
	Received uint64 `json:"received"`
}

// New returns a server without channels.
func New(o Options) *Server {
	o.complete()
	s := &Server{o: o, random: rand.New(rand.NewPCG(uint64(o.Seed), 0x776e73)), apps: map[string]*app{}, channels: map[string]*channel{}, tokens: map[string]token{}}
	for _, a := range o.Apps {
		s.apps[a.Name] = &app{App: a}
	}
	return s
}

// ChannelHandler serves the hosts under notify.windows.com. It must be served
// over HTTP/1.1.
func (s *Server) ChannelHandler() http.Handler { return http.HandlerFunc(s.serveChannel) }

// TokenHandler serves login.live.com.
func (s *Server) TokenHandler() http.Handler { return http.HandlerFunc(s.serveToken) }

// Refusal is why an app's pushes are refused with 403.
type Refusal uint8

// The refusals.
const (
	NoRefusal  Refusal = iota
	NotAllowed         // with the description of a missing mapping
	Bare               // without any X-WNS header
)

// RefuseApp answers all pushes of an app with 403, or lifts that.
func (s *Server) RefuseApp(name string, r Refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.apps[name]; a != nil {
		a.refusal = r
	}
}

// RevokeTokens makes every token issued so far invalid.
func (s *Server) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// SetTokenLife changes the life of tokens issued from now on.
func (s *Server) SetTokenLife(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.o.TokenLife = d
}

// Throttle answers all pushes as those of a throttled app, with retryAfter
// (0: RetryAfterDefault), until it is called with on false.
func (s *Server) Throttle(on bool, retryAfter time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !on:
		s.throttle = 0
	case retryAfter <= 0:
		s.throttle = RetryAfterDefault
	default:
		s.throttle = retryAfter
	}
}

// Stats tells the counters.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// hosts are names that channels were seen on; nothing may be read from them.
var hosts = []string{"wns2-db5p", "wns2-by3p", "wns2-sg2p", "wns2-xx3p", "dm3p", "bn1", "am3p", "cloud"}

// Bytes behind identifiers: base64 makes four characters of three, and the
// escapes add to a channel's until it has some 350.
const (
	channelBytes = 216
	tokenBytes   = 301
)

// NewChannel opens a channel of an app on a new device, which is online, and
// returns its URI. An app that is not known is 403 for everybody.
func (s *Server) NewChannel(app string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	host := hosts[s.random.IntN(len(hosts))] + ".notify.windows.com"
	b := append([]byte{3, 6, 0, 0, 0, 0x7f, 0xff, 0xbe}, s.bytes(channelBytes)...)
	escaped := strings.NewReplacer("/", "%2f", "+", "%2b", "=", "%3d").Replace(base64.StdEncoding.EncodeToString(b))
	key := host + "/?token=" + escaped
	s.channels[key] = &channel{app: app, online: true}
	return "https://" + key
}

func (s *Server) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(s.random.Uint32())
	}
	return b
}

// messageID is an X-WNS-MSG-ID.
func (s *Server) messageID() string { return fmt.Sprintf("%016X", s.random.Uint64()) }
