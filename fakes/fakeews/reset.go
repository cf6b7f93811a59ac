package fakeews

// Reset forgets what callers were told to wait for and how often magic
// addresses were asked, as if the server had just started. Streams go on; the
// organisation ends them.
func (s *Server) Reset() {
	s.busy.mu.Lock()
	clear(s.busy.until)
	s.busy.mu.Unlock()
	s.magic.mu.Lock()
	clear(s.magic.counts)
	clear(s.magic.first)
	s.magic.mu.Unlock()
	s.recent.mu.Lock()
	clear(s.recent.told)
	s.recent.mu.Unlock()
}
