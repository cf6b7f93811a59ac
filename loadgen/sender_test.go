package loadgen

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// slow is an entrance that takes its time.
type slow struct {
	takes time.Duration
	fails error

	mu   sync.Mutex
	most int // at a time
	now  int
}

func (s *slow) Send(context.Context, Letter) error {
	s.mu.Lock()
	s.now++
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	time.Sleep(s.takes)
	s.mu.Lock()
	s.now--
	s.mu.Unlock()
	return s.fails
}

// every makes slots at equal distances.
func every(gap time.Duration, n int) []Slot {
	slots := make([]Slot, n)
	for i := range slots {
		slots[i].At = time.Duration(i) * gap
	}
	return slots
}

// sent runs a sender in virtual time and collects what it tells.
func sent(t *testing.T, e Entrance, workers int, slots []Slot, during func(cancel func())) (out []Sent, took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if during != nil {
			go during(cancel)
		}
		var mu sync.Mutex
		start := time.Now()
		(&sender{e, workers, func(int) Letter { return Letter{} }}).run(ctx, start, slots, func(s Sent) {
			mu.Lock()
			defer mu.Unlock()
			out = append(out, s)
		})
		took = time.Since(start)
	})
	return out, took
}

func TestArrivalsDoNotWaitForAnswers(t *testing.T) {
	e := &slow{takes: 2950 * time.Millisecond}
	out, took := sent(t, e, 64, every(100*time.Millisecond, 50), nil)
	if len(out) != 50 || took != 7850*time.Millisecond || e.most != 30 {
		t.Errorf("%d sent in %s, %d at a time; want 50 in 7.85s, 30 at a time", len(out), took, e.most)
	}
	for _, s := range out {
		if s.Delay != 0 || s.Missed || s.Err != nil {
			t.Errorf("%+v", s)
		}
	}
}

func TestAMailThatWaitsForAWorkerIsSentLateAndSaysSo(t *testing.T) {
	out, _ := sent(t, &slow{takes: time.Second}, 1, every(0, 3), nil)
	var delays time.Duration
	for _, s := range out {
		delays += s.Delay
	}
	if len(out) != 3 || delays != 3*time.Second { // 0, 1 and 2
		t.Errorf("%d sent, %s late in all", len(out), delays)
	}
}

func TestASlotBeyondTheBacklogIsMissedAndCounted(t *testing.T) {
	const n = backlogMax + 500
	e := &slow{takes: time.Second}
	out, _ := sent(t, e, 2, every(0, n), nil)
	missed := 0
	for _, s := range out {
		if s.Missed {
			missed++
		}
	}
	if len(out) != n || missed < 490 || missed > 500 || e.most > 2 {
		t.Errorf("%d told, %d missed, %d at a time", len(out), missed, e.most)
	}
}

func TestAnInterruptionEndsTheSendingAndFinishesWhatWasBegun(t *testing.T) {
	out, took := sent(t, &slow{takes: 3 * time.Second}, 4, every(time.Second, 3600), func(cancel func()) {
		time.Sleep(2500 * time.Millisecond)
		cancel()
	})
	if len(out) != 3 || took != 5*time.Second {
		t.Errorf("%d sent in %s, want those of 0, 1 and 2 s, the last taken at 5 s", len(out), took)
	}
}

func TestARefusalIsTold(t *testing.T) {
	refusal := errors.New("mailbox full")
	if out, _ := sent(t, &slow{fails: refusal}, 1, every(0, 1), nil); len(out) != 1 || !errors.Is(out[0].Err, refusal) {
		t.Errorf("%+v", out)
	}
}
