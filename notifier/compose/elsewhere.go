package compose

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"mailbell/notifier"
)

// apnsUpdate is the JSON that sets the badge of an iPhone and has its app, in the
// background, withdraw what was announced (Apple "Pushing background updates to
// your App"; with a badge it is an alert push that shows nothing).
type apnsUpdate struct {
	APS struct {
		Badge     int `json:"badge"`
		Available int `json:"content-available"`
	} `json:"aps"`
	Mailbell struct {
		Mailbox  notifier.Mailbox          `json:"mailbox"`
		Update   bool                      `json:"update"`
		Withdraw []notifier.NotificationID `json:"withdraw,omitempty"`
	} `json:"mailbell"`
}

// Elsewhere tells the devices of a mailbox that its owner has read, moved or
// deleted mail with another program: the badge is set, and an iPhone's app gets
// the IDs of notifications to withdraw. Windows has no way to withdraw one from
// afar. When it returns nil every push is durable.
func (c *Composer) Elsewhere(ctx context.Context, e notifier.Elsewhere) error {
	if !c.opt.Policy.Approved(e.Mailbox) {
		return nil
	}
	var pushes []notifier.Push
	for _, d := range c.opt.Devices(e.Mailbox) {
		p := notifier.Push{
			// Each is one of its own: a count that comes again is news.
			Notification: notifier.NewNotificationID(e.Mailbox, notifier.ItemID("elsewhere at "+e.Noticed.UTC().Format(time.RFC3339Nano))),
			Device:       d.Device, Mailbox: e.Mailbox, Provider: d.Provider, Registered: d.Created,
			Noticed: e.Noticed, Expires: e.Noticed.Add(updateLife), Update: true,
		}
		p.ID = notifier.NewPushID(p.Notification, d.Device)
		switch {
		case d.Provider == notifier.APNs:
			p.CollapseID = collapseID(notifier.NewNotificationID(e.Mailbox, "elsewhere")) // the latest counts
			p.Payload = c.update(e)
		case d.WNS != nil && d.WNS.Badge:
			count := e.Unread
			p.Badge = &count
		default:
			continue
		}
		pushes = append(pushes, p)
	}
	if len(pushes) == 0 {
		return nil
	}
	if err := c.opt.Queue(ctx, pushes...); err != nil {
		return fmt.Errorf("compose: queue updates of %s: %w", e.Mailbox, err)
	}
	return nil
}

func (c *Composer) update(e notifier.Elsewhere) []byte {
	var u apnsUpdate
	u.APS.Badge, u.APS.Available = e.Unread, 1
	u.Mailbell.Mailbox, u.Mailbell.Update = e.Mailbox, true
	for _, item := range e.Done[:min(len(e.Done), WithdrawMax)] {
		u.Mailbell.Withdraw = append(u.Mailbell.Withdraw, notifier.NewNotificationID(e.Mailbox, item))
	}
	b, err := json.Marshal(u)
	if err != nil {
		panic("compose: " + err.Error()) // strings and numbers encode
	}
	return b
}
