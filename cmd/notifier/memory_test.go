package main

import (
	"testing"
	"time"
)

const mib = 1 << 20

func TestMemoryIsGivenBackWhenItIsQuietAndWorthIt(t *testing.T) {
	given, growth, limit := 0, 0, int64(0)
	m := &memory{giveBack: func() { given++ }, growth: func(p int) { growth = p }, limit: func(b int64) { limit = b }}
	now, allocated := time.Now(), uint64(0)
	for _, look := range []struct {
		what                string
		alloc, used, unused uint64
		passes              time.Duration
		given, growth       int
		limit               int64
	}{
		{"the start-up rush", 500 * mib, 60 * mib, 90 * mib, lookEvery, 0, 0, 0},
		{"the first quiet look", 3 * mib, 60 * mib, 90 * mib, lookEvery, 1, heapGrowth, memoryBase},
		{"so soon again", 3 * mib, 60 * mib, 90 * mib, lookEvery, 1, heapGrowth, memoryBase},
		{"nothing worth it", 3 * mib, 60 * mib, 5 * mib, trimAgainMin, 1, heapGrowth, memoryBase},
		{"a rush", 300 * mib, 60 * mib, 90 * mib, trimAgainMin, 1, heapGrowth, memoryBase},
		{"quiet once more", 1 * mib, 60 * mib, 90 * mib, trimAgainMin, 2, heapGrowth, memoryBase},
		{"many more mailboxes", 300 * mib, 400 * mib, 90 * mib, trimAgainMin, 2, heapGrowth, 600 * mib},
	} {
		now, allocated = now.Add(look.passes), allocated+look.alloc
		m.look(now, allocated, look.used, look.unused)
		if given != look.given || growth != look.growth || limit != look.limit {
			t.Errorf("after %s: given back %d times, growth %d, limit %d; want %d, %d, %d", look.what, given, growth, limit, look.given, look.growth, look.limit)
		}
	}
}
