package main

import (
	"testing"
	"time"
)

func TestMemoryIsGivenBackWhenItIsQuietAndWorthIt(t *testing.T) {
	given := 0
	tr := newTrimmer()
	tr.giveBack = func() { given++ }
	now, allocated := time.Now(), uint64(0)
	for _, look := range []struct {
		what   string
		alloc  uint64
		free   uint64
		given  int
		passes time.Duration
	}{
		{"the start-up rush", 500 << 20, 90 << 20, 0, quietEvery},
		{"the first quiet look", 3 << 20, 90 << 20, 1, quietEvery},
		{"so soon again", 3 << 20, 90 << 20, 1, quietEvery},
		{"nothing worth it", 3 << 20, 5 << 20, 1, trimAgainMin},
		{"a rush", 300 << 20, 90 << 20, 1, trimAgainMin},
		{"quiet once more", 1 << 20, 90 << 20, 2, trimAgainMin},
	} {
		now, allocated = now.Add(look.passes), allocated+look.alloc
		tr.look(now, allocated, look.free)
		if given != look.given {
			t.Errorf("after %s: given back %d times, want %d", look.what, given, look.given)
		}
	}
}
