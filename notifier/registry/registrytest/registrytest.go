// Package registrytest holds every implementation of registry.Store to the
// same promises.
package registrytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/registry"
)

// patience bounds the wait for something that has to come.
const patience = 10 * time.Second

// Run runs the suite. open returns a new, empty store that ends with the test.
func Run(t *testing.T, open func(t *testing.T) registry.Store) {
	for name, test := range map[string]func(*testing.T, registry.Store){
		"what was put is found":                                 putGet,
		"a put replaces and raises the revision":                putReplaces,
		"what is returned is the caller's":                      returnsCopies,
		"a registration without device or mailbox is refused":   putRefuses,
		"delete removes whatever revision when it is 0":         deleteAny,
		"delete leaves a registration that was replaced":        deleteRevision,
		"delete of nothing says so":                             deleteNothing,
		"a device can come back after its removal":              comesBack,
		"watch tells what is present, then synced, then change": watchOrder,
		"watch of an empty store is synced at once":             watchEmpty,
		"a removal that was not present is not told":            watchAfterDelete,
		"a slow watcher misses no latest state":                 watchSlow,
		"watch ends with its context":                           watchEnds,
		"one delete of many with the same revision succeeds":    deleteRace,
		"an ended context is an error":                          endedContext,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// Registration makes the n-th registration of the suite.
func Registration(n int) notifier.Registration {
	at := time.Date(2026, 3, 1, 9, n%60, 0, 0, time.UTC)
	r := notifier.Registration{
		Device: notifier.DeviceID(fmt.Sprintf("device-%d", n)), Mailbox: notifier.Mailbox(fmt.Sprintf("user%d@contoso.test", n/2)),
		Locale: "de", Created: at, Confirmed: at.Add(time.Hour),
	}
	if n%2 == 0 {
		r.Provider = notifier.APNs
		r.APNs = &notifier.APNsAddress{Token: notifier.DeviceToken(fmt.Sprintf("%064x", n)), Topic: "test.contoso.mail", Environment: notifier.Production}
	} else {
		r.Provider = notifier.WNS
		r.WNS = &notifier.WNSAddress{Channel: notifier.ChannelURI(fmt.Sprintf("https://db5.notify.windows.com/?token=%d%%2f", n)), App: "mail", Badge: true}
	}
	return r
}

func putGet(t *testing.T, s registry.Store) {
	ctx := t.Context()
	if _, _, err := s.Get(ctx, "device-0"); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("Get of nothing: %v, want ErrNotFound", err)
	}
	for n := range 4 {
		want := Registration(n)
		revision := put(t, s, want)
		got, gotRevision, err := s.Get(ctx, want.Device)
		if err != nil || gotRevision != revision {
			t.Fatalf("Get = revision %d, %v; want %d", gotRevision, err, revision)
		}
		same(t, got, want)
	}
}

func putReplaces(t *testing.T, s registry.Store) {
	r := Registration(1)
	first := put(t, s, r)
	r.Mailbox, r.Locale = "other@contoso.test", "ja"
	second := put(t, s, r)
	if first == 0 || second <= first {
		t.Errorf("revisions %d, %d: want them to rise from above 0", first, second)
	}
	got, revision, err := s.Get(t.Context(), r.Device)
	if err != nil || revision != second {
		t.Fatalf("Get = revision %d, %v; want %d", revision, err, second)
	}
	same(t, got, r)
}

func returnsCopies(t *testing.T, s registry.Store) {
	r := Registration(0)
	put(t, s, r)
	r.APNs.Token = "changed by the one who put it"
	got, _, err := s.Get(t.Context(), r.Device)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, Registration(0))
	got.APNs.Token = "changed by the one who got it"
	if got, _, err = s.Get(t.Context(), r.Device); err != nil {
		t.Fatal(err)
	}
	same(t, got, Registration(0))
}

