package notifier

import (
	"slices"
	"sort"
	"time"
)

// Limits of a bookmark.
const (
	// BookmarkOverlap is how far below the newest item known a comparison still
	// looks, because items can be delivered out of order and times have whole
	// seconds. Source: protocols, EWS "bookmark": overlap of at least 5 min.
	BookmarkOverlap = 10 * time.Minute
	// BookmarkLookBack is how far below From a bookmark still knows every item
	// one by one: longer than the longest time between two audits, so that an audit
	// finds what was overlooked although newer mail has been dealt with since.
	BookmarkLookBack = 5 * time.Hour
	// BookmarkSeenMax bounds the items remembered one by one. Past it the floor
	// rises early.
	BookmarkSeenMax = 2000
	// BookmarkStateMax bounds SyncMark.State, in bytes. Real states were seen to
	// grow by about 1.1 bytes for each item of the folder (OfficeDev
	// ews-managed-api, issue 220), so this is an Inbox of 100,000; and a bookmark
	// has to fit into one message of its store.
	BookmarkStateMax = 128 << 10
	// BookmarkKnownMax bounds SyncMark.Known. Past it the state is given up.
	BookmarkKnownMax = 2000
)

// SeenItem is an item at or above a bookmark's floor that has been dealt with.
type SeenItem struct {
	Item     ItemID    `json:"i"`
	Received time.Time `json:"t"`
}

// Bookmark says up to where a mailbox has been dealt with. Every item received
// before Floor is; of those received at or after it, exactly the ones in Seen
// are. The zero Floor is not a bookmark.
//
// Everything received before From was compared once: an item between Floor and
// From that is not in Seen was overlooked then.
type Bookmark struct {
	Mailbox Mailbox    `json:"mailbox"`
	Floor   time.Time  `json:"floor"`         // UTC
	From    time.Time  `json:"from,omitzero"` // UTC; zero: Floor
	Seen    []SeenItem `json:"seen,omitempty"`
	// Sync is for mailboxes compared by SyncFolderItems too; nil for the others.
	// Bookmarks share it: it is never changed in place.
	Sync *SyncMark `json:"sync,omitempty"`
	// Subscription is the one that the mailbox had last, to be tried again after a
	// restart; nil: none is known. Bookmarks share it: it is never changed in place.
	Subscription *Subscription `json:"sub,omitempty"`
}

// Subscription is a streaming subscription and what is needed to find it again.
type Subscription struct {
	ID       string    `json:"id"`
	Account  string    `json:"account"`           // of the listener account that made it, and that alone may use it
	Address  string    `json:"address,omitempty"` // that Autodiscover calls the mailbox by
	URL      string    `json:"url"`               // EWS
	Grouping string    `json:"grouping,omitempty"`
	Version  string    `json:"version"` // request schema
	Events   string    `json:"events,omitempty"`
	Anchor   string    `json:"anchor"` // of its group
	Affinity string    `json:"affinity,omitempty"`
	Made     time.Time `json:"made"`
}

// SyncMark says up to which of the Inbox's changes a mailbox has been dealt
// with. Everything that came into the Inbox before State is; of what came after
// it, exactly the items in Known are.
type SyncMark struct {
	State  string   `json:"state,omitempty"`  // of SyncFolderItems, opaque; empty: none is known
	Walked bool     `json:"walked,omitempty"` // State has the first walk through the Inbox behind it
	Known  []ItemID `json:"known,omitempty"`  // oldest first
}

// with returns the mark with items dealt with. When they are too many to be
// remembered the state is given up, because what it would tell could no longer
// be told from what is new.
func (s *SyncMark) with(items []ItemID) *SyncMark {
	if s == nil || len(items) == 0 {
		return s
	}
	known := slices.Concat(s.Known, items)
	if over := len(known) - BookmarkKnownMax; over > 0 {
		if s.Walked {
			return &SyncMark{}
		}
		known = known[over:] // the walk will have passed the oldest
	}
	return &SyncMark{State: s.State, Walked: s.Walked, Known: known}
}

// Has says whether the item needs no more attention.
func (b Bookmark) Has(item ItemID, received time.Time) bool {
	if received.Before(b.Floor) {
		return true
	}
	return b.HasItem(item)
}

// HasItem says whether the item is among those remembered one by one.
func (b Bookmark) HasItem(item ItemID) bool {
	for i := range b.Seen {
		if b.Seen[i].Item == item {
			return true
		}
	}
	return b.Sync != nil && slices.Contains(b.Sync.Known, item)
}

// With returns the bookmark with the items dealt with, its floor where it was:
// what to use while a gap below them has not been compared yet. The receiver
// is not changed.
func (b Bookmark) With(items ...SeenItem) Bookmark {
	seen := make([]SeenItem, 0, len(b.Seen)+len(items))
	seen = append(seen, b.Seen...)
	known := make(map[ItemID]bool, len(seen)+len(items))
	for _, s := range seen {
		known[s.Item] = true
	}
	if b.Sync != nil {
		for _, id := range b.Sync.Known {
			known[id] = true
		}
	}
	var fresh []ItemID
	for _, s := range items {
		if known[s.Item] {
			continue
		}
		known[s.Item] = true
		fresh = append(fresh, s.Item)
		if !s.Received.Before(b.Floor) {
			seen = append(seen, s)
		}
	}
	b.Seen, b.Sync = seen, b.Sync.with(fresh)
	return b
}

// Start is From, or the floor where that is later.
func (b Bookmark) Start() time.Time {
	if b.From.After(b.Floor) {
		return b.From
	}
	return b.Floor
}

// Settled returns the bookmark with From raised to BookmarkOverlap below the
// newest item, its floor to BookmarkLookBack below that, and what sank under the
// floor forgotten. It may be called only when everything at or above the old
// From has been dealt with. Neither ever falls. The receiver is not changed.
func (b Bookmark) Settled() Bookmark {
	from := b.Start()
	for _, s := range b.Seen {
		if f := s.Received.Add(-BookmarkOverlap); f.After(from) {
			from = f
		}
	}
	floor := b.Floor
	if f := from.Add(-BookmarkLookBack); f.After(floor) {
		floor = f
	}
	seen := append([]SeenItem(nil), b.Seen...)
	sort.Slice(seen, func(i, j int) bool { return seen[i].Received.Before(seen[j].Received) })
	if over := len(seen) - BookmarkSeenMax; over > 0 {
		// Raise the floor just above the newest item that has to go, so that the
		// items of one second are kept or forgotten together.
		if f := seen[over-1].Received.Add(time.Second); f.After(floor) {
			floor = f
		}
	}
	first := sort.Search(len(seen), func(i int) bool { return !seen[i].Received.Before(floor) })
	b.Floor, b.From, b.Seen = floor, from, seen[first:]
	return b
}
