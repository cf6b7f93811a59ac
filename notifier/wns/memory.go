package wns

import (
	"hash/maphash"
	"sync"
	"time"
)

// memory remembers since when something is true of a channel, for a bounded
// time and number of channels. Safe for concurrent use.
type memory struct {
	age  time.Duration
	max  int
	seed maphash.Seed

	mu    sync.Mutex
	since map[uint64]time.Time
}

func newMemory(age time.Duration, most int) *memory {
	return &memory{age: age, max: most, seed: maphash.MakeSeed(), since: map[uint64]time.Time{}}
}

// note returns since when the channel is remembered, and remembers it from now
// on if it was not.
func (m *memory) note(channel string, now time.Time) (since time.Time) {
	h := maphash.String(m.seed, channel)
	m.mu.Lock()
	defer m.mu.Unlock()
	if at, ok := m.since[h]; ok && now.Sub(at) <= m.age {
		return at
	}
	if len(m.since) >= m.max {
		for k, at := range m.since {
			if now.Sub(at) > m.age {
				delete(m.since, k)
			}
		}
	}
	if len(m.since) >= m.max {
		clear(m.since) // better to begin again than to grow
	}
	m.since[h] = now
	return now
}

func (m *memory) forget(channel string) {
	h := maphash.String(m.seed, channel)
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.since, h)
}
