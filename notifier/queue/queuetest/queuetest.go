// Package queuetest holds every implementation of queue.Queue to the same
// promises.
package queuetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/queue"
)

// The options that a queue for the suite is opened with: short enough not to
// wait long, long enough not to be mistaken for a slow machine.
const (
	AckWait      = time.Second
	DedupeWindow = time.Second
	PushesMax    = 600
)

const (
	patience = 10 * time.Second       // bounds the wait for something that has to come
	silence  = 150 * time.Millisecond // something that must not come would have come by now
	early    = 20 * time.Millisecond  // a timer may be off by this much
)

// Options are what a queue for the suite is opened with.
func Options() queue.Options {
	return queue.Options{AckWait: AckWait, DedupeWindow: DedupeWindow, PushesMax: PushesMax}
}

// Run runs the suite in real time. open returns a new, empty queue made with
// Options, which ends with the test.
func Run(t *testing.T, open func(t *testing.T) queue.Queue) {
	for name, test := range Tests() {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they mostly wait
			test(t, open(t))
		})
	}
}

// Tests are the tests of the suite by name, for who runs them in virtual time.
// Each wants a new, empty queue made with Options.
func Tests() map[string]func(*testing.T, queue.Queue) {
	return map[string]func(*testing.T, queue.Queue){
		"what was put is taken, whole":                             putTake,
		"a push that could not be given out is refused":            putRefuses,
		"take gives only the provider's, and at most max":          takeBounds,
		"take waits for the first push":                            takeWaits,
		"take ends with its context":                               takeEnds,
		"an ID put again within the window is dropped":             dedupe,
		"an ID put again is dropped even after its ack":            dedupeAfterAck,
		"an ID put after the window is another push":               dedupeEnds,
		"an acknowledged push is gone":                             ackEnds,
		"a push taken is not given to another":                     takenOnce,
		"a push taken and not acknowledged comes back":             comesBack,
		"extend keeps a push from coming back":                     extend,
		"retry brings a push back, and not before the wait":        retry,
		"retry without a wait brings a push back at once":          retryAtOnce,
		"retry may be later than the ack wait":                     retryLong,
		"an outdated delivery can still acknowledge":               outdatedAck,
		"ending a delivery twice is nothing":                       endTwice,
		"purge removes what waits, what retries, what is out":      purge,
		"a delivery that was purged cannot come back":              purgeRetry,
		"purge of one device leaves the others":                    purgeOther,
		"a full queue refuses, and takes again when there is room": full,
		"many put and take at the same time, each push once":       crowd,
	}
}

// Push makes the n-th push of a device.
func Push(d notifier.DeviceID, p notifier.Provider, n int) notifier.Push {
	mailbox := notifier.Mailbox("ada@contoso.test")
	item := notifier.ItemID(fmt.Sprintf("AAMkAD%d=", n))
	id := notifier.NewNotificationID(mailbox, item)
	at := time.Date(2026, 3, 1, 9, 0, n, 0, time.UTC)
	badge := n
	return notifier.Push{
		ID: notifier.NewPushID(id, d), Notification: id, Device: d, Mailbox: mailbox, Item: item, Provider: p,
		Payload: fmt.Appendf(nil, `{"aps":{"alert":{"title":"Ada","body":"%d <&> ☎"}}}`, n), Badge: &badge,
		CollapseID: "c", Tag: "t", Registered: at, Noticed: at, Expires: at.Add(time.Hour),
	}
}

func putTake(t *testing.T, q queue.Queue) {
	want := map[notifier.PushID]notifier.Push{}
	var all []notifier.Push
	for n := range 20 {
		p := Push("phone", notifier.APNs, n)
		all, want[p.ID] = append(all, p), p
	}
	put(t, q, all...)
	depth(t, q, len(all))
	for len(want) > 0 {
		for _, d := range take(t, q, notifier.APNs, 7) {
			same(t, d.Push(), want[d.Push().ID])
			if d.Attempt() != 1 {
				t.Errorf("attempt %d, want 1", d.Attempt())
			}
			delete(want, d.Push().ID)
			ack(t, d)
		}
	}
	depth(t, q, 0)
	put(t, q) // nothing is fine too
}

