// Package bookmarktest holds every implementation of bookmark.Store to the
// same promises.
package bookmarktest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/bookmark"
)

// Run runs the suite. open returns a new, empty store that ends with the test.
func Run(t *testing.T, open func(t *testing.T) bookmark.Store) {
	for name, test := range map[string]func(*testing.T, bookmark.Store){
		"what was put is found":                       putGet,
		"a put replaces":                              putReplaces,
		"the later of two in one put holds":           putTwice,
		"what is returned is the caller's":            returnsCopies,
		"a bookmark that says nothing is refused":     putRefuses,
		"a bookmark with all it may remember is kept": putLarge,
		"a deleted bookmark is gone and can return":   deletes,
		"all returns each mailbox once":               all,
		"an ended context is an error":                endedContext,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// Bookmark makes the n-th bookmark of the suite.
func Bookmark(n int) notifier.Bookmark {
	floor := time.Date(2026, 3, 1, 9, 0, n, 0, time.UTC)
	return notifier.Bookmark{
		Mailbox: notifier.Mailbox(fmt.Sprintf("user%d@contoso.test", n)), Floor: floor,
		Seen:         []notifier.SeenItem{{Item: notifier.ItemID(fmt.Sprintf("AAMkAD%d=", n)), Received: floor.Add(time.Second)}},
		Sync:         &notifier.SyncMark{State: fmt.Sprintf("H4sIAAA%d=", n), Walked: true, Known: []notifier.ItemID{notifier.ItemID(fmt.Sprintf("AAMkAD%d=", n))}},
		Subscription: &notifier.Subscription{ID: fmt.Sprint("JwBs", n), Account: "listener", URL: "https://mail.contoso.test/EWS/Exchange.asmx", Made: floor},
	}
}

func putGet(t *testing.T, s bookmark.Store) {
	if _, err := s.Get(t.Context(), "user1@contoso.test"); !errors.Is(err, bookmark.ErrNotFound) {
		t.Errorf("Get of nothing: %v, want ErrNotFound", err)
	}
	put(t, s, Bookmark(1), Bookmark(2))
	put(t, s)
	for n := 1; n <= 2; n++ {
		found(t, s, Bookmark(n))
	}
}

func putReplaces(t *testing.T, s bookmark.Store) {
	b := Bookmark(1)
	put(t, s, b)
	b.Floor, b.Seen = b.Floor.Add(time.Hour), nil
	put(t, s, b)
	found(t, s, b)
}

func putTwice(t *testing.T, s bookmark.Store) {
	b := Bookmark(1)
	var versions []notifier.Bookmark
	for n := range 300 {
		b.Floor = b.Floor.Add(time.Duration(n) * time.Second)
		versions = append(versions, b)
	}
	put(t, s, versions...)
	found(t, s, b)
}

func returnsCopies(t *testing.T, s bookmark.Store) {
	b := Bookmark(1)
	put(t, s, b)
	b.Seen[0].Item, b.Sync.Known[0], b.Subscription.ID = "changed by the one who put it", "likewise", "likewise"
	got, err := s.Get(t.Context(), b.Mailbox)
	if err != nil {
		t.Fatal(err)
	}
	got.Seen[0].Item, got.Sync.Known[0], got.Sync.State, got.Subscription.ID = "changed by the one who got it", "likewise", "likewise", "likewise"
	found(t, s, Bookmark(1))
}

func putRefuses(t *testing.T, s bookmark.Store) {
	for _, b := range []notifier.Bookmark{{Floor: time.Now()}, {Mailbox: "user1@contoso.test"}} {
		if err := s.Put(t.Context(), Bookmark(3), b); err == nil {
			t.Errorf("Put of %+v was taken", b)
		}
	}
}

func putLarge(t *testing.T, s bookmark.Store) {
	b := Bookmark(1)
	for n := range notifier.BookmarkSeenMax {
		b.Seen = append(b.Seen, notifier.SeenItem{Item: notifier.ItemID(fmt.Sprintf("%0512d", n)), Received: b.Floor})
	}
	for n := range notifier.BookmarkKnownMax {
		b.Sync.Known = append(b.Sync.Known, notifier.ItemID(fmt.Sprintf("%0512d", n)))
	}
	b.Sync.State = strings.Repeat("H", notifier.BookmarkStateMax)
	put(t, s, b)
	found(t, s, b)
}

func deletes(t *testing.T, s bookmark.Store) {
	put(t, s, Bookmark(1), Bookmark(2))
	for range 2 {
		if err := s.Delete(t.Context(), Bookmark(1).Mailbox); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Get(t.Context(), Bookmark(1).Mailbox); !errors.Is(err, bookmark.ErrNotFound) {
		t.Errorf("Get after Delete: %v, want ErrNotFound", err)
	}
	found(t, s, Bookmark(2))
	put(t, s, Bookmark(1))
	found(t, s, Bookmark(1))
}

func all(t *testing.T, s bookmark.Store) {
	if bs, err := s.All(t.Context()); err != nil || len(bs) != 0 {
		t.Fatalf("All of nothing = %d, %v", len(bs), err)
	}
	const count = 1000
	var bs []notifier.Bookmark
	for n := range count {
		bs = append(bs, Bookmark(n))
	}
	put(t, s, bs...)
	put(t, s, bs[:10]...)
	if err := s.Delete(t.Context(), bs[5].Mailbox); err != nil {
		t.Fatal(err)
	}
	got, err := s.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[notifier.Mailbox]bool{}
	for _, b := range got {
		seen[b.Mailbox] = true
	}
	if len(got) != count-1 || len(seen) != count-1 || seen[bs[5].Mailbox] {
		t.Errorf("All = %d of %d mailboxes, want %d", len(got), len(seen), count-1)
	}
}

func endedContext(t *testing.T, s bookmark.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Put(ctx, Bookmark(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("Put: %v", err)
	}
	if _, err := s.Get(ctx, "user1@contoso.test"); !errors.Is(err, context.Canceled) {
		t.Errorf("Get: %v", err)
	}
	if _, err := s.All(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("All: %v", err)
	}
	if err := s.Delete(ctx, "user1@contoso.test"); !errors.Is(err, context.Canceled) {
		t.Errorf("Delete: %v", err)
	}
}

func put(t *testing.T, s bookmark.Store, bs ...notifier.Bookmark) {
	t.Helper()
	if err := s.Put(t.Context(), bs...); err != nil {
		t.Fatal(err)
	}
}

func found(t *testing.T, s bookmark.Store, want notifier.Bookmark) {
	t.Helper()
	got, err := s.Get(t.Context(), want.Mailbox)
	if err != nil {
		t.Fatal(err)
	}
	g, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	w, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if string(g) != string(w) {
		t.Errorf("got  %.300s\nwant %.300s", g, w)
	}
}