func putRefuses(t *testing.T, s registry.Store) {
	for _, r := range []notifier.Registration{{Mailbox: "ada@contoso.test"}, {Device: "device-1"}} {
		if _, err := s.Put(t.Context(), r); err == nil {
			t.Errorf("Put of device %q, mailbox %q was taken", r.Device, r.Mailbox)
		}
	}
}

func deleteAny(t *testing.T, s registry.Store) {
	put(t, s, Registration(1))
	put(t, s, Registration(1))
	if err := s.Delete(t.Context(), "device-1", 0); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Get(t.Context(), "device-1"); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("Get after Delete: %v, want ErrNotFound", err)
	}
}

func deleteRevision(t *testing.T, s registry.Store) {
	old := put(t, s, Registration(1))
	current := put(t, s, Registration(1))
	if err := s.Delete(t.Context(), "device-1", old); !errors.Is(err, registry.ErrChanged) {
		t.Errorf("Delete of the old revision: %v, want ErrChanged", err)
	}
	if _, revision, err := s.Get(t.Context(), "device-1"); err != nil || revision != current {
		t.Errorf("Get = revision %d, %v; want %d", revision, err, current)
	}
	if err := s.Delete(t.Context(), "device-1", current); err != nil {
		t.Errorf("Delete of the current revision: %v", err)
	}
	if err := s.Delete(t.Context(), "device-1", current); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("second Delete: %v, want ErrNotFound", err)
	}
}

func deleteNothing(t *testing.T, s registry.Store) {
	for _, revision := range []uint64{0, 7} {
		if err := s.Delete(t.Context(), "nobody", revision); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("Delete(%d): %v, want ErrNotFound", revision, err)
		}
	}
}

func comesBack(t *testing.T, s registry.Store) {
	first := put(t, s, Registration(1))
	if err := s.Delete(t.Context(), "device-1", 0); err != nil {
		t.Fatal(err)
	}
	again := put(t, s, Registration(1))
	if again <= first {
		t.Errorf("revision %d after %d: want it to rise", again, first)
	}
	if err := s.Delete(t.Context(), "device-1", first); !errors.Is(err, registry.ErrChanged) {
		t.Errorf("Delete of the revision before the removal: %v, want ErrChanged", err)
	}
}

func watchOrder(t *testing.T, s registry.Store) {
	want := map[notifier.DeviceID]uint64{}
	for n := range 5 {
		want[Registration(n).Device] = put(t, s, Registration(n))
	}
	changes := watch(t, s)
	for range want {
		c := next(t, changes)
		if c.Kind != registry.Put || want[c.Registration.Device] != c.Revision {
			t.Fatalf("got %v of %q at %d", c.Kind, c.Registration.Device, c.Revision)
		}
		want[c.Registration.Device] = 0
	}
	if c := next(t, changes); c.Kind != registry.Synced {
		t.Fatalf("got %v, want synced", c.Kind)
	}

	moved := Registration(3)
	moved.Mailbox = "elsewhere@contoso.test"
	revision := put(t, s, moved)
	c := next(t, changes)
	if c.Kind != registry.Put || c.Revision != revision {
		t.Fatalf("got %v at %d, want put at %d", c.Kind, c.Revision, revision)
	}
	same(t, c.Registration, moved)

	if err := s.Delete(t.Context(), moved.Device, 0); err != nil {
		t.Fatal(err)
	}
	c = next(t, changes)
	if c.Kind != registry.Deleted || c.Registration.Device != moved.Device || c.Revision <= revision {
		t.Fatalf("got %v of %q at %d, want the removal of %q after %d", c.Kind, c.Registration.Device, c.Revision, moved.Device, revision)
	}
	if c.Registration.Mailbox != "" {
		t.Error("a removal carries more than the device")
	}
}

func watchEmpty(t *testing.T, s registry.Store) {
	changes := watch(t, s)
	if c := next(t, changes); c.Kind != registry.Synced {
		t.Fatalf("got %v, want synced", c.Kind)
	}
	put(t, s, Registration(1))
	if c := next(t, changes); c.Kind != registry.Put {
		t.Fatalf("got %v, want put", c.Kind)
	}
}

