package compose

import (
	"bytes"
	"encoding/xml"
	"net/url"
	"strings"
	"time"

	"mailbell/notifier"
)

// toast is the XML for a Windows device ("App notification content schema",
// Microsoft).
type toast struct {
	XMLName xml.Name     `xml:"toast"`
	Launch  string       `xml:"launch,attr"`
	Time    string       `xml:"displayTimestamp,attr,omitempty"`
	Binding toastBinding `xml:"visual>binding"`
	Audio   toastAudio   `xml:"audio"`
}

// toastBinding has at most three texts, and one more as attribution.
type toastBinding struct {
	Template string      `xml:"template,attr"`
	Texts    []toastText `xml:"text"`
}

type toastText struct {
	MaxLines  string `xml:"hint-maxLines,attr,omitempty"`
	Placement string `xml:"placement,attr,omitempty"`
	Text      string `xml:",chardata"`
}

type toastAudio struct {
	Source string `xml:"src,attr,omitempty"`
	Silent string `xml:"silent,attr,omitempty"`
}

const (
	toastTemplate    = "ToastGeneric"
	toastAttribution = "attribution"
	toastSound       = "ms-winsoundevent:Notification.Mail"
)

// renderWNS makes the toast: sender, subject, preview, and the mailbox as
// attribution where anything may be shown. WNS does not look at the XML and
// the device drops what it dislikes without a word, so it has to be right by
// construction.
func renderWNS(n notifier.Notification, d Decision, t text) ([]byte, error) {
	x := toast{Launch: launch(n), Audio: toastAudio{Source: toastSound}}
	if !n.Message.Received.IsZero() {
		x.Time = n.Message.Received.UTC().Format(time.RFC3339)
	}
	if d.Silent {
		x.Audio = toastAudio{Silent: "true"}
	}
	marshal := func() []byte {
		x.Binding = toastBinding{toastTemplate, []toastText{{MaxLines: "1", Text: t.sender}, {Text: t.subject}}}
		if t.preview != "" {
			x.Binding.Texts = append(x.Binding.Texts, toastText{Text: t.preview})
		}
		if d.Show != ShowNothing {
			x.Binding.Texts = append(x.Binding.Texts, toastText{Placement: toastAttribution, Text: string(n.Mailbox)})
		}
		return marshalXML(x)
	}
	out := fit(WNSPayloadMax, marshal, xmlCost, &t.preview, &t.subject, &t.sender)
	if out == nil {
		return nil, errTooLarge
	}
	return out, nil
}

// launch is what the app gets when the toast is activated; on a cold start it
// is the only thing. Its values are percent-encoded.
func launch(n notifier.Notification) string {
	if n.Digest() {
		return "action=inbox&id=" + escape(string(n.ID)) + "&mailbox=" + escape(string(n.Mailbox))
	}
	return "action=open&id=" + escape(string(n.ID)) + "&mailbox=" + escape(string(n.Mailbox)) + "&item=" + escape(string(n.Message.Item))
}

// escape percent-encodes everything but unreserved characters (RFC 3986
// "Unreserved Characters").
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// marshalXML encodes; the types of this package always do.
func marshalXML(v any) []byte {
	b, err := xml.Marshal(v)
	if err != nil {
		panic("compose: " + err.Error())
	}
	return b
}

func xmlCost(s string) int {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a Buffer does not fail
	return b.Len()
}
