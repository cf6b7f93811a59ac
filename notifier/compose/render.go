package compose

import (
	"fmt"

	"mailbell/notifier"
)

// render makes the push about a mail for one device, as decided.
func (c *Composer) render(n notifier.Notification, device notifier.Registration, d Decision) (notifier.Push, error) {
	p := newPush(n, device)
	p.Expires = d.Expires
	words := c.languages.of(device.Locale)
	t := words.compose(n.Message, d)
	if n.Digest() {
		t = text{sender: words.manyMails, subject: words.openApp}
	}
	var err error
	switch device.Provider {
	case notifier.APNs:
		p.CollapseID = collapseID(n.ID)
		p.Payload, err = renderAPNs(n, d, t)
	case notifier.WNS:
		p.Tag = tag(n.ID)
		if device.WNS != nil && device.WNS.Badge {
			p.Badge = badge(n)
		}
		p.Payload, err = renderWNS(n, d, t)
	default:
		err = fmt.Errorf("compose: provider %q is not known", device.Provider)
	}
	return p, err
}

// newPush is the push of a notification for a device, without its content.
func newPush(n notifier.Notification, device notifier.Registration) notifier.Push {
	return notifier.Push{
		ID: notifier.NewPushID(n.ID, device.Device), Notification: n.ID, Device: device.Device, Mailbox: n.Mailbox,
		Item: n.Message.Item, Provider: device.Provider, Registered: device.Created, Noticed: n.Noticed,
	}
}

// collapseID makes a repeat of a push merge with the first one on the device.
// It names the mail, not the mailbox, so that two mails never merge.
func collapseID(id notifier.NotificationID) string { return string(id)[:min(len(id), CollapseIDMax)] }

// tag does the same for a toast: 80 bits of the notification ID, of which the
// first character is the same in all.
func tag(id notifier.NotificationID) string { return string(id)[1:min(len(id), 1+TagMax)] }
