package fakeapns

import (
	"fmt"
	"slices"

	"golang.org/x/net/http2"
)

// Reset forgets all devices and everything that was set by method, and tells
// the counters from zero, as if the server had just started. It goes on
// listening and keeps its connections; requests that it held are answered.
func (s *Server) Reset() {
	s.Stall(false)
	s.StopReading(false)
	s.mu.Lock()
	clear(s.devices)
	clear(s.refusals)
	s.outage, s.refusing, s.dropAt, s.resets, s.latency = false, false, 0, 0, s.o.Latency
	s.stats = Stats{Open: s.stats.Open, OpenMost: s.stats.Open}
	s.mu.Unlock()
	s.SetMaxStreams(s.o.StreamsMax)
	s.SetKeys(s.o.Keys...)
}

// RemoveKey makes the tokens of a provider key invalid, as when it is revoked
// in the developer account. It says whether there was one of that ID.
func (s *Server) RemoveKey(id string) bool {
	s.mu.Lock()
	keys := make([]ProviderKey, 0, len(s.keys))
	for _, k := range s.keys {
		keys = append(keys, k)
	}
	s.mu.Unlock()
	kept := slices.DeleteFunc(keys, func(k ProviderKey) bool { return k.KeyID == id })
	if len(kept) == len(keys) {
		return false
	}
	s.SetKeys(kept...)
	return true
}

// ParseCode reads an HTTP/2 error code by its number or its name, such as
// REFUSED_STREAM; the empty string is NO_ERROR.
func ParseCode(s string) (http2.ErrCode, error) {
	const unknown = http2.ErrCode(1<<32 - 1)
	if s == "" {
		return http2.ErrCodeNo, nil
	}
	code := codeOf(s, unknown)
	if code == unknown {
		return 0, fmt.Errorf("%q is no error code of HTTP/2", s)
	}
	return code, nil
}

// StatusOf is the status that belongs to one of Apple's reasons; 0: there is no
// such reason.
func StatusOf(reason string) int { return statuses[reason] }
