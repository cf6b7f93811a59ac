package oracle

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"mailbell/fakes/journal"
)

// story forges a journal.
type story struct {
	j   *journal.Journal
	now time.Time
}

func tell() *story {
	return &story{journal.New(), time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
}

func (s *story) after(d time.Duration) *story { s.now = s.now.Add(d); return s }

func (s *story) add(e journal.Entry) *story {
	s.after(time.Second)
	e.Time = s.now
	s.j.Append(e)
	return s
}

func (s *story) device(kind, id, mailbox, address string, status int) *story {
	return s.add(journal.Entry{Server: "device", Kind: kind, Device: id, Mailbox: mailbox, Status: status, Detail: map[string]string{"address": address}})
}

func (s *story) registered(id, mailbox, address string) *story {
	return s.device("register", id, mailbox, address, 0).device("registered", id, mailbox, address, 201)
}

func (s *story) mail(mailbox, item, subject string) *story {
	return s.add(journal.Entry{Server: "exchange", Kind: "mail", Mailbox: mailbox, Item: item, Detail: map[string]string{"subject": subject, "from_name": "Ada"}})
}

func (s *story) apns(token, id, mailbox, item, subject string) *story {
	body, _ := json.Marshal(map[string]any{
		"aps":      map[string]any{"alert": map[string]string{"title": "Ada", "body": subject}},
		"mailbell": map[string]string{"id": "n1", "mailbox": mailbox, "item": item},
	})
	return s.add(journal.Entry{Server: "apns", Kind: "push", Device: token, Status: 200, Detail: map[string]string{"apns_id": id}, Body: body})
}

func (s *story) wns(channel, id, mailbox, item, subject string) *story {
	body, _ := json.Marshal(fmt.Sprintf(`<toast launch="action=open&amp;id=%s&amp;mailbox=%s&amp;item=%s"><visual><binding template="ToastGeneric"><text>Ada</text><text>%s</text></binding></visual></toast>`, id, mailbox, item, subject))
	return s.add(journal.Entry{Server: "wns", Kind: "push", Device: channel, Status: 200, Reason: "received", Detail: map[string]string{"type": "wns/toast"}, Body: body})
}

const (
	box   = "a@x.test"
	token = "aabb"
)

// apnsDigest has APNs accept a digest.
func (s *story) apnsDigest(token, mailbox string) *story {
	return s.add(journal.Entry{Server: "apns", Kind: "push", Device: token, Status: 200, Body: json.RawMessage(`{"aps":{"alert":{"title":"Many new messages"}},"mailbell":{"id":"n1","mailbox":"` + mailbox + `","item":"","digest":true}}`)})
}

// apnsUpdate has APNs accept an update of the badge.
func (s *story) apnsUpdate(token, mailbox, more string) *story {
	return s.add(journal.Entry{Server: "apns", Kind: "push", Device: token, Status: 200, Body: json.RawMessage(`{"aps":{` + more + `"badge":3},"mailbell":{"mailbox":"` + mailbox + `","update":true}}`)})
}

func digestReceipt(device, item string) journal.Entry {
	return journal.Entry{Server: "device", Kind: "receipt", Device: device, Item: item, Reason: reasonDigest, Detail: map[string]string{"verdict": "drop"}}
}

// good is a story in which the promise is kept.
func good() *story { return tell().registered("d1", box, token) }

func TestAKeptPromiseHasNoFindings(t *testing.T) {
	r := Judge(good().mail(box, "i1", "#1").apns(token, "u1", box, "i1", "#1").registered("d2", box, "https://c").mail(box, "i2", "#2").apns(token, "u2", box, "i2", "#2").wns("https://c", "n2", box, "i2", "#2").j.After(0))
	if !r.OK() || r.Mails != 2 || r.Expected != 3 || r.Delivered != 3 || len(r.Latencies) != 3 {
		t.Errorf("%s", r)
	}
}

func TestViolationsAreFound(t *testing.T) {
	for _, c := range []struct {
		name, kind string
		story      *story
	}{
		{"a mail without a push", "lost", good().mail(box, "i1", "#1")},
		{"a mail of two devices with one push", "lost", good().registered("d2", box, "ccdd").mail(box, "i1", "#1").apns(token, "u", box, "i1", "#1")},
		{"a push that the provider refused", "lost", good().mail(box, "i1", "#1").add(journal.Entry{Server: "apns", Kind: "push", Device: token, Status: 503})},
		{"a toast that WNS dropped", "lost", tell().registered("d1", box, "https://c").mail(box, "i1", "#1").add(journal.Entry{Server: "wns", Kind: "push", Device: "https://c", Status: 200, Reason: "dropped", Detail: map[string]string{"type": "wns/toast"}})},
		{"only a badge", "lost", tell().registered("d1", box, "https://c").mail(box, "i1", "#1").add(journal.Entry{Server: "wns", Kind: "push", Device: "https://c", Status: 200, Reason: "received", Detail: map[string]string{"type": "wns/badge"}})},
		{"a push to the old token after a new one was registered", "lost", good().registered("d1", box, "eeff").mail(box, "i1", "#1")},
		{"a receipt that speaks of a digest that never was", "lost", good().mail(box, "i1", "#1").add(digestReceipt("d1", "i1"))},
		{"a digest of before the mail", "lost", good().apnsDigest(token, box).after(time.Second).mail(box, "i1", "#1").add(digestReceipt("d1", "i1"))},
		{"a digest about somebody else's mailbox", "unexpected", good().apnsDigest(token, "b@x.test")},
		{"an update that shows a text", "unexpected", good().apnsUpdate(token, box, `"alert":{"title":"x"},`)},
		{"an update of somebody else's mailbox", "unexpected", good().apnsUpdate(token, "b@x.test", "")},
		{"an update after the wipe", "after-wipe", good().device("wipe", "d1", box, token, 0).device("wiped", "d1", box, token, 204).apnsUpdate(token, box, "")},
		{"an update instead of a push", "lost", good().mail(box, "i1", "#1").apnsUpdate(token, box, "")},
		{"a digest after the wipe", "after-wipe", good().device("wipe", "d1", box, token, 0).device("wiped", "d1", box, token, 204).apnsDigest(token, box)},
		{"two pushes with different IDs", "duplicated", good().mail(box, "i1", "#1").apns(token, "u1", box, "i1", "#1").apns(token, "u2", box, "i1", "#1")},
		{"a push to an address nobody registered", "unexpected", good().mail(box, "i1", "#1").apns(token, "u", box, "i1", "#1").apns("9999", "u", box, "i1", "#1")},
		{"a push about somebody else's mail", "unexpected", good().mail("b@x.test", "i1", "#1").apns(token, "u", "b@x.test", "i1", "#1")},
		{"a push that names the wrong mailbox", "unexpected", good().mail("b@x.test", "i1", "#1").apns(token, "u", box, "i1", "#1")},
		{"a push about a mail that never was", "unexpected", good().apns(token, "u", box, "i9", "#9")},
		{"a push about nothing", "unexpected", good().add(journal.Entry{Server: "apns", Kind: "push", Device: token, Status: 200, Body: json.RawMessage(`{}`)})},
		{"a mail from long before the registration", "unexpected", tell().mail(box, "i1", "#1").after(time.Hour).registered("d1", box, token).apns(token, "u", box, "i1", "#1")},
		{"a push after the wipe was confirmed", "after-wipe", good().mail(box, "i1", "#1").device("wipe", "d1", box, token, 0).device("wiped", "d1", box, token, 204).apns(token, "u", box, "i1", "#1")},
		{"another mail's text", "content", good().mail(box, "i1", "#1").apns(token, "u", box, "i1", "#2")},
		{"an empty notification", "content", good().mail(box, "i1", "#1").add(journal.Entry{Server: "apns", Kind: "push", Device: token, Status: 200, Detail: map[string]string{"apns_id": "u"}, Body: json.RawMessage(`{"aps":{},"mailbell":{"mailbox":"a@x.test","item":"i1"}}`)})},
		{"a text cut inside a character", "content", good().mail(box, "i1", "日本").apns(token, "u", box, "i1", "日\uFFFD")},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Judge(c.story.j.After(0))
			if r.Count(c.kind) == 0 {
				t.Errorf("not found: %s", r)
			}
			for _, f := range r.Findings {
				if f.Kind != c.kind {
					t.Errorf("also found %s", f)
				}
			}
		})
	}
}

