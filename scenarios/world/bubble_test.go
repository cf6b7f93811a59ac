package world

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// patient is how long a bubble that is well may take, on a busy machine.
const patient = time.Minute

func TestABubbleEndsWithTheVirtualTimeOfItsEnd(t *testing.T) {
	at, _, err := bubble(t, patient, func() { pause(30 * time.Hour) })
	if err != nil {
		t.Fatal(err)
	}
	if want := "2000-01-02 06:00:00"; at.UTC().Format(time.DateTime) != want {
		t.Errorf("ended at %v, want %s", at, want)
	}
}

func TestADeadLockIsReportedWithItsGoroutines(t *testing.T) {
	at, _, err := bubble(t, patient, func() {
		pause(time.Hour)
		waitForNothing(make(chan struct{}))
	})
	if err == nil || !strings.Contains(err.Error(), "deadlock") || !strings.Contains(err.Error(), "waitForNothing") {
		t.Errorf("error %v", err)
	}
	if at.IsZero() {
		t.Error("without its time")
	}
}

func TestGoroutinesThatOutliveABubbleAreReported(t *testing.T) {
	_, _, err := bubble(t, patient, func() { go waitForNothing(make(chan struct{})) })
	if err == nil || !strings.Contains(err.Error(), "blocked goroutines remain") || !strings.Contains(err.Error(), "waitForNothing") {
		t.Errorf("error %v", err)
	}
}

func TestABubbleWhoseClockStandsIsGivenUp(t *testing.T) {
	var enough atomic.Bool
	at, over, err := bubble(t, 100*time.Millisecond, func() {
		pause(time.Hour)
		beBusyUntil(&enough)
	})
	enough.Store(true)
	<-over
	if !errors.Is(err, errStuck) || !strings.Contains(err.Error(), "beBusyUntil") {
		t.Errorf("error %v", err)
	}
	if want := "2000-01-01 01:00:00"; at.UTC().Format(time.DateTime) != want {
		t.Errorf("stood at %v, want %s", at, want)
	}
}

func waitForNothing(c chan struct{}) { <-c }

func beBusyUntil(enough *atomic.Bool) {
	for !enough.Load() {
		continue
	}
}
