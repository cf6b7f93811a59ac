package fakeapns

import (
	"encoding/json"
	"strings"
	"time"

	"golang.org/x/net/http2"
)

// request is one push as it came in.
type request struct {
	stream       uint32
	arrived      time.Time
	method, path string
	header       map[string]string // apns-… and authorization, first value of each
	duplicate    bool              // one of them came twice
	all          string            // every field in its order, a line each; "" unless Options.JournalHeaders
	body         []byte            // up to PayloadVoIPMax+1 bytes
	bodySize     int
	payload      payload
}

const devicePath = "/3/device/"

// newRequest reads a header block.
func newRequest(f *http2.MetaHeadersFrame, now time.Time, all bool) *request {
	r := &request{stream: f.StreamID, arrived: now, method: f.PseudoValue("method"), path: f.PseudoValue("path"), header: make(map[string]string, 8)}
	if all {
		r.all = wholeHeader(f)
	}
	for _, h := range f.RegularFields() {
		if !strings.HasPrefix(h.Name, "apns-") && h.Name != "authorization" {
			continue
		}
		if _, twice := r.header[h.Name]; twice {
			r.duplicate = true
			continue
		}
		r.header[h.Name] = h.Value
	}
	return r
}

// wholeHeader is the header as it came, without the provider token.
func wholeHeader(f *http2.MetaHeadersFrame) string {
	var b strings.Builder
	for _, h := range f.Fields {
		if h.Name == "authorization" {
			h.Value, _, _ = strings.Cut(h.Value, " ")
			h.Value += " …"
		}
		b.WriteString(h.Name + ": " + h.Value + "\n")
	}
	return b.String()
}

// take adds a piece of the body.
func (r *request) take(b []byte) {
	r.bodySize += len(b)
	if room := PayloadVoIPMax + 1 - len(r.body); len(b) > room {
		b = b[:room]
	}
	r.body = append(r.body, b...)
}

// token is the device token as it stands in the path; "" if there is none.
func (r *request) token() string {
	t, _ := strings.CutPrefix(r.path, devicePath)
	if len(t) == len(r.path) {
		return ""
	}
	return t
}

// pushType is the header's value, with the default that Apple names.
func (r *request) pushType() string {
	if t := r.header["apns-push-type"]; t != "" {
		return t
	}
	return "alert"
}

// payload is what the device needs to know of the body.
type payload struct {
	object  bool // a JSON object with an object "aps" inside
	visible bool // an alert
	badge   *int
	faults  []string // what Apple would not tell about it
}

func readPayload(body []byte, pushType, priority string) payload {
	var p payload
	var outer struct {
		APS map[string]json.RawMessage `json:"aps"`
	}
	if err := json.Unmarshal(body, &outer); err != nil || outer.APS == nil {
		p.faults = append(p.faults, "not an object with aps")
		return p
	}
	p.object = true
	wrong := func(s string) { p.faults = append(p.faults, s) }
	if raw, ok := outer.APS["alert"]; ok {
		switch raw[0] {
		case '"':
			p.visible = string(raw) != `""`
		case '{':
			p.visible = true
			var alert struct {
				Title, Subtitle, Body *string
			}
			if json.Unmarshal(raw, &alert) != nil {
				wrong("alert has a text that is no string")
			}
		default:
			wrong("alert is neither string nor object")
		}
	}
	if raw, ok := outer.APS["badge"]; ok {
		var n int
		if json.Unmarshal(raw, &n) != nil || string(raw) == "null" {
			wrong("badge is not an integer")
		} else {
			p.badge = &n
			if n < 0 {
				wrong("badge is negative")
			}
		}
	}
	for _, key := range []string{"category", "thread-id", "interruption-level", "target-content-id"} {
		if raw, ok := outer.APS[key]; ok && raw[0] != '"' {
			wrong(key + " is not a string")
		}
	}
	if raw, ok := outer.APS["sound"]; ok && raw[0] != '"' && raw[0] != '{' {
		wrong("sound is neither string nor object")
	}
	if string(outer.APS["content-available"]) == "1" && !p.visible && priority == "10" {
		wrong("content-available alone with priority 10")
	}
	if pushType == "background" && (p.visible || p.badge != nil || outer.APS["sound"] != nil) {
		wrong("background with alert, badge or sound")
	}
	return p
}
