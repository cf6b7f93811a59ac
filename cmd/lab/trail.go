package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"mailbell/fakes/journal"
)

// Limits of what a trail remembers.
const (
	mailsMax     = 500 // mails followed; the oldest are forgotten first
	hopsMax      = 40  // hops of one mail: two and a push for each device, and different refusals
	latenciesMax = 200 // pushes that the median is taken over
)

// Kinds of hop, as the page's style sheet knows them.
const (
	hopTold = "told" // by the stream, or found by comparing
	hopRead = "read" // GetItem
	hopPush = "push" // accepted by its provider
	hopBad  = "bad"  // refused
)

// mail is a mail in one mailbox and what became of it.
type mail struct {
	Item, Mailbox          string
	Subject, Name, Address string // as Exchange understood the message
	MessageID              string
	Arrived                time.Time
	Hops                   []hop
	shown                  map[string][]push // by device ID: what was accepted, in order
}

// hop is one step of a mail on its way.
type hop struct {
	Kind   string
	Name   string
	Detail string
	Device string        // device ID, for pushes
	After  time.Duration // since the mail arrived; of the first time
	Times  int           // how often; refusals repeat
}

// has says whether there is a hop of the kind, for the device.
func (m *mail) has(kind, device string) bool { return m.hop(kind, device) != nil }

// hop is the first hop of the kind, for the device; nil when there is none.
func (m *mail) hop(kind, device string) *hop {
	for i := range m.Hops {
		if m.Hops[i].Kind == kind && m.Hops[i].Device == device {
			return &m.Hops[i]
		}
	}
	return nil
}

// trail follows mails through the journal. It is used from one goroutine at a
// time.
type trail struct {
	devices   map[string]*device // by address
	mails     map[string]*mail   // by item
	order     []*mail            // oldest first
	streams   map[uint64]int     // open streams: connection → subscriptions
	logins    map[string]bool    // accounts that were let in
	mailboxes map[string]bool    // that were subscribed to
	latencies []time.Duration    // of the newest pushes, oldest first
}

// newTrail follows the mails of these devices.
func newTrail(devices []*device) *trail {
	t := &trail{
		devices: map[string]*device{}, mails: map[string]*mail{}, streams: map[uint64]int{},
		logins: map[string]bool{}, mailboxes: map[string]bool{},
	}
	for _, d := range devices {
		t.devices[d.Address()] = d
	}
	return t
}

// follow takes the journal's next entry and returns what the page has to be
// told of it.
func (t *trail) follow(e journal.Entry) []event {
	switch {
	case e.Server == "exchange" && e.Kind == "mail":
		return t.arrived(e)
	case e.Kind == "push" && (e.Server == "apns" || e.Server == "wns"):
		return t.pushed(e)
	case e.Server == "ews" && e.Kind == "notification":
		return t.told(t.mails[e.Item], e.Time)
	case e.Server == "ews" && e.Kind == "request":
		return t.asked(e)
	}
	return t.news(e)
}

func (t *trail) arrived(e journal.Entry) []event {
	m := &mail{
		Item: e.Item, Mailbox: e.Mailbox, Subject: e.Detail["subject"], Name: e.Detail["from_name"], Address: e.Detail["from_addr"],
		MessageID: e.Detail["message_id"], Arrived: e.Time, shown: map[string][]push{},
	}
	t.mails[m.Item] = m
	t.order = append(t.order, m)
	if len(t.order) > mailsMax {
		delete(t.mails, t.order[0].Item)
		t.order = slices.Delete(t.order, 0, 1)
	}
	from := m.Name
	if from == "" {
		from = m.Address
	}
	return []event{mailEvent{Item: m.Item, Subject: m.Subject, From: from, Mailbox: m.Mailbox}}
}

// asked follows a request to Exchange Web Services.
func (t *trail) asked(e journal.Entry) []event {
	switch {
	case e.Status != 200 || e.Reason != "":
		return t.news(e)
	case e.Operation == "GetItem":
		// The entry names the first of the items asked for.
		h := hop{Kind: hopRead, Name: "read (GetItem)", Detail: e.Detail["items"] + " asked for, on " + e.Detail["server"]}
		return t.hop(t.mails[e.Item], h, e.Time)
	case e.Operation == "FindItem", e.Operation == "SyncFolderItems":
		var out []event
		for _, m := range t.order {
			if m.Mailbox == e.Mailbox && !m.has(hopTold, "") {
				out = append(out, t.hop(m, hop{Kind: hopTold, Name: "found by comparing (" + e.Operation + ")"}, e.Time)...)
			}
		}
		return out
	}
	return t.news(e)
}

