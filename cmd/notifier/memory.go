package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// What a rush has needed, a start above all, Go keeps for the next one: its heap
// may grow to twice what was in use then. A host that does other things as well
// gets it back once the process is quiet.
const (
	// heapGrowth is how much the heap may grow between two collections, in percent
	// of what is in use (GOGC, which has the last word). Half of Go's default keeps
	// 15,000 devices at rest within 128 MiB, for some 5 % more CPU time in a rush.
	heapGrowth = 50

	quietEvery   = 10 * time.Second
	quietBytes   = 1 << 20 // allocated a second, at most; 15,000 mailboxes at rest take a tenth
	trimWorth    = 8 << 20
	trimAgainMin = 30 * time.Second
)

// trimmer gives back memory in quiet times.
type trimmer struct {
	sample    []metrics.Sample
	allocated uint64
	trimmed   time.Time
	giveBack  func()
}

// limitHeap sets how far the heap may grow.
func limitHeap() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
}

func newTrimmer() *trimmer {
	return &trimmer{
		sample: []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}},
		giveBack: func() {
			runtime.GC() // pools are emptied by the second collection
			debug.FreeOSMemory()
		},
	}
}

func (t *trimmer) run(ctx context.Context) {
	tick := time.NewTicker(quietEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			metrics.Read(t.sample)
			// What was in use at the last collection and is not any more counts too.
			free := t.sample[1].Value.Uint64() + t.sample[2].Value.Uint64() - min(t.sample[2].Value.Uint64(), t.sample[3].Value.Uint64())
			t.look(now, t.sample[0].Value.Uint64(), free)
		case <-ctx.Done():
			return
		}
	}
}

// look gives memory back when little was allocated since the last look, and it is
// worth it.
func (t *trimmer) look(now time.Time, allocated, free uint64) {
	fresh := allocated - t.allocated
	t.allocated = allocated
	if fresh <= uint64(quietEvery.Seconds()*quietBytes) && free >= trimWorth && now.Sub(t.trimmed) >= trimAgainMin {
		t.trimmed = now
		t.giveBack()
	}
}
