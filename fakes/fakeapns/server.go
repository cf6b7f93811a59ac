package fakeapns

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"

	"mailbell/fakes/fault"
)

// Server is a running APNs host. Start starts its goroutines and Close waits
// for them.
type Server struct {
	o     Options
	tls   *tls.Config
	group sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	conns    map[*conn]struct{}
	keys     map[string]ProviderKey
	tokens   map[string]signed
	devices  map[string]*device // by lower-case token
	ids      *rand.Rand
	answers  uint64 // decided so far: numbers the draws of latency and misbehaviour
	drawn    uint64 // requests that a hostile server drew for
	sent     uint64 // accepted pushes whose way to the device was drawn
	seen     uint64 // connections so far
	max      uint32 // streams of a trusted connection
	latency  time.Duration
	outage   bool
	refusing bool // connections
	dropAt   int  // of new connections
	resets   int  // requests to be answered RST_STREAM
	resetBy  http2.ErrCode
	stalled  bool
	held     []held // requests that came while stalled, in order
	refusals map[string]*Refusal
	stats    Stats
}

// held is a request nobody has decided.
type held struct {
	c *conn
	r *request
}

// Start serves on o.Listener and o.Further until Close, which closes them too.
func Start(o Options) (*Server, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	s := &Server{
		o: o, conns: map[*conn]struct{}{}, keys: map[string]ProviderKey{}, tokens: map[string]signed{}, devices: map[string]*device{},
		ids: rand.New(rand.NewPCG(uint64(o.Seed), uint64(len(o.Environment)))), max: o.StreamsMax, latency: o.Latency, refusals: map[string]*Refusal{},
		// A client that offers no h2 is not refused: nothing is agreed then, and
		// HTTP/2 is spoken.
		tls: &tls.Config{Certificates: []tls.Certificate{o.Certificate}, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert},
	}
	for _, k := range o.Keys {
		s.keys[k.KeyID] = k
	}
	for _, l := range s.listeners() {
		s.group.Go(func() { s.accept(l) })
	}
	return s, nil
}

// listeners are all of the server's ports.
func (s *Server) listeners() []net.Listener {
	return append([]net.Listener{s.o.Listener}, s.o.Further...)
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.o.Listener.Addr() }

// Close closes the listeners and all connections and returns when every
// goroutine has ended. It may be called more than once.
func (s *Server) Close() error {
	s.mu.Lock()
	again := s.closed
	s.closed = true
	s.mu.Unlock()
	var err error
	if !again {
		for _, l := range s.listeners() {
			if e := l.Close(); e != nil && !errors.Is(e, net.ErrClosed) {
				err = errors.Join(err, e)
			}
		}
		s.CutConnections()
	}
	s.group.Wait()
	if err != nil {
		return fmt.Errorf("fakeapns: close: %w", err)
	}
	return nil
}

// acceptPause keeps a listener that fails for a moment from spinning.
const acceptPause = 10 * time.Millisecond

func (s *Server) accept(l net.Listener) {
	for {
		raw, err := l.Accept()
		if err != nil {
			s.mu.Lock()
			closed := s.closed
			s.mu.Unlock()
			if closed || errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(acceptPause)
			continue
		}
		_, unlucky := s.o.Faults.Strikes(faultRefuseConn, fault.Scope{Server: "apns"})
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			raw.Close()
			return
		}
		if s.refusing || unlucky {
			s.stats.ConnectionsRefused++
			s.mu.Unlock()
			resetConn(raw)
			continue
		}
		s.seen++
		c := newConn(s, raw, s.seen)
		c.dropAt = s.dropAt
		s.conns[c] = struct{}{}
		s.stats.Connections++
		s.stats.Open++
		s.stats.OpenMost = max(s.stats.OpenMost, s.stats.Open)
		s.mu.Unlock()
		s.group.Go(c.serve)
	}
}

// gone forgets a connection that ended.
func (s *Server) gone(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.stats.Open--
	kept := s.held[:0]
	for _, h := range s.held {
		if h.c != c {
			kept = append(kept, h)
		}
	}
	clear(s.held[len(kept):])
	s.held = kept
}

// connections are those open now.
func (s *Server) connections() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		list = append(list, c)
	}
	return list
}

// newID makes an apns-id as Apple's are: a UUID in upper case.
func (s *Server) newID() string {
	a, b := s.ids.Uint64(), s.ids.Uint64()
	return fmt.Sprintf("%08X-%04X-4%03X-%04X-%012X", a>>32, a>>16&0xffff, a&0xfff, 0x8000|b>>48&0x3fff, b&0xffffffffffff)
}
