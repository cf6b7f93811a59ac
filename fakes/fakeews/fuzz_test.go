package fakeews

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"mailbell/fakes/exchange"
	faults "mailbell/fakes/fault"
	"mailbell/fakes/iisauth"
)

// FuzzRequest: whatever comes in, the answer is well-formed XML, unless it is
// an HTML error of IIS.
func FuzzRequest(f *testing.F) {
	org, err := exchange.New(exchange.Options{})
	if err != nil {
		f.Fatal(err)
	}
	if err := org.AddMailbox(ada, exchange.MailboxOptions{}); err != nil {
		f.Fatal(err)
	}
	delivered, err := org.Deliver(exchange.Envelope{To: []string{ada}, Raw: []byte("Subject: \x01 <&>\r\n\r\nx")})
	if err != nil {
		f.Fatal(err)
	}
	fake, err := New(Options{Organisation: org, Profile: faults.Calm, Anonymous: &iisauth.Identity{Account: svc, Impersonation: true}})
	if err != nil {
		f.Fatal(err)
	}
	as := ask{as: ada, version: "Exchange2013_SP1"}
	for _, operation := range []string{
		subscribeRequest(inbox, "NewMailEvent", "CreatedEvent"),
		streamRequest(1, "AAA-"),
		getFolderRequest(inbox),
		getItemRequest([]string{"item:Subject", "message:From", "item:Preview"}, delivered[0].Item, "x"),
		syncRequest("", 10),
		syncRequest("H4sIAAAAAAAEAA==", 512),
		`<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>AllProperties</t:BaseShape></m:ItemShape><m:IndexedPageItemView MaxEntriesReturned="2" Offset="0" BasePoint="End"/><m:Restriction><t:And><t:Not><t:IsEqualTo><t:FieldURI FieldURI="message:IsRead"/><t:FieldURIOrConstant><t:Constant Value="true"/></t:FieldURIOrConstant></t:IsEqualTo></t:Not><t:Contains><t:FieldURI FieldURI="item:Subject"/><t:Constant Value="x"/></t:Contains></t:And></m:Restriction><m:ParentFolderIds>` + inbox + `</m:ParentFolderIds></m:FindItem>`,
		`<m:ConvertId DestinationFormat="OwaId"><m:SourceIds><t:AlternateId Format="EwsId" Id="AAMk" Mailbox="x@y"/></m:SourceIds></m:ConvertId>`,
		`<m:ResolveNames><m:UnresolvedEntry>a</m:UnresolvedEntry></m:ResolveNames>`,
		`<m:GetServerTimeZones><m:Ids><t:Id>UTC</t:Id></m:Ids></m:GetServerTimeZones>`,
		`<m:Unsubscribe><m:SubscriptionId>x</m:SubscriptionId></m:Unsubscribe>`,
		"",
	} {
		f.Add([]byte(as.envelope(operation)))
	}
	f.Add([]byte("<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>"))
	f.Add([]byte("\ufeff<a/><b/>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if bytes.Contains(body, []byte("GetStreamingEvents")) && bytes.Contains(body, []byte("EQBle")) {
			t.Skip("an open stream lasts a minute")
		}
		w := httptest.NewRecorder()
		fake.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/EWS/Exchange.asmx", bytes.NewReader(body)))
		if !strings.HasPrefix(w.Header().Get("Content-Type"), "text/xml") {
			t.Fatalf("status %d of type %s", w.Code, w.Header().Get("Content-Type"))
		}
		d := xml.NewDecoder(w.Body)
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				return
			} else if err != nil {
				t.Fatalf("the answer is not XML: %v", err)
			}
		}
	})
}

// BenchmarkGetItem is one item by one request, without network.
func BenchmarkGetItem(b *testing.B) {
	org, err := exchange.New(exchange.Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := org.AddMailbox(ada, exchange.MailboxOptions{}); err != nil {
		b.Fatal(err)
	}
	delivered, err := org.Deliver(exchange.Envelope{To: []string{ada}, Raw: []byte("From: a@b.c\r\nSubject: x\r\n\r\nx")})
	if err != nil {
		b.Fatal(err)
	}
	fake, err := New(Options{Organisation: org, Anonymous: &iisauth.Identity{Account: svc, Impersonation: true}})
	if err != nil {
		b.Fatal(err)
	}
	body := ask{as: ada}.envelope(getItemRequest([]string{"item:Subject", "message:From", "item:DateTimeReceived"}, delivered[0].Item))
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		fake.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/EWS/Exchange.asmx", strings.NewReader(body)))
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
}
