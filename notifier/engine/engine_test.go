package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/bookmark/bookmarktest"
	"mailbell/notifier/engine"
	"mailbell/notifier/ledger/ledgertest"
	"mailbell/notifier/queue"
	"mailbell/notifier/queue/queuetest"
	"mailbell/notifier/registry/registrytest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(child(dir))
	}
	goleak.VerifyTestMain(m)
}

const patience = 20 * time.Second // bounds the wait for something that has to come

func key(fill byte) []byte { return bytes.Repeat([]byte{fill}, 32) }

func open(t testing.TB, o engine.Options) *engine.Engine {
	t.Helper()
	if o.Key == nil {
		o.Key = key(1)
	}
	e, err := engine.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeNow(t, e) })
	return e
}

func closeNow(t testing.TB, e *engine.Engine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	if err := e.Close(ctx); err != nil {
		t.Error(err)
	}
}

func TestWhatWasStoredIsThereAfterReopening(t *testing.T) {
	for _, sync := range []engine.SyncMode{engine.Interval, engine.Always} {
		t.Run(sync.String(), func(t *testing.T) {
			ctx, dir := t.Context(), t.TempDir()
			e := open(t, engine.Options{Dir: dir, Sync: sync})
			r := registrytest.Registration(1)
			revision, err := e.Registry().Put(ctx, r)
			if err != nil {
				t.Fatal(err)
			}
			push := queuetest.Push("phone", notifier.APNs, 1)
			receipt := ledgertest.Receipt("ada@contoso.test", "phone", 1)
			err = errors.Join(e.Queue().Put(ctx, push), e.Bookmarks().Put(ctx, bookmarktest.Bookmark(1)), e.Ledger().Append(ctx, receipt))
			if err != nil {
				t.Fatal(err)
			}
			closeNow(t, e)

			e = open(t, engine.Options{Dir: dir, Sync: sync})
			if got, gotRevision, err := e.Registry().Get(ctx, r.Device); err != nil || got.Mailbox != r.Mailbox || gotRevision != revision {
				t.Errorf("registration: %v, %d, %v", got.Mailbox, gotRevision, err)
			}
			if b, err := e.Bookmarks().Get(ctx, bookmarktest.Bookmark(1).Mailbox); err != nil || len(b.Seen) != 1 {
				t.Errorf("bookmark: %v, %v", b, err)
			}
			if rs, err := e.Ledger().Device(ctx, "phone", 1); err != nil || len(rs) != 1 || rs[0].Push != receipt.Push {
				t.Errorf("receipts: %v, %v", rs, err)
			}
			if ds, err := e.Queue().Take(ctx, notifier.APNs, 5); err != nil || len(ds) != 1 || ds[0].Push().ID != push.ID {
				t.Errorf("queue: %d, %v", len(ds), err)
			}
			if err := e.Healthy(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhatWasGivenOutIsDueAtOnceAfterReopening(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	e := open(t, engine.Options{Dir: dir})
	if err := e.Queue().Put(ctx, queuetest.Push("phone", notifier.APNs, 1), queuetest.Push("phone", notifier.APNs, 2)); err != nil {
		t.Fatal(err)
	}
	ds, err := e.Queue().Take(ctx, notifier.APNs, 2)
	if err != nil || len(ds) == 0 {
		t.Fatal(len(ds), err)
	}
	if err := ds[0].Retry(ctx, time.Hour); err != nil {
		t.Fatal(err)
	}
	closeNow(t, e)

	e = open(t, engine.Options{Dir: dir})
	due, cancel := context.WithTimeout(ctx, queue.AckWaitDefault/2)
	defer cancel()
	for got := 0; got < 2; {
		ds, err := e.Queue().Take(due, notifier.APNs, 2)
		if err != nil {
			t.Fatalf("after %d of 2: %v", got, err)
		}
		got += len(ds)
	}
}

func TestADirectoryInUseIsNamed(t *testing.T) {
	dir := t.TempDir()
	e := open(t, engine.Options{Dir: dir})
	_, err := engine.Open(t.Context(), engine.Options{Dir: dir, Key: key(1)})
	if !errors.Is(err, engine.ErrLocked) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("second Open: %v", err)
	}
	if _, err := e.Queue().Depth(t.Context()); err != nil {
		t.Errorf("the first suffers: %v", err)
	}
	closeNow(t, e)
	open(t, engine.Options{Dir: dir})
}

func TestTwoEnginesInOneProcessAreApart(t *testing.T) {
	a, b := open(t, engine.Options{Dir: t.TempDir()}), open(t, engine.Options{Dir: t.TempDir(), Key: key(2)})
	if err := a.Queue().Put(t.Context(), queuetest.Push("phone", notifier.APNs, 1)); err != nil {
		t.Fatal(err)
	}
	for e, want := range map[*engine.Engine]int{a: 1, b: 0} {
		if n, err := e.Queue().Depth(t.Context()); err != nil || n != want {
			t.Errorf("depth %d, %v; want %d", n, err, want)
		}
	}
	closeNow(t, a)
	if err := b.Queue().Put(t.Context(), queuetest.Push("phone", notifier.APNs, 1)); err != nil {
		t.Errorf("the second suffers from the end of the first: %v", err)
	}
}

func TestAnotherKeyIsRefusedAndDoesNoHarm(t *testing.T) {
	dir := t.TempDir()
	closeNow(t, open(t, engine.Options{Dir: dir}))
	for fill := byte(2); fill < 6; fill++ {
		_, err := engine.Open(t.Context(), engine.Options{Dir: dir, Key: key(fill)})
		if !errors.Is(err, engine.ErrWrongKey) || !strings.Contains(err.Error(), dir) {
			t.Errorf("Open with key %d: %v, want ErrWrongKey", fill, err)
		}
	}
	open(t, engine.Options{Dir: dir})
}

func TestOptionsThatCannotWorkAreNamed(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		options engine.Options
		want    string
	}{
		"no key":               {engine.Options{Dir: dir}, "Key is missing"},
		"a short key":          {engine.Options{Dir: dir, Key: make([]byte, 16)}, "Key has 16 bytes"},
		"nowhere":              {engine.Options{Key: key(1)}, "Dir is missing"},
		"two places":           {engine.Options{Key: key(1), Dir: dir, URL: "tls://nats.contoso.test"}, "Dir and URL"},
		"a file for a dir":     {engine.Options{Key: key(1), Dir: file}, file},
		"below a file":         {engine.Options{Key: key(1), Dir: filepath.Join(file, "x")}, file},
		"replicas alone":       {engine.Options{Key: key(1), Dir: dir, Replicas: 3}, "Replicas"},
		"even replicas":        {engine.Options{Key: key(1), URL: "tls://nats.contoso.test", Replicas: 2}, "Replicas is 2"},
		"unknown sync":         {engine.Options{Key: key(1), Dir: dir, Sync: 7}, "Sync is sync(7)"},
		"a disk of nothing":    {engine.Options{Key: key(1), Dir: dir, DiskMax: 1000}, "DiskMax is 1000"},
		"a negative age":       {engine.Options{Key: key(1), Dir: dir, LedgerAge: -1}, "LedgerAge"},
		"no URL":               {engine.Options{Key: key(1), URL: "nats.contoso.test"}, "URL is not one"},
		"a URL in the clear":   {engine.Options{Key: key(1), URL: "nats://u:s3cret@nats.contoso.test:4222"}, "use tls://"},
		"a foreign scheme":     {engine.Options{Key: key(1), URL: "http://nats.contoso.test"}, `"http"`},
		"a server that is not": {engine.Options{Key: key(1), URL: "nats://u:s3cret@127.0.0.1:1"}, "cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := engine.Open(t.Context(), c.options)
			if e != nil || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("Open: %v, want it to say %q", err, c.want)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
}

func TestDirectoriesAreClosedToOtherAccounts(t *testing.T) {
	mode := func(dir string) fs.FileMode {
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	made := filepath.Join(t.TempDir(), "a", "b")
	closeNow(t, open(t, engine.Options{Dir: made}))
	if m := mode(made); m != 0o700 {
		t.Errorf("a directory that was made has mode %o", m)
	}

	shared := t.TempDir()
	if err := errors.Join(os.Chmod(shared, 0o755), os.WriteFile(filepath.Join(shared, "notifier.yaml"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	closeNow(t, open(t, engine.Options{Dir: shared}))
	if m := mode(shared); m != 0o755 {
		t.Errorf("a directory with other files was changed to mode %o", m)
	}
	if m := mode(filepath.Join(shared, "jetstream")); m != 0o700 {
		t.Errorf("the store has mode %o", m)
	}
}

func TestNothingOnTheDiskOrInTheLogTellsWhoOrWhat(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	var log syncBuffer
	e := open(t, engine.Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	r := registrytest.Registration(2)
	push := queuetest.Push("phone-of-ada", notifier.APNs, 1)
	if _, err := e.Registry().Put(ctx, r); err != nil {
		t.Fatal(err)
	}
	err := errors.Join(e.Queue().Put(ctx, push), e.Bookmarks().Put(ctx, bookmarktest.Bookmark(1)),
		e.Ledger().Append(ctx, ledgertest.Receipt("ada@contoso.test", "phone-of-ada", 1)), e.Registry().Delete(ctx, r.Device, 0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Registry().Put(ctx, r); err != nil {
		t.Fatal(err)
	}
	closeNow(t, e)

	secrets := []string{"contoso", "phone-of-ada", string(r.Device), string(r.APNs.Token), "Ada", "AAMkAD", string(key(1))}
	files := 0
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		for _, s := range secrets {
			if bytes.Contains(content, []byte(s)) || strings.Contains(path, s) {
				t.Errorf("%s tells %q", path, s)
			}
		}
		return err
	})
	if err != nil || files < 10 {
		t.Fatalf("looked at %d files, %v", files, err)
	}
	for _, s := range secrets {
		if strings.Contains(log.String(), s) {
			t.Errorf("the log tells %q", s)
		}
	}
	if !strings.Contains(log.String(), "nats-server") {
		t.Error("the server's log does not arrive")
	}
}

func TestAFullEngineRefusesPushesAndTakesThemAgain(t *testing.T) {
	ctx := t.Context()
	e := open(t, engine.Options{Dir: t.TempDir(), DiskMax: engine.DiskMaxMin})
	put := func(n int) error {
		var ps []notifier.Push
		for i := range 100 {
			p := queuetest.Push("phone", notifier.APNs, n+i)
			p.Payload = make([]byte, queue.PayloadBytesMax)
			ps = append(ps, p)
		}
		return e.Queue().Put(ctx, ps...)
	}
	var err error
	n := 0
	for ; err == nil && n < 10_000; n += 100 {
		err = put(n)
	}
	if !errors.Is(err, queue.ErrFull) {
		t.Fatalf("after %d pushes: %v, want ErrFull", n, err)
	}
	if err := e.Bookmarks().Put(ctx, bookmarktest.Bookmark(1)); err != nil {
		t.Errorf("a full queue keeps the bookmarks from being put: %v", err)
	}
	if err := e.Healthy(); err != nil {
		t.Errorf("a full queue makes the engine ill: %v", err)
	}
	if err := e.Queue().Purge(ctx, "phone"); err != nil {
		t.Fatal(err)
	}
	if err := put(n + 100); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestADamagedStoreIsNotTakenForAnEmptyOne(t *testing.T) {
	dir := t.TempDir()
	closeNow(t, open(t, engine.Options{Dir: dir}))
	damaged := filepath.Join(dir, "jetstream", "$G", "streams", "pushes", "meta.inf")
	if err := os.WriteFile(damaged, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := engine.Open(t.Context(), engine.Options{Dir: dir, Key: key(1)})
	if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "pushes") {
		t.Errorf("Open: %v, want it to name the directory and the stream", err)
	}
}

func TestOpenAndCloseAreStressed(t *testing.T) {
	dir := t.TempDir()
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for i := range 10 {
		e := open(t, engine.Options{Dir: dir})
		ctx, cancel := context.WithCancel(t.Context())
		if i%3 == 0 {
			if _, err := e.Registry().Watch(ctx); err != nil {
				t.Fatal(err)
			}
		}
		var taking sync.WaitGroup
		if i%2 == 0 {
			taking.Go(func() {
				if _, err := e.Queue().Take(ctx, notifier.APNs, 1); err == nil {
					t.Error("took a push from an empty queue")
				}
			})
		}
		var closing sync.WaitGroup
		for range 3 {
			closing.Go(func() { closeNow(t, e) })
		}
		closing.Wait()
		cancel()
		taking.Wait()
		if err := e.Healthy(); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("Healthy after Close: %v", err)
		}
	}
}

func TestCloseWithoutPatienceClosesAllTheSame(t *testing.T) {
	dir := t.TempDir()
	e, err := engine.Open(t.Context(), engine.Options{Dir: dir, Key: key(1)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = e.Close(ctx) // may or may not have been in time
	open(t, engine.Options{Dir: dir})
}

// syncBuffer is a bytes.Buffer for several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
