package engine_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/bookmark/bookmarktest"
	"mailbell/notifier/engine"
	"mailbell/notifier/ledger"
	"mailbell/notifier/ledger/ledgertest"
	"mailbell/notifier/queue"
	"mailbell/notifier/queue/queuetest"
	"mailbell/notifier/registry/registrytest"
)

// The child process is this test binary with the environment variable set: it
// stores without end and says after each acknowledgement what it stored.
const childDir = "MAILBELL_ENGINE_TEST_CHILD_DIR"

const acknowledged = 200 // after so many pushes the child is killed

// child stores until it is killed.
func child(dir string) int {
	ctx := context.Background()
	e, err := engine.Open(ctx, engine.Options{Dir: dir, Key: key(1)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for n := 0; ; n++ {
		err := e.Queue().Put(ctx, queuetest.Push("phone", notifier.APNs, n))
		if err == nil {
			_, err = e.Registry().Put(ctx, registrytest.Registration(n))
		}
		if err == nil {
			err = e.Bookmarks().Put(ctx, bookmarktest.Bookmark(n))
		}
		if err == nil {
			err = e.Ledger().Append(ctx, ledgertest.Receipt("ada@contoso.test", "phone", n))
		}
		if err == nil && n == acknowledged/2 {
			_, err = e.Queue().Take(ctx, notifier.APNs, acknowledged/4) // never acknowledged
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Println("stored", n)
	}
}

func TestWhatWasAcknowledgedSurvivesKill9(t *testing.T) {
	dir := t.TempDir()
	stored := runUntilKilled(t, dir)
	if stored < acknowledged {
		t.Fatalf("the child stored %d, want at least %d", stored, acknowledged)
	}

	ctx, cancel := context.WithTimeout(t.Context(), queue.AckWaitDefault/2) // what was given out has to be due at once
	defer cancel()
	e := open(t, engine.Options{Dir: dir}) // the lock died with the child
	missing := make(map[notifier.PushID]int)
	for n := range stored {
		missing[queuetest.Push("phone", notifier.APNs, n).ID] = n
	}
	for len(missing) > 0 {
		ds, err := e.Queue().Take(ctx, notifier.APNs, queue.TakeMax)
		if err != nil {
			t.Fatalf("%d of %d pushes are lost: %v", len(missing), stored, err)
		}
		for _, d := range ds {
			delete(missing, d.Push().ID)
			if err := d.Ack(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	for n := range stored {
		if _, _, err := e.Registry().Get(ctx, registrytest.Registration(n).Device); err != nil {
			t.Fatalf("registration %d of %d: %v", n, stored, err)
		}
	}
	bs, err := e.Bookmarks().All(ctx)
	if err != nil || len(bs) < stored {
		t.Errorf("%d of %d bookmarks, %v", len(bs), stored, err)
	}
	rs, err := e.Ledger().Device(ctx, "phone", 0)
	if err != nil || len(rs) < min(stored, ledger.ReadMax) {
		t.Errorf("%d of %d receipts, %v", len(rs), stored, err)
	}
}

// runUntilKilled kills the child once it has stored enough and returns what it
// had told to be stored.
func runUntilKilled(t *testing.T, dir string) (stored int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var n int
		if _, err := fmt.Sscanf(lines.Text(), "stored %d", &n); err != nil {
			t.Errorf("the child says %q", lines.Text())
		}
		if stored = n + 1; stored == acknowledged {
			if err := cmd.Process.Kill(); err != nil { // SIGKILL
				t.Fatal(err)
			}
			killed = true
		}
	}
	if err := cmd.Wait(); !killed {
		t.Fatalf("the child ended by itself: %v\n%s", err, stderr.String())
	}
	return stored
}