func putRefuses(t *testing.T, q queue.Queue) {
	for name, change := range map[string]func(*notifier.Push){
		"no ID":              func(p *notifier.Push) { p.ID = "" },
		"no device":          func(p *notifier.Push) { p.Device = "" },
		"unknown provider":   func(p *notifier.Push) { p.Provider = "fcm" },
		"payload too large":  func(p *notifier.Push) { p.Payload = make([]byte, queue.PayloadBytesMax+1) },
		"no provider at all": func(p *notifier.Push) { p.Provider = "" },
	} {
		bad := Push("phone", notifier.APNs, 2)
		change(&bad)
		if err := q.Put(t.Context(), Push("phone", notifier.APNs, 1), bad); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	depth(t, q, 0)
	if _, err := q.Take(t.Context(), "fcm", 1); err == nil {
		t.Error("Take of an unknown provider: no error")
	}
	large := Push("phone", notifier.APNs, 3)
	large.Payload = make([]byte, queue.PayloadBytesMax)
	put(t, q, large)
}

func takeBounds(t *testing.T, q queue.Queue) {
	put(t, q, Push("phone", notifier.APNs, 1), Push("laptop", notifier.WNS, 1), Push("laptop", notifier.WNS, 2), Push("laptop", notifier.WNS, 3))
	for _, d := range take(t, q, notifier.APNs, 10) {
		if d.Push().Provider != notifier.APNs {
			t.Errorf("took a push for %s", d.Push().Provider)
		}
	}
	if n := len(take(t, q, notifier.WNS, 2)); n > 2 {
		t.Errorf("took %d, want at most 2", n)
	}
	if n := len(take(t, q, notifier.WNS, 0)); n != 1 {
		t.Errorf("took %d with max 0, want 1", n)
	}
}

func takeWaits(t *testing.T, q queue.Queue) {
	got := make(chan []queue.Delivery, 1)
	go func() {
		ds, err := q.Take(t.Context(), notifier.APNs, 5)
		if err != nil {
			t.Errorf("Take: %v", err)
		}
		got <- ds
	}()
	select {
	case ds := <-got:
		t.Fatalf("took %d from an empty queue", len(ds))
	case <-time.After(silence):
	}
	put(t, q, Push("laptop", notifier.WNS, 1), Push("phone", notifier.APNs, 1))
	select {
	case ds := <-got:
		if len(ds) != 1 || ds[0].Push().Device != "phone" {
			t.Errorf("took %d", len(ds))
		}
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
}

func takeEnds(t *testing.T, q queue.Queue) {
	ctx, cancel := context.WithTimeout(t.Context(), silence)
	defer cancel()
	start := time.Now()
	if ds, err := q.Take(ctx, notifier.APNs, 5); !errors.Is(err, context.DeadlineExceeded) || len(ds) != 0 {
		t.Errorf("Take = %d, %v", len(ds), err)
	}
	if took := time.Since(start); took > silence+patience/2 {
		t.Errorf("ended after %v", took)
	}
	if _, err := q.Take(ctx, notifier.APNs, 5); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Take with an ended context: %v", err)
	}
	if err := q.Put(ctx, Push("phone", notifier.APNs, 1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Put with an ended context: %v", err)
	}
}

func dedupe(t *testing.T, q queue.Queue) {
	a, b := Push("phone", notifier.APNs, 1), Push("phone", notifier.APNs, 2)
	put(t, q, a, a)
	put(t, q, a, b)
	depth(t, q, 2)
}

func dedupeAfterAck(t *testing.T, q queue.Queue) {
	p := Push("phone", notifier.APNs, 1)
	put(t, q, p)
	ack(t, one(t, q))
	put(t, q, p)
	depth(t, q, 0)
	nothing(t, q)
}

func dedupeEnds(t *testing.T, q queue.Queue) {
	p := Push("phone", notifier.APNs, 1)
	put(t, q, p)
	ack(t, one(t, q))
	<-time.After(DedupeWindow + DedupeWindow/2)
	put(t, q, p)
	ack(t, one(t, q))
}

func ackEnds(t *testing.T, q queue.Queue) {
	put(t, q, Push("phone", notifier.APNs, 1))
	ack(t, one(t, q))
	depth(t, q, 0)
	<-time.After(AckWait + AckWait/2)
	nothing(t, q)
}

func takenOnce(t *testing.T, q queue.Queue) {
	put(t, q, Push("phone", notifier.APNs, 1))
	d := one(t, q)
	nothing(t, q)
	depth(t, q, 1)
	ack(t, d)
}

func comesBack(t *testing.T, q queue.Queue) {
	put(t, q, Push("phone", notifier.APNs, 1))
	start := time.Now()
	first := one(t, q)
	second := one(t, q)
	if took := time.Since(start); took < AckWait-early {
		t.Errorf("came back after %v, before the ack wait of %v", took, AckWait)
	}
	if second.Attempt() != 2 {
		t.Errorf("attempt %d, want 2", second.Attempt())
	}
	same(t, second.Push(), first.Push())
	ack(t, second)
}

func extend(t *testing.T, q queue.Queue) {
	put(t, q, Push("phone", notifier.APNs, 1))
	d := one(t, q)
	for range 6 {
		<-time.After(AckWait / 3)
		if err := d.Extend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	nothing(t, q)
	ack(t, d)
	depth(t, q, 0)
}

func retry(t *testing.T, q queue.Queue) {
	put(t, q, Push("phone", notifier.APNs, 1))
	d := one(t, q)
	const after = AckWait / 8
	start := time.Now()
	if err := d.Retry(t.Context(), after); err != nil {
		t.Fatal(err)
	}
	depth(t, q, 1)
	back := one(t, q)
	if took := time.Since(start); took < after-early || took > AckWait-early {
		t.Errorf("came back after %v, want %v", took, after)
	}
	if back.Attempt() != 2 {
		t.Errorf("attempt %d, want 2", back.Attempt())
	}
	ack(t, back)
	depth(t, q, 0)
}

func retryAtOnce(t *testing.T, q queue.Queue) {
	put(t, q, Push("phone", notifier.APNs, 1))
	for attempt := 1; attempt <= 5; attempt++ {
		start := time.Now()
		d := one(t, q)
		if d.Attempt() != attempt {
			t.Errorf("attempt %d, want %d", d.Attempt(), attempt)
		}
		if took := time.Since(start); took > AckWait-early {
			t.Errorf("came back after %v", took)
		}
		if err := d.Retry(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
}

func retryLong(t *testing.T, q queue.Queue) {
	put(t, q, Push("phone", notifier.APNs, 1))
	const after = AckWait * 3 / 2
	start := time.Now()
	if err := one(t, q).Retry(t.Context(), after); err != nil {
		t.Fatal(err)
	}
	ack(t, one(t, q))
	if took := time.Since(start); took < after-early {
		t.Errorf("came back after %v, want %v", took, after)
	}
}

func outdatedAck(t *testing.T, q queue.Queue) {
	put(t, q, Push("phone", notifier.APNs, 1))
	first := one(t, q)
	second := one(t, q)
	ack(t, first)
	depth(t, q, 0)
	if err := second.Retry(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	nothing(t, q)
}

func endTwice(t *testing.T, q queue.Queue) {
	put(t, q, Push("phone", notifier.APNs, 1))
	d := one(t, q)
	ack(t, d)
	ack(t, d)
	for _, err := range []error{d.Retry(t.Context(), 0), d.Retry(t.Context(), time.Millisecond), d.Extend(t.Context())} {
		if err != nil {
			t.Errorf("after the ack: %v", err)
		}
	}
	nothing(t, q)
}

func purge(t *testing.T, q queue.Queue) {
	for n := range 6 {
		put(t, q, Push("phone", notifier.APNs, n))
	}
	out, waiting := one(t, q), one(t, q)
	if err := waiting.Retry(t.Context(), silence); err != nil {
		t.Fatal(err)
	}
	if err := q.Purge(t.Context(), "phone"); err != nil {
		t.Fatal(err)
	}
	depth(t, q, 0)
	ack(t, out)
	<-time.After(silence)
	nothing(t, q)
	if err := q.Purge(t.Context(), "phone"); err != nil {
		t.Errorf("Purge of nothing: %v", err)
	}
}

func purgeRetry(t *testing.T, q queue.Queue) {
	put(t, q, Push("tablet", notifier.APNs, 1), Push("phone", notifier.APNs, 1), Push("phone", notifier.APNs, 2), Push("phone", notifier.APNs, 3))
	var of []queue.Delivery
	for range 4 {
		if d := one(t, q); d.Push().Device == "phone" {
			of = append(of, d)
		}
	}
	if err := q.Purge(t.Context(), "phone"); err != nil {
		t.Fatal(err)
	}
	for i, end := range []func(context.Context) error{
		func(ctx context.Context) error { return of[0].Retry(ctx, 0) },
		func(ctx context.Context) error { return of[1].Retry(ctx, silence) },
		of[2].Extend,
	} {
		if err := end(t.Context()); err != nil {
			t.Errorf("ending delivery %d after the purge: %v", i, err)
		}
	}
	depth(t, q, 1)
	if d := one(t, q); d.Push().Device != "tablet" { // comes back after the ack wait
		t.Errorf("a purged push of %s came back", d.Push().Device)
	}
	<-time.After(silence)
	nothing(t, q)
}

func purgeOther(t *testing.T, q queue.Queue) {
	put(t, q, Push("phone", notifier.APNs, 1), Push("phone2", notifier.APNs, 1), Push("phone", notifier.WNS, 2), Push("laptop", notifier.WNS, 1))
	if err := q.Purge(t.Context(), "phone"); err != nil {
		t.Fatal(err)
	}
	depth(t, q, 2)
	for provider, device := range map[notifier.Provider]notifier.DeviceID{notifier.APNs: "phone2", notifier.WNS: "laptop"} {
		ds := take(t, q, provider, 10)
		if len(ds) != 1 || ds[0].Push().Device != device {
			t.Errorf("%s: took %d, want the one of %s", provider, len(ds), device)
		}
	}
}

func full(t *testing.T, q queue.Queue) {
	var err error
	n := 0
	for ; err == nil && n <= PushesMax; n++ {
		err = q.Put(t.Context(), Push("phone", notifier.APNs, n))
	}
	if !errors.Is(err, queue.ErrFull) || n != PushesMax+1 {
		t.Fatalf("put number %d: %v, want ErrFull at %d", n, err, PushesMax+1)
	}
	ack(t, one(t, q))
	put(t, q, Push("phone", notifier.APNs, n-1))
}

func crowd(t *testing.T, q queue.Queue) {
	const puts, each, takers = 8, 50, 4
	var wg sync.WaitGroup
	for i := range puts {
		wg.Go(func() {
			var ps []notifier.Push
			for n := range each {
				ps = append(ps, Push("phone", notifier.APNs, i*each+n))
			}
			if err := q.Put(t.Context(), ps...); err != nil {
				t.Errorf("Put: %v", err)
			}
		})
	}
	var mu sync.Mutex
	acked := map[notifier.PushID]int{}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range takers {
		wg.Go(func() {
			for ctx.Err() == nil {
				ds, err := q.Take(ctx, notifier.APNs, 16)
				if err != nil {
					if !errors.Is(err, context.Canceled) {
						t.Errorf("Take: %v", err)
					}
					return
				}
				for _, d := range ds {
					if err := d.Ack(t.Context()); err != nil {
						t.Errorf("Ack: %v", err)
					}
					mu.Lock()
					if d.Attempt() == 1 {
						acked[d.Push().ID]++
					}
					if len(acked) == puts*each {
						cancel()
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if len(acked) != puts*each {
		t.Errorf("%d pushes came, want %d", len(acked), puts*each)
	}
	for id, n := range acked {
		if n != 1 {
			t.Errorf("%s was given out %d times as the first", id, n)
		}
	}
}

func put(t *testing.T, q queue.Queue, ps ...notifier.Push) {
	t.Helper()
	if err := q.Put(t.Context(), ps...); err != nil {
		t.Fatal(err)
	}
}

func take(t *testing.T, q queue.Queue, p notifier.Provider, max int) []queue.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ds, err := q.Take(ctx, p, max)
	if err != nil {
		t.Fatal(err)
	}
	if len(ds) == 0 {
		t.Fatal("Take returned nothing and no error")
	}
	return ds
}

func one(t *testing.T, q queue.Queue) queue.Delivery {
	t.Helper()
	ds := take(t, q, notifier.APNs, 1)
	if len(ds) != 1 {
		t.Fatalf("took %d, want 1", len(ds))
	}
	return ds[0]
}

// nothing says that nothing is due for APNs.
func nothing(t *testing.T, q queue.Queue) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), silence)
	defer cancel()
	if ds, err := q.Take(ctx, notifier.APNs, 1); err == nil {
		t.Fatalf("took %s at attempt %d, want nothing", ds[0].Push().ID, ds[0].Attempt())
	}
}

func ack(t *testing.T, d queue.Delivery) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := d.Ack(ctx); err != nil {
		t.Fatal(err)
	}
}

func depth(t *testing.T, q queue.Queue, want int) {
	t.Helper()
	if got, err := q.Depth(t.Context()); err != nil || got != want {
		t.Fatalf("depth %d, %v; want %d", got, err, want)
	}
}

func same(t *testing.T, got, want notifier.Push) {
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
