package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// What the notifier says in place of what it cannot or may not show.
var (
	noSubject   = map[string]string{"en": "(no subject)", "ja": "(件名なし)", "de": "(kein Betreff)", "fr": "(sans objet)"}
	hiddenLines = map[string][]string{
		"en": {"New message", "Open your mail app to read it."},
		"ja": {"新着メール", "メールアプリを開いてご確認ください。"},
		"de": {"Neue Nachricht", "Zum Lesen die Mail-App öffnen."},
		"fr": {"Nouveau message", "Ouvrez votre application de messagerie pour le lire."},
	}
)

// Limits of payloads, near which a text may be shortened.
const (
	apnsPayloadMax = 4096 // bytes (Apple "Generating a remote notification")
	wnsPayloadMax  = 5000 // bytes (WNS "Push notification service request and response headers")
	shortenedSlack = 64   // bytes that shortening may leave free: a grapheme is not cut
)

// verdict is what became of the story's letters.
type verdict struct {
	Expected int             // pairs of a letter and a device
	Accepted int             // of these, accepted by the provider
	Repeats  int             // accepted again with the same ID: the device shows it once
	Findings []string        // what is not as promised
	Took     []time.Duration // arrival to acceptance, sorted
}

// OK says that everything is as promised.
func (v verdict) OK() bool { return len(v.Findings) == 0 && v.Accepted == v.Expected }

// median and longest of Took; 0 without any.
func (v verdict) median() time.Duration {
	if len(v.Took) == 0 {
		return 0
	}
	return v.Took[(len(v.Took)-1)/2]
}

func (v verdict) longest() time.Duration {
	if len(v.Took) == 0 {
		return 0
	}
	return v.Took[len(v.Took)-1]
}

// judge compares what the journal of the providers says with what was mailed:
// every letter went to every mailbox, so every device shows every letter once,
// character by character. preview says whether Exchange tells the first words.
func judge(t *trail, devices []*device, sent []letter, preview bool) verdict {
	var v verdict
	find := func(format string, args ...any) { v.Findings = append(v.Findings, fmt.Sprintf(format, args...)) }
	known := map[*mail]bool{}
	for i, l := range sent {
		for _, d := range devices {
			v.Expected++
			name := fmt.Sprintf("letter %d (%s), %s", i+1, l.About, d.Name)
			m := t.find(l.ID, d.Mailbox)
			if m == nil {
				find("%s: the mail is not in the mailbox", name)
				continue
			}
			known[m] = true
			if m.Subject != l.Subject || m.Name != l.Name || m.Address != l.Address {
				find("%s: Exchange reads subject %q, sender %q <%s>; %q, %q <%s> was mailed", name, m.Subject, m.Name, m.Address, l.Subject, l.Name, l.Address)
			}
			pushes := m.shown[d.ID]
			if len(pushes) == 0 {
				find("%s: no push was accepted", name)
				continue
			}
			v.Accepted++
			v.Took = append(v.Took, m.hop(hopPush, d.ID).After)
			for _, p := range pushes[1:] {
				if p.ID == pushes[0].ID {
					v.Repeats++
				} else {
					find("%s: accepted twice with different IDs", name)
				}
			}
			for _, p := range pushes {
				if why := compare(l, d, p, preview); why != "" {
					find("%s: %s", name, why)
				}
			}
		}
	}
	for _, m := range t.order {
		for id := range m.shown {
			if i := slices.IndexFunc(devices, func(d *device) bool { return d.ID == id }); i < 0 || devices[i].Mailbox != m.Mailbox {
				find("%s was told of a mail in %s", id, m.Mailbox)
			} else if !known[m] {
				find("%s was told of a mail that is none of the story's", id)
			}
		}
	}
	slices.Sort(v.Took)
	return v
}

// find is the copy of a message in a mailbox; nil when it is not there.
func (t *trail) find(messageID, mailbox string) *mail {
	for _, m := range t.order {
		if m.MessageID == messageID && m.Mailbox == mailbox {
			return m
		}
	}
	return nil
}

// expected is what a device is to show of a letter.
func expected(l letter, d *device, preview bool) []string {
	if d.Hidden {
		return hiddenLines[d.Locale]
	}
	sender, subject := l.Name, l.Subject
	if sender == "" {
		sender = l.Address
	}
	if subject == "" {
		subject = noSubject[d.Locale]
	}
	if !preview {
		return []string{sender, subject}
	}
	return []string{sender, subject, l.Text}
}

// compare says how a push differs from what was mailed, or nothing.
func compare(l letter, d *device, p push, preview bool) string {
	want := expected(l, d, preview)
	if d.Hidden {
		for _, secret := range []string{l.Name, l.Address, l.Subject, l.Text} {
			if secret != "" && strings.Contains(string(p.Payload), secret) {
				return "it shows what policy hides"
			}
		}
	}
	if len(p.Lines) != len(want) {
		return fmt.Sprintf("it shows %d lines %q; want %d %q", len(p.Lines), p.Lines, len(want), want)
	}
	for i, line := range p.Lines {
		if line == want[i] {
			continue
		}
		head, cut := strings.CutSuffix(line, "…")
		if !cut || !strings.HasPrefix(want[i], head) {
			return fmt.Sprintf("line %d is %q; %q was mailed", i+1, line, want[i])
		}
		if limit := payloadMax(d); len(p.Payload) < limit-shortenedSlack {
			return fmt.Sprintf("line %d was shortened although the payload has %d bytes of %d", i+1, len(p.Payload), limit)
		}
	}
	return ""
}

func payloadMax(d *device) int {
	if d.Kind == kindPhone {
		return apnsPayloadMax
	}
	return wnsPayloadMax
}
