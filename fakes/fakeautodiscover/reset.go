package fakeautodiscover

// Reset gives every account its whole budget back.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.budgets)
}
