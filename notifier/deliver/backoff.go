package deliver

import (
	"math/rand/v2"
	"net/http"
	"time"

	"mailbell/notifier"
)

// spread is a random time from 0 to max, both included.
func spread(max time.Duration) time.Duration {
	if max <= 0 {
		return 0
	}
	return rand.N(max + 1)
}

// doubled is least times two to the power of n-1, at most most.
func doubled(least, most time.Duration, n int) time.Duration {
	d := least
	for ; n > 1 && d < most; n-- {
		d *= 2
	}
	return min(d, most)
}

// wait is the back-off before the next sending of a push that was refused for
// now n times: random up to a bound that doubles ("full jitter"), and never
// less than what the provider asked for.
func (r *RetryOptions) wait(n int, receipt notifier.Receipt) time.Duration {
	if asked := receipt.RetryAfter; asked > 0 && !(n == 1 && passing(receipt)) {
		return asked + spread(asked/10)
	}
	return spread(doubled(r.Min, r.Max, n))
}

// passing says whether a refusal is likely to be over at once, so that a first
// repeat is worth the while before the long wait: an internal error often
// belongs to one server, and a server that shuts down has a successor (Apple
// "Handling notification responses from APNs").
func passing(r notifier.Receipt) bool {
	return r.Status == http.StatusInternalServerError || r.Reason == "Shutdown"
}
