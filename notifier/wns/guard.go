package wns

import (
	"hash/maphash"
	"sync"
	"time"
)

// guard looks back upon the recent answers and says whether a kind of refusal
// comes in a wave. One refused channel is that channel's business; when
// several channels and a good part of the answers say the same, the cause is
// on our side (credentials, a blocked app) or Microsoft's, and nothing must be
// forgotten for it. Safe for concurrent use.
type guard struct {
	age      time.Duration
	channels int // different channels that make a wave
	percent  int // share of the answers above which it is one
	seed     maphash.Seed

	mu      sync.Mutex
	answers [guardAnswers]guardAnswer // ring
	next    int
	count   int
}

type guardAnswer struct {
	at      time.Time
	channel uint64 // hash of the channel; 0 when the answer was not of this kind
}

func newGuard(age time.Duration, channels, percent int) *guard {
	return &guard{age: age, channels: channels, percent: percent, seed: maphash.MakeSeed()}
}

// other notes an answer that is not of the watched kind.
func (g *guard) other(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.note(guardAnswer{at: now})
}

// hit notes an answer of the watched kind and says whether it is part of a
// wave.
func (g *guard) hit(channel string, now time.Time) (wave bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	h := maphash.String(g.seed, channel) | 1
	g.note(guardAnswer{at: now, channel: h})
	others := 0
	seen := map[uint64]struct{}{}
	for i := range g.count {
		a := &g.answers[(g.next-1-i+len(g.answers))%len(g.answers)]
		if now.Sub(a.at) > g.age {
			break
		}
		if a.channel == 0 {
			others++
			continue
		}
		seen[a.channel] = struct{}{}
	}
	bad := len(seen)
	return bad >= g.channels && bad*100 > g.percent*(bad+others)
}

func (g *guard) note(a guardAnswer) {
	g.answers[g.next] = a
	g.next = (g.next + 1) % len(g.answers)
	g.count = min(g.count+1, len(g.answers))
}
