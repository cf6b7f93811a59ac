// Package against holds the fakes against a bare net/http handler that does the
// same work, for benchmarks only. A fake must not be what limits a load test.
package against

import (
	"testing"
	"time"
)

// warm is how many operations open connections and warm buffers beforehand.
const warm = 100

// Bare runs the fake's work b.N times, then the same work done by a bare
// handler, in the same minute on the same machine. It reports both as unit
// ("pushes/s" and "bare-pushes/s"), and as x-bare how many times the bare
// handler's time the fake takes. The client's half is in both.
func Bare(b *testing.B, unit string, fake, bare func(n int)) {
	b.Helper()
	fake(min(b.N, warm))
	bare(min(b.N, warm))
	b.ResetTimer()
	took := timed(fake, b.N)
	b.StopTimer()
	bareTook := timed(bare, b.N)
	b.ReportMetric(float64(b.N)/took.Seconds(), unit)
	b.ReportMetric(float64(b.N)/bareTook.Seconds(), "bare-"+unit)
	b.ReportMetric(float64(took)/float64(bareTook), "x-bare")
}

func timed(do func(n int), n int) time.Duration {
	began := time.Now()
	do(n)
	return time.Since(began)
}