func watchAfterDelete(t *testing.T, s registry.Store) {
	put(t, s, Registration(1))
	put(t, s, Registration(2))
	if err := s.Delete(t.Context(), "device-1", 0); err != nil {
		t.Fatal(err)
	}
	changes := watch(t, s)
	if c := next(t, changes); c.Kind != registry.Put || c.Registration.Device != "device-2" {
		t.Fatalf("got %v of %q, want put of device-2", c.Kind, c.Registration.Device)
	}
	if c := next(t, changes); c.Kind != registry.Synced {
		t.Fatalf("got %v, want synced", c.Kind)
	}
}

func watchSlow(t *testing.T, s registry.Store) {
	changes := watch(t, s)
	const devices, rounds = 3, 400
	last := map[notifier.DeviceID]uint64{}
	for i := range devices * rounds {
		r := Registration(i % devices)
		last[r.Device] = put(t, s, r)
	}
	if c := next(t, changes); c.Kind != registry.Synced {
		t.Fatalf("got %v, want synced", c.Kind)
	}
	told := map[notifier.DeviceID]uint64{}
	for reached := 0; reached < devices; {
		c := next(t, changes)
		if c.Revision <= told[c.Registration.Device] {
			t.Fatalf("%q told at %d after %d", c.Registration.Device, c.Revision, told[c.Registration.Device])
		}
		told[c.Registration.Device] = c.Revision
		if c.Revision == last[c.Registration.Device] {
			reached++
		}
	}
}

func watchEnds(t *testing.T, s registry.Store) {
	put(t, s, Registration(1))
	for _, read := range []int{0, 1, 2} {
		ctx, cancel := context.WithCancel(t.Context())
		changes, err := s.Watch(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for range read {
			next(t, changes)
		}
		cancel()
		timeout := time.After(patience)
		for open := true; open; {
			select {
			case _, open = <-changes:
			case <-timeout:
				t.Fatalf("after %d changes: not closed", read)
			}
		}
	}
}

func deleteRace(t *testing.T, s registry.Store) {
	revision := put(t, s, Registration(1))
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = s.Delete(t.Context(), "device-1", revision) })
	}
	wg.Wait()
	done := 0
	for _, err := range errs {
		switch {
		case err == nil:
			done++
		case !errors.Is(err, registry.ErrNotFound) && !errors.Is(err, registry.ErrChanged):
			t.Errorf("Delete: %v", err)
		}
	}
	if done != 1 {
		t.Errorf("%d deletes succeeded, want 1", done)
	}
}

func endedContext(t *testing.T, s registry.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Put(ctx, Registration(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("Put: %v", err)
	}
	if _, _, err := s.Get(ctx, "device-1"); !errors.Is(err, context.Canceled) {
		t.Errorf("Get: %v", err)
	}
	if err := s.Delete(ctx, "device-1", 0); !errors.Is(err, context.Canceled) {
		t.Errorf("Delete: %v", err)
	}
}

func put(t *testing.T, s registry.Store, r notifier.Registration) uint64 {
	t.Helper()
	revision, err := s.Put(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

func watch(t *testing.T, s registry.Store) <-chan registry.Change {
	t.Helper()
	changes, err := s.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

func next(t *testing.T, changes <-chan registry.Change) registry.Change {
	t.Helper()
	select {
	case c, ok := <-changes:
		if !ok {
			t.Fatal("the stream of changes ended")
		}
		return c
	case <-time.After(patience):
		t.Fatal("no change came")
	}
	return registry.Change{}
}

func same(t *testing.T, got, want notifier.Registration) {
	t.Helper()
	g, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	w, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if string(g) != string(w) {
		t.Errorf("got  %s\nwant %s", g, w)
	}
}
