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

// BenchmarkStreamOneEventHand is the floor of BenchmarkStreamOneEvent: a loop that
// looks for the three values where it knows them to be, and checks nothing.
func BenchmarkStreamOneEventHand(b *testing.B) {
	text, sub := oneEvent(b)
	r, buf := &endless{text: text}, make([]byte, len(text))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := io.ReadFull(r, buf); err != nil {
			b.Fatal(err)
		}
		id := between(buf, "<t:SubscriptionId>", "<")
		item := between(buf, `<t:ItemId Id="`, `"`)
		if string(id) != string(sub) || item == "" || between(buf, "<t:TimeStamp>", "<") == "" {
			b.Fatal("not found")
		}
	}
}

// BenchmarkGetItemCallHand is the floor of BenchmarkGetItemCall: the same request as
// text, over the same transport by net/http, and the subject looked for in the answer.
func BenchmarkGetItemCallHand(b *testing.B) {
	body := sample(b, "getitem_one_response.xml")
	client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
	})}
	request := strings.Repeat("<m:GetItem>", 90) // about as long as ours
	b.ReportAllocs()
	for b.Loop() {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "https://mail.contoso.test/", strings.NewReader(request))
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Content-Type", "text/xml; charset=utf-8")
		resp, err := client.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		if err != nil || between(text, "<t:Subject>", "<") == "" {
			b.Fatal("no subject", err)
		}
		resp.Body.Close()
	}
}

// between is a copy of what stands between two texts; empty if they are not there.
func between(text []byte, before, after string) string {
	_, rest, _ := bytes.Cut(text, []byte(before))
	value, _, _ := bytes.Cut(rest, []byte(after))
	return string(value)
}
