package loadgen

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// entry is an entry of the fakes' journal, as far as it matters here.
type entry struct {
	Seq     uint64
	Time    time.Time
	Server  string
	Kind    string
	Mailbox string
	Device  string // device token or channel URI
	Item    string
	Status  int
	Reason  string
	Detail  map[string]string
	Body    json.RawMessage
}

// Observation is one thing that the journal tells and the judge has to know.
type Observation struct {
	At      time.Time
	Mailbox string
	Item    string

	Subject string // of a mail that arrived
	Address string // of a push: device token or channel URI
	Outcome Outcome
	Why     string // what the provider said
}

// Outcome is what a provider made of a push, or Arrived for a mail.
type Outcome int

// The outcomes.
const (
	Arrived  Outcome = iota // a mail, in the Inbox
	Accepted                // the push
	Refused                 // for good: this push will never be accepted
	Gone                    // the same, and all others for the device
)

// observe reads an entry; false when it is of no concern: requests, faults,
// badge updates, mails outside of the Inbox, and pushes that may be repeated.
func observe(e entry) (Observation, bool) {
	o := Observation{At: e.Time, Mailbox: e.Mailbox, Item: e.Item, Subject: e.Detail["subject"], Address: e.Device, Why: e.Reason}
	switch {
	case e.Kind == "mail" && e.Server == "exchange":
		return o, strings.EqualFold(e.Detail["folder"], "inbox")
	case e.Kind != "push":
		return o, false
	case e.Server == "apns":
		mailbox, item, update := apnsMail(e.Body)
		if update {
			return o, false
		}
		o.Mailbox, o.Item, o.Outcome = mailbox, item, apnsOutcome(e.Status, e.Reason)
	case e.Server == "wns" && e.Detail["type"] == "wns/toast":
		o.Outcome = wnsOutcome(e.Status, e.Reason)
		o.Mailbox, o.Item = wnsMail(e.Body)
	default:
		return o, false
	}
	return o, o.Outcome != again
}

// again is a push that was not accepted now and may be later.
const again Outcome = -1

// apnsOutcome follows Apple "Handling notification responses from APNs".
func apnsOutcome(status int, reason string) Outcome {
	switch {
	case status == http.StatusOK:
		return Accepted
	case status == http.StatusGone, reason == "BadDeviceToken", reason == "DeviceTokenNotForTopic":
		return Gone
	case status == http.StatusRequestEntityTooLarge, status == http.StatusBadRequest && reason != "IdleTimeout":
		return Refused
	}
	return again
}

// wnsOutcome follows "Push notification service request and response headers"
// (WNS): with 200 the status header tells what became of it.
func wnsOutcome(status int, reason string) Outcome {
	switch {
	case status == http.StatusOK && (reason == "" || reason == "received"):
		return Accepted
	case status == http.StatusOK && reason == "dropped", status == http.StatusRequestEntityTooLarge, status == http.StatusBadRequest:
		return Refused
	case status == http.StatusNotFound, status == http.StatusGone:
		return Gone
	}
	return again
}

// apnsMail is the mail that a notification is about, empty when it says none.
// update: it is about none, but sets the badge.
func apnsMail(body json.RawMessage) (mailbox, item string, update bool) {
	var n struct {
		Mailbell struct {
			Mailbox, Item string
			Update        bool
		}
	}
	if json.Unmarshal(body, &n) != nil {
		return "", "", false
	}
	return n.Mailbell.Mailbox, n.Mailbell.Item, n.Mailbell.Update
}

// wnsMail is the same of a toast.
func wnsMail(body json.RawMessage) (mailbox, item string) {
	var text string
	if json.Unmarshal(body, &text) != nil {
		return "", ""
	}
	var toast struct {
		Launch string `xml:"launch,attr"`
	}
	if xml.Unmarshal([]byte(text), &toast) != nil {
		return "", ""
	}
	q, err := url.ParseQuery(toast.Launch)
	if err != nil {
		return "", ""
	}
	return q.Get("mailbox"), q.Get("item")
}

// subject marks a mail as the one of a slot of this run.
func subject(run string, slot int) string {
	return fmt.Sprintf("#%s-%d Load of the day", run, slot)
}

// slotOf reads the mark, false when the mail is not of this run.
func slotOf(run, subject string) (int, bool) {
	rest, ok := strings.CutPrefix(subject, "#"+run+"-")
	if !ok {
		return 0, false
	}
	number, _, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(number)
	return n, err == nil && n >= 0
}

// journal follows the fakes' journal.
type journal struct {
	pages func(ctx context.Context, after uint64, limit int) ([]entry, uint64, error)
	after uint64
	lost  uint64 // entries that the fakes had dropped before they were read
}

// read hands everything new to told.
func (j *journal) read(ctx context.Context, told func(Observation)) error {
	for {
		entries, _, err := j.pages(ctx, j.after, journalPage)
		if err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		for _, e := range entries {
			j.lost += e.Seq - j.after - 1
			j.after = e.Seq
			if o, ok := observe(e); ok {
				told(o)
			}
		}
		if len(entries) < journalPage {
			return nil
		}
	}
}
