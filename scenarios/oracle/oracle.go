// Package oracle is the promise as a check over what the fakes wrote down.
//
// In go journal entries: mails that reached a mailbox, devices that registered
// and were wiped, pushes that a provider accepted, receipts that a device was
// shown. Out comes a [Report]. Nothing of the notifier is asked, so nothing of
// it can talk the oracle out of a verdict.
//
// For every mail that reached a mailbox while a device was registered for it,
// the device must have had a push accepted, or a receipt must say why not; that
// is the promise of package notifier. "While registered" runs from the answer
// to the registration to the request for the wipe: in between the service has
// committed itself. From the request for the registration to the answer to the
// wipe a push is allowed. Anything else is unexpected.
package oracle

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"mailbell/fakes/journal"
)

// ClockTolerance is how long before a registration a mail may have been
// received and still be announced: received times have whole seconds.
const ClockTolerance = 5 * time.Second

// Mail is one mail in one mailbox.
type Mail struct {
	Mailbox, Item string
	Subject       string
	FromName      string
	FromAddr      string
	Arrived       time.Time
	Seq           uint64
}

// Push is a push that a provider accepted.
type Push struct {
	Provider string // "apns", "wns"
	Address  string // device token or channel URI
	ID       string // apns-id, or the toast's tag
	Mailbox  string // as the payload says
	Item     string // as the payload says
	Title    string // what the device shows, first line
	Lines    []string
	Badge    string
	Digest   bool // about all mail that came in a gap, not about one
	Update   bool // shows nothing: sets the badge, and withdraws
	Accepted time.Time
	Seq      uint64
}

// Finding is one thing that is not as promised, in words.
type Finding struct {
	Kind    string `json:"kind"` // lost, duplicated, unexpected, after-wipe, content
	Device  string `json:"device"`
	Mailbox string `json:"mailbox"`
	Item    string `json:"item"`
	Why     string `json:"why"`
	Seq     uint64 `json:"seq"` // journal entry to look at
}

func (f Finding) String() string {
	return fmt.Sprintf("%s: device %s, mailbox %s, item %s: %s (journal %d)", f.Kind, f.Device, f.Mailbox, f.Item, f.Why, f.Seq)
}

// Report is the verdict over one run.
type Report struct {
	Mails      int       `json:"mails"`
	Expected   int       `json:"expected"`   // (mail, device) pairs that the promise covers
	Delivered  int       `json:"delivered"`  // of these, accepted by the provider
	Suppressed int       `json:"suppressed"` // of these, explained by a receipt
	Waived     int       `json:"waived"`     // of these, neither: the device was wiped before
	Repeats    int       `json:"repeats"`    // accepted again with the same ID: allowed
	Findings   []Finding `json:"findings"`
	Latencies  []Latency `json:"-"` // of Delivered, in order of arrival
}

// Latency is how long a mail took to a device.
type Latency struct {
	Arrived time.Time     // in the mailbox
	Took    time.Duration // until the provider first accepted its push
}

// Count is the number of findings of a kind.
func (r Report) Count(kind string) int {
	n := 0
	for _, f := range r.Findings {
		if f.Kind == kind {
			n++
		}
	}
	return n
}

// OK says that the promise was kept.
func (r Report) OK() bool { return len(r.Findings) == 0 }

func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d mails, %d expected pushes: %d delivered, %d suppressed, %d waived by a wipe, lost %d; duplicated %d, unexpected %d, after wipe %d, wrong content %d, repeats with the same ID %d",
		r.Mails, r.Expected, r.Delivered, r.Suppressed, r.Waived, r.Count("lost"), r.Count("duplicated"), r.Count("unexpected"), r.Count("after-wipe"), r.Count("content"), r.Repeats)
	for i, f := range r.Findings {
		if i == 20 {
			fmt.Fprintf(&b, "\n  … and %d more", len(r.Findings)-i)
			break
		}
		b.WriteString("\n  " + f.String())
	}
	return b.String()
}

// interval is a time during which a device was registered with one address for
// one mailbox. Zero times are open ends.
type interval struct {
	device, mailbox, address    string
	asked, granted, leave, left time.Time
	wiped                       bool // ended by a wipe, not by another registration
}

// covers: the promise holds for a mail that arrived at t.
func (i interval) covers(t time.Time) bool {
	return !i.granted.IsZero() && !t.Before(i.granted) && (i.leave.IsZero() || t.Before(i.leave))
}

// allows: a push for a mail that arrived at t is nothing to complain of.
func (i interval) allows(t time.Time) bool {
	return !t.Before(i.asked.Add(-ClockTolerance)) && (i.left.IsZero() || !t.After(i.left))
}

type pair struct{ device, item string }

// Judge judges a whole journal.
func Judge(entries []journal.Entry) Report {
	o := New()
	o.Read(entries)
	return o.Report()
}

