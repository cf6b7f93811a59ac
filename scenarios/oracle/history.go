package oracle

import (
	"encoding/json"
	"encoding/xml"
	"net/url"
	"strings"

	"mailbell/fakes/journal"
)

// history is what the journal tells, in the oracle's words.
type history struct {
	last     uint64 // sequence number of the newest entry
	mails    []Mail
	byItem   map[string]Mail
	pushes   []Push
	receipts map[pair]string   // reason of a push that was not
	former   map[string]string // the first address of a mailbox that was renamed, by its later ones

	// Every interval, in the order in which they were asked for.
	byDevice, byMailbox, byAddress map[string][]*interval
}

func newHistory() *history {
	return &history{
		byItem: map[string]Mail{}, receipts: map[pair]string{}, former: map[string]string{},
		byDevice: map[string][]*interval{}, byMailbox: map[string][]*interval{}, byAddress: map[string][]*interval{},
	}
}

func (h *history) read(entries []journal.Entry) {
	for _, e := range entries {
		h.last = max(h.last, e.Seq)
		if e.Server == "exchange" && e.Kind == "rename" {
			h.former[e.Mailbox] = h.first(e.Detail["from"])
			continue
		}
		e.Mailbox = h.first(e.Mailbox)
		switch {
		case e.Server == "exchange" && e.Kind == "mail":
			m := Mail{Mailbox: e.Mailbox, Item: e.Item, Subject: e.Detail["subject"], FromName: e.Detail["from_name"], FromAddr: e.Detail["from_addr"], Arrived: e.Time, Seq: e.Seq}
			h.mails = append(h.mails, m)
			h.byItem[m.Item] = m
		case e.Server == "exchange" && e.Kind == "move-item" && e.Detail["folder"] == "inbox":
			// A mail that is moved in may be announced under its new name; none is due.
			if m, ok := h.byItem[e.Detail["from"]]; ok {
				m.Item = e.Item
				h.byItem[e.Item] = m
			}
		case e.Kind == "push" && e.Status == 200 && (e.Server == "apns" || e.Server == "wns"):
			if p, ok := pushOf(e); ok {
				p.Mailbox = h.first(p.Mailbox)
				h.pushes = append(h.pushes, p)
			}
		case e.Server == "device":
			h.device(e)
		}
	}
}

// first is the address that a mailbox had first.
func (h *history) first(address string) string {
	if f, ok := h.former[address]; ok {
		return f
	}
	return address
}

// device follows a device's registrations. A renewal with the same mailbox and
// address goes on with the interval; anything else begins a new one and ends
// the old when it is granted.
func (h *history) device(e journal.Entry) {
	var open *interval
	for _, iv := range h.byDevice[e.Device] {
		if iv.left.IsZero() {
			open = iv // the newest that has not ended
		}
	}
	switch e.Kind {
	case "register":
		if open == nil || open.mailbox != e.Mailbox || open.address != e.Detail["address"] {
			iv := &interval{device: e.Device, mailbox: e.Mailbox, address: e.Detail["address"], asked: e.Time}
			h.byDevice[iv.device] = append(h.byDevice[iv.device], iv)
			h.byMailbox[iv.mailbox] = append(h.byMailbox[iv.mailbox], iv)
			h.byAddress[iv.address] = append(h.byAddress[iv.address], iv)
			if open != nil && open.leave.IsZero() {
				open.leave = e.Time
			}
		}
	case "registered":
		if open == nil || e.Status/100 != 2 {
			return
		}
		if open.granted.IsZero() {
			open.granted = e.Time
		}
		for _, iv := range h.byDevice[e.Device] {
			if iv != open && iv.left.IsZero() {
				iv.left = e.Time
			}
		}
	case "wipe":
		if open != nil && open.leave.IsZero() {
			open.leave, open.wiped = e.Time, true
		}
	case "wiped":
		if open != nil && e.Status/100 == 2 {
			open.left = e.Time
		}
	case "gone": // the provider was told to know the address no more
		if open != nil && open.leave.IsZero() {
			open.leave = e.Time
		}
	case "receipt":
		if e.Detail["verdict"] == "drop" || e.Detail["verdict"] == "forget" {
			h.receipts[pair{e.Device, e.Item}] = e.Reason
		}
	}
}

// covered lists the devices that the promise names for a mail.
func (h *history) covered(m Mail) []string {
	var out []string
	for _, iv := range h.byMailbox[m.Mailbox] {
		if iv.covers(m.Arrived) {
			out = append(out, iv.device)
		}
	}
	return out
}

func (h *history) anyAllows(device string, m Mail) bool {
	for _, iv := range h.byDevice[device] {
		if iv.mailbox == m.Mailbox && iv.allows(m.Arrived) {
			return true
		}
	}
	return false
}

// wipedLater says whether the device was wiped after the mail arrived: what was
// still on its way was then stopped, as it has to be.
func (h *history) wipedLater(device string, m Mail) bool {
	for _, iv := range h.byDevice[device] {
		if iv.mailbox == m.Mailbox && iv.covers(m.Arrived) && iv.wiped {
			return true
		}
	}
	return false
}

// pushOf reads an accepted push that announces a mail; a badge update is none.
func pushOf(e journal.Entry) (Push, bool) {
	p := Push{Provider: e.Server, Address: e.Device, Accepted: e.Time, Seq: e.Seq}
	if e.Server == "apns" {
		var body struct {
			APS struct {
				Alert struct{ Title, Subtitle, Body string }
				Badge json.Number
			} `json:"aps"`
			Mailbell struct {
				ID, Mailbox, Item string
				Digest, Update    bool
			} `json:"mailbell"`
		}
		if json.Unmarshal(e.Body, &body) != nil {
			return p, true // accepted, and about nothing: unexpected
		}
		p.ID, p.Mailbox, p.Item = e.Detail["apns_id"], body.Mailbell.Mailbox, body.Mailbell.Item
		p.Digest, p.Update = body.Mailbell.Digest, body.Mailbell.Update
		p.Title, p.Badge = body.APS.Alert.Title, body.APS.Badge.String()
		p.Lines = nonEmpty(body.APS.Alert.Title, body.APS.Alert.Subtitle, body.APS.Alert.Body)
		return p, true
	}
	if e.Detail["type"] != "wns/toast" || (e.Reason != "" && e.Reason != "received") {
		return p, false
	}
	var text string
	if json.Unmarshal(e.Body, &text) != nil {
		return p, true
	}
	var toast struct {
		Launch string   `xml:"launch,attr"`
		Text   []string `xml:"visual>binding>text"`
	}
	if xml.Unmarshal([]byte(text), &toast) != nil {
		return p, true
	}
	q, err := url.ParseQuery(toast.Launch)
	if err != nil {
		return p, true
	}
	p.ID, p.Mailbox, p.Item, p.Lines = q.Get("id"), q.Get("mailbox"), q.Get("item"), nonEmpty(toast.Text...)
	p.Digest = q.Get("action") == "inbox"
	if len(p.Lines) > 0 {
		p.Title = p.Lines[0]
	}
	return p, true
}

func nonEmpty(list ...string) []string {
	var out []string
	for _, s := range list {
		if strings.TrimSpace(s) != "" {
			out = append(out, s)
		}
	}
	return out
}
