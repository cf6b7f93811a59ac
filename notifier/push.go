package notifier

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"time"
)

// NotificationID identifies one mail in one mailbox: the same mail gives the
// same ID however often and by whatever way it is noticed.
type NotificationID string

// NewNotificationID derives the ID from the mailbox and the item.
func NewNotificationID(m Mailbox, item ItemID) NotificationID {
	return NotificationID("n" + digest(string(m), string(item)))
}

// UnreadUnknown is the Unread of a Notification whose mailbox was not asked.
const UnreadUnknown = -1

// Notification is what may be said about one mail, or about a flood of them,
// before it is rendered for a device.
type Notification struct {
	ID      NotificationID `json:"id"`
	Mailbox Mailbox        `json:"mailbox"`
	Message Message        `json:"message"`
	Source  Source         `json:"source"`
	Noticed time.Time      `json:"noticed"`
	Unread  int            `json:"unread"` // items unread in the Inbox, or UnreadUnknown
}

// Digest says that it announces all the mail of a flood, and no one item.
func (n Notification) Digest() bool { return n.Message.Item == "" }

// PushID identifies one notification for one device. A repeat of the push, in
// this process or after a restart, has the same ID.
type PushID string

// NewPushID derives the ID from the notification and the device.
func NewPushID(n NotificationID, d DeviceID) PushID {
	return PushID("p" + digest(string(n), string(d)))
}

// UUID is the push ID in the canonical form of a UUID, lower case, as APNs
// wants it in apns-id (Apple "Sending notification requests to APNs").
func (id PushID) UUID() string {
	sum := sha256.Sum256([]byte(id))
	b := sum[:16]
	b[6] = b[6]&0x0f | 0x80 // version 8: custom
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// Push is one notification, rendered for one device. It carries no address:
// the registration is looked up at the moment of sending, so that a device
// that was wiped hears nothing and one that moved is found.
type Push struct {
	ID           PushID         `json:"id"`
	Notification NotificationID `json:"notification"`
	Device       DeviceID       `json:"device"`
	Mailbox      Mailbox        `json:"mailbox"`
	Item         ItemID         `json:"item"`
	Provider     Provider       `json:"provider"`
	Payload      []byte         `json:"payload"`          // APNs: JSON of at most 4,096 bytes; WNS: toast XML of at most 5,000 bytes
	Badge        *int           `json:"badge,omitempty"`  // WNS: absolute unread count to send beside the toast; APNs carries it in the payload
	CollapseID   string         `json:"collapse_id"`      // apns-collapse-id; at most 64 bytes
	Tag          string         `json:"tag,omitempty"`    // X-WNS-Tag; at most 16 alphanumeric characters
	Update       bool           `json:"update,omitempty"` // not about new mail: sets the badge and withdraws, without a sound and without a receipt in the ledger
	Registered   time.Time      `json:"registered"`       // Created of the registration it was composed for: a later registration of the same device for another mailbox does not get it
	Noticed      time.Time      `json:"noticed"`          // when Mailbell learnt of the mail
	Expires      time.Time      `json:"expires"`          // not worth sending after this
}

// digest is 26 characters of base32 (130 bits) over the parts, each ended by a
// zero byte so that no two lists of parts collide.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(h.Sum(nil))[:26]
}
