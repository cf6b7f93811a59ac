package fakewns

import "time"

// Reset forgets all channels and tokens and what was set by method,
// and tells the counters from zero, as if the server had just started.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.channels)
	clear(s.tokens)
	for _, a := range s.apps {
		a.refusal, a.pushes, a.until = NoRefusal, 0, time.Time{}
	}
	s.throttle, s.stats = 0, Stats{}
}
