package main

import (
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"mailbell/fakes/journal"
)

// push is what a provider was asked to show, as its journal entry tells.
type push struct {
	ID      string // the same in repeats
	Item    string // the mail it announces; empty for a badge alone
	Lines   []string
	Badge   string // the count, or "" for none
	Payload []byte
}

// accepted says whether a provider took the push on.
func accepted(e journal.Entry) bool {
	return e.Status == http.StatusOK && (e.Server == "apns" || e.Reason == "" || e.Reason == "received")
}

// readPush reads an entry of kind "push" of either provider.
func readPush(e journal.Entry) (push, bool) {
	switch {
	case e.Server == "apns":
		return readAPNs(e)
	case e.Detail["type"] == "wns/toast":
		return readToast(e)
	case e.Detail["type"] == "wns/badge":
		return readBadge(e)
	}
	return push{}, false
}

func readAPNs(e journal.Entry) (push, bool) {
	var p struct {
		APS struct {
			Alert struct{ Title, Subtitle, Body string }
			Badge *int
		}
		Mailbell struct{ ID, Item string }
	}
	if err := json.Unmarshal(e.Body, &p); err != nil {
		return push{}, false
	}
	out := push{ID: p.Mailbell.ID, Item: p.Mailbell.Item, Payload: e.Body}
	for _, line := range []string{p.APS.Alert.Title, p.APS.Alert.Subtitle, p.APS.Alert.Body} {
		if line != "" {
			out.Lines = append(out.Lines, line)
		}
	}
	if p.APS.Badge != nil {
		out.Badge = strconv.Itoa(*p.APS.Badge)
	}
	return out, true
}

func readToast(e journal.Entry) (push, bool) {
	payload, ok := xmlBody(e)
	if !ok {
		return push{}, false
	}
	var t struct {
		Launch string `xml:"launch,attr"`
		Text   []struct {
			Placement string `xml:"placement,attr"`
			Line      string `xml:",chardata"`
		} `xml:"visual>binding>text"`
	}
	if err := xml.Unmarshal(payload, &t); err != nil {
		return push{}, false
	}
	q, err := url.ParseQuery(t.Launch)
	if err != nil {
		return push{}, false
	}
	out := push{ID: q.Get("id"), Item: q.Get("item"), Payload: payload}
	for _, line := range t.Text {
		if line.Placement == "" && line.Line != "" { // the attribution is no part of the message
			out.Lines = append(out.Lines, line.Line)
		}
	}
	return out, true
}

func readBadge(e journal.Entry) (push, bool) {
	payload, ok := xmlBody(e)
	if !ok {
		return push{}, false
	}
	var b struct {
		Value string `xml:"value,attr"`
	}
	if err := xml.Unmarshal(payload, &b); err != nil {
		return push{}, false
	}
	return push{Badge: strings.TrimSpace(b.Value), Payload: payload}, true
}

func xmlBody(e journal.Entry) ([]byte, bool) {
	var text string
	err := json.Unmarshal(e.Body, &text)
	return []byte(text), err == nil
}
