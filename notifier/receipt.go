package notifier

import (
	"fmt"
	"time"
)

// Verdict is what happens next with a push. The vocabulary is closed.
type Verdict uint8

// The verdicts. The zero value is not one of them, so a forgotten verdict is
// seen.
const (
	// Delivered: the provider accepted it. Done.
	Delivered Verdict = iota + 1
	// Retry: not now; again after a wait, inside the push's expiry. Uses up an
	// attempt.
	Retry
	// Drop: never; the push is given up and the receipt says why.
	Drop
	// Forget: the address is dead; give up the push and remove the registration
	// unless it was confirmed after the provider learnt of the death.
	Forget
	// Pause: nothing is wrong with the push; the way to the provider is closed.
	// Everything that goes this way waits. Uses up no attempt.
	Pause
)

var verdictNames = map[Verdict]string{Delivered: "delivered", Retry: "retry", Drop: "drop", Forget: "forget", Pause: "pause"}

// String is the verdict in lower case.
func (v Verdict) String() string {
	if s, ok := verdictNames[v]; ok {
		return s
	}
	return fmt.Sprintf("verdict(%d)", uint8(v))
}

// Final says whether the push is done with.
func (v Verdict) Final() bool { return v == Delivered || v == Drop || v == Forget }

// MarshalText writes the verdict's name.
func (v Verdict) MarshalText() ([]byte, error) {
	if s, ok := verdictNames[v]; ok {
		return []byte(s), nil
	}
	return nil, fmt.Errorf("verdict %d is not one", uint8(v))
}

// UnmarshalText reads the verdict's name.
func (v *Verdict) UnmarshalText(text []byte) error {
	for k, s := range verdictNames {
		if s == string(text) {
			*v = k
			return nil
		}
	}
	return fmt.Errorf("verdict %q is not one", text)
}

// Reasons that Mailbell itself gives in a receipt. Others are the provider's
// own words ("BadDeviceToken").
const (
	ReasonAccepted    = "accepted"              // the provider took it
	ReasonNotApproved = "policy:not-approved"   // the user is not approved for notifications
	ReasonPolicy      = "policy:suppressed"     // policy lets nothing be said about this mail
	ReasonItemGone    = "item-gone"             // read, moved or deleted before Mailbell could look
	ReasonAlreadyRead = "already-read"          // read elsewhere before Mailbell could look
	ReasonDigest      = "announced-together"    // one push announced a flood of mail after a gap
	ReasonOld         = "before-registration"   // received before the device was registered
	ReasonExpired     = "expired"               // not accepted within the push's expiry
	ReasonAttempts    = "attempts-used-up"      // refused too often
	ReasonWiped       = "device-not-registered" // the device was wiped or moved to another mailbox meanwhile
	ReasonPoison      = "item-unreadable"       // Exchange could not give the item, again and again
)

// Receipt says what became of a push, or why there was none. It carries IDs
// and outcomes, no content.
type Receipt struct {
	Push         PushID         `json:"push"`
	Notification NotificationID `json:"notification"`
	Device       DeviceID       `json:"device"`
	Mailbox      Mailbox        `json:"mailbox"`
	Item         ItemID         `json:"item"`
	Provider     Provider       `json:"provider"`
	Verdict      Verdict        `json:"verdict"`
	Reason       string         `json:"reason"`
	Status       int            `json:"status,omitempty"`      // the provider's HTTP status; 0 without an answer
	ProviderID   string         `json:"provider_id,omitempty"` // apns-id, or X-WNS-Msg-ID
	Attempt      int            `json:"attempt,omitempty"`
	Noticed      time.Time      `json:"noticed"`
	At           time.Time      `json:"at"`

	// RetryAfter is the wait the provider asked for, zero when it named none.
	// GoneSince is when the provider learnt that the address is dead (Forget).
	// Err is the failure behind a Retry or Pause. None of them is stored.
	RetryAfter time.Duration `json:"-"`
	GoneSince  time.Time     `json:"-"`
	Err        error         `json:"-"`
}

// NewReceipt starts the receipt of a push.
func NewReceipt(p Push, v Verdict, reason string, at time.Time) Receipt {
	return Receipt{
		Push: p.ID, Notification: p.Notification, Device: p.Device, Mailbox: p.Mailbox, Item: p.Item,
		Provider: p.Provider, Verdict: v, Reason: reason, Noticed: p.Noticed, At: at,
	}
}
