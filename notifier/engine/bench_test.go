package engine_test

import (
	"testing"

	"mailbell/notifier"
	"mailbell/notifier/engine"
	"mailbell/notifier/queue/queuetest"
)

// BenchmarkPut shows what surviving a loss of power costs.
func BenchmarkPut(b *testing.B) {
	for _, sync := range []engine.SyncMode{engine.Interval, engine.Always} {
		b.Run(sync.String(), func(b *testing.B) {
			e := open(b, engine.Options{Dir: b.TempDir(), Sync: sync})
			for n := 0; b.Loop(); n++ {
				if err := e.Queue().Put(b.Context(), queuetest.Push("phone", notifier.APNs, n)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
