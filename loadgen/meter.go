package loadgen

import (
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latency are quantiles in milliseconds.
type Latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// CDFPoint says which share of the pushes took at most so long.
type CDFPoint struct {
	MS    float64 `json:"ms"`
	Share float64 `json:"share"`
}

// Second is one second of the plan: the mails planned in it, and the latencies
// of their pushes; and the pushes accepted in it, of whatever mail.
type Second struct {
	At       int     `json:"at"`
	Mails    int     `json:"mails"`
	Accepted int     `json:"accepted"`
	P50      float64 `json:"p50"` // ms; 0 without a push
	P99      float64 `json:"p99"`
	Max      float64 `json:"max"`
}

// meter collects latencies. Safe for concurrent use.
type meter struct {
	start time.Time

	mu       sync.Mutex
	all      *hdrhistogram.Histogram
	interval *hdrhistogram.Histogram // since the last progress line
	points   []point
	accepted map[int]int
}

// point is one delivered push.
type point struct {
	second  int32 // of its planned arrival
	latency float32
}

// Histograms reach from a microsecond to an hour, with three digits.
func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, time.Hour.Microseconds(), 3) }

func newMeter(start time.Time) *meter {
	return &meter{start: start, all: newHistogram(), interval: newHistogram(), accepted: map[int]int{}}
}

// take takes in a result; only deliveries have a latency.
func (m *meter) take(r Result) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.accepted[int(r.At.Sub(m.start).Seconds())]++
	if r.Kind != Delivered {
		return
	}
	us := min(max(r.Latency().Microseconds(), 1), time.Hour.Microseconds())
	_ = m.all.RecordValue(us) // within its range
	_ = m.interval.RecordValue(us)
	if len(m.points) < pointsMax {
		m.points = append(m.points, point{int32(r.Planned.Sub(m.start).Seconds()), float32(us) / 1000})
	}
}

// recent are the quantiles since it was last called, and their number.
func (m *meter) recent() (Latency, int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, n := quantiles(m.interval), m.interval.TotalCount()
	m.interval.Reset()
	return l, n
}

func (m *meter) latency() Latency {
	m.mu.Lock()
	defer m.mu.Unlock()
	return quantiles(m.all)
}

func quantiles(h *hdrhistogram.Histogram) Latency {
	at := func(percent float64) float64 { return float64(h.ValueAtQuantile(percent)) / 1000 }
	return Latency{at(50), at(90), at(99), at(99.9), float64(h.Max()) / 1000}
}

// cdf is the distribution, in as many points as it has different values.
func (m *meter) cdf() []CDFPoint {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []CDFPoint
	total, sum := m.all.TotalCount(), int64(0)
	for _, bar := range m.all.Distribution() {
		if bar.Count > 0 {
			sum += bar.Count
			out = append(out, CDFPoint{float64(bar.To) / 1000, float64(sum) / float64(total)})
		}
	}
	return thinned(out, cdfPointsMax)
}

// cdfPointsMax bounds the points of a plot.
const cdfPointsMax = 400

// thinned keeps the first, the last, and some in between.
func thinned[T any](list []T, most int) []T {
	if len(list) <= most {
		return list
	}
	out := make([]T, 0, most)
	for i := range most {
		out = append(out, list[i*(len(list)-1)/(most-1)])
	}
	return out
}

// seconds are the course of the run.
func (m *meter) seconds(slots []Slot, mailboxes int) []Second {
	m.mu.Lock()
	defer m.mu.Unlock()
	mails, latencies, last := map[int]int{}, map[int][]float64{}, 0
	for _, s := range slots {
		at := int(s.At.Seconds())
		mails[at] += s.copies(mailboxes)
		last = max(last, at)
	}
	for _, p := range m.points {
		latencies[int(p.second)] = append(latencies[int(p.second)], float64(p.latency))
		last = max(last, int(p.second))
	}
	for at := range m.accepted {
		last = max(last, at)
	}
	out := make([]Second, 0, last+1)
	for at := range last + 1 {
		s := Second{At: at, Mails: mails[at], Accepted: m.accepted[at]}
		if l := latencies[at]; len(l) > 0 {
			slices.Sort(l)
			s.P50, s.P99, s.Max = l[(len(l)-1)/2], l[(len(l)-1)*99/100], l[len(l)-1]
		}
		out = append(out, s)
	}
	return out
}
