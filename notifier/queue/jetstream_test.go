package queue_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/engine/enginetest"
	"mailbell/notifier/queue"
	"mailbell/notifier/queue/queuetest"

	"github.com/nats-io/nats.go/jetstream"
)

const patience = 10 * time.Second // bounds the wait for something that has to come

func TestMessagesTellNeitherDeviceNorContent(t *testing.T) {
	ctx, js := t.Context(), enginetest.JetStream(t)
	q, err := queue.NewJetStream(ctx, js, queue.JetStreamOptions{Sealer: enginetest.Sealer(t)})
	if err != nil {
		t.Fatal(err)
	}
	push := queuetest.Push("phone-of-ada", notifier.APNs, 1)
	if err := q.Put(ctx, push); err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(ctx, queue.StreamDefault)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := stream.GetMsg(ctx, 2) // behind the keeper
	if err != nil {
		t.Fatal(err)
	}
	if id := msg.Header.Get(jetstream.MsgIDHeader); id != string(push.ID) {
		t.Errorf("message ID %q, want the push ID", id)
	}
	if !strings.HasPrefix(msg.Subject, "pushes.apns.") || strings.Contains(msg.Subject, "phone") {
		t.Errorf("subject %q", msg.Subject)
	}
	if bytes.Contains(msg.Data, []byte("Ada")) || bytes.Contains(msg.Data, []byte("phone")) {
		t.Error("the content is readable")
	}
}

