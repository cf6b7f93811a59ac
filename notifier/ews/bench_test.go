package ews

import (
	"bytes"
	"encoding/xml"
	"io"
	"net/http"
	"strings"
	"testing"
)

// oneEvent is an envelope of a stream with one NewMailEvent and IDs of real
// length.
func oneEvent(b *testing.B) (string, SubscriptionID) {
	sub := SubscriptionID(strings.Repeat("DwBiZTEu", 13))
	e := envelopes(b)[1]
	begin := e[:strings.Index(e, "<m:Notification>")]
	begin = begin[strings.Index(begin, "<Envelope"):]
	return begin + `<m:Notification><t:SubscriptionId>` + string(sub) + `</t:SubscriptionId><t:NewMailEvent><t:TimeStamp>2025-03-04T09:15:27Z</t:TimeStamp><t:ItemId Id="` +
		strings.Repeat("AAMkAGI0", 19) + `" ChangeKey="CQAAABYAAAAx"/><t:ParentFolderId Id="` + strings.Repeat("AQMkAGI1", 14) + `" ChangeKey="AQAAAA=="/></t:NewMailEvent></m:Notification>` +
		e[strings.Index(e, "</m:Notifications>"):], sub
}

func BenchmarkStreamOneEvent(b *testing.B) {
	text, sub := oneEvent(b)
	c, err := NewClient(Options{URL: "https://mail.contoso.test/", Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(&endless{text: text}), Request: r}, nil
	})})
	if err != nil {
		b.Fatal(err)
	}
	st, err := c.GetStreamingEvents(b.Context(), Caller{}, StreamRequest{Subscriptions: []SubscriptionID{sub}, Timeout: StreamTimeoutMax})
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		m, err := st.Next()
		if err != nil || m.Notifications[0].Subscription != sub || m.Notifications[0].Events[0].Item == "" {
			b.Fatalf("%+v, %v", m, err)
		}
	}
}

// BenchmarkStreamOneEventEncodingXML is what BenchmarkStreamOneEvent is
// compared with.
func BenchmarkStreamOneEventEncodingXML(b *testing.B) {
	text, _ := oneEvent(b)
	d := xml.NewDecoder(&endless{text: text})
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		var e struct {
			Notifications []struct {
				Subscription string `xml:"SubscriptionId"`
				NewMail      []struct {
					TimeStamp string
					ItemID    struct {
						ID string `xml:"Id,attr"`
					} `xml:"ItemId"`
				} `xml:"NewMailEvent"`
			} `xml:"Body>GetStreamingEventsResponse>ResponseMessages>GetStreamingEventsResponseMessage>Notifications>Notification"`
		}
		if err := d.Decode(&e); err != nil || e.Notifications[0].NewMail[0].ItemID.ID == "" {
			b.Fatalf("%+v, %v", e, err)
		}
	}
}

// BenchmarkGetItem is the decoding of an answer without the transport's work.
func BenchmarkGetItem(b *testing.B) {
	body := sample(b, "getitem_one_response.xml")
	var a answer
	if err := a.read(bytes.NewReader(body), AnswerSizeMax); err != nil {
		b.Fatal(err)
	}
	resp := &http.Response{StatusCode: 200}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		var it Item
		err := a.decode("GetItem", resp, func(s *scanner) {
			var o outcome
			o.begin(s)
			for s.child() {
				switch {
				case o.take(s):
				case s.is("Items"):
					for s.child() {
						it = readItem(s)
					}
				default:
					s.skip()
				}
			}
		})
		if err != nil || it.Subject == "" {
			b.Fatalf("%+v, %v", it, err)
		}
	}
}

// BenchmarkGetItemCall is a whole call over a transport that costs nothing.
func BenchmarkGetItemCall(b *testing.B) {
	body := sample(b, "getitem_one_response.xml")
	c, err := NewClient(Options{URL: "https://mail.contoso.test/", Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
	})})
	if err != nil {
		b.Fatal(err)
	}
	who := Caller{Impersonate: "alice@contoso.com"}
	b.ReportAllocs()
	for b.Loop() {
		if got, err := c.GetItem(b.Context(), who, []ItemID{"AAMkAGI0="}); err != nil || got[0].Err != nil {
			b.Fatal(got, err)
		}
	}
}
