package registry_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/registry"
	"mailbell/notifier/registry/registrytest"

	"pgregory.net/rapid"
)

// viewed is a store with a view of it that runs in the bubble of the test.
type viewed struct {
	store *flaky
	view  *registry.View
	told  []string // what OnChange was told: "mailbox: device device"
}

func view(t *testing.T, fill ...notifier.Registration) *viewed {
	t.Helper()
	v := &viewed{store: &flaky{Memory: registry.NewMemory()}}
	for _, r := range fill {
		v.put(t, r)
	}
	v.view = registry.NewView(v.store, nil)
	v.view.OnChange(func(m notifier.Mailbox, devices []notifier.Registration) {
		line := string(m) + ":"
		for _, r := range devices {
			line += " " + string(r.Device)
		}
		if got := v.view.Mailbox(m); len(got) != len(devices) {
			t.Errorf("%s: told %d devices, the view has %d", m, len(devices), len(got))
		}
		v.told = append(v.told, line)
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- v.view.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
	return v
}

func (v *viewed) put(t *testing.T, r notifier.Registration) uint64 {
	t.Helper()
	revision, err := v.store.Put(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

// expect waits until nothing moves and compares what was told since the last
// time.
func (v *viewed) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	if !slices.Equal(v.told, want) {
		t.Errorf("told %q\nwant %q", v.told, want)
	}
	v.told = nil
}

// flaky is a store whose Watch can be cut and refused.
type flaky struct {
	*registry.Memory
	mu     sync.Mutex
	refuse bool
	end    context.CancelFunc // of the last Watch
}

func (f *flaky) Watch(ctx context.Context) (<-chan registry.Change, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse {
		return nil, errors.New("refused")
	}
	ctx, f.end = context.WithCancel(ctx)
	return f.Memory.Watch(ctx)
}

// cut ends the Watch; refuse says whether the next is refused.
func (f *flaky) cut(refuse bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = refuse
	f.end()
}

func registration(device, mailbox string) notifier.Registration {
	r := registrytest.Registration(0)
	r.Device, r.Mailbox = notifier.DeviceID(device), notifier.Mailbox(mailbox)
	return r
}

func TestViewTellsEachMailboxOnceWhenItStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := view(t, registration("b", "ada"), registration("c", "bob"), registration("a", "ada"))
		<-v.view.Synced()
		v.expect(t, "ada: a b", "bob: c")
		if d, m := v.view.Len(); d != 3 || m != 2 {
			t.Errorf("Len = %d, %d", d, m)
		}
		if got := v.view.Mailboxes(); !slices.Equal(got, []notifier.Mailbox{"ada", "bob"}) {
			t.Errorf("Mailboxes = %v", got)
		}
		if got := v.view.Mailbox("nobody"); len(got) != 0 {
			t.Errorf("Mailbox(nobody) = %v", got)
		}
	})
}

func TestViewFollowsChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := view(t)
		<-v.view.Synced()
		v.expect(t)

		v.put(t, registration("b", "ada"))
		v.put(t, registration("a", "ada"))
		v.expect(t, "ada: b", "ada: a b")

		again := registration("b", "ada")
		again.Locale = "ja"
		revision := v.put(t, again)
		v.expect(t, "ada: a b")
		if r, got, ok := v.view.Device("b"); !ok || r.Locale != "ja" || got != revision {
			t.Errorf("Device = %v, %d, %v", r.Locale, got, ok)
		}

		v.put(t, registration("b", "bob"))
		v.expect(t, "ada: a", "bob: b")

		if err := v.store.Delete(t.Context(), "a", 0); err != nil {
			t.Fatal(err)
		}
		v.expect(t, "ada:")
		if _, _, ok := v.view.Device("a"); ok {
			t.Error("the device is still there")
		}
		if d, m := v.view.Len(); d != 1 || m != 1 {
			t.Errorf("Len = %d, %d", d, m)
		}
	})
}

func TestViewTellsOnlyWhatAGapChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := view(t, registration("a", "ada"), registration("b", "bob"), registration("c", "cyd"), registration("d", "dan"))
		<-v.view.Synced()
		v.expect(t, "ada: a", "bob: b", "cyd: c", "dan: d")

		v.store.cut(true)
		synctest.Wait()
		v.put(t, registration("a2", "ada"))
		v.put(t, registration("c", "eve"))
		if err := v.store.Delete(t.Context(), "d", 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		v.expect(t)
		if d, _ := v.view.Len(); d != 4 {
			t.Errorf("during the gap it knows %d devices, want the 4 it knew before", d)
		}
		v.store.cut(false)
		time.Sleep(10 * time.Second) // the longest wait between two tries
		v.expect(t, "ada: a a2", "cyd:", "dan:", "eve: c")
	})
}

func TestViewIsSyncedOnlyWhenItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &flaky{Memory: registry.NewMemory(), refuse: true}
		v := registry.NewView(store, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := v.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Run: %v", err)
		}
		select {
		case <-v.Synced():
			t.Error("synced with a store that cannot be watched")
		default:
		}
	})
}

func TestViewIsWhatTheStoreHasWhateverHappens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.IntRange(0, 99), 1, 60).Draw(rt, "steps")
		synctest.Test(t, func(t *testing.T) {
			v := view(t)
			<-v.view.Synced()
			want := map[notifier.Mailbox][]string{}
			for _, n := range steps {
				device := fmt.Sprint("d", n%5)
				switch {
				case n < 50:
					v.put(t, registration(device, fmt.Sprint("m", n%3)))
				case n < 80:
					if err := v.store.Delete(t.Context(), notifier.DeviceID(device), 0); err != nil && !errors.Is(err, registry.ErrNotFound) {
						t.Fatal(err)
					}
				case n < 90:
					synctest.Wait()
				default:
					v.store.cut(false)
				}
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			for n := range 5 {
				r, revision, err := v.store.Get(t.Context(), notifier.DeviceID(fmt.Sprint("d", n)))
				got, gotRevision, ok := v.view.Device(notifier.DeviceID(fmt.Sprint("d", n)))
				if ok != (err == nil) || gotRevision != revision || got.Mailbox != r.Mailbox {
					t.Errorf("d%d: the view has %v at %d, the store %v at %d", n, got.Mailbox, gotRevision, r.Mailbox, revision)
				}
				if err == nil {
					want[r.Mailbox] = append(want[r.Mailbox], string(r.Device))
				}
			}
			last := map[string]string{}
			for _, line := range v.told {
				m, devices, _ := strings.Cut(line, ":")
				last[m] = strings.TrimSpace(devices)
			}
			for n := range 3 {
				m := notifier.Mailbox(fmt.Sprint("m", n))
				if w := strings.Join(want[m], " "); last[string(m)] != w {
					t.Errorf("%s: last told %q, want %q", m, last[string(m)], w)
				}
			}
		})
	})
}
