package queue_test

import (
	"testing"
	"testing/synctest"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/engine/enginetest"
	"mailbell/notifier/queue"
	"mailbell/notifier/queue/queuetest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemoryKeepsThePromises(t *testing.T) {
	for name, test := range queuetest.Tests() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, queue.NewMemory(queuetest.Options())) })
		})
	}
}

func TestJetStreamKeepsThePromises(t *testing.T) {
	for _, recreate := range []bool{true, false} {
		t.Run(map[bool]string{true: "embedded", false: "shared"}[recreate], func(t *testing.T) {
			queuetest.Run(t, func(t *testing.T) queue.Queue {
				return openJetStream(t, queue.JetStreamOptions{Options: queuetest.Options(), Recreate: recreate})
			})
		})
	}
}

func openJetStream(t testing.TB, o queue.JetStreamOptions) *queue.JetStream {
	t.Helper()
	o.Sealer = enginetest.Sealer(t)
	q, err := queue.NewJetStream(t.Context(), enginetest.JetStream(t), o)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestMemoryKeepsVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.NewMemory(queue.Options{})
		push := queuetest.Push("phone", notifier.APNs, 1)
		if err := q.Put(t.Context(), push); err != nil {
			t.Fatal(err)
		}
		ds, err := q.Take(t.Context(), notifier.APNs, 1)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := ds[0].Retry(t.Context(), 6*time.Hour); err != nil {
			t.Fatal(err)
		}
		if _, err = q.Take(t.Context(), notifier.APNs, 1); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 6*time.Hour {
			t.Errorf("came back after %v, want 6 h exactly", took)
		}
		if ds, err = q.Take(t.Context(), notifier.APNs, 1); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start) - 6*time.Hour; took != queue.AckWaitDefault || ds[0].Attempt() != 3 {
			t.Errorf("came back after %v at attempt %d", took, ds[0].Attempt())
		}
	})
}
