package notifier

import (
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

func TestBookmarkSettledKeepsTheOverlap(t *testing.T) {
	b := Bookmark{Floor: noon}.With(SeenItem{"1", at(time.Minute)}, SeenItem{"2", at(time.Hour)}).Settled()
	if want := at(time.Hour - BookmarkOverlap); !b.Floor.Equal(want) {
		t.Errorf("floor %v, want %v", b.Floor, want)
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
		for i, offset := range rapid.SliceOf(rapid.IntRange(0, 3*3600)).Draw(t, "received") {
			s := SeenItem{ItemID(fmt.Sprint(i)), at(time.Duration(offset) * time.Second)}
			done = append(done, s)
			floor := b.Floor
			b = b.With(s)
			if rapid.Bool().Draw(t, "settle") {
				b = b.Settled()
			}
			if b.Floor.Before(floor) {
				t.Fatalf("floor fell from %v to %v", floor, b.Floor)
			}
			for _, d := range done {
				if !b.Has(d.Item, d.Received) {
					t.Fatalf("%v counts as new", d)
				}
			}
		}
	})
}
