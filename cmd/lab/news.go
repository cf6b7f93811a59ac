package main

import (
	"fmt"
	"strings"

	"mailbell/fakes/journal"
)

// news tells what happens besides mail: logins, subscriptions, streams, moves,
// faults. Things that repeat with every request are told once.
func (t *trail) news(e journal.Entry) []event {
	say := func(kind, format string, args ...any) []event {
		return []event{newsEvent{At: e.Time, Kind: kind, Text: fmt.Sprintf(format, args...)}}
	}
	switch e.Server + " " + e.Kind {
	case "device registered":
		if e.Status/100 == 2 {
			return say("good", "%s registered for %s", e.Device, e.Mailbox)
		}
		return say("bad", "registration of %s refused: %d", e.Device, e.Status)
	case "autodiscover request":
		return t.discovered(e, say)
	case "iis auth":
		return t.loggedIn(e, say)
	case "ews request":
		return t.subscribed(e, say)
	case "ews stream-end":
		if _, open := t.streams[e.Conn]; !open {
			return nil // it was ended with the notifier
		}
		delete(t.streams, e.Conn)
		return say(badUnless(e.Reason == "client" || e.Reason == "timeout"), "stream on %s ended: %s", e.Detail["server"], endings[e.Reason])
	case "ews stream-error":
		return say("bad", "stream told an error%s: %s", of(e.Mailbox), e.Reason)
	case "exchange restart":
		return say("bad", "Exchange server %s restarted", e.Detail["server"])
	case "exchange cut":
		return say("bad", "%s cut", count(e.Detail["streams"], "stream"))
	case "exchange move":
		return say("bad", "%s moves from %s to %s", e.Mailbox, e.Detail["from"], e.Detail["to"])
	case "wns-token token":
		if e.Status == 200 {
			return say("good", "WNS gave the sender a token")
		}
		return say("bad", "WNS refused the sender a token: %d %s", e.Status, e.Reason)
	case "entra token":
		if e.Status == 200 {
			return say("good", "Office 365 gave the listener a token")
		}
	}
	return nil
}

// endings are the reasons for the end of a stream, for people.
var endings = map[string]string{
	"timeout": "its time was up", "empty": "no subscription was left", "cut": "cut", "client": "the notifier let go of it",
	"fault": "a fault struck", "closing": "Exchange shuts down",
}

func badUnless(expected bool) string {
	if expected {
		return "good"
	}
	return "bad"
}

type sayer func(kind, format string, args ...any) []event

func (t *trail) discovered(e journal.Entry, say sayer) []event {
	if e.Operation != "GetUserSettings" {
		return nil // a probe, or the step before a login
	}
	if e.Status != 200 || e.Reason != "" {
		return say("bad", "Autodiscover refused: %d %s", e.Status, e.Reason)
	}
	return say("good", "Autodiscover found %s%s", count(e.Detail["answered"], "mailbox"), of(e.Mailbox))
}

func (t *trail) loggedIn(e journal.Entry, say sayer) []event {
	switch {
	case e.Account == "":
		return nil // a step of a handshake
	case e.Status != 200:
		return say("bad", "login of %s refused: %s", e.Account, e.Reason)
	}
	key := e.Account + " " + e.Detail["host"]
	if t.logins[key] {
		return nil
	}
	t.logins[key] = true
	return say("good", "%s logged in at %s with %s", e.Account, e.Detail["host"], e.Detail["scheme"])
}

func (t *trail) subscribed(e journal.Entry, say sayer) []event {
	switch {
	case e.Operation == "", e.Operation == "Unsubscribe":
		return nil // the latter often comes too late, and then does not matter
	case e.Status != 200 || e.Reason != "":
		return say("bad", "%s%s refused: %d %s", e.Operation, of(e.Mailbox), e.Status, e.Reason)
	case e.Operation == "Subscribe":
		t.mailboxes[e.Mailbox] = true
		return say("good", "subscribed to %s on %s", e.Mailbox, e.Detail["server"])
	case e.Operation == "GetStreamingEvents":
		n := 0
		_, _ = fmt.Sscan(e.Detail["subscriptions"], &n) // 0 when it says nothing
		t.streams[e.Conn] = n
		return say("good", "stream opened on %s with %s", e.Detail["server"], count(e.Detail["subscriptions"], "subscription"))
	}
	return nil
}

// notifierEnded forgets what ended with the notifier's process.
func (t *trail) notifierEnded() {
	clear(t.streams)
	clear(t.logins)
	clear(t.mailboxes)
}

// streaming is the number of subscriptions that open streams read.
func (t *trail) streaming() int {
	n := 0
	for _, subscriptions := range t.streams {
		n += subscriptions
	}
	return n
}

func of(mailbox string) string {
	if mailbox == "" {
		return ""
	}
	return " for " + mailbox
}

// count is "1 stream", "2 streams", "2 mailboxes".
func count[N int | string](n N, noun string) string {
	s := fmt.Sprint(n)
	if s != "1" {
		if strings.HasSuffix(noun, "x") {
			noun += "e"
		}
		noun += "s"
	}
	return s + " " + noun
}
