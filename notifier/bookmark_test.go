package notifier

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return noon.Add(d) }

func TestBookmarkKnowsWhatIsBelowItsFloorAndWhatItSaw(t *testing.T) {
	b := Bookmark{Mailbox: "a@x.test", Floor: noon}.With(SeenItem{"seen", at(time.Minute)})
	for _, c := range []struct {
		why      string
		item     ItemID
		received time.Time
		want     bool
	}{
		{"below the floor", "old", at(-time.Second), true},
		{"at the floor, never seen", "new", noon, false},
		{"above the floor, seen", "seen", at(time.Minute), true},
		{"above the floor, same time, another item", "Seen", at(time.Minute), false},
	} {
		if got := b.Has(c.item, c.received); got != c.want {
			t.Errorf("%s: Has = %v, want %v", c.why, got, c.want)
		}
	}
}

func TestBookmarkWithNeverMovesTheFloor(t *testing.T) {
	b := Bookmark{Floor: noon}
	got := b.With(SeenItem{"late", at(24 * time.Hour)})
	if !got.Floor.Equal(noon) {
		t.Errorf("floor %v, want %v", got.Floor, noon)
	}
	if got.Has("missed", at(time.Hour)) {
		t.Error("an item of the gap counts as dealt with although only a later one is")
	}
	if len(b.Seen) != 0 {
		t.Error("the receiver was changed")
	}
}

func TestBookmarkSettledKeepsTheOverlapAndWhatAnAuditLooksBackOn(t *testing.T) {
	b := Bookmark{Floor: noon}.With(SeenItem{"1", at(time.Minute)}, SeenItem{"2", at(7 * time.Hour)}).Settled()
	if want := at(7*time.Hour - BookmarkOverlap); !b.From.Equal(want) || !b.Floor.Equal(want.Add(-BookmarkLookBack)) {
		t.Errorf("from %v, floor %v, want from %v", b.From, b.Floor, want)
	}
	if b.Has("overlooked", at(3*time.Hour)) || !b.Has("old", at(time.Hour)) {
		t.Error("an audit cannot tell what was overlooked from what was dealt with")
	}
	if len(b.Seen) != 1 || b.Seen[0].Item != "2" {
		t.Errorf("seen %v, want item 2 only", b.Seen)
	}
}

func TestBookmarkForgetsWholeSecondsWhenItIsFull(t *testing.T) {
	b := Bookmark{Floor: noon}
	var all []SeenItem
	for i := range BookmarkSeenMax + 10 {
		all = append(all, SeenItem{ItemID(fmt.Sprint(i)), at(time.Duration(i/20) * time.Second)})
	}
	b = b.With(all...).Settled()
	if len(b.Seen) > BookmarkSeenMax {
		t.Errorf("%d seen, at most %d", len(b.Seen), BookmarkSeenMax)
	}
	for _, s := range all {
		if !b.Has(s.Item, s.Received) {
			t.Fatalf("item %s of %v counts as new although it was dealt with", s.Item, s.Received)
		}
	}
}

func TestBookmarkNeverTakesDealtWithItemsForNew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Bookmark{Floor: noon}
		var done []SeenItem
		for i, offset := range rapid.SliceOf(rapid.IntRange(0, 12*3600)).Draw(t, "received") {
			s := SeenItem{ItemID(fmt.Sprint(i)), at(time.Duration(offset) * time.Second)}
			done = append(done, s)
			floor, from := b.Floor, b.Start()
			b = b.With(s)
			if rapid.Bool().Draw(t, "settle") {
				b = b.Settled()
			}
			if b.Floor.Before(floor) || b.Start().Before(from) {
				t.Fatalf("floor fell from %v to %v, or the start from %v to %v", floor, b.Floor, from, b.Start())
			}
			for _, d := range done {
				if !b.Has(d.Item, d.Received) {
					t.Fatalf("%v counts as new", d)
				}
			}
		}
	})
}

func TestAnOldBookmarkWithoutASyncMarkIsStillOne(t *testing.T) {
	var b Bookmark
	if err := json.Unmarshal([]byte(`{"mailbox":"a@x.test","floor":"2026-11-24T12:00:00Z","seen":[{"i":"1","t":"2026-11-24T12:01:00Z"}]}`), &b); err != nil {
		t.Fatal(err)
	}
	if b.Sync != nil || !b.HasItem("1") {
		t.Errorf("%+v", b)
	}
	if text, err := json.Marshal(b.With(SeenItem{"2", at(time.Hour)}).Settled()); err != nil || b.With().Sync != nil || len(text) > 250 {
		t.Errorf("%s, %v", text, err)
	}
}

func TestASyncMarkKnowsWhatIsBelowTheFloorToo(t *testing.T) {
	b := Bookmark{Floor: noon, Sync: &SyncMark{State: "S", Walked: true}}
	before := b.Sync
	b = b.With(SeenItem{"old", at(-time.Hour)}, SeenItem{"1", at(time.Minute)}, SeenItem{"2", at(time.Hour)}, SeenItem{"old", at(-time.Hour)}).Settled()
	for _, id := range []ItemID{"old", "1", "2"} {
		if !b.HasItem(id) {
			t.Errorf("%s counts as new", id)
		}
	}
	if len(b.Sync.Known) != 3 || b.Sync.State != "S" || !b.Sync.Walked || len(before.Known) != 0 {
		t.Errorf("%+v, made of %+v", b.Sync, before)
	}
}

func TestAStateThatIsOutgrownIsGivenUp(t *testing.T) {
	for walked, state := range map[bool]string{true: "", false: "S"} {
		b := Bookmark{Floor: noon, Sync: &SyncMark{State: "S", Walked: walked}}
		for i := range BookmarkKnownMax {
			b = b.With(SeenItem{ItemID(fmt.Sprint(i)), at(time.Duration(i) * time.Second)})
		}
		if b.Sync.State != "S" || len(b.Sync.Known) != BookmarkKnownMax {
			t.Fatalf("walked %v: given up early, with %d items", walked, len(b.Sync.Known))
		}
		b = b.With(SeenItem{"one more", at(3 * time.Hour)})
		if b.Sync.State != state || b.Sync.Walked || len(b.Sync.Known) > BookmarkKnownMax || !b.HasItem("one more") {
			t.Errorf("walked %v: state %q, %d known", walked, b.Sync.State, len(b.Sync.Known))
		}
	}
}
