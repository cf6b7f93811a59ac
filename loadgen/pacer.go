package loadgen

import (
	"math"
	"math/rand/v2"
	"time"
)

// Pacer is an intended course of arrivals.
type Pacer interface {
	// Next is the arrival that follows one at prev (0 before the first), false
	// when there is none.
	Next(prev time.Duration) (time.Duration, bool)
	// Rate is the intended rate at a time, in arrivals a second.
	Rate(at time.Duration) float64
}

var (
	_ Pacer = (*poisson)(nil)
	_ Pacer = (*swell)(nil)
)

// poisson has independent arrivals at a constant rate.
type poisson struct {
	rate   float64
	random *rand.Rand
}

func (p *poisson) Next(prev time.Duration) (time.Duration, bool) {
	if p.rate <= 0 {
		return 0, false
	}
	gap := p.random.ExpFloat64() / p.rate * float64(time.Second)
	if gap > float64(math.MaxInt64/4) {
		return 0, false
	}
	return prev + time.Duration(gap), true
}

func (p *poisson) Rate(time.Duration) float64 { return p.rate }

// swell is a morning: the rate rises from base to high and falls again, along
// one arch of a sine over the whole duration.
type swell struct {
	base, high float64
	duration   time.Duration
	random     *rand.Rand
}

func (s *swell) Rate(at time.Duration) float64 {
	if at < 0 || at > s.duration {
		return s.base
	}
	return s.base + (s.high-s.base)*math.Sin(math.Pi*float64(at)/float64(s.duration))
}

// Next thins out arrivals at the highest rate (Lewis and Shedler's method for
// Poisson processes whose rate changes).
func (s *swell) Next(prev time.Duration) (time.Duration, bool) {
	if s.high <= 0 {
		return 0, false
	}
	dense := poisson{s.high, s.random}
	for at, ok := dense.Next(prev); ok && at < s.duration; at, ok = dense.Next(at) {
		if s.random.Float64()*s.high < s.Rate(at) {
			return at, true
		}
	}
	return 0, false
}
