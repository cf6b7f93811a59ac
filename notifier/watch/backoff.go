package watch

import (
	"math/rand/v2"
	"time"
)

// backoff is an exponential wait with full jitter: the n-th wait (from 0) is
// random within (half of d, d], d = first·2ⁿ up to most. Half is kept so that a
// wait is never nearly nothing.
func backoff(n int, first, most time.Duration) time.Duration {
	d := most
	if n < 30 {
		if e := first << n; e > 0 && e < most {
			d = e
		}
	}
	return d/2 + rand.N(d/2) + 1
}
