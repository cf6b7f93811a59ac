package apns

import (
	"hash/maphash"
	"sync"
	"time"
)

// guard looks back upon the recent answers and says whether a kind of refusal
// comes in a wave. One refused device token is that device's business; when
// several devices and more than a few percent of the answers say the same, the
// cause is on our side (wrong host, wrong key, wrong bundle ID) or Apple's,
// and nothing must be forgotten for it. Safe for concurrent use.
type guard struct {
	age     time.Duration
	devices int // different devices that make a wave
	percent int // share of the answers above which it is one
	seed    maphash.Seed

	mu      sync.Mutex
	answers [guardAnswers]guardAnswer // ring
	next    int
	count   int
}

type guardAnswer struct {
	at     time.Time
	device uint64 // hash of the device token; 0 when the answer was not of this kind
}

func newGuard(age time.Duration, devices, percent int) *guard {
	return &guard{age: age, devices: devices, percent: percent, seed: maphash.MakeSeed()}
}

// other notes an answer that is not of the watched kind.
func (g *guard) other(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.note(guardAnswer{at: now})
}

// hit notes an answer of the watched kind and says whether it is part of a
// wave.
func (g *guard) hit(device string, now time.Time) (wave bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	h := maphash.String(g.seed, device) | 1
	g.note(guardAnswer{at: now, device: h})
	others := 0
	devices := map[uint64]struct{}{}
	for i := range g.count {
		a := &g.answers[(g.next-1-i+len(g.answers))%len(g.answers)]
		if now.Sub(a.at) > g.age {
			break
		}
		if a.device == 0 {
			others++
			continue
		}
		devices[a.device] = struct{}{}
	}
	bad := len(devices)
	return bad >= g.devices && bad*100 > g.percent*(bad+others)
}

func (g *guard) note(a guardAnswer) {
	g.answers[g.next] = a
	g.next = (g.next + 1) % len(g.answers)
	g.count = min(g.count+1, len(g.answers))
}
