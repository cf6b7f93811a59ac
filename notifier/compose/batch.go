package compose

import (
	"context"
	"fmt"
	"time"

	"mailbell/notifier"
)

// batch is the work of one Handle.
type batch struct {
	composer *Composer
	mailbox  notifier.Mailbox
	devices  []notifier.Registration
	now      time.Time

	items  []notifier.ItemID // each once, in the order of the events
	events map[notifier.ItemID]notifier.Event

	digests  map[notifier.PushID]bool // made already
	pushes   []notifier.Push
	receipts []notifier.Receipt
	seen     []notifier.SeenItem
}

// note takes the events in, each item once: the hint that came first counts.
func (b *batch) note(events []notifier.Event) error {
	b.events = make(map[notifier.ItemID]notifier.Event, len(events))
	for _, e := range events {
		if e.Mailbox != b.mailbox {
			return fmt.Errorf("compose: an event of another mailbox than %s", b.mailbox)
		}
		if _, known := b.events[e.Item]; !known {
			b.events[e.Item] = e
			b.items = append(b.items, e.Item)
		}
	}
	return nil
}

// seeAll counts every item as dealt with, when there is nobody to tell.
func (b *batch) seeAll() {
	for _, item := range b.items {
		b.seen = append(b.seen, notifier.SeenItem{Item: item})
	}
}

func (b *batch) refuseAll(reason string) {
	for _, item := range b.items {
		b.withhold(item, reason)
	}
}

// withhold writes for every device why there is no push about an item that
// was not read.
func (b *batch) withhold(item notifier.ItemID, reason string) {
	n := b.notification(item)
	for _, d := range b.devices {
		b.receipt(n, d, reason)
	}
	b.seen = append(b.seen, notifier.SeenItem{Item: item})
}

// read looks at the items and composes.
func (b *batch) read(ctx context.Context) error {
	b.announceFloods()
	if len(b.items) == 0 {
		return nil
	}
	r, err := b.composer.opt.Reader.Read(ctx, b.mailbox, b.items)
	if err != nil {
		return fmt.Errorf("compose: %s: %w", b.mailbox, err)
	}
	messages := make(map[notifier.ItemID]notifier.Message, len(r.Messages))
	for _, m := range r.Messages {
		messages[m.Item] = m
	}
	missing := make(map[notifier.ItemID]string, len(r.Gone)+len(r.Poison))
	for _, item := range r.Gone {
		missing[item] = notifier.ReasonItemGone
	}
	for _, item := range r.Poison {
		missing[item] = notifier.ReasonPoison
	}
	for _, item := range b.items {
		if m, found := messages[item]; found {
			b.announce(m, r.Unread)
		} else if reason, ok := missing[item]; ok {
			b.withhold(item, reason)
		} else {
			// Nothing may be taken for dealt with that nobody looked at.
			return fmt.Errorf("compose: %s: the reader left out an item", b.mailbox)
		}
	}
	return nil
}

// announceFloods takes out the items that came in a flood: one push for each
// device announces all of them, and nobody looks at them one by one. Every batch
// of a flood makes the same push, which the queue knows.
func (b *batch) announceFloods() {
	single := b.items[:0:0]
	b.digests = map[notifier.PushID]bool{}
	for _, item := range b.items {
		e := b.events[item]
		if e.Flood.IsZero() {
			single = append(single, item)
			continue
		}
		for _, device := range b.devices {
			b.flooded(e, device)
		}
		b.seen = append(b.seen, notifier.SeenItem{Item: item, Received: e.Received})
	}
	b.items = single
}

// flooded has a device told of a flood, and writes for one mail of it why there
// is no push of its own.
func (b *batch) flooded(e notifier.Event, device notifier.Registration) {
	one := b.notification(e.Item)
	one.Message.Received = e.Received
	d := b.composer.opt.Policy.Decide(device, one, b.now)
	if !d.Notify {
		b.receipt(one, device, d.Reason)
		return
	}
	all := notifier.Notification{
		ID:      notifier.NewNotificationID(b.mailbox, notifier.ItemID("flood since "+e.Flood.UTC().Format(time.RFC3339Nano))),
		Mailbox: b.mailbox, Source: e.Source, Noticed: e.Noticed, Unread: notifier.UnreadUnknown,
	}
	if id := notifier.NewPushID(all.ID, device.Device); !b.digests[id] {
		p, err := b.composer.render(all, device, d)
		if err != nil {
			b.composer.log.Error("digest cannot be composed", "mailbox", b.mailbox, "device", device.Device, "err", err)
			b.receipt(one, device, notifier.ReasonPoison)
			return
		}
		b.digests[id] = true
		b.pushes = append(b.pushes, p)
	}
	b.receipt(one, device, notifier.ReasonDigest)
}

// announce makes a push or a receipt about a mail for every device.
func (b *batch) announce(m notifier.Message, unread int) {
	n := b.notification(m.Item)
	n.Message, n.Unread = m, unread
	for _, device := range b.devices {
		d := b.composer.opt.Policy.Decide(device, n, b.now)
		if !d.Notify {
			b.receipt(n, device, d.Reason)
			continue
		}
		p, err := b.composer.render(n, device, d)
		if err != nil {
			// No repeat would help.
			b.composer.log.Error("push cannot be composed", "notification", n.ID, "device", device.Device, "err", err)
			b.receipt(n, device, notifier.ReasonPoison)
			continue
		}
		b.pushes = append(b.pushes, p)
	}
	b.seen = append(b.seen, notifier.SeenItem{Item: m.Item, Received: m.Received})
}

func (b *batch) notification(item notifier.ItemID) notifier.Notification {
	e := b.events[item]
	return notifier.Notification{
		ID: notifier.NewNotificationID(b.mailbox, item), Mailbox: b.mailbox, Message: notifier.Message{Item: item},
		Source: e.Source, Noticed: e.Noticed, Unread: notifier.UnreadUnknown,
	}
}

func (b *batch) receipt(n notifier.Notification, d notifier.Registration, reason string) {
	b.receipts = append(b.receipts, notifier.NewReceipt(newPush(n, d), notifier.Drop, reason, b.now))
}

// store makes pushes and receipts durable, the pushes first: a repeat drops
// pushes that are known, while a receipt would be there twice.
func (b *batch) store(ctx context.Context) error {
	if len(b.pushes) > 0 {
		if err := b.composer.opt.Queue(ctx, b.pushes...); err != nil {
			return fmt.Errorf("compose: queue pushes of %s: %w", b.mailbox, err)
		}
	}
	if len(b.receipts) > 0 {
		if err := b.composer.opt.Ledger(ctx, b.receipts...); err != nil {
			return fmt.Errorf("compose: write receipts of %s: %w", b.mailbox, err)
		}
	}
	return nil
}