func TestWhatIsAllowedIsNotComplainedOf(t *testing.T) {
	for name, s := range map[string]*story{
		"a repeat with the same ID":                     good().mail(box, "i1", "#1").apns(token, "u", box, "i1", "#1").apns(token, "u", box, "i1", "#1"),
		"an update":                                     good().mail(box, "i1", "#1").apns(token, "u", box, "i1", "#1").apnsUpdate(token, box, ""),
		"a digest instead of pushes":                    good().mail(box, "i1", "#1").mail(box, "i2", "#2").apnsDigest(token, box).add(digestReceipt("d1", "i1")).add(digestReceipt("d1", "i2")),
		"a receipt instead of a push":                   good().mail(box, "i1", "#1").add(journal.Entry{Server: "device", Kind: "receipt", Device: "d1", Item: "i1", Reason: "policy:suppressed", Detail: map[string]string{"verdict": "drop"}}),
		"a mail before the registration was answered":   tell().device("register", "d1", box, token, 0).mail(box, "i1", "#1").device("registered", "d1", box, token, 201),
		"the same, announced":                           tell().device("register", "d1", box, token, 0).mail(box, "i1", "#1").device("registered", "d1", box, token, 201).apns(token, "u", box, "i1", "#1"),
		"a mail while the wipe is under way":            good().device("wipe", "d1", box, token, 0).mail(box, "i1", "#1").device("wiped", "d1", box, token, 204),
		"a refused registration":                        tell().device("register", "d1", box, token, 0).device("registered", "d1", box, token, 403).mail(box, "i1", "#1"),
		"a mail after the provider knew the token dead": good().device("gone", "d1", box, token, 0).mail(box, "i1", "#1"),
		"a shortened subject":                           good().mail(box, "i1", "#1 "+strings.Repeat("long ", 50)).apns(token, "u", box, "i1", "#1 long long…"),
		"a text that policy hid":                        good().mail(box, "i1", "#1").apns(token, "u", box, "i1", "New mail"),
		"a device that came back":                       good().device("wipe", "d1", box, token, 0).device("wiped", "d1", box, token, 204).registered("d1", box, token).mail(box, "i1", "#1").apns(token, "u", box, "i1", "#1"),
		"a mail that arrived before a new token":        good().mail(box, "i1", "#1").registered("d1", box, "eeff").apns("eeff", "u", box, "i1", "#1"),
	} {
		t.Run(name, func(t *testing.T) {
			if r := Judge(s.j.After(0)); !r.OK() {
				t.Errorf("%s", r)
			}
		})
	}
}
