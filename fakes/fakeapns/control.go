package fakeapns

import (
	"strings"
	"time"

	"golang.org/x/net/http2"
)

// Refusal is an answer given to requests that passed authentication, whatever
// the other rules say.
type Refusal struct {
	Status     int           // 0: the one that belongs to Reason
	Reason     string        // as in Reasons
	RetryAfter time.Duration // header Retry-After, seconds; 0: not sent
	Timestamp  time.Time     // of a 410; zero: the time of the request
	Count      int           // requests to refuse; 0: until lifted
}

// Refuse answers the requests of one device, or of all with token "", with r.
// It takes the place of an earlier Refuse for the same token; the zero Refusal
// lifts it. A rule for the device goes before one for all.
func (s *Server) Refuse(token string, r Refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token = strings.ToLower(token)
	if r.Status == 0 {
		r.Status = statuses[r.Reason]
	}
	if r.Status == 0 {
		delete(s.refusals, token)
		return
	}
	s.refusals[token] = &r
}

func refusalRule(s *Server, _ *conn, r *request) verdict {
	key := strings.ToLower(r.token())
	rule := s.refusals[key]
	if rule == nil || key == "" {
		key, rule = "", s.refusals[""]
	}
	if rule == nil {
		return verdict{}
	}
	if rule.Count > 0 {
		if rule.Count--; rule.Count == 0 {
			delete(s.refusals, key)
		}
	}
	v := verdict{status: rule.Status, reason: rule.Reason, retryAfter: rule.RetryAfter, timestamp: rule.Timestamp}
	if v.timestamp.IsZero() {
		v.timestamp = r.arrived
	}
	return v
}

// Outage makes every request be answered with 503 ServiceUnavailable.
func (s *Server) Outage(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outage = on
}

// Stall makes the server read requests and not look at them; PINGs are
// answered. Ending it, what is held is decided in the order of arrival, unless
// its client has given up.
func (s *Server) Stall(on bool) {
	s.mu.Lock()
	s.stalled = on
	var list []held
	if !on {
		list, s.held = s.held, nil
	}
	s.mu.Unlock()
	for _, h := range list {
		s.handle(h.c, h.r)
	}
}

// resetNext answers a request as ResetNext asked for. It says whether it did.
func (s *Server) resetNext(c *conn, r *request) bool {
	s.mu.Lock()
	due, code := s.resets > 0, s.resetBy
	if due {
		s.resets--
	}
	s.mu.Unlock()
	if due {
		c.abandon(r.stream)
		c.out.reset(r.stream, code)
	}
	return due
}

// ResetNext answers the next n requests, which nobody looks at, with RST_STREAM
// and code.
func (s *Server) ResetNext(n int, code http2.ErrCode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resets, s.resetBy = n, code
}

// RefuseConnections resets new connections before they speak, and those there
// are; or lets them in again.
func (s *Server) RefuseConnections(on bool) {
	s.mu.Lock()
	s.refusing = on
	s.mu.Unlock()
	if on {
		s.CutConnections()
	}
}

// StopReading makes the present connections play dead peers: open, and reading
// nothing, so that not even a PING is answered. With on false they read on.
func (s *Server) StopReading(on bool) {
	for _, c := range s.connections() {
		c.listen(!on)
	}
}

// DropAfter resets every new connection at its n-th request, which is not
// looked at; 0 ends that.
func (s *Server) DropAfter(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropAt = n
}

// CutConnections resets all connections and says how many there were.
func (s *Server) CutConnections() int {
	list := s.connections()
	for _, c := range list {
		c.cut()
	}
	return len(list)
}

// GoAway ends all connections in Apple's way: GOAWAY with the reason as JSON,
// answers for what was looked at, then the end. It says how many there were.
func (s *Server) GoAway(reason string) int { return s.End(GoAway{Reason: reason}) }

// End ends all connections with a GOAWAY of any kind. It says how many there
// were.
func (s *Server) End(g GoAway) int {
	list := s.connections()
	for _, c := range list {
		c.end(g)
	}
	return len(list)
}

// SetMaxStreams changes how many streams a trusted connection may open, for
// the present connections too.
func (s *Server) SetMaxStreams(n uint32) {
	s.mu.Lock()
	s.max = n
	limits := map[*conn]uint32{}
	for c := range s.conns {
		limits[c] = s.limitOf(c)
	}
	s.mu.Unlock()
	for c, limit := range limits {
		c.mu.Lock()
		if c.ready {
			c.announce(limit)
		}
		c.mu.Unlock()
	}
}

// SetLatency sets the time before each answer; 0 is none, or the profile's.
func (s *Server) SetLatency(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latency = d
}

// SetKeys replaces the provider keys. Tokens of keys that are gone are invalid
// from now on.
func (s *Server) SetKeys(keys ...ProviderKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.keys)
	clear(s.tokens)
	for _, k := range keys {
		s.keys[k.KeyID] = k
	}
}

// Stats counts what happened since the start.
type Stats struct {
	Connections        uint64 `json:"connections"` // ever
	Open               int    `json:"open"`        // connections now
	OpenMost           int    `json:"open_most"`   // at one time
	HandshakesFailed   uint64 `json:"handshakes_failed"`
	ConnectionsRefused uint64 `json:"connections_refused"`
	Streams            uint64 `json:"streams"`      // that a slot was given
	StreamsMost        int    `json:"streams_most"` // at one time on one connection
	Refused            uint64 `json:"refused"`      // over the limit
	Accepted           uint64 `json:"accepted"`
	Rejected           uint64 `json:"rejected"`
	ProviderTokens     uint64 `json:"provider_tokens"` // first uses on a connection
	Pings              uint64 `json:"pings"`
	GoAways            uint64 `json:"go_aways"`
}

// Stats tells the counters.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

func (s *Server) count(f func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.stats)
}
