package fakeews

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mailbell/fakes/exchange"
	faults "mailbell/fakes/fault"
	"mailbell/fakes/iisauth"
)

// FuzzRequest: whatever comes in, there is an answer within a second, it is
// well-formed XML, and it is either an answer of EWS or a fault; what is no XML is
// told so by the fault for it.
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
			return // it might open a stream, which lasts a minute; streams have tests of their own, in virtual time
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		w := httptest.NewRecorder()
		fake.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/EWS/Exchange.asmx", bytes.NewReader(body)))
		if ctx.Err() != nil {
			t.Fatal("no answer within a second")
		}
		if !strings.HasPrefix(w.Header().Get("Content-Type"), "text/xml") {
			t.Fatalf("status %d of type %s", w.Code, w.Header().Get("Content-Type"))
		}
		answer := w.Body.Bytes()
		if err := wellFormed(answer); err != nil {
			t.Fatalf("the answer is not XML: %v", err)
		}
		isFault := bytes.Contains(answer, []byte("<s:Fault>"))
		if isFault != (w.Code == http.StatusInternalServerError) || !isFault && w.Code != http.StatusOK {
			t.Fatalf("status %d with %s", w.Code, answer)
		}
		if wellFormed(body) != nil && !bytes.Contains(answer, []byte(">a:ErrorSchemaValidation<")) {
			t.Fatalf("not XML, and the answer is %s", answer)
		}
	})
}

func wellFormed(document []byte) error {
	d := xml.NewDecoder(bytes.NewReader(document))
	for elements := 0; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && elements > 0 {
			return nil
		}
		if err != nil {
			return err
		}
		if _, ok := token.(xml.StartElement); ok {
			elements++
		}
	}
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
