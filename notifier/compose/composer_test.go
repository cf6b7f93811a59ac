package compose

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/ledger"
	"mailbell/notifier/queue"
)

// inbox is a Reader over given items.
type inbox struct {
	messages     map[notifier.ItemID]notifier.Message
	gone, poison []notifier.ItemID
	err          error
	reads        int
}

func (i *inbox) Read(_ context.Context, _ notifier.Mailbox, items []notifier.ItemID) (Reading, error) {
	i.reads++
	r := Reading{Unread: 7, Gone: i.gone, Poison: i.poison}
	for _, item := range items {
		if m, ok := i.messages[item]; ok {
			r.Messages = append(r.Messages, m)
		}
	}
	return r, i.err
}

// desk is a composer with stores in memory.
type desk struct {
	*Composer
	inbox   *inbox
	queue   *queue.Memory
	ledger  *ledger.Memory
	devices []notifier.Registration
	log     bytes.Buffer
}

func newDesk(t *testing.T, change func(*Options)) *desk {
	t.Helper()
	d := &desk{inbox: &inbox{messages: map[notifier.ItemID]notifier.Message{}}, queue: queue.NewMemory(queue.Options{}), ledger: ledger.NewMemory()}
	d.devices = []notifier.Registration{phone(), pc()}
	o := Options{
		Reader: d.inbox, Devices: func(notifier.Mailbox) []notifier.Registration { return d.devices },
		Policy: Policy{Rules: []Rule{{Mailbox: "*", Approved: true, Preview: true}}}, Queue: d.queue.Put, Ledger: d.ledger.Append,
		Logger: slog.New(slog.NewTextHandler(&d.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	d.Composer = c
	return d
}

func (d *desk) mail(item notifier.ItemID) notifier.Event {
	m := mail()
	m.Item = item
	d.inbox.messages[item] = m
	return notifier.Event{Mailbox: "ada@contoso.test", Item: item, Source: notifier.FromStream, Noticed: noon}
}

func (d *desk) handle(t *testing.T, events ...notifier.Event) []notifier.SeenItem {
	t.Helper()
	seen, err := d.Handle(t.Context(), "ada@contoso.test", events)
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func (d *desk) depth(t *testing.T) int {
	t.Helper()
	n, err := d.queue.Depth(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// receipts counts by reason.
func (d *desk) receipts(t *testing.T) map[string]int {
	t.Helper()
	list, err := d.ledger.Mailbox(t.Context(), "ada@contoso.test", 0)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, r := range list {
		if r.Verdict != notifier.Drop || r.Push == "" || r.Device == "" || r.Item == "" {
			t.Errorf("receipt %+v", r)
		}
		out[r.Reason]++
	}
	return out
}

func TestAFloodIsAnnouncedOnceAndNobodyLooksAtItsMails(t *testing.T) {
	d := newDesk(t, nil)
	const each = 50
	var batches [][]notifier.Event
	for b := range 4 {
		var events []notifier.Event
		for i := range each {
			item := notifier.ItemID(fmt.Sprint("flood ", b, " ", i))
			events = append(events, notifier.Event{Mailbox: "ada@contoso.test", Item: item, Source: notifier.FromCatchUp, Noticed: noon, Flood: noon.Add(-time.Hour), Received: noon.Add(time.Minute)})
		}
		batches = append(batches, events)
	}
	batches[0][7].Received = noon.Add(-24 * time.Hour) // before anybody was registered
	for _, events := range batches {
		seen := d.handle(t, events...)
		if len(seen) != each || seen[0].Received.IsZero() {
			t.Fatalf("%d seen, the first received %v", len(seen), seen[0].Received)
		}
	}
	if d.depth(t) != len(d.devices) || d.inbox.reads != 0 {
		t.Errorf("%d pushes to %d devices, %d reads", d.depth(t), len(d.devices), d.inbox.reads)
	}
	want := fmt.Sprint(map[string]int{notifier.ReasonDigest: 2 * (4*each - 1), notifier.ReasonOld: 2})
	if got := fmt.Sprint(d.receipts(t)); got != want {
		t.Errorf("receipts %v, want %v", got, want)
	}
	d.handle(t, d.mail("one more")) // by itself
	if d.depth(t) != 2*len(d.devices) {
		t.Errorf("%d pushes", d.depth(t))
	}
}

func TestEveryDeviceGetsAPushOrAReceipt(t *testing.T) {
	d := newDesk(t, nil)
	read := d.mail("read")
	m := d.inbox.messages["read"]
	m.Read = true
	d.inbox.messages["read"] = m
	d.inbox.gone, d.inbox.poison = []notifier.ItemID{"gone"}, []notifier.ItemID{"poison"}
	d.devices = append(d.devices, phone())
	d.devices[2].Device, d.devices[2].Created = "new", noon.Add(time.Hour)

	gone, poison := read, read
	gone.Item, poison.Item = "gone", "poison"
	seen := d.handle(t, d.mail("fresh"), read, gone, poison, d.mail("fresh"))

	if got := d.depth(t); got != 2 {
		t.Errorf("%d pushes, want 2", got)
	}
	want := fmt.Sprint(map[string]int{notifier.ReasonAlreadyRead: 2, notifier.ReasonOld: 2, notifier.ReasonItemGone: 3, notifier.ReasonPoison: 3})
	if got := fmt.Sprint(d.receipts(t)); got != want {
		t.Errorf("receipts %v, want %v", got, want)
	}
	if got, want := fmt.Sprint(seen), fmt.Sprint([]notifier.SeenItem{{Item: "fresh", Received: noon}, {Item: "read", Received: noon}, {Item: "gone"}, {Item: "poison"}}); got != want {
		t.Errorf("seen %v, want %v", got, want)
	}
}

func TestARepeatIsQueuedOnce(t *testing.T) {
	d := newDesk(t, nil)
	e := d.mail("1")
	d.handle(t, e)
	e.Source, e.Noticed = notifier.FromAudit, noon.Add(time.Minute)
	d.handle(t, e)
	if got := d.depth(t); got != 2 {
		t.Errorf("%d pushes for two devices", got)
	}
}

func TestPushesExpireFromTheirComposing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, func(o *Options) { o.Policy.Rules[0].Expiry = time.Hour })
		for i := range d.devices {
			d.devices[i].Created = time.Now()
		}
		time.Sleep(time.Minute)
		e := d.mail("1")
		m := d.inbox.messages["1"]
		m.Received = time.Now()
		d.inbox.messages["1"] = m
		d.handle(t, e)
		taken, err := d.queue.Take(t.Context(), notifier.APNs, 10)
		if err != nil || len(taken) != 1 {
			t.Fatal(taken, err)
		}
		if got := taken[0].Push().Expires; !got.Equal(time.Now().Add(time.Hour)) {
			t.Errorf("expires %v", got)
		}
	})
}

func TestUnapprovedMailboxesAreNotRead(t *testing.T) {
	d := newDesk(t, func(o *Options) { o.Policy = Policy{} })
	seen := d.handle(t, d.mail("1"))
	if d.inbox.reads != 0 || d.depth(t) != 0 || len(seen) != 1 {
		t.Errorf("%d reads, %d pushes, seen %v", d.inbox.reads, d.depth(t), seen)
	}
	if got := d.receipts(t)[notifier.ReasonNotApproved]; got != 2 {
		t.Errorf("%d receipts", got)
	}
}

func TestWithoutDevicesNothingIsReadOrWritten(t *testing.T) {
	d := newDesk(t, nil)
	d.devices = nil
	seen := d.handle(t, d.mail("1"))
	if d.inbox.reads != 0 || d.depth(t) != 0 || len(d.receipts(t)) != 0 || len(seen) != 1 {
		t.Errorf("%d reads, seen %v", d.inbox.reads, seen)
	}
}

func TestAFailureDealsWithNothing(t *testing.T) {
	broken := errors.New("broken")
	for name, change := range map[string]func(*desk, *Options){
		"the reader fails": func(d *desk, _ *Options) { d.inbox.err = broken },
		"the queue fails":  func(_ *desk, o *Options) { o.Queue = func(context.Context, ...notifier.Push) error { return broken } },
		"the ledger fails": func(_ *desk, o *Options) {
			o.Ledger = func(context.Context, ...notifier.Receipt) error { return broken }
		},
		"the reader leaves out a mail": func(d *desk, _ *Options) { delete(d.inbox.messages, "1") },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, nil)
			events := []notifier.Event{d.mail("1"), d.mail("read")}
			m := d.inbox.messages["read"]
			m.Read = true
			d.inbox.messages["read"] = m
			change(d, &d.opt)
			seen, err := d.Handle(t.Context(), "ada@contoso.test", events)
			if err == nil || seen != nil {
				t.Errorf("seen %v, error %v", seen, err)
			}
		})
	}
}