// Oracle judges a journal that is too long to be held: it reads one part after
// the other, in order. Not safe for concurrent use.
type Oracle struct{ h *history }

// New returns an oracle that has read nothing.
func New() *Oracle { return &Oracle{newHistory()} }

// Read takes the next entries of the journal.
func (o *Oracle) Read(entries []journal.Entry) { o.h.read(entries) }

// Last is the sequence number of the newest entry read; those after it are next.
func (o *Oracle) Last() uint64 { return o.h.last }

// Report is the verdict over what was read so far.
func (o *Oracle) Report() Report {
	h := o.h
	r := Report{Mails: len(h.mails)}
	accepted := map[pair][]Push{}
	digests := map[string][]time.Time{} // accepted, by device

	for _, p := range h.pushes {
		mail, known := h.byItem[p.Item]
		var owner *interval
		for _, iv := range h.byAddress[p.Address] {
			if !p.Accepted.Before(iv.asked) && (owner == nil || iv.asked.After(owner.asked)) {
				owner = iv
			}
		}
		f := Finding{Kind: "unexpected", Device: short(p.Address), Mailbox: p.Mailbox, Item: p.Item, Seq: p.Seq}
		switch {
		case owner == nil:
			f.Why = "no device was registered with this address"
		case (p.Digest || p.Update) && p.Mailbox != owner.mailbox:
			f.Device, f.Why = owner.device, "the device is registered for mailbox "+owner.mailbox
		case (p.Digest || p.Update) && !owner.left.IsZero() && p.Accepted.After(owner.left):
			f.Kind, f.Device, f.Why = "after-wipe", owner.device, "accepted after the wipe was confirmed"
		case p.Update && len(p.Lines) > 0:
			f.Device, f.Why = owner.device, "an update lights up"
		case p.Update:
			f.Kind = ""
		case p.Digest:
			f.Kind = ""
			digests[owner.device] = append(digests[owner.device], p.Accepted)
		case !known:
			f.Device, f.Why = owner.device, "no such mail was delivered"
		case mail.Mailbox != p.Mailbox:
			f.Device, f.Why = owner.device, "the mail is in mailbox "+mail.Mailbox
		case !h.anyAllows(owner.device, mail):
			f.Device, f.Why = owner.device, "the device was not registered for this mailbox when the mail arrived"
		case !owner.left.IsZero() && p.Accepted.After(owner.left):
			f.Kind, f.Device, f.Why = "after-wipe", owner.device, "accepted after the wipe was confirmed"
		default:
			f.Kind = ""
			accepted[pair{owner.device, p.Item}] = append(accepted[pair{owner.device, p.Item}], p)
			if why := wrongContent(mail, p); why != "" {
				r.Findings = append(r.Findings, Finding{Kind: "content", Device: owner.device, Mailbox: p.Mailbox, Item: p.Item, Why: why, Seq: p.Seq})
			}
		}
		if f.Kind != "" {
			r.Findings = append(r.Findings, f)
		}
	}

	for _, m := range h.mails {
		for _, device := range h.covered(m) {
			r.Expected++
			k := pair{device, m.Item}
			switch got := accepted[k]; {
			case len(got) > 0:
				r.Delivered++
				r.Latencies = append(r.Latencies, Latency{m.Arrived, got[0].Accepted.Sub(m.Arrived)})
			case h.receipts[k] == reasonDigest && !anyAfter(digests[device], m.Arrived):
				r.Findings = append(r.Findings, Finding{Kind: "lost", Device: device, Mailbox: m.Mailbox, Item: m.Item, Why: "a receipt speaks of a digest, but none was accepted", Seq: m.Seq})
			case h.receipts[k] != "":
				r.Suppressed++
			case h.wipedLater(device, m):
				r.Waived++
			default:
				r.Findings = append(r.Findings, Finding{Kind: "lost", Device: device, Mailbox: m.Mailbox, Item: m.Item, Why: "no push was accepted and no receipt explains it", Seq: m.Seq})
			}
		}
	}
	for k, list := range accepted {
		for _, p := range list[1:] {
			if p.ID == list[0].ID && p.ID != "" {
				r.Repeats++
				continue
			}
			r.Findings = append(r.Findings, Finding{Kind: "duplicated", Device: k.device, Mailbox: p.Mailbox, Item: k.item, Why: "accepted twice with different IDs", Seq: p.Seq})
		}
	}
	sort.SliceStable(r.Findings, func(i, j int) bool { return r.Findings[i].Seq < r.Findings[j].Seq })
	return r
}

// reasonDigest is the receipt of a mail that was announced with others.
const reasonDigest = "announced-together"

func anyAfter(list []time.Time, t time.Time) bool {
	return slices.ContainsFunc(list, func(at time.Time) bool { return !at.Before(t) })
}

func short(s string) string {
	if len(s) > 8 {
		return "…" + s[len(s)-8:]
	}
	return s
}
