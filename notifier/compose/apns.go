package compose

import (
	"bytes"
	"encoding/json"
	"errors"

	"mailbell/notifier"
)

// errTooLarge is a payload that exceeds its limit even without any text, which
// takes an item ID longer than Exchange makes.
var errTooLarge = errors.New("compose: the identifiers alone exceed the payload limit")

// apnsPayload is the JSON for an iPhone (Apple "Generating a remote
// notification").
type apnsPayload struct {
	APS      aps          `json:"aps"`
	Mailbell apnsMailbell `json:"mailbell"`
}

type aps struct {
	Alert     apnsAlert `json:"alert"`
	Badge     *int      `json:"badge,omitempty"` // absolute; absent leaves what the device shows
	Sound     string    `json:"sound,omitempty"` // absent: silent
	Thread    string    `json:"thread-id"`
	Category  string    `json:"category"`
	Interrupt string    `json:"interruption-level,omitempty"`
}

type apnsAlert struct {
	Title    string `json:"title,omitempty"`
	Subtitle string `json:"subtitle,omitempty"`
	Body     string `json:"body,omitempty"`
}

// apnsMailbell is what the app needs to open the mail.
type apnsMailbell struct {
	ID      notifier.NotificationID `json:"id"`
	Mailbox notifier.Mailbox        `json:"mailbox"`
	Item    notifier.ItemID         `json:"item"`
	Digest  bool                    `json:"digest,omitempty"` // about all new mail: there is no one item
}

const (
	apnsCategory = "MAIL"    // the app's action buttons
	apnsPassive  = "passive" // no lighting up
)

// renderAPNs makes the payload. The title is the sender. With a preview the
// subject is the subtitle and the preview the body; without one the subject is
// the body.
func renderAPNs(n notifier.Notification, d Decision, t text) ([]byte, error) {
	p := apnsPayload{
		APS: aps{
			Alert: apnsAlert{Title: t.sender, Body: t.subject},
			Sound: d.Sound, Thread: string(n.Mailbox), Category: apnsCategory, Badge: badge(n),
		},
		Mailbell: apnsMailbell{ID: n.ID, Mailbox: n.Mailbox, Item: n.Message.Item, Digest: n.Digest()},
	}
	if d.Silent {
		p.APS.Interrupt = apnsPassive
	}
	a := &p.APS.Alert
	cut := []*string{&a.Body, &a.Title}
	if t.preview != "" {
		a.Subtitle, a.Body = t.subject, t.preview
		cut = []*string{&a.Body, &a.Subtitle, &a.Title}
	}
	out := fit(APNsPayloadMax, func() []byte { return marshalJSON(p) }, jsonCost, cut...)
	if out == nil {
		return nil, errTooLarge
	}
	return out, nil
}

// badge is the unread count, or nil when it is not known.
func badge(n notifier.Notification) *int {
	if n.Unread < 0 {
		return nil
	}
	count := n.Unread
	return &count
}

// marshalJSON encodes without escaping <, > and &, which would make six bytes
// of one. The types of this package always encode.
func marshalJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("compose: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func jsonCost(s string) int { return len(marshalJSON(s)) - len(`""`) }