// A file made and removed for every push would be most of the work on a quiet day.
func TestAQueueThatIsEmptiedAgainAndAgainLeavesItsFilesAlone(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	js := enginetest.JetStreamIn(t, dir)
	blocks := func() (names []string) {
		if err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if strings.HasSuffix(path, ".blk") && strings.Contains(path, queue.StreamDefault) {
				names = append(names, filepath.Base(path))
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return names
	}
	o := queue.JetStreamOptions{Options: queuetest.Options(), Sealer: enginetest.Sealer(t)}
	q, err := queue.NewJetStream(ctx, js, o)
	if err != nil {
		t.Fatal(err)
	}
	before := blocks()
	for n := range 600 { // more than two keepers' time
		if err := q.Put(ctx, queuetest.Push("phone", notifier.APNs, n)); err != nil {
			t.Fatal(err)
		}
		ds, err := q.Take(ctx, notifier.APNs, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := ds[0].Ack(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if after := blocks(); len(before) != 1 || !slices.Equal(before, after) {
		t.Errorf("files %q became %q", before, after)
	}
	// Whoever comes next adds nothing that stays.
	if q, err = queue.NewJetStream(ctx, js, o); err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(ctx, queue.StreamDefault)
	if err != nil {
		t.Fatal(err)
	}
	if depth, err := q.Depth(ctx); err != nil || depth != 0 || stream.CachedInfo().State.Msgs != 1 {
		t.Errorf("depth %d, %d messages, %v; want 0 and the keeper", depth, stream.CachedInfo().State.Msgs, err)
	}
}

func TestAPushThatCannotBeOpenedIsGivenUpAndTheNextIsTaken(t *testing.T) {
	ctx, js := t.Context(), enginetest.JetStream(t)
	var log bytes.Buffer
	q, err := queue.NewJetStream(ctx, js, queue.JetStreamOptions{
		Options: queuetest.Options(), Sealer: enginetest.Sealer(t), Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, garbage := range []string{"", "garbage", strings.Repeat("x", 200)} {
		if _, err := js.Publish(ctx, "pushes.apns.somebody", []byte(garbage)); err != nil {
			t.Fatal(err)
		}
	}
	good := queuetest.Push("phone", notifier.APNs, 1)
	if err := q.Put(ctx, good); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ds, err := q.Take(ctx, notifier.APNs, 10)
	if err != nil || len(ds) != 1 || ds[0].Push().ID != good.ID {
		t.Fatalf("took %d, %v", len(ds), err)
	}
	if err := ds[0].Ack(ctx); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(log.String(), "given up"); n != 3 {
		t.Errorf("the log tells of %d pushes given up, want 3", n)
	}
	for {
		n, err := q.Depth(ctx) // giving up is not waited for
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
}

func TestARemovedConsumerIsMadeAgain(t *testing.T) {
	ctx, js := t.Context(), enginetest.JetStream(t)
	q, err := queue.NewJetStream(ctx, js, queue.JetStreamOptions{Sealer: enginetest.Sealer(t)})
	if err != nil {
		t.Fatal(err)
	}
	remove := func() {
		if err := js.DeleteConsumer(ctx, queue.StreamDefault, "deliver-apns"); err != nil {
			t.Fatal(err)
		}
	}
	remove()
	if err := q.Put(ctx, queuetest.Push("phone", notifier.APNs, 1)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if ds, err := q.Take(ctx, notifier.APNs, 1); err != nil || len(ds) != 1 {
		t.Fatalf("took %d, %v", len(ds), err)
	}
}

func TestAClosedQueueSaysSo(t *testing.T) {
	js := enginetest.JetStream(t)
	j, err := queue.NewJetStream(t.Context(), js, queue.JetStreamOptions{Sealer: enginetest.Sealer(t)})
	if err != nil {
		t.Fatal(err)
	}
	m := queue.NewMemory(queue.Options{})
	for name, c := range map[string]struct {
		queue queue.Queue
		close func()
	}{"memory": {m, func() { _ = m.Close() }}, "JetStream": {j, js.Conn().Close}} {
		t.Run(name, func(t *testing.T) {
			ctx, q := t.Context(), c.queue
			if err := q.Put(ctx, queuetest.Push("phone", notifier.APNs, 1)); err != nil {
				t.Fatal(err)
			}
			ds, err := q.Take(ctx, notifier.APNs, 1)
			if err != nil {
				t.Fatal(err)
			}
			taking := make(chan error)
			go func() {
				_, err := q.Take(ctx, notifier.WNS, 1)
				taking <- err
			}()
			c.close()
			if err := <-taking; !errors.Is(err, queue.ErrClosed) {
				t.Errorf("a waiting Take: %v", err)
			}
			_, err = q.Take(ctx, notifier.APNs, 1)
			_, derr := q.Depth(ctx)
			for what, err := range map[string]error{
				"Take": err, "Depth": derr, "Purge": q.Purge(ctx, "phone"), "Put": q.Put(ctx, queuetest.Push("phone", notifier.APNs, 2)),
				"Ack": ds[0].Ack(ctx), "Retry": ds[0].Retry(ctx, 0), "Extend": ds[0].Extend(ctx),
			} {
				if !errors.Is(err, queue.ErrClosed) {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}

// BenchmarkPut compares what a push costs with the floor: the same bytes
// published raw. Each in batches as composing makes them (one mail, some
// devices) and one by one.
func BenchmarkPut(b *testing.B) {
	for _, batch := range []int{1, 20} {
		name := map[int]string{1: "/one", 20: "/batch of 20"}[batch]
		b.Run("memory"+name, func(b *testing.B) {
			q := queue.NewMemory(queue.Options{PushesMax: 1 << 40})
			benchmarkPut(b, batch, func(ps []notifier.Push) error { return q.Put(b.Context(), ps...) })
		})
		b.Run("JetStream"+name, func(b *testing.B) {
			q := openJetStream(b, queue.JetStreamOptions{Options: queue.Options{PushesMax: 1 << 40}, Recreate: true})
			benchmarkPut(b, batch, func(ps []notifier.Push) error { return q.Put(b.Context(), ps...) })
		})
		b.Run("floor"+name, func(b *testing.B) {
			js := enginetest.JetStream(b)
			if _, err := js.CreateStream(b.Context(), jetstream.StreamConfig{Name: "raw", Subjects: []string{"raw"}}); err != nil {
				b.Fatal(err)
			}
			body := make([]byte, 1100) // a push of the benchmark, sealed
			benchmarkPut(b, batch, func(ps []notifier.Push) error {
				acks := make([]jetstream.PubAckFuture, len(ps))
				for i := range ps {
					var err error
					if acks[i], err = js.PublishAsync("raw", body); err != nil {
						return err
					}
				}
				for _, ack := range acks {
					select {
					case <-ack.Ok():
					case err := <-ack.Err():
						return err
					}
				}
				return nil
			})
		})
	}
}

func benchmarkPut(b *testing.B, batch int, put func([]notifier.Push) error) {
	b.ReportAllocs()
	n := 0
	ps := make([]notifier.Push, batch)
	for b.Loop() {
		for i := range ps {
			ps[i] = queuetest.Push("phone", notifier.APNs, n)
			ps[i].Payload = make([]byte, 400)
			n++
		}
		if err := put(ps); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/push")
}

// BenchmarkThrough is a quiet day: each push finds the queue empty and leaves it so.
func BenchmarkThrough(b *testing.B) {
	q := openJetStream(b, queue.JetStreamOptions{Recreate: true})
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if err := q.Put(b.Context(), queuetest.Push("phone", notifier.APNs, n)); err != nil {
			b.Fatal(err)
		}
		ds, err := q.Take(b.Context(), notifier.APNs, 1)
		if err != nil {
			b.Fatal(err)
		}
		if err := ds[0].Ack(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTakeAck is the other half: what is queued goes out, 100 at a time. The
// floor is a consumer of JetStream that fetches the same bytes and acknowledges them.
func BenchmarkTakeAck(b *testing.B) {
	m := queue.NewMemory(queue.Options{})
	j := openJetStream(b, queue.JetStreamOptions{Recreate: true})
	for name, q := range map[string]queue.Queue{"memory": m, "JetStream": j} {
		put := 0 // over all rounds: an ID counts once
		b.Run(name, func(b *testing.B) {
			ctx, acked := b.Context(), 0
			for b.Loop() {
				b.StopTimer()
				ps := make([]notifier.Push, 100)
				for i := range ps {
					ps[i] = queuetest.Push("phone", notifier.APNs, put)
					put++
				}
				if err := q.Put(ctx, ps...); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				for left := len(ps); left > 0; {
					ds, err := q.Take(ctx, notifier.APNs, left)
					if err != nil {
						b.Fatal(err)
					}
					for _, d := range ds {
						if err := d.Ack(ctx); err != nil {
							b.Fatal(err)
						}
					}
					left, acked = left-len(ds), acked+len(ds)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(acked), "ns/push")
		})
	}
	b.Run("floor", func(b *testing.B) {
		ctx, js := b.Context(), enginetest.JetStream(b)
		stream, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "raw", Subjects: []string{"raw"}, Retention: jetstream.WorkQueuePolicy})
		if err != nil {
			b.Fatal(err)
		}
		consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{Durable: "one", AckPolicy: jetstream.AckExplicitPolicy})
		if err != nil {
			b.Fatal(err)
		}
		body, acked := make([]byte, 1100), 0
		for b.Loop() {
			b.StopTimer()
			for range 100 {
				if _, err := js.Publish(ctx, "raw", body); err != nil {
					b.Fatal(err)
				}
			}
			b.StartTimer()
			batch, err := consumer.Fetch(100)
			if err != nil {
				b.Fatal(err)
			}
			for m := range batch.Messages() {
				if err := m.Ack(); err != nil {
					b.Fatal(err)
				}
				acked++
			}
			if err := batch.Error(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(acked), "ns/push")
	})
}
