package world

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

const (
	// pulseEvery is how often, in virtual time, a bubble shows that it lives.
	pulseEvery = time.Minute
	// pulseMax is the virtual time after which it stops showing it: whatever
	// then is left without a timer is found to be dead-locked.
	pulseMax = 101 * 24 * time.Hour
	// stuckAfter is the wall-clock time without a pulse after which a bubble is
	// given up. A virtual minute in which 15,000 mailboxes are subscribed takes
	// some 20 s on two cores.
	stuckAfter = 4 * time.Minute
	// tracesMax bounds, in bytes, the goroutines shown of a bubble.
	tracesMax = 20_000
)

// suiteT is the test that runs the suite; synctest needs one of its own kind.
var suiteT *testing.T

// Suite runs the package's specs. Call it from the one Test function that a
// suite has.
func Suite(t *testing.T, name string) {
	suiteT = t
	RegisterFailHandler(Fail)
	RunSpecs(t, name)
}

// Bubble runs f in virtual time. Everything f makes, goroutines included, lives
// in the bubble and has to end with f. The failure of the spec that called is: a
// failure or panic in f; a dead-lock; goroutines that outlive f; and a clock that
// no longer moves, which also ends the suite, for such a bubble cannot be ended.
// Each is reported with the virtual time, and the last three with the goroutines.
//
// A panic in another goroutine of the bubble ends the process, as Go will have it.
func Bubble(f func()) {
	GinkgoHelper()
	at, _, err := bubble(suiteT, stuckAfter, func() {
		defer GinkgoRecover()
		f()
	})
	if CurrentSpecReport().Failed() || err != nil {
		AddReportEntry("virtual time", at.Format("2006-01-02 15:04:05.000"))
	}
	if errors.Is(err, errStuck) {
		AbortSuite(err.Error())
	}
	if err != nil {
		Fail(err.Error())
	}
}

var errStuck = errors.New("the virtual clock no longer moves: somebody is busy, or waits for something outside the bubble or for a mutex")

// bubble runs f and returns the virtual time of its end, or of its last pulse,
// what kept it from ending well, and a channel that is closed when it has ended,
// which one that was given up may do later.
func bubble(t *testing.T, patience time.Duration, f func()) (at time.Time, over <-chan struct{}, err error) {
	var (
		mu    sync.Mutex
		clock time.Time // virtual
		beats int
	)
	pulse := func() {
		mu.Lock()
		clock = time.Now()
		beats++
		mu.Unlock()
	}
	ended, gone := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(gone)
		defer func() {
			if r := recover(); r != nil {
				ended <- fmt.Errorf("%v; its goroutines:\n%s", r, traces())
			}
		}()
		synctest.Test(t, func(*testing.T) {
			pulse()
			stop, stopped := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(stopped)
				for tick := time.NewTicker(pulseEvery); beats < int(pulseMax/pulseEvery); {
					select {
					case <-tick.C:
						pulse()
					case <-stop:
						tick.Stop()
						return
					}
				}
			}()
			defer func() { close(stop); <-stopped; pulse() }()
			f()
		})
		ended <- nil
	}()
	for before := 0; ; {
		select {
		case err := <-ended:
			return clock, gone, err
		case <-time.After(patience):
		}
		mu.Lock()
		at, now := clock, beats
		mu.Unlock()
		if now == before {
			return at, gone, fmt.Errorf("%w; its goroutines:\n%s", errStuck, traces())
		}
		before = now
	}
}

// traces are the goroutines of all bubbles.
func traces() string {
	all := make([]byte, 16<<20)
	all = all[:runtime.Stack(all, true)]
	var b strings.Builder
	for _, g := range strings.Split(string(all), "\n\n") {
		state, _, _ := strings.Cut(g, "\n")
		if !strings.Contains(state, "synctest bubble") {
			continue
		}
		if b.Len()+len(g) > tracesMax {
			b.WriteString("…")
			break
		}
		b.WriteString(g + "\n\n")
	}
	return b.String()
}
