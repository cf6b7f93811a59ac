package deliver

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"mailbell/notifier"
)

func TestBackOffIsRandomUpToABoundThatDoubles(t *testing.T) {
	r := RetryOptions{}
	r.defaults()
	for n := 1; n <= 60; n++ {
		most := min(time.Second<<min(n-1, 20), 15*time.Minute)
		var least, greatest time.Duration = most, 0
		for range 300 {
			w := r.wait(n, notifier.Receipt{})
			least, greatest = min(least, w), max(greatest, w)
		}
		if greatest > most || least < 0 {
			t.Errorf("after %d: %s to %s, at most %s", n, least, greatest, most)
		}
		if least > most/10 || greatest < most*9/10 {
			t.Errorf("after %d: %s to %s is no full jitter up to %s", n, least, greatest, most)
		}
	}
}

func TestBackOffHonoursWhatTheProviderAsks(t *testing.T) {
	r := RetryOptions{}
	r.defaults()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 50).Draw(t, "n")
		asked := time.Duration(rapid.Int64Range(1, int64(24*time.Hour)).Draw(t, "asked"))
		w := r.wait(n, notifier.Receipt{Status: 503, Reason: "ServiceUnavailable", RetryAfter: asked})
		if w < asked || w > asked+asked/10 {
			t.Fatalf("asked %s, waits %s", asked, w)
		}
	})
}

func TestAPassingErrorIsTriedAgainSoonOnce(t *testing.T) {
	r := RetryOptions{}
	r.defaults()
	for _, receipt := range []notifier.Receipt{
		{Status: 500, Reason: "InternalServerError", RetryAfter: 15 * time.Minute},
		{Status: 503, Reason: "Shutdown", RetryAfter: 15 * time.Minute},
	} {
		if w := r.wait(1, receipt); w > time.Second {
			t.Errorf("%s: first wait %s", receipt.Reason, w)
		}
		if w := r.wait(2, receipt); w < 15*time.Minute {
			t.Errorf("%s: second wait %s", receipt.Reason, w)
		}
	}
}
