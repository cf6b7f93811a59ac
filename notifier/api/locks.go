package api

import (
	"hash/maphash"
	"slices"
	"sync"
)

// locks keeps writes about one device, or one mailbox, apart from each other.
// Several names share a lock, so that their number is bounded.
type locks struct {
	seed maphash.Seed
	all  [lockCount]sync.Mutex
}

func newLocks() *locks { return &locks{seed: maphash.MakeSeed()} }

// lock locks all names, always in the same order, and returns what unlocks
// them.
func (l *locks) lock(names ...string) (unlock func()) {
	which := make([]int, 0, len(names))
	for _, n := range names {
		which = append(which, int(maphash.String(l.seed, n)%lockCount))
	}
	slices.Sort(which)
	which = slices.Compact(which)
	for _, i := range which {
		l.all[i].Lock()
	}
	return func() {
		for _, i := range which {
			l.all[i].Unlock()
		}
	}
}