func TestCallsAreBounded(t *testing.T) {
	d := newDesk(t, nil)
	if _, err := d.Handle(t.Context(), "ada@contoso.test", make([]notifier.Event, EventsMax+1)); err == nil {
		t.Error("too many events were taken")
	}
	e := d.mail("1")
	e.Mailbox = "bob@contoso.test"
	if _, err := d.Handle(t.Context(), "ada@contoso.test", []notifier.Event{e}); err == nil {
		t.Error("another mailbox's event was taken")
	}
	if got := d.handle(t); len(got) != 0 {
		t.Errorf("no events gave %v", got)
	}
}

func TestAPushThatCannotBeComposedGetsAReceipt(t *testing.T) {
	d := newDesk(t, nil)
	d.devices[0].Provider = "carrier-pigeon"
	d.handle(t, d.mail("1"))
	if d.depth(t) != 1 || d.receipts(t)[notifier.ReasonPoison] != 1 {
		t.Errorf("%d pushes, receipts %v", d.depth(t), d.receipts(t))
	}
	for _, secret := range []string{mail().Subject, mail().FromName, mail().FromAddr, mail().Preview} {
		if strings.Contains(d.log.String(), secret) {
			t.Errorf("the log tells %q", secret)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := newDesk(t, nil).opt
	for name, spoil := range map[string]func(*Options){
		"Reader": func(o *Options) { o.Reader = nil }, "Devices": func(o *Options) { o.Devices = nil },
		"Queue": func(o *Options) { o.Queue = nil }, "Ledger": func(o *Options) { o.Ledger = nil },
		"rule 1": func(o *Options) { o.Policy = Policy{Rules: []Rule{{Mailbox: "x"}}} },
	} {
		o := good
		spoil(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
