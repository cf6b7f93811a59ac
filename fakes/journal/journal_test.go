package journal

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestEntriesAreNumberedInOrderAndGoOnAfterClear(t *testing.T) {
	j := New()
	j.Append(Entry{Kind: "a"})
	j.Append(Entry{Kind: "b"})
	if got := j.After(1); len(got) != 1 || got[0].Kind != "b" || got[0].Seq != 2 {
		t.Errorf("after 1: %+v", got)
	}
	j.Clear()
	if e := j.Append(Entry{Kind: "c"}); e.Seq != 3 || j.Last() != 3 {
		t.Errorf("after clear: seq %d", e.Seq)
	}
	if got := j.After(0); len(got) != 1 || got[0].Kind != "c" {
		t.Errorf("after clear: %+v", got)
	}
}

func TestWaitReturnsWithTheNextEntryOrTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := New()
		go func() { time.Sleep(time.Second); j.Append(Entry{Kind: "x"}) }()
		if e, err := j.Await(t.Context(), 0, func(e Entry) bool { return e.Kind == "x" }); err != nil || e.Seq != 1 {
			t.Errorf("%+v, %v", e, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := j.Await(ctx, 0, func(e Entry) bool { return e.Kind == "never" }); err == nil {
			t.Error("awaited what never came")
		}
	})
}
