package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How much memory the process may take. A start needs much for a moment, and what
// it leaves behind in pieces stays: the heap is kept tight until the first quiet
// time. From then on it may grow further between two collections, since a rush
// would otherwise spend a fifth of its CPU time in collecting, but only up to a
// limit. In quiet times what a rush has taken goes back to the host. GOGC and
// GOMEMLIMIT, each where it is set, have the last word (decision 9).
const (
	heapGrowthStart = 50  // percent of what is in use
	heapGrowth      = 200 // afterwards
	// The limit is of Go's memory, to which some 20 MiB of the program itself come.
	memoryBase  = 224 << 20
	memoryShare = 150 // percent of what is in use, when that is more

	lookEvery    = 10 * time.Second
	quietBytes   = 1 << 20 // allocated a second, at most; 15,000 mailboxes at rest take a tenth
	trimWorth    = 8 << 20
	trimAgainMin = 30 * time.Second
)

// memory looks after the process's memory. Use it from one goroutine.
type memory struct {
	allocated uint64 // at the last look
	trimmed   time.Time
	settled   bool // the first quiet time has come

	growth   func(percent int)
	limit    func(bytes int64)
	giveBack func()
}

func newMemory() *memory {
	m := &memory{
		growth: func(percent int) { debug.SetGCPercent(percent) }, limit: func(bytes int64) { debug.SetMemoryLimit(bytes) },
		giveBack: func() {
			runtime.GC() // pools are emptied by the second collection
			debug.FreeOSMemory()
		},
	}
	if os.Getenv("GOGC") != "" {
		m.growth = func(int) {}
	}
	if os.Getenv("GOMEMLIMIT") != "" {
		m.limit = func(int64) {}
	}
	m.growth(heapGrowthStart)
	return m
}

func (m *memory) run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
			metrics.Read(s)
			allocated, used, objects, free := s[0].Value.Uint64(), s[1].Value.Uint64(), s[2].Value.Uint64(), s[3].Value.Uint64()
			m.look(now, allocated, used, free+max(objects, used)-used)
		case <-ctx.Done():
			return
		}
	}
}

// look acts by what has been allocated since the start, what was in use at the last
// collection, and what the heap holds beside that, in bytes.
func (m *memory) look(now time.Time, allocated, used, unused uint64) {
	fresh := allocated - m.allocated
	m.allocated = allocated
	quiet := fresh <= uint64(lookEvery.Seconds()*quietBytes)
	if quiet && unused >= trimWorth && now.Sub(m.trimmed) >= trimAgainMin {
		m.trimmed = now
		m.giveBack()
	}
	if quiet && !m.settled {
		m.settled = true
		m.growth(heapGrowth)
	}
	if m.settled {
		m.limit(max(memoryBase, int64(used)/100*memoryShare))
	}
}
