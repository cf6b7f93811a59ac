package engine_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"mailbell/notifier"
	"mailbell/notifier/engine"
	"mailbell/notifier/queue"
	"mailbell/notifier/queue/queuetest"

	"golang.org/x/sys/unix"
)

func TestAFullDiskIsToldAndLosesNothingAcknowledged(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		// Only root may mount; nothing smaller than a disk of its own is ever full.
		t.Skipf("SKIPPED, A SMALL DISK CANNOT BE MOUNTED: a full one was not tried: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	e := open(t, engine.Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	var err error
	stored := 0
	for ; err == nil && stored < 2000; stored++ {
		p := queuetest.Push("phone", notifier.APNs, stored)
		p.Payload = make([]byte, queue.PayloadBytesMax)
		err = e.Queue().Put(ctx, p)
	}
	stored-- // the last was refused
	t.Logf("after %d pushes: %v", stored, err)
	if err == nil {
		t.Fatal("the disk does not get full")
	}
	if err := e.Healthy(); !errors.Is(err, engine.ErrNotStoring) || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("Healthy: %v", err)
	}
	closeNow(t, e)

	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	e = open(t, engine.Options{Dir: dir})
	if n, err := e.Queue().Depth(ctx); err != nil || n < stored {
		t.Errorf("%d of %d pushes are there, %v", n, stored, err)
	}
}
