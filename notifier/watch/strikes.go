package watch

import "time"

// strikes counts failures in a row, and says how long to wait after each. One
// that comes long after the wait for the last one was over begins a new row;
// what went well between two failures that are close does not, because much
// that is broken works for a moment.
type strikes struct {
	n     int
	until time.Time // when the wait after the last one is over
}

// add counts a failure. It returns the wait, from first doubling up to most and
// at least told, and how many failures of the row there were before.
func (s *strikes) add(first, most, told time.Duration) (wait time.Duration, before int) {
	before = s.row()
	wait = max(backoff(before, first, most), told)
	s.n = before + 1
	s.until = time.Now().Add(wait)
	return wait, before
}

// row is how many failures the next one would have before it.
func (s *strikes) row() int {
	if time.Since(s.until) > forgiveAfter {
		return 0
	}
	return s.n
}
