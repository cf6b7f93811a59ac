package api

import (
	"context"
	"hash/maphash"
	"slices"
)

// locks keeps writes about one device, or one mailbox, apart from each other.
// Several names share a lock, so that their number is bounded. A lock is held
// across writes to the registry, so whoever waits for it can give up.
type locks struct {
	seed maphash.Seed
	all  [lockCount]chan struct{} // full while held
}

func newLocks() *locks {
	l := &locks{seed: maphash.MakeSeed()}
	for i := range l.all {
		l.all[i] = make(chan struct{}, 1)
	}
	return l
}

// lock locks all names, always in the same order, and returns what unlocks
// them. On an error, which is ctx's, nothing is locked.
func (l *locks) lock(ctx context.Context, names ...string) (unlock func(), err error) {
	which := make([]int, 0, len(names))
	for _, n := range names {
		which = append(which, int(maphash.String(l.seed, n)%lockCount))
	}
	slices.Sort(which)
	which = slices.Compact(which)
	for i, n := range which {
		select {
		case l.all[n] <- struct{}{}:
		case <-ctx.Done():
			l.unlock(which[:i])
			return nil, ctx.Err()
		}
	}
	return func() { l.unlock(which) }, nil
}

func (l *locks) unlock(which []int) {
	for _, n := range which {
		<-l.all[n]
	}
}