// told follows an event to the stream. Its entry is written when the bytes are
// out, and the notifier may have acted on them by then.
func (t *trail) told(m *mail, at time.Time) []event {
	if m == nil {
		return nil
	}
	if read := m.hop(hopRead, ""); read != nil {
		if first := m.Arrived.Add(read.After); first.Before(at) {
			at = first
		}
	}
	return t.hop(m, hop{Kind: hopTold, Name: "told by the stream"}, at)
}

// hop adds a step that a mail takes once.
func (t *trail) hop(m *mail, h hop, at time.Time) []event {
	if m == nil || m.has(h.Kind, h.Device) || at.Before(m.Arrived) {
		return nil
	}
	return t.add(m, h, at)
}

func (t *trail) add(m *mail, h hop, at time.Time) []event {
	for i := range m.Hops {
		if have := &m.Hops[i]; have.Kind == h.Kind && have.Name == h.Name {
			have.Times++
			return []event{m.event(*have)}
		}
	}
	if len(m.Hops) >= hopsMax {
		return nil
	}
	h.After, h.Times = max(0, at.Sub(m.Arrived)), 1
	m.Hops = append(m.Hops, h)
	return []event{m.event(h)}
}

func (m *mail) event(h hop) event {
	return hopEvent{Item: m.Item, Kind: h.Kind, Name: h.Name, Detail: h.Detail, MS: milliseconds(h.After), Times: h.Times}
}

// providers are the servers' names for people.
var providers = map[string]string{"apns": "APNs", "wns": "WNS"}

func (t *trail) pushed(e journal.Entry) []event {
	p, ok := readPush(e)
	d := t.devices[e.Device]
	if !ok || d == nil {
		return nil
	}
	provider := providers[e.Server]
	m := t.mails[p.Item]
	if p.Item == "" && accepted(e) {
		return []event{badgeEvent{Device: d.ID, Badge: p.Badge}}
	}
	if m == nil {
		return nil
	}
	if !accepted(e) {
		why := strings.TrimSpace(fmt.Sprintf("%d %s", e.Status, e.Reason))
		return t.add(m, hop{Kind: hopBad, Name: fmt.Sprintf("%s: %s said %s", d.Name, provider, why), Device: d.ID}, e.Time)
	}
	before := m.shown[d.ID]
	if len(before) < hopsMax {
		m.shown[d.ID] = append(before, p)
	}
	if len(before) > 0 {
		if before[0].ID == p.ID {
			return nil // the device shows a repeat once
		}
		return t.add(m, hop{Kind: hopBad, Name: d.Name + ": pushed again as another", Device: d.ID}, e.Time)
	}
	out := t.add(m, hop{Kind: hopPush, Name: fmt.Sprintf("%s: %s accepted", d.Name, provider), Detail: e.Detail["effect"], Device: d.ID}, e.Time)
	took := max(0, e.Time.Sub(m.Arrived))
	t.latencies = append(t.latencies, took)
	if len(t.latencies) > latenciesMax {
		t.latencies = slices.Delete(t.latencies, 0, 1)
	}
	return append(out, pushEvent{Device: d.ID, Item: m.Item, Lines: p.Lines, Badge: p.Badge, MS: milliseconds(took)})
}

// median is the p50 of the newest pushes, from arrival; false without any.
func (t *trail) median() (time.Duration, bool) {
	if len(t.latencies) == 0 {
		return 0, false
	}
	sorted := slices.Sorted(slices.Values(t.latencies))
	return sorted[(len(sorted)-1)/2], true
}

// milliseconds are for people: tenths below ten, whole ones above.
func milliseconds(d time.Duration) float64 {
	ms := float64(d) / float64(time.Millisecond)
	if ms < 10 {
		return float64(int(ms*10+0.5)) / 10
	}
	return float64(int(ms + 0.5))
}
