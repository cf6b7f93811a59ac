package deliver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"mailbell/notifier"
	"mailbell/notifier/ledger"
	"mailbell/notifier/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk is a deliverer with stores in memory and a provider that does as told.
// It is used inside a synctest bubble.
type desk struct {
	t *testing.T
	*Deliverer
	opt      Options
	queue    *queue.Memory
	ledger   *ledger.Memory
	provider *provider
	stop     func() error // ends Run and returns its error

	mu        sync.Mutex
	devices   map[notifier.DeviceID]notifier.Registration
	revisions map[notifier.DeviceID]uint64
	composed  int
}

// provider answers with the verdict that a test wants.
type provider struct {
	answer func(ctx context.Context, s sending) notifier.Receipt

	mu       sync.Mutex
	sent     []sending
	now, max int // in flight
}

type sending struct {
	push notifier.Push
	reg  notifier.Registration
	at   time.Time
	n    int // of this push, from 1
}

func (p *provider) Send(ctx context.Context, push notifier.Push, r notifier.Registration) notifier.Receipt {
	p.mu.Lock()
	s := sending{push: push, reg: r, at: time.Now(), n: 1}
	for _, earlier := range p.sent {
		if earlier.push.ID == push.ID {
			s.n++
		}
	}
	p.sent = append(p.sent, s)
	p.now++
	p.max = max(p.max, p.now)
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.now--
		p.mu.Unlock()
	}()
	return p.answer(ctx, s)
}

func (p *provider) sendings() []sending {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]sending(nil), p.sent...)
}

func (p *provider) inFlight() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *provider) inFlightMax() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.max
}

// verdict answers with a verdict, after a latency.
func verdict(ctx context.Context, s sending, v notifier.Verdict, reason string) notifier.Receipt {
	if !sleep(ctx, 50*time.Millisecond) {
		v, reason = notifier.Retry, "cancelled"
	}
	return notifier.NewReceipt(s.push, v, reason, time.Now())
}

func accept(ctx context.Context, s sending) notifier.Receipt {
	return verdict(ctx, s, notifier.Delivered, notifier.ReasonAccepted)
}

// bubble runs a test in virtual time with a running deliverer.
func bubble(t *testing.T, change func(*desk), story func(*desk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := &desk{
			t: t, queue: queue.NewMemory(queue.MemoryOptions{}), ledger: ledger.NewMemory(), provider: &provider{answer: accept},
			devices: map[notifier.DeviceID]notifier.Registration{}, revisions: map[notifier.DeviceID]uint64{},
		}
		d.opt = Options{
			Queue: d.queue, Ledger: d.ledger, Lookup: d.lookup, Forget: d.forget,
			Senders: map[notifier.Provider]Sender{notifier.APNs: d.provider},
		}
		if change != nil {
			change(d)
		}
		var err error
		if d.Deliverer, err = New(d.opt); err != nil {
			t.Fatal(err)
		}
		d.start()
		story(d)
		d.end()
	})
}

func (d *desk) start() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	d.stop = func() error {
		cancel()
		d.stop = nil
		return <-done
	}
}

func (d *desk) end() {
	if d.stop != nil {
		if err := d.stop(); !errors.Is(err, context.Canceled) {
			d.t.Errorf("Run: %v", err)
		}
	}
}

func (d *desk) lookup(id notifier.DeviceID) (notifier.Registration, uint64, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, ok := d.devices[id]
	return r, d.revisions[id], ok
}

func (d *desk) forget(_ context.Context, id notifier.DeviceID, revision uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.revisions[id] == revision {
		delete(d.devices, id)
	}
	return nil
}

// register makes or replaces a registration; token tells addresses apart.
func (d *desk) register(id notifier.DeviceID, token notifier.DeviceToken, confirmed time.Time) notifier.Registration {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, known := d.devices[id]
	if !known {
		r = notifier.Registration{Device: id, Mailbox: "ada@contoso.test", Provider: notifier.APNs, Created: time.Now()}
	}
	r.APNs = &notifier.APNsAddress{Token: token, Topic: "test", Environment: notifier.Production}
	r.Confirmed = confirmed
	d.devices[id] = r
	d.revisions[id]++
	return r
}

// push queues a push for a device, registering it before if need be.
func (d *desk) push(id notifier.DeviceID) notifier.Push {
	r, _, ok := d.lookup(id)
	if !ok {
		r = d.register(id, "aa", time.Now())
	}
	d.composed++
	item := notifier.ItemID(fmt.Sprint("item ", d.composed))
	n := notifier.NewNotificationID(r.Mailbox, item)
	p := notifier.Push{
		ID: notifier.NewPushID(n, id), Notification: n, Device: id, Mailbox: r.Mailbox, Item: item, Provider: r.Provider,
		Payload: []byte("{}"), Registered: r.Created, Noticed: time.Now(), Expires: time.Now().Add(12 * time.Hour),
	}
	d.put(p)
	return p
}

func (d *desk) put(p notifier.Push) {
	d.t.Helper()
	if err := d.queue.Put(context.Background(), p); err != nil {
		d.t.Fatal(err)
	}
}

// receipts are those of a device, newest first.
func (d *desk) receipts(id notifier.DeviceID) []notifier.Receipt {
	d.t.Helper()
	list, err := d.ledger.Device(context.Background(), id, 0)
	if err != nil {
		d.t.Fatal(err)
	}
	return list
}

// outcome is the one receipt of a device.
func (d *desk) outcome(id notifier.DeviceID) notifier.Receipt {
	d.t.Helper()
	list := d.receipts(id)
	if len(list) != 1 {
		d.t.Fatalf("%d receipts of %s, want 1: %+v", len(list), id, list)
	}
	return list[0]
}

func (d *desk) expect(id notifier.DeviceID, v notifier.Verdict, reason string) {
	d.t.Helper()
	if r := d.outcome(id); r.Verdict != v || r.Reason != reason {
		d.t.Errorf("%s: %s %s, want %s %s", id, r.Verdict, r.Reason, v, reason)
	}
}

func (d *desk) depth() int {
	d.t.Helper()
	n, err := d.queue.Depth(context.Background())
	if err != nil {
		d.t.Fatal(err)
	}
	return n
}
