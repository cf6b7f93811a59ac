package fakeews

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mailbell/fakes/exchange"
	faults "mailbell/fakes/fault"
	"mailbell/fakes/iisauth"
	"mailbell/fakes/journal"
)

// checklist is the conformance checklist of the fake (package conformance). A
// row runs with the version its set-up names, or with each there is, or with
// each since the one it is from.
//
// Checklist ews: by row [all].
var checklist = []struct {
	number int
	name   string
	setup  setup
	run    func(*testing.T, *site)
}{
	{1, "any path case, prefix and header order; no SOAPAction", setup{}, func(t *testing.T, s *site) {
		body := `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><x:Header xmlns:x="http://schemas.xmlsoap.org/soap/envelope/"><q:ExchangeImpersonation xmlns:q="urn:any"><q:ConnectingSID><q:SmtpAddress>` + ada +
			`</q:SmtpAddress></q:ConnectingSID></q:ExchangeImpersonation><q:RequestServerVersion xmlns:q="urn:any" Version="Exchange2010_SP2"/></x:Header><Body><GetFolder><FolderShape><BaseShape>IdOnly</BaseShape></FolderShape><FolderIds><DistinguishedFolderId Id="inbox"/></FolderIds></GetFolder></Body></Envelope>`
		for _, path := range []string{"/EWS/Exchange.asmx", "/ews/exchange.ASMX"} {
			r := s.do(ask{path: path}, body)
			text, _ := io.ReadAll(r.Body)
			r.Body.Close()
			want(t, path, reply{status: r.StatusCode, body: string(text)}.code(), "NoError")
		}
		want(t, "no operation", s.post(ask{as: ada}, "").code(), "ErrorInvalidRequest")
		want(t, "other path", s.do(ask{path: "/EWS/Services.wsdl"}, "").StatusCode, 404)
	}},
	{2, "a request that nobody authenticated gets 401", setup{}, func(t *testing.T, s *site) {
		r := s.post(ask{account: "-"}, "")
		want(t, "status", r.status, 401)
		want(t, "schemes", len(r.header["Www-Authenticate"]), 2)
		want(t, "connection", r.header.Get("Connection"), "")
	}},
	{3, "Expect: 100-continue is answered, a stream is never compressed", setup{}, func(t *testing.T, s *site) {
		s.client.Transport.(*http.Transport).ExpectContinueTimeout = time.Hour
		began := time.Now()
		id := s.post(ask{as: ada, http: map[string]string{"Expect": "100-continue"}}, subscribeRequest(inbox, "NewMailEvent"))
		want(t, "code", id.code(), "NoError")
		if time.Since(began) > time.Second {
			t.Error("no 100 Continue came")
		}
		st := s.open(ask{as: ada, http: map[string]string{"Accept-Encoding": "gzip, deflate"}}, 1, values(id.body, "SubscriptionId")...).ok()
		want(t, "encoding", st.response.Header.Get("Content-Encoding"), "")
		st.close()
	}},
	{4, "ordinary answers have a declaration, s:Envelope and ServerVersionInfo", setup{organisation: exchange.Options{Version: exchange.V2016}}, func(t *testing.T, s *site) {
		r := s.post(ask{as: ada}, subscribeRequest(inbox, "NewMailEvent"))
		const begin = `<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header><h:ServerVersionInfo MajorVersion="15" MinorVersion="1" MajorBuildNumber="2507" MinorBuildNumber="37" Version="V2017_07_11" xmlns:h="http://schemas.microsoft.com/exchange/services/2006/types"/></s:Header><s:Body><m:SubscribeResponse `
		if !strings.HasPrefix(r.body, begin) {
			t.Errorf("answer begins %.400s", r.body)
		}
		if regexp.MustCompile(`>\s+<`).MatchString(r.body) {
			t.Error("white space between elements")
		}
	}},
	{4, "ServerVersionInfo of 2010", setup{organisation: exchange.Options{Version: exchange.V2010SP2}}, func(t *testing.T, s *site) {
		contains(t, "answer", s.post(ask{as: ada}, getFolderRequest(inbox)).body, `MajorVersion="14" MinorVersion="3" MajorBuildNumber="123" MinorBuildNumber="3" Version="Exchange2010_SP2"`)
	}},
	{5, "Subscribe answers an id and no watermark", setup{}, func(t *testing.T, s *site) {
		r := s.post(ask{as: ada}, subscribeRequest(inbox, "NewMailEvent"))
		contains(t, "answer", r.body, `<m:SubscribeResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode><m:SubscriptionId>`)
		if strings.Contains(r.body, "Watermark") {
			t.Error("there is a watermark")
		}
	}},
	{6, "stream envelopes: unprefixed, no declaration, one a chunk", setup{}, func(t *testing.T, s *site) {
		id := s.subscribe(ada)
		s.mail(ada, "queued")
		conn, err := s.network.Dial(context.Background(), "tcp", "mail.contoso.test:443")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		body := ask{as: ada}.envelope(streamRequest(1, id))
		fmt.Fprintf(conn, "POST /EWS/Exchange.asmx HTTP/1.1\r\nHost: mail\r\nX-Test-Account: svc\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		r := bufio.NewReader(conn)
		var header strings.Builder
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if header.WriteString(line); line == "\r\n" {
				break
			}
		}
		contains(t, "header", header.String(), "HTTP/1.1 200 OK", "Transfer-Encoding: chunked")
		if strings.Contains(header.String(), "Content-Length") {
			t.Error("there is a Content-Length")
		}
		for i, inside := range []string{"<m:ConnectionStatus>OK<", "<m:Notifications>"} {
			var size int
			if _, err := fmt.Fscanf(r, "%x\r\n", &size); err != nil {
				t.Fatal(err)
			}
			chunk := make([]byte, size+2)
			if _, err := io.ReadFull(r, chunk); err != nil {
				t.Fatal(err)
			}
			text := string(chunk[:size])
			const begin = `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><soap11:Header xmlns:soap11="http://schemas.xmlsoap.org/soap/envelope/"><ServerVersionInfo MajorVersion="1`
			if !strings.HasPrefix(text, begin) || !strings.HasSuffix(text, `</soap11:Body></Envelope>`) {
				t.Errorf("chunk %d: %s", i, text)
			}
			contains(t, "chunk", text, inside, `<soap11:Body xmlns:soap11="http://schemas.xmlsoap.org/soap/envelope/"><m:GetStreamingEventsResponse xmlns:m="`)
		}
	}},
	{7, "the first message is OK, at once", setup{}, func(t *testing.T, s *site) {
		began := time.Now()
		st := s.open(ask{as: ada}, 1, s.subscribe(ada))
		defer st.close()
		m := st.must()
		want(t, "class, code, status, events", fmt.Sprint(m.Class, m.Code, m.Status, len(m.Events)), "SuccessNoErrorOK0")
		if time.Since(began) > time.Second {
			t.Errorf("it took %v", time.Since(began))
		}
	}},
	{8, "a mail gives Created, NewMail and the folder's Modified, as subscribed", setup{}, func(t *testing.T, s *site) {
		all := s.subscribe(ada, "CreatedEvent", "NewMailEvent", "ModifiedEvent")
		one := s.subscribe(ada, "NewMailEvent")
		a, b := s.open(ask{as: ada}, 1, all).ok(), s.open(ask{as: ada}, 1, one).ok()
		defer a.close()
		defer b.close()
		item := s.mail(ada, "hello")
		m := a.must()
		want(t, "all", m.kinds(), "CreatedEvent NewMailEvent ModifiedEvent")
		want(t, "unread", m.Events[0].Events[2].Unread, "1")
		folder := regexp.MustCompile(`<t:ModifiedEvent><t:TimeStamp>[^<]+</t:TimeStamp><t:FolderId Id="AQMk[^"]+" ChangeKey="[^"]+"/><t:ParentFolderId Id="AQMk[^"]+" ChangeKey="[^"]+"/><t:UnreadCount>1</t:UnreadCount></t:ModifiedEvent>`)
		if !folder.MatchString(a.raw.String()) {
			t.Errorf("the folder's event: %s", a.raw)
		}
		m = b.must()
		want(t, "one", m.kinds(), "NewMailEvent")
		want(t, "item", m.Events[0].Events[0].Item.ID, item)
		want(t, "time", m.Events[0].Events[0].Time, time.Now().UTC().Format("2006-01-02T15:04:05Z"))
		contains(t, "event", b.raw.String(), "<t:NewMailEvent><t:TimeStamp>", `<t:ItemId Id="`+item+`" ChangeKey="CQAAABY`, `<t:ParentFolderId Id="AQMk`)
	}},
	{8, "an event is told after the event latency", setup{fake: Options{Latency: 3 * time.Second}}, func(t *testing.T, s *site) {
		st := s.open(ask{as: ada}, 1, s.subscribe(ada)).ok()
		defer st.close()
		began := time.Now()
		s.mail(ada, "x")
		want(t, "event", st.must().kinds(), "NewMailEvent")
		want(t, "after", time.Since(began), 3*time.Second)
	}},
	{9, "namespaces of notifications; no watermarks; status and events apart", setup{}, func(t *testing.T, s *site) {
		id := s.subscribe(ada)
		s.mail(ada, "x")
		st := s.open(ask{as: ada}, 1, id).ok()
		defer st.close()
		want(t, "status beside events", st.must().Status, "")
		text := st.raw.String()
		contains(t, "stream", text, "<m:Notifications><m:Notification><t:SubscriptionId>"+id+"</t:SubscriptionId><t:NewMailEvent>")
		for _, not := range []string{"Watermark", "MoreEvents"} {
			if strings.Contains(text, not) {
				t.Errorf("there is %s", not)
			}
		}
	}},
	{10, "at ConnectionTimeout: Closed, EOF; the subscription lives", setup{}, func(t *testing.T, s *site) {
		id := s.subscribe(ada)
		began := time.Now()
		st := s.open(ask{as: ada}, 1, id).ok()
		want(t, "heartbeat", st.must().Status, "OK")
		want(t, "last", st.must().Status, "Closed")
		if _, err := st.next(); !errors.Is(err, io.EOF) {
			t.Errorf("end: %v", err)
		}
		want(t, "time", time.Since(began), time.Minute)
		s.open(ask{as: ada}, 1, id).ok().close()
	}},
	{11, "events before the stream and between streams are kept", setup{}, func(t *testing.T, s *site) {
		id := s.subscribe(ada)
		first := s.mail(ada, "before")
		st := s.open(ask{as: ada}, 1, id).ok()
		want(t, "before", st.must().Events[0].Events[0].Item.ID, first)
		for st.must().Status != "Closed" {
		}
		second := s.mail(ada, "between")
		st = s.open(ask{as: ada}, 1, id).ok()
		defer st.close()
		want(t, "between", st.must().Events[0].Events[0].Item.ID, second)
	}},
	{12, "GetItem answers id by id, in order", setup{}, func(t *testing.T, s *site) {
		a, b := s.mail(ada, "first"), s.mail(ada, "second")
		gone := a[:len(a)-8] + "AAAAAAA="
		r := s.post(ask{as: ada}, getItemRequest([]string{"item:Subject"}, b, gone, a, "nonsense"))
		want(t, "codes", strings.Join(r.codes(), " "), "NoError ErrorItemNotFound NoError ErrorInvalidIdMalformed")
		want(t, "subjects", strings.Join(values(r.body, "Subject"), " "), "second first")
		contains(t, "error", r.body, `<m:GetItemResponseMessage ResponseClass="Error"><m:MessageText>The specified object was not found in the store.</m:MessageText><m:ResponseCode>ErrorItemNotFound</m:ResponseCode><m:DescriptiveLinkKey>0</m:DescriptiveLinkKey><m:Items/></m:GetItemResponseMessage>`)
		if strings.Contains(r.body, "DateTimeReceived") {
			t.Error("a property that was not asked for")
		}
		want(t, "another mailbox's item", s.post(ask{as: bob}, getItemRequest(nil, a)).code(), "ErrorItemNotFound")
	}},
	{13, "ids: opaque, with case, at most 512 bytes, new after a move; folder ids stay", setup{}, func(t *testing.T, s *site) {
		folder := func() string {
			return values(s.post(ask{as: ada}, getFolderRequest(inbox)).body, "FolderId")[0]
		}
		before := folder()
		id := s.mail(ada, "x")
		if !strings.HasPrefix(id, "AAMk") || len(id) > 512 {
			t.Errorf("id %s", id)
		}
		if lower := strings.ToLower(id); s.post(ask{as: ada}, getItemRequest(nil, lower)).code() == "NoError" {
			t.Error("ids are compared without case")
		}
		moved, err := s.org.MoveItem(ada, id, exchange.JunkEmail)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "old id", s.post(ask{as: ada}, getItemRequest(nil, id)).code(), "ErrorItemNotFound")
		want(t, "new id", s.post(ask{as: ada}, getItemRequest(nil, moved)).code(), "NoError")
		want(t, "folder", folder(), before)
	}},
	{14, "faults: 500, no header, faultcode with a:", setup{}, func(t *testing.T, s *site) {
		s.fault(faults.Fault{Name: "ews.busy", Args: map[string]string{"ms": "297749"}})
		r := s.post(ask{as: ada}, subscribeRequest(inbox, "NewMailEvent"))
		want(t, "status", r.status, 500)
		const text = "The server cannot service this request right now. Try again later."
		want(t, "fault", r.body, `<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>`+
			`<faultcode xmlns:a="http://schemas.microsoft.com/exchange/services/2006/types">a:ErrorServerBusy</faultcode><faultstring xml:lang="en-US">`+text+`</faultstring>`+
			`<detail><e:ResponseCode xmlns:e="http://schemas.microsoft.com/exchange/services/2006/errors">ErrorServerBusy</e:ResponseCode><e:Message xmlns:e="http://schemas.microsoft.com/exchange/services/2006/errors">`+text+`</e:Message>`+
			`<t:MessageXml xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"><t:Value Name="BackOffMilliseconds">297749</t:Value></t:MessageXml></detail></s:Fault></s:Body></s:Envelope>`)
	}},
	{15, "impersonation by four identifiers; without right; of nobody", setup{}, func(t *testing.T, s *site) {
		m, _ := s.org.Lookup(exchange.SMTPAddress, ada)
		for _, c := range []struct{ kind, value, code string }{
			{"SmtpAddress", ada, "NoError"},
			{"SmtpAddress", "countess@contoso.test", "NoError"},
			{"PrimarySmtpAddress", ada, "NoError"},
			{"PrincipalName", "ada@corp.contoso.test", "NoError"},
			{"SID", m.SID, "NoError"},
			{"PrimarySmtpAddress", "countess@contoso.test", "ErrorNonPrimarySmtpAddress"},
			{"SmtpAddress", "nobody@contoso.test", "ErrorNonExistentMailbox"},
			{"PrincipalName", "nobody", "ErrorInvalidUserPrincipalName"},
			{"SID", "S-1-0", "ErrorInvalidUserSid"},
			{"SmtpAddress", "", "ErrorInvalidExchangeImpersonationHeaderData"},
			{"Nickname", ada, "ErrorSchemaValidation"},
		} {
			r := s.post(ask{header: "<t:ExchangeImpersonation><t:ConnectingSID><t:" + c.kind + ">" + c.value + "</t:" + c.kind + "></t:ConnectingSID></t:ExchangeImpersonation>"}, getFolderRequest(inbox))
			want(t, c.kind+" "+c.value, r.code(), c.code)
		}
		r := s.post(ask{account: "plain", as: ada}, getFolderRequest(inbox))
		want(t, "without right", r.code(), "ErrorImpersonateUserDenied")
		want(t, "status", r.status, 500)
	}},
	{16, "heartbeats of ConnectionStatus OK", setup{fake: Options{Heartbeat: 10 * time.Second}}, func(t *testing.T, s *site) {
		began := time.Now()
		st := s.open(ask{as: ada}, 1, s.subscribe(ada)).ok()
		defer st.close()
		want(t, "first", st.must().Status, "OK")
		want(t, "after", time.Since(began), 10*time.Second)
		want(t, "second", st.must().Status, "OK")
		want(t, "after", time.Since(began), 20*time.Second)
	}},
	{16, "heartbeats of an empty StatusEvent a subscription", setup{fake: Options{HeartbeatForm: HeartbeatEvent}}, func(t *testing.T, s *site) {
		st := s.open(ask{as: ada}, 1, s.subscribe(ada), s.subscribe(bob)).ok()
		defer st.close()
		want(t, "heartbeat", st.must().kinds(), "StatusEvent StatusEvent")
		contains(t, "stream", st.raw.String(), "<t:StatusEvent/>")
	}},
	{16, "no heartbeats", setup{fake: Options{HeartbeatForm: HeartbeatNone}}, func(t *testing.T, s *site) {
		st := s.open(ask{as: ada}, 2, s.subscribe(ada)).ok()
		want(t, "next", st.must().Status, "Closed")
		st.close()
	}},
	{16, "heartbeats of profile real are irregular, never late", setup{fake: Options{Profile: faults.Real}}, func(t *testing.T, s *site) {
		st := s.open(ask{as: ada}, 30, s.subscribe(ada)).ok()
		defer st.close()
		seen := map[time.Duration]bool{}
		for range 10 {
			began := time.Now()
			want(t, "heartbeat", st.must().Status, "OK")
			took := time.Since(began)
			if seen[took] = true; took > HeartbeatDefault || took < HeartbeatDefault*8/10 {
				t.Errorf("after %v", took)
			}
		}
		if len(seen) < 5 {
			t.Errorf("regular: %v", seen)
		}
	}},
	{17, "at most 50 events a notification; subscriptions share an envelope", setup{}, func(t *testing.T, s *site) {
		a, b := s.subscribe(ada), s.subscribe(bob)
		for i := range 120 {
			s.mail(ada, fmt.Sprint(i))
		}
		s.mail(bob, "x")
		st := s.open(ask{as: ada}, 1, a, b).ok()
		defer st.close()
		m := st.must()
		want(t, "notifications", len(m.Events), 2)
		for total := 0; total < 121; {
			for _, n := range m.Events {
				if len(n.Events) > 50 {
					t.Errorf("%d events in one notification", len(n.Events))
				}
				total += len(n.Events)
			}
			if total < 121 {
				m = st.must()
			}
		}
	}},
	{18, "ConnectionTimeout outside 1 to 30, or no ids", setup{}, func(t *testing.T, s *site) {
		id := s.subscribe(ada)
		for _, request := range []string{
			streamRequest(0, id), streamRequest(31, id), streamRequest(1),
			strings.Replace(streamRequest(1, id), ">1<", ">soon<", 1),
		} {
			r := s.post(ask{as: ada}, request)
			want(t, "code", r.code(), "ErrorSchemaValidation")
			contains(t, "fault", r.body, "<t:LineNumber>1</t:LineNumber><t:LinePosition>", "<t:Violation>")
		}
	}},
	{19, "more than 200 ids", setup{}, func(t *testing.T, s *site) {
		s.org.SetThrottling(false)
		ids := make([]string, 201)
		for i := range ids {
			ids[i] = s.subscribe(ada)
		}
		want(t, "201", s.post(ask{as: ada}, streamRequest(1, ids...)).code(), "ErrorInvalidRequest")
		s.open(ask{as: ada}, 1, ids[:200]...).ok().close()
	}},
	{19, "the fault for more than 200 ids can be chosen", setup{fake: Options{TooManyIDs: "ErrorSchemaValidation"}}, func(t *testing.T, s *site) {
		r := s.post(ask{as: ada}, streamRequest(1, strings.Split(strings.Repeat("x ", 201), " ")[:201]...))
		want(t, "status", r.status, 500)
		want(t, "201", r.code(), "ErrorSchemaValidation")
	}},
	{20, "unknown and foreign ids end the stream; good ones get nothing", setup{from: exchange.V2013, organisation: exchange.Options{Servers: []string{"ex01", "ex02"}}}, func(t *testing.T, s *site) {
		good := s.subscribe(ada)
		s.mail(ada, "waiting")
		foreign := s.subscribe(bob)
		if err := s.org.Move(bob, "ex02", 0); err != nil {
			t.Fatal(err)
		}
		elsewhere := s.subscribe(bob)
		for _, c := range []struct{ id, code string }{
			{"AAA-", "ErrorInvalidSubscription"}, {foreign, "ErrorSubscriptionNotFound"}, {elsewhere, "ErrorSubscriptionNotFound"},
		} {
			st := s.open(ask{as: ada}, 1, good, c.id)
			m := st.must()
			want(t, "class", m.Class, "Error")
			want(t, "code", m.Code, c.code)
			want(t, "ids", strings.Join(m.Bad, " "), c.id)
			contains(t, "message", st.raw.String(), "<m:ErrorSubscriptionIds><m:SubscriptionId>")
			want(t, "then", st.must().Status, "Closed")
			if _, err := st.next(); !errors.Is(err, io.EOF) {
				t.Errorf("end: %v", err)
			}
			st.close()
		}
		st := s.open(ask{as: ada}, 1, good).ok()
		defer st.close()
		want(t, "still waiting", st.must().kinds(), "NewMailEvent")
	}},
	{20, "unknown ids in 2010", setup{organisation: exchange.Options{Version: exchange.V2010SP2}}, func(t *testing.T, s *site) {
		lost := s.subscribe(ada)
		if err := s.org.RestartServer("ex01"); err != nil {
			t.Fatal(err)
		}
		good := s.subscribe(ada)
		for id, code := range map[string]string{"AAA-": "ErrorInvalidSubscription", lost: "ErrorSubscriptionNotFound"} {
			st := s.open(ask{as: ada}, 1, good, id)
			m := st.must()
			want(t, "code", m.Code, code)
			want(t, "ids", strings.Join(m.Bad, " "), id)
			want(t, "then", st.must().Status, "Closed")
			st.close()
		}
	}},
	{21, "a second stream takes an id from the first", setup{}, func(t *testing.T, s *site) {
		a, b := s.subscribe(ada), s.subscribe(bob)
		first := s.open(ask{as: ada}, 1, a, b).ok()
		defer first.close()
		second := s.open(ask{as: ada}, 1, a).ok()
		defer second.close()
		m := first.must()
		want(t, "code", m.Code, "ErrorNewEventStreamConnectionOpened")
		want(t, "ids", strings.Join(m.Bad, " "), a)
		item := s.mail(ada, "x")
		want(t, "second gets", second.must().Events[0].Events[0].Item.ID, item)
		s.mail(bob, "y")
		want(t, "first goes on with", first.must().Events[0].Subscription, b)
	}},
	{22, "Unsubscribe; again; while streaming", setup{}, func(t *testing.T, s *site) {
		id := s.subscribe(ada)
		st := s.open(ask{as: ada}, 1, id).ok()
		request := "<m:Unsubscribe><m:SubscriptionId>" + id + "</m:SubscriptionId></m:Unsubscribe>"
		want(t, "first", s.post(ask{as: ada}, request).code(), "NoError")
		again := s.post(ask{as: ada}, request)
		want(t, "again", again.code(), "ErrorSubscriptionNotFound")
		want(t, "status", again.status, 200)
		want(t, "stream", st.must().Code, "ErrorSubscriptionUnsubsribed")
		want(t, "then", st.must().Status, "Closed")
		st.close()
	}},
	{23, "another account's subscription", setup{}, func(t *testing.T, s *site) {
		id := s.subscribe(ada)
		want(t, "stream", s.open(ask{account: "svc2", as: ada}, 1, id).must().Code, "ErrorSubscriptionAccessDenied")
		want(t, "unsubscribe", s.post(ask{account: "svc2", as: ada}, "<m:Unsubscribe><m:SubscriptionId>"+id+"</m:SubscriptionId></m:Unsubscribe>").code(), "ErrorSubscriptionAccessDenied")
	}},
	{24, "overflow: ErrorMissedNotificationEvents, the stream goes on", setup{organisation: exchange.Options{QueueMax: 5}}, func(t *testing.T, s *site) {
		id := s.subscribe(ada)
		for range 7 {
			s.mail(ada, "x")
		}
		st := s.open(ask{as: ada}, 1, id).ok()
		defer st.close()
		want(t, "kept", len(st.must().Events[0].Events), 5)
		m := st.must()
		want(t, "missed", m.Code, "ErrorMissedNotificationEvents")
		want(t, "of", strings.Join(m.Bad, " "), id)
		s.mail(ada, "later")
		want(t, "later", st.must().kinds(), "NewMailEvent")
	}},
	{25, "error messages: MessageText, ResponseCode, DescriptiveLinkKey, extras", setup{}, func(t *testing.T, s *site) {
		st := s.open(ask{as: ada}, 1, "AAA-")
		st.must()
		contains(t, "stream", st.raw.String(), `ResponseClass="Error"><m:MessageText>Subscription is invalid.</m:MessageText><m:ResponseCode>ErrorInvalidSubscription</m:ResponseCode><m:DescriptiveLinkKey>0</m:DescriptiveLinkKey><m:ErrorSubscriptionIds>`)
		st.close()
	}},
	{26, "a client that goes keeps its place until the next write", setup{organisation: exchange.Options{Version: exchange.V2013}}, func(t *testing.T, s *site) {
		var ids []string
		for range 3 {
			id := s.subscribe(ada)
			s.open(ask{as: ada}, 30, id).ok().close()
			ids = append(ids, id)
		}
		id := s.subscribe(ada)
		after(HeartbeatDefault - time.Second)
		want(t, "fourth", s.post(ask{as: ada}, streamRequest(30, id)).code(), "ErrorExceededConnectionCount")
		after(time.Second)
		s.open(ask{as: ada}, 1, id).ok().close()
		kept := s.mail(ada, "for the subscriptions of those who went")
		st := s.open(ask{as: bob}, 1, ids...).ok()
		defer st.close()
		m := st.must()
		want(t, "subscriptions that live", len(m.Events), 3)
		want(t, "item", m.Events[0].Events[0].Item.ID, kept)
	}},
	{26, "a place that is free as soon as the client has gone, if asked", setup{fake: Options{FreeAbandoned: true}, organisation: exchange.Options{Version: exchange.V2013}}, func(t *testing.T, s *site) {
		for range 3 {
			s.open(ask{as: ada}, 30, s.subscribe(ada)).ok().close()
		}
		after(0)
		s.open(ask{as: ada}, 1, s.subscribe(ada)).ok().close()
	}},
	{27, "a restart cuts streams without Closed and forgets ids", setup{}, func(t *testing.T, s *site) {
		id := s.subscribe(ada)
		st := s.open(ask{as: ada}, 1, id).ok()
		if err := s.org.RestartServer("ex01"); err != nil {
			t.Fatal(err)
		}
		if m, err := st.next(); err == nil {
			t.Errorf("after the restart: %+v", m)
		}
		want(t, "again", s.open(ask{as: ada}, 1, id).must().Code, "ErrorSubscriptionNotFound")
	}},
	{28, "streams per charged account: 3 in 2013", setup{organisation: exchange.Options{Version: exchange.V2013}, mailboxes: 4}, func(t *testing.T, s *site) {
		limitStreams(t, s, 3, "MaxStreamingConcurrency")
	}},
	{28, "streams per charged account: 10 in 2016", setup{organisation: exchange.Options{Version: exchange.V2016}}, func(t *testing.T, s *site) {
		limitStreams(t, s, 10, "MaxStreamingConcurrency")
	}},
	{29, "streams of 2010 have a budget of 10", setup{organisation: exchange.Options{Version: exchange.V2010SP2}}, func(t *testing.T, s *site) {
		limitStreams(t, s, 10, "EWSMaxConcurrency")
	}},
	{30, "ordinary requests over 27 at once", setup{organisation: exchange.Options{Version: exchange.V2019}}, func(t *testing.T, s *site) { limitRequests(t, s, 27) }},
	{30, "ordinary requests over 10 at once in 2010", setup{organisation: exchange.Options{Version: exchange.V2010SP2}}, func(t *testing.T, s *site) { limitRequests(t, s, 10) }},
	{31, "more than 20 subscriptions of a mailbox online", setup{organisation: exchange.Options{Version: exchange.VOnline}}, func(t *testing.T, s *site) {
		for range 20 {
			s.subscribe(ada)
		}
		r := s.post(ask{as: ada}, subscribeRequest(inbox, "NewMailEvent"))
		want(t, "code", r.code(), "ErrorExceededSubscriptionCount")
		want(t, "status", r.status, 200)
		s.subscribe(bob)
		s.org.SetThrottling(false)
		s.subscribe(ada)
	}},
	{31, "more than 5000 subscriptions of a mailbox in 2013", setup{organisation: exchange.Options{Version: exchange.V2013}}, func(t *testing.T, s *site) {
		for range 4999 {
			if _, err := s.org.Subscribe(exchange.SubscribeRequest{Account: svc, Mailbox: ada, All: true, Kinds: []exchange.EventKind{exchange.NewMailEvent}}); err != nil {
				t.Fatal(err)
			}
		}
		s.subscribe(ada)
		want(t, "code", s.post(ask{as: ada}, subscribeRequest(inbox, "NewMailEvent")).code(), "ErrorExceededSubscriptionCount")
	}},
	{32, "busy: as a fault and as a message; impatience extends it", setup{}, func(t *testing.T, s *site) {
		s.fault(faults.Fault{Name: "ews.busy", Count: 1, Args: map[string]string{"ms": "10000"}, Scope: faults.Scope{Mailbox: ada}})
		want(t, "fault", s.post(ask{as: ada}, getFolderRequest(inbox)).code(), "ErrorServerBusy")
		want(t, "another mailbox", s.post(ask{as: bob}, getFolderRequest(inbox)).code(), "NoError")
		after(9 * time.Second)
		want(t, "too early", s.post(ask{as: ada}, getFolderRequest(inbox)).code(), "ErrorServerBusy")
		after(9 * time.Second)
		want(t, "extended", s.post(ask{as: ada}, getFolderRequest(inbox)).code(), "ErrorServerBusy")
		after(10 * time.Second)
		want(t, "over", s.post(ask{as: ada}, getFolderRequest(inbox)).code(), "NoError")
		s.fault(faults.Fault{Name: "ews.busy", Count: 1, Args: map[string]string{"ms": "5000", "form": "message"}})
		r := s.post(ask{as: bob}, getFolderRequest(inbox))
		want(t, "message", r.status, 200)
		contains(t, "message", r.body, "ErrorServerBusy", "Suggested backoff time 5000 ms")
	}},
	{33, "more than 16 mailboxes without impersonation online", setup{organisation: exchange.Options{Version: exchange.VOnline}, mailboxes: 17}, func(t *testing.T, s *site) {
		s.org.GrantFullAccess("plain", "*")
		open := func(i int) string {
			return s.post(ask{account: "plain"}, getFolderRequest(fmt.Sprintf(`<t:DistinguishedFolderId Id="inbox"><t:Mailbox><t:EmailAddress>m%d@contoso.test</t:EmailAddress></t:Mailbox></t:DistinguishedFolderId>`, i))).code()
		}
		for i := range 16 {
			want(t, "mailbox", open(i), "NoError")
		}
		want(t, "17th", open(16), "ErrorTooManyObjectsOpened")
		after(5 * time.Minute)
		want(t, "later", open(16), "NoError")
	}},
	{34, "FindItem pages are cut at 1000, at 250 with a restriction", setup{from: exchange.V2013}, func(t *testing.T, s *site) { limitRows(t, s, 250) }},
	{34, "FindItem pages of 2010 are cut at 1000 in any case", setup{organisation: exchange.Options{Version: exchange.V2010SP2}}, func(t *testing.T, s *site) { limitRows(t, s, 1000) }},
	{35, "MaxChangesReturned outside 1 to 512", setup{}, func(t *testing.T, s *site) {
		for _, n := range []int{0, 513, -1} {
			want(t, fmt.Sprint(n), s.post(ask{as: ada}, syncRequest("", n)).code(), "ErrorSchemaValidation")
		}
	}},
	{35, "more than 5 sync calls at once online", setup{organisation: exchange.Options{Version: exchange.VOnline}}, func(t *testing.T, s *site) {
		var release func()
		for range 5 {
			free, refused := s.org.BeginSync(svc, ada)
			if refused != nil {
				t.Fatal(refused)
			}
			release = free
		}
		r := s.post(ask{as: ada}, syncRequest("", 10))
		defer func() {
			release()
			want(t, "when one has ended", s.post(ask{as: ada}, syncRequest("", 10)).code(), "NoError")
		}()
		want(t, "status", r.status, 200)
		contains(t, "answer", r.body, "ErrorServerBusy", "ConcurrentSyncCalls", "Suggested backoff time 5000 ms")
	}},
	{36, "503, 500 with HTML, 302", setup{}, func(t *testing.T, s *site) {
		for name, status := range map[string]int{"ews.503": 503, "ews.html500": 500, "ews.302": 302} {
			s.fault(faults.Fault{Name: name, Count: 1})
			r := s.post(ask{as: ada}, getFolderRequest(inbox))
			want(t, name, r.status, status)
			if strings.Contains(r.body, "Envelope") || !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") {
				t.Errorf("%s: answered with %s %s", name, r.header.Get("Content-Type"), r.body)
			}
			switch name {
			case "ews.503":
				want(t, "Retry-After", r.header.Get("Retry-After"), "5")
			case "ews.html500":
				contains(t, name, r.body, "Server Error in '/EWS' Application")
			case "ews.302":
				contains(t, name, r.header.Get("Location"), "/ews/genericerrorpage.htm")
			}
		}
	}},
	{37, "a subscription id holds the name of its server, a GUID and a time", setup{organisation: exchange.Options{Servers: []string{"ex01.corp.contoso.test"}}}, func(t *testing.T, s *site) {
		b, err := base64.StdEncoding.DecodeString(s.subscribe(ada))
		const name = "ex01.corp.contoso.test"
		if err != nil || len(b) < 2+len(name)+4+16+8 {
			t.Fatal(err, b)
		}
		want(t, "length of the name", int(binary.LittleEndian.Uint16(b)), len(name))
		want(t, "name", string(b[2:2+len(name)]), name)
		rest := b[2+len(name):]
		want(t, "length of the GUID", binary.LittleEndian.Uint32(rest), 16)
		const ticksAt1970 = 621355968000000000
		made := time.Unix(0, (int64(binary.LittleEndian.Uint64(rest[20:]))-ticksAt1970)*100)
		if d := time.Since(made); d < -time.Second || d > time.Minute {
			t.Errorf("made at %v", made)
		}
	}},
	{37, "a second GUID from 2016 on", setup{organisation: exchange.Options{Version: exchange.V2016}}, func(t *testing.T, s *site) {
		b, _ := base64.StdEncoding.DecodeString(s.subscribe(ada))
		want(t, "length", len(b), 2+len("ex01.contoso.test")+4+16+8+4+16)
	}},
	{37, "a subscription is known to its own server only", setup{from: exchange.V2013, organisation: exchange.Options{Servers: []string{"ex01", "ex02"}, Sites: map[string]string{"ex01": "A", "ex02": "A"}}}, func(t *testing.T, s *site) {
		id := s.subscribe(ada)
		if err := s.org.AddMailbox("cyd@contoso.test", exchange.MailboxOptions{Server: "ex02"}); err != nil {
			t.Fatal(err)
		}
		want(t, "other server", s.open(ask{as: ada, http: map[string]string{"X-AnchorMailbox": "cyd@contoso.test"}}, 1, id).must().Code, "ErrorSubscriptionNotFound")
	}},
	{38, "without a hint requests go round", setup{organisation: exchange.Options{Servers: []string{"ex01", "ex02"}}}, func(t *testing.T, s *site) {
		s.org.GrantFullAccess("plain", "*")
		seen := map[string]bool{}
		for range 4 {
			seen[s.post(ask{account: "plain"}, getFolderRequest(inbox)).header.Get("X-BEServer")] = true
		}
		want(t, "servers", len(seen), 2)
	}},
	{39, "routing: cookie, then anchor, then the mailbox impersonated", setup{from: exchange.V2013, organisation: exchange.Options{Servers: []string{"ex01", "ex02", "ex03"}}}, func(t *testing.T, s *site) {
		if err := s.org.AddMailbox("cyd@contoso.test", exchange.MailboxOptions{Server: "ex02"}); err != nil {
			t.Fatal(err)
		}
		server := func(h map[string]string) string {
			return s.post(ask{as: ada, http: h}, getFolderRequest(inbox)).header.Get("X-BEServer")
		}
		cookie := "X-BackEndOverrideCookie=ex03.contoso.test~1941996223"
		want(t, "impersonated", server(nil), "EX01")
		want(t, "anchor", server(map[string]string{"X-AnchorMailbox": "cyd@contoso.test"}), "EX02")
		want(t, "cookie", server(map[string]string{"X-AnchorMailbox": "cyd@contoso.test", "X-PreferServerAffinity": "True", "Cookie": cookie}), "EX03")
		want(t, "cookie alone", server(map[string]string{"Cookie": cookie}), "EX01")
		want(t, "bad cookie", server(map[string]string{"X-PreferServerAffinity": "true", "Cookie": "X-BackEndOverrideCookie=nowhere~1"}), "EX01")
	}},
	{40, "the first Subscribe with both headers sets the override cookie", setup{from: exchange.V2013}, func(t *testing.T, s *site) {
		both := map[string]string{"X-AnchorMailbox": ada, "X-PreferServerAffinity": "true"}
		r := s.post(ask{as: ada, http: both}, subscribeRequest(inbox, "NewMailEvent"))
		cookies := strings.Join(r.header["Set-Cookie"], "\n")
		contains(t, "cookies", cookies, "X-BackEndOverrideCookie=ex01.contoso.test~", "X-BackEndCookie=", "exchangecookie=", "HttpOnly")
		if strings.Contains(cookies, "Secure") {
			t.Error("secure cookies without TLS")
		}
		want(t, "expiry", lives(r.header), "X-BackEndCookie 10m0s, X-BackEndOverrideCookie 0s, exchangecookie 8760h0m0s")
		both["Cookie"] = "X-BackEndOverrideCookie=ex01.contoso.test~1"
		r = s.post(ask{as: bob, http: both}, subscribeRequest(inbox, "NewMailEvent"))
		if strings.Contains(strings.Join(r.header["Set-Cookie"], "\n"), "Override") {
			t.Error("set again")
		}
		r = s.post(ask{as: bob}, subscribeRequest(inbox, "NewMailEvent"))
		if strings.Contains(strings.Join(r.header["Set-Cookie"], "\n"), "Override") {
			t.Error("set unasked")
		}
	}},
	{40, "cookies over TLS are secure", setup{from: exchange.V2013}, func(t *testing.T, s *site) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://mail.contoso.test/EWS/Exchange.asmx", strings.NewReader(ask{as: ada}.envelope(subscribeRequest(inbox, "NewMailEvent"))))
		r.Header.Set("X-AnchorMailbox", ada)
		r.Header.Set("X-PreferServerAffinity", "True")
		w := httptest.NewRecorder()
		s.fake.ServeHTTP(w, iisauth.WithIdentity(r, iisauth.Identity{Account: svc}))
		cookies := w.Result().Cookies()
		want(t, "cookies", len(cookies), 3)
		for _, c := range cookies {
			if !c.Secure || !c.HttpOnly || c.Path != "/" {
				t.Errorf("%+v", c)
			}
		}
	}},
	{41, "in 2010 exchangecookie alone decides", setup{organisation: exchange.Options{Version: exchange.V2010SP2, Servers: []string{"ex01", "ex02", "ex03"}}}, func(t *testing.T, s *site) {
		r := s.post(ask{as: ada}, subscribeRequest(inbox, "NewMailEvent"))
		cookie, _, _ := strings.Cut(r.header.Get("Set-Cookie"), ";")
		contains(t, "cookie", cookie, "exchangecookie=")
		home := r.header.Get("X-BEServer")
		for range 5 {
			want(t, "server", s.post(ask{as: bob, http: map[string]string{"Cookie": cookie, "X-AnchorMailbox": bob}}, getFolderRequest(inbox)).header.Get("X-BEServer"), home)
		}
		settings, _ := s.org.Settings(ada)
		want(t, "grouping", settings.Grouping, "")
	}},
	{42, "a mailbox moves", setup{from: exchange.V2013, organisation: exchange.Options{Servers: []string{"ex01", "ex02"}}}, func(t *testing.T, s *site) {
		item, id := s.mail(ada, "x"), s.subscribe(ada)
		st := s.open(ask{as: ada}, 1, id).ok()
		if err := s.org.Move(ada, "ex02", time.Minute); err != nil {
			t.Fatal(err)
		}
		m := st.must()
		want(t, "stream", m.Code, "ErrorInvalidSubscription")
		contains(t, "text", m.Text, "MailboxMoveStarted")
		want(t, "request", s.post(ask{as: ada}, getItemRequest(nil, item)).code(), "ErrorMailboxMoveInProgress")
		want(t, "subscribe", s.post(ask{as: ada}, subscribeRequest(inbox, "NewMailEvent")).code(), "ErrorMailboxMoveInProgress")
		after(time.Minute)
		want(t, "old id", s.open(ask{as: ada}, 1, id).must().Code, "ErrorSubscriptionNotFound")
		want(t, "item", s.post(ask{as: ada}, getItemRequest(nil, item)).code(), "NoError")
		settings, _ := s.org.Settings(ada)
		want(t, "server", settings.Server, "ex02")
		want(t, "grouping", settings.Grouping, "EX02-SITE")
		old := map[string]string{"X-PreferServerAffinity": "true", "X-AnchorMailbox": bob, "Cookie": "X-BackEndOverrideCookie=ex01.contoso.test~1"}
		want(t, "old group", s.post(ask{as: ada, http: old}, subscribeRequest(inbox, "NewMailEvent")).code(), "ErrorProxyRequestNotAllowed")
		s.subscribe(ada)
	}},
	{42, "a mailbox moves in 2010", setup{organisation: exchange.Options{Version: exchange.V2010SP2, Servers: []string{"ex01", "ex02"}}}, func(t *testing.T, s *site) {
		r := s.post(ask{as: ada}, subscribeRequest(inbox, "NewMailEvent"))
		cookie, _, _ := strings.Cut(r.header.Get("Set-Cookie"), ";")
		same := ask{as: ada, http: map[string]string{"Cookie": cookie}}
		id := values(r.body, "SubscriptionId")[0]
		st := s.open(same, 1, id).ok()
		defer st.close()
		if err := s.org.Move(ada, "ex02", time.Minute); err != nil {
			t.Fatal(err)
		}
		want(t, "stream", st.must().Code, "ErrorInvalidSubscription")
		want(t, "request", s.post(same, getFolderRequest(inbox)).code(), "ErrorMailboxMoveInProgress")
		after(time.Minute)
		want(t, "old id", s.open(same, 1, id).must().Code, "ErrorSubscriptionNotFound")
	}},
	{43, "a database fails over", setup{}, func(t *testing.T, s *site) {
		id := s.subscribe(ada)
		st := s.open(ask{as: ada}, 1, id).ok()
		if err := s.org.FailOver("ex01", time.Minute); err != nil {
			t.Fatal(err)
		}
		want(t, "stream", st.must().Code, "ErrorMailboxStoreUnavailable")
		want(t, "request", s.post(ask{as: ada}, getFolderRequest(inbox)).code(), "ErrorMailboxStoreUnavailable")
		after(time.Minute)
		want(t, "later", s.post(ask{as: ada}, getFolderRequest(inbox)).code(), "NoError")
		want(t, "old id", s.open(ask{as: ada}, 1, id).must().Code, "ErrorSubscriptionNotFound")
	}},
	{44, "RequestServerVersion", setup{organisation: exchange.Options{Version: exchange.V2010SP2}}, func(t *testing.T, s *site) {
		for version, code := range map[string]string{"Exchange2010_SP2": "NoError", "Exchange2013_SP1": "ErrorInvalidServerVersion", "Exchange1999": "ErrorInvalidServerVersion", "-": "NoError"} {
			want(t, version, s.post(ask{as: ada, version: version}, getFolderRequest(inbox)).code(), code)
		}
		want(t, "streaming before 2010 SP1", s.post(ask{as: ada, version: "Exchange2010"}, subscribeRequest(inbox, "NewMailEvent")).code(), "ErrorIncorrectSchemaVersion")
	}},
	{44, "RequestServerVersion of newer servers", setup{organisation: exchange.Options{Version: exchange.V2016}}, func(t *testing.T, s *site) {
		for version, code := range map[string]string{"Exchange2007_SP1": "NoError", "Exchange2016": "NoError", "V2017_07_11": "ErrorInvalidServerVersion"} {
			want(t, version, s.post(ask{as: ada, version: version}, getFolderRequest(inbox)).code(), code)
		}
	}},
	{45, "Preview", setup{from: exchange.V2013}, func(t *testing.T, s *site) {
		raw := "From: a@example.org\r\nSubject: x\r\n\r\n" + strings.Repeat("éx", 300)
		d, err := s.org.Deliver(exchange.Envelope{To: []string{ada}, Raw: []byte(raw)})
		if err != nil {
			t.Fatal(err)
		}
		request := getItemRequest([]string{"item:Preview"}, d[0].Item)
		r := s.post(ask{as: ada, version: "Exchange2013_SP1"}, request)
		want(t, "characters", len([]rune(values(r.body, "Preview")[0])), 256)
		want(t, "older schema", s.post(ask{as: ada, version: "Exchange2010_SP2"}, request).code(), "ErrorIncorrectSchemaVersion")
	}},
	{45, "Preview is unknown to 2010", setup{organisation: exchange.Options{Version: exchange.V2010SP2}}, func(t *testing.T, s *site) {
		want(t, "code", s.post(ask{as: ada}, getItemRequest([]string{"item:Preview"}, s.mail(ada, "x"))).code(), "ErrorSchemaValidation")
	}},
	{46, "SyncFolderItems: newest first, then changes; a damaged state", setup{}, func(t *testing.T, s *site) {
		a, b, c := s.mail(ada, "a"), s.mail(ada, "b"), s.mail(ada, "c")
		r := s.post(ask{as: ada}, syncRequest("", 2))
		want(t, "first page", strings.Join(values(r.body, "ItemId"), " "), c+" "+b)
		contains(t, "first page", r.body, "<m:IncludesLastItemInRange>false<")
		r = s.post(ask{as: ada}, syncRequest(values(r.body, "SyncState")[0], 2))
		want(t, "second page", strings.Join(values(r.body, "ItemId"), " "), a)
		contains(t, "second page", r.body, "<m:IncludesLastItemInRange>true<", "<t:Create><t:Message><t:ItemId ")
		state := values(r.body, "SyncState")[0]
		if err := errors.Join(s.org.MarkRead(ada, a), s.org.Delete(ada, b), s.org.Touch(ada, c)); err != nil {
			t.Fatal(err)
		}
		d := s.mail(ada, "d")
		r = s.post(ask{as: ada}, syncRequest(state, 512))
		contains(t, "changes", r.body, "<t:ReadFlagChange><t:ItemId Id=\""+a, "<t:IsRead>true</t:IsRead></t:ReadFlagChange>",
			"<t:Delete><t:ItemId Id=\""+b, "<t:Update><t:Message><t:ItemId Id=\""+c, "<t:Create><t:Message><t:ItemId Id=\""+d)
		r = s.post(ask{as: ada}, syncRequest(values(r.body, "SyncState")[0], 512))
		want(t, "nothing new", len(values(r.body, "ItemId")), 0)
		want(t, "damaged", s.post(ask{as: ada}, syncRequest(state[:len(state)-4]+"AAAA", 512)).code(), "ErrorInvalidSyncStateData")
		want(t, "foreign", s.post(ask{as: bob}, syncRequest(state, 512)).code(), "ErrorInvalidSyncStateData")
	}},
	{47, "FindItem and Sync give only names, GetItem the address", setup{}, func(t *testing.T, s *site) {
		id := s.mail(ada, "x")
		shape := `<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties><t:FieldURI FieldURI="message:From"/></t:AdditionalProperties></m:ItemShape>`
		find := s.post(ask{as: ada}, `<m:FindItem Traversal="Shallow">`+shape+`<m:ParentFolderIds>`+inbox+`</m:ParentFolderIds></m:FindItem>`)
		contains(t, "find", find.body, "<t:From><t:Mailbox><t:Name>Eve Example</t:Name></t:Mailbox></t:From>")
		sync := s.post(ask{as: ada}, strings.Replace(syncRequest("", 10), `<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>`, shape, 1))
		contains(t, "sync", sync.body, "<t:From><t:Mailbox><t:Name>Eve Example</t:Name></t:Mailbox></t:From>")
		get := s.post(ask{as: ada}, getItemRequest([]string{"message:From"}, id))
		contains(t, "get", get.body, "<t:From><t:Mailbox><t:Name>Eve Example</t:Name><t:EmailAddress>eve@example.org</t:EmailAddress><t:RoutingType>SMTP</t:RoutingType><t:MailboxType>OneOff</t:MailboxType></t:Mailbox></t:From>")
	}},
	{48, "GetFolder: counts and the two tags, in hexadecimal or decimal", setup{}, func(t *testing.T, s *site) {
		id := s.mail(ada, "a")
		s.mail(ada, "b")
		if err := errors.Join(s.org.MarkRead(ada, id), s.org.Delete(ada, id)); err != nil {
			t.Fatal(err)
		}
		for _, tags := range [][2]string{{"0x670a", "0x670b"}, {"26378", "26379"}} {
			r := s.post(ask{as: ada}, `<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties><t:FieldURI FieldURI="folder:UnreadCount"/><t:FieldURI FieldURI="folder:TotalCount"/><t:ExtendedFieldURI PropertyTag="`+tags[0]+`" PropertyType="SystemTime"/><t:ExtendedFieldURI PropertyTag="`+tags[1]+`" PropertyType="Integer"/></t:AdditionalProperties></m:FolderShape><m:FolderIds>`+inbox+`</m:FolderIds></m:GetFolder>`)
			contains(t, "folder", r.body, "<t:TotalCount>1</t:TotalCount>", "<t:UnreadCount>1</t:UnreadCount>",
				`<t:ExtendedProperty><t:ExtendedFieldURI PropertyTag="0x670a" PropertyType="SystemTime"/><t:Value>`+time.Now().UTC().Format("2006-01-02T15:04:05Z"),
				`<t:ExtendedFieldURI PropertyTag="0x670b" PropertyType="Integer"/><t:Value>1</t:Value>`)
		}
	}},
	{49, "what users do gives the events it should", setup{}, func(t *testing.T, s *site) {
		if err := errors.Join(s.org.AddFolder(ada, "Lists"), s.org.AddRule(ada, exchange.Rule{SubjectContains: "[list]", MoveTo: "Lists"})); err != nil {
			t.Fatal(err)
		}
		id := s.subscribe(ada, "NewMailEvent", "CreatedEvent", "DeletedEvent", "ModifiedEvent", "MovedEvent", "CopiedEvent")
		st := s.open(ask{as: ada}, 30, id).ok()
		defer st.close()
		item := s.mail(ada, "x")
		want(t, "arrival", st.must().kinds(), "CreatedEvent NewMailEvent ModifiedEvent")
		steps := []struct {
			name string
			do   func() error
			want string
		}{
			{"read", func() error { return s.org.MarkRead(ada, item) }, "ModifiedEvent ModifiedEvent"},
			{"flagged", func() error { return s.org.Touch(ada, item) }, "ModifiedEvent ModifiedEvent"},
			{"copied in", func() error { _, err := s.org.CopyItem(ada, item, exchange.Inbox); return err }, "CopiedEvent CreatedEvent ModifiedEvent"},
			{"created by a program", func() error {
				_, err := s.org.CreateItem(ada, exchange.Inbox, []byte("Subject: p\r\n\r\n"))
				return err
			}, "CreatedEvent ModifiedEvent"},
			{"moved out", func() (err error) { item, err = s.org.MoveItem(ada, item, exchange.DeletedItems); return err }, "MovedEvent ModifiedEvent"},
			{"moved in", func() (err error) { item, err = s.org.MoveItem(ada, item, exchange.Inbox); return err }, "MovedEvent ModifiedEvent"},
			{"deleted", func() error { return s.org.Delete(ada, item) }, "DeletedEvent ModifiedEvent"},
		}
		for _, step := range steps {
			if err := step.do(); err != nil {
				t.Fatal(step.name, err)
			}
			want(t, step.name, st.must().kinds(), step.want)
		}
		s.mail(ada, "[list] filed by a rule")
		if _, err := s.org.CreateItem(ada, exchange.Drafts, []byte("Subject: draft\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		want(t, "after a rule and a draft", st.must().Status, "OK") // the heartbeat: no event
	}},
	{49, "a subscription to all folders is told of filed mail, with its folder", setup{}, func(t *testing.T, s *site) {
		if err := errors.Join(s.org.AddFolder(ada, "Lists"), s.org.AddRule(ada, exchange.Rule{SubjectContains: "[list]", MoveTo: "Lists"})); err != nil {
			t.Fatal(err)
		}
		r := s.post(ask{as: ada}, `<m:Subscribe><m:StreamingSubscriptionRequest SubscribeToAllFolders="true"><t:EventTypes><t:EventType>NewMailEvent</t:EventType></t:EventTypes></m:StreamingSubscriptionRequest></m:Subscribe>`)
		st := s.open(ask{as: ada}, 1, values(r.body, "SubscriptionId")...).ok()
		defer st.close()
		item := s.mail(ada, "[list] filed by a rule")
		m := st.must()
		want(t, "events", m.kinds(), "NewMailEvent")
		want(t, "item", m.Events[0].Events[0].Item.ID, item)
		inboxID := values(s.post(ask{as: ada}, getFolderRequest(inbox)).body, "FolderId")[0]
		if parents := values("<all>"+st.raw.String()+"</all>", "ParentFolderId"); len(parents) != 1 || parents[0] == inboxID {
			t.Errorf("parents %v, the inbox is %s", parents, inboxID)
		}
	}},
	{50, "item classes", setup{}, func(t *testing.T, s *site) {
		for _, c := range []struct{ header, class, element string }{
			{"Content-Type: text/calendar; method=REQUEST", "IPM.Schedule.Meeting.Request", "MeetingRequest"},
			{"Content-Type: text/calendar; method=CANCEL", "IPM.Schedule.Meeting.Canceled", "MeetingCancellation"},
			{"Content-Type: application/pkcs7-mime; smime-type=enveloped-data", "IPM.Note.SMIME", "Message"},
			{"Content-Type: multipart/report; report-type=delivery-status; boundary=b", "REPORT.IPM.Note.NDR", "Message"},
			{"Content-Type: text/plain", "IPM.Note", "Message"},
		} {
			r := s.post(ask{as: ada}, getItemRequest([]string{"item:ItemClass"}, s.mail(ada, "x", c.header)))
			contains(t, c.header, r.body, "<m:Items><t:"+c.element+"><t:ItemId", "<t:ItemClass>"+c.class+"<")
		}
	}},
	{51, "subjects of all kinds", setup{}, func(t *testing.T, s *site) {
		for _, subject := range []string{"🎉 Zoë & <Bob>", "שלום עולם", strings.Repeat("long ", 60), ""} {
			r := s.post(ask{as: ada}, getItemRequest([]string{"item:Subject"}, s.mail(ada, subject)))
			want(t, "subject", values(r.body, "Subject")[0], strings.TrimSpace(subject))
		}
		r := s.post(ask{as: ada}, getItemRequest([]string{"item:Subject"}, s.mail(ada, "bell\x07")))
		want(t, "control character", values(r.body, "Subject")[0], "bell\ufffd")
	}},
	{51, "hostile: control characters as references no XML may hold", setup{fake: Options{Profile: faults.Hostile}}, func(t *testing.T, s *site) {
		s.org.SetThrottling(false)
		id := s.mail(ada, "bell\x07")
		for range 20 {
			r := s.post(ask{as: ada}, getItemRequest([]string{"item:Subject"}, id))
			if strings.Contains(r.body, "Subject>bell&#x7;</") {
				return
			}
		}
		t.Error("never seen in 20 answers")
	}},
	{52, "all times are UTC with Z", setup{}, func(t *testing.T, s *site) {
		r := s.post(ask{as: ada}, getItemRequest([]string{"item:DateTimeReceived", "item:DateTimeSent"}, s.mail(ada, "x", "Date: Tue, 4 Mar 2025 10:15:27 +0100")))
		want(t, "sent", values(r.body, "DateTimeSent")[0], "2025-03-04T09:15:27Z")
		want(t, "received", values(r.body, "DateTimeReceived")[0], time.Now().UTC().Format("2006-01-02T15:04:05Z"))
		st := s.open(ask{as: ada}, 1, s.subscribe(ada)).ok()
		defer st.close()
		s.mail(ada, "y")
		want(t, "event", st.must().Events[0].Events[0].Time, time.Now().UTC().Format("2006-01-02T15:04:05Z"))
	}},
	{53, "ConvertId, ResolveNames, GetServerTimeZones, unknown operations", setup{}, func(t *testing.T, s *site) {
		newest := s.org.Behaviour().Schemas[len(s.org.Behaviour().Schemas)-1]
		convert := `<m:ConvertId DestinationFormat="OwaId"><m:SourceIds><t:AlternateId Format="EwsId" Id="DUMMY" Mailbox="x@y"/></m:SourceIds></m:ConvertId>`
		r := s.post(ask{version: newest}, convert)
		want(t, "ConvertId", r.code(), "ErrorInvalidIdMalformed")
		contains(t, "ConvertId", r.body, "ServerVersionInfo")
		want(t, "ConvertId of 2019", s.post(ask{version: "Exchange2019"}, convert).code(), "ErrorInvalidServerVersion")
		r = s.post(ask{as: ada}, `<m:ResolveNames ReturnFullContactData="false"><m:UnresolvedEntry>smtp:countess@contoso.test</m:UnresolvedEntry></m:ResolveNames>`)
		contains(t, "ResolveNames", r.body, "<t:EmailAddress>ada@contoso.test</t:EmailAddress>")
		want(t, "ResolveNames of nobody", s.post(ask{as: ada}, `<m:ResolveNames><m:UnresolvedEntry>zzz</m:UnresolvedEntry></m:ResolveNames>`).code(), "ErrorNameResolutionNoResults")
		contains(t, "GetServerTimeZones", s.post(ask{as: ada}, `<m:GetServerTimeZones/>`).body, `Id="UTC"`)
		for _, operation := range []string{"CreateItem", "NoSuchThing"} {
			r = s.post(ask{as: ada}, "<m:"+operation+"/>")
			if r.status != 500 || r.code() == "ErrorInvalidRequest" {
				t.Errorf("%s: %d %s", operation, r.status, r.code())
			}
		}
	}},
	{54, "the listener account changes at run time", setup{}, func(t *testing.T, s *site) {
		id := s.subscribe(ada)
		st := s.open(ask{as: ada}, 1, id).ok()
		defer st.close()
		s.org.AddAccount(iisauth.Account{User: svc, NetBIOS: "CONTOSO"})
		want(t, "role removed", s.post(ask{as: ada}, getFolderRequest(inbox)).code(), "ErrorImpersonateUserDenied")
		s.org.AddAccount(iisauth.Account{User: svc, NetBIOS: "CONTOSO", Impersonation: true, Disabled: true})
		want(t, "disabled", s.post(ask{as: ada}, getFolderRequest(inbox)).status, 401)
		s.mail(ada, "x")
		want(t, "open stream", st.must().kinds(), "NewMailEvent")
	}},
	{55, "hostile: envelopes split, joined, dribbled, CR LF between; nothing lost", setup{fake: Options{Profile: faults.Hostile, Seed: 7}}, func(t *testing.T, s *site) {
		s.org.SetThrottling(false)
		id := hostileSubscribe(s)
		seen, sent := map[string]bool{}, map[string]bool{}
		var split, joined, dribbled, between, drained bool
		for i := 0; i < 20 || !drained; i++ {
			if i < 20 {
				sent[s.mail(ada, "x")] = true
				s.fault(faults.Fault{Name: "ews.stream.duplicate", Count: 1}) // two envelopes that are due together
			}
			status, chunks := s.chunks(ask{as: ada}, streamRequest(1, id))
			if drained = status == 200; !drained {
				continue // 401, as the profile has it
			}
			body := strings.Join(chunks, "")
			between = between || strings.Contains(body, "Envelope>\r\n<")
			for _, c := range chunks {
				c = strings.TrimRight(c, "\r\n")
				begins := strings.HasPrefix(c, "<Envelope") || strings.HasPrefix(c, "<soap11:Envelope")
				split = split || !begins || !strings.HasSuffix(c, "Envelope>")
				dribbled = dribbled || len(c) < 100
				joined = joined || strings.Count(c, ":Body></") > 1
			}
			for _, item := range values("<all>"+body+"</all>", "ItemId") {
				seen[item] = true
			}
		}
		want(t, "all told", fmt.Sprint(maps.Equal(seen, sent), len(sent)), "true 20")
		want(t, "split, joined, dribbled, CR LF", fmt.Sprint(split, joined, dribbled, between), "true true true true")
	}},
	{55, "the same by a fault, in any profile", setup{}, func(t *testing.T, s *site) {
		id := s.subscribe(ada)
		s.fault(faults.Fault{Name: "ews.split"})
		item := s.mail(ada, "x")
		_, chunks := s.chunks(ask{as: ada}, streamRequest(1, id))
		if len(chunks) < 5 {
			t.Errorf("%d chunks", len(chunks))
		}
		want(t, "item", strings.Join(values("<all>"+strings.Join(chunks, "")+"</all>", "ItemId"), " "), item)
	}},
	{56, "silence with the connection open", setup{}, func(t *testing.T, s *site) {
		st := s.open(ask{as: ada}, 5, s.subscribe(ada)).ok()
		defer st.close()
		s.fault(faults.Fault{Name: "ews.stream.silent"})
		s.mail(ada, "x")
		began := time.Now()
		if _, err := st.next(); err == nil {
			t.Error("a message came")
		}
		want(t, "silent until", time.Since(began), 5*time.Minute)
	}},
	{57, "cut without Closed, and in the middle of an envelope", setup{}, func(t *testing.T, s *site) {
		id := s.subscribe(ada)
		for _, name := range []string{"ews.stream.cut", "ews.stream.cutmid"} {
			st := s.open(ask{as: ada}, 1, id).ok()
			s.fault(faults.Fault{Name: name, Count: 1})
			s.mail(ada, "x")
			_, err := st.next()
			if clean := errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF); err == nil || clean != (name == "ews.stream.cut") {
				t.Errorf("%s: %v", name, err)
			}
			st.close()
		}
	}},
	{58, "hostile: t:SubscriptionId in ErrorSubscriptionIds", setup{fake: Options{Profile: faults.Hostile, Seed: 3}}, func(t *testing.T, s *site) {
		for range 50 {
			response := s.do(ask{as: ada}, ask{as: ada}.envelope(streamRequest(1, "AAA-")))
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if strings.Contains(string(body), "ErrorSubscriptionIds><t:SubscriptionId>") {
				return
			}
		}
		t.Error("never seen in 50 answers")
	}},
	{59, "late and duplicate events", setup{}, func(t *testing.T, s *site) {
		st := s.open(ask{as: ada}, 5, s.subscribe(ada)).ok()
		defer st.close()
		s.fault(faults.Fault{Name: "ews.stream.late", Count: 1, Args: map[string]string{"delay": "30s"}})
		began := time.Now()
		first := s.mail(ada, "late")
		for range 500 {
			s.mail(ada, "after it")
		}
		m := st.must()
		want(t, "held", time.Since(began), 30*time.Second)
		want(t, "in order", m.Events[0].Events[0].Item.ID, first)
		total := 0
		for _, n := range m.Events {
			total += len(n.Events)
		}
		want(t, "nothing missing", total, 501)
		s.fault(faults.Fault{Name: "ews.stream.duplicate", Count: 1})
		twice := s.mail(ada, "twice")
		want(t, "once", st.must().Events[0].Events[0].Item.ID, twice)
		want(t, "and again", st.must().Events[0].Events[0].Item.ID, twice)
	}},
	{60, "GetItem: not found for a second after the event", setup{}, func(t *testing.T, s *site) {
		id := s.mail(ada, "x")
		s.fault(faults.Fault{Name: "ews.item.notfound", For: faults.Duration(time.Second)})
		want(t, "at once", s.post(ask{as: ada}, getItemRequest(nil, id)).code(), "ErrorItemNotFound")
		after(time.Second)
		want(t, "later", s.post(ask{as: ada}, getItemRequest(nil, id)).code(), "NoError")
	}},
	{60, "hostile: an item that is not there yet, for a second", setup{fake: Options{Profile: faults.Hostile}}, func(t *testing.T, s *site) {
		s.org.SetThrottling(false)
		early := 0
		for range 20 {
			st := s.open(ask{as: ada}, 5, hostileSubscribe(s))
			id := s.mail(ada, "x")
			for told := false; !told; {
				m, err := st.next()
				if err != nil {
					t.Fatal(err)
				}
				told = len(m.Events) > 0
			}
			st.close()
			for range 5 {
				if s.post(ask{as: ada}, getItemRequest(nil, id)).code() == "ErrorItemNotFound" {
					early++
				}
			}
			after(time.Second)
			for range 5 {
				if s.post(ask{as: ada}, getItemRequest(nil, id)).code() == "ErrorItemNotFound" {
					t.Error("not found a second after the event")
				}
			}
		}
		if early == 0 {
			t.Error("always there at once")
		}
	}},
	{61, "401 in a healthy session", setup{}, func(t *testing.T, s *site) {
		s.fault(faults.Fault{Name: "ews.401", Count: 1})
		want(t, "struck", s.post(ask{as: ada}, getFolderRequest(inbox)).status, 401)
		want(t, "after", s.post(ask{as: ada}, getFolderRequest(inbox)).status, 200)
	}},
	{62, "override cookie withheld, or on every answer", setup{from: exchange.V2013, fake: Options{CookieAlways: true}}, func(t *testing.T, s *site) {
		contains(t, "always", strings.Join(s.post(ask{as: ada}, getFolderRequest(inbox)).header["Set-Cookie"], "\n"), "X-BackEndOverrideCookie=")
		s.fault(faults.Fault{Name: "ews.nocookie"})
		r := s.post(ask{as: ada, http: map[string]string{"X-AnchorMailbox": ada, "X-PreferServerAffinity": "true"}}, subscribeRequest(inbox, "NewMailEvent"))
		if strings.Contains(strings.Join(r.header["Set-Cookie"], "\n"), "Override") {
			t.Error("not withheld")
		}
	}},
	{63, "an event lost without any error", setup{}, func(t *testing.T, s *site) {
		st := s.open(ask{as: ada}, 1, s.subscribe(ada)).ok()
		defer st.close()
		s.fault(faults.Fault{Name: "ews.stream.lose-event", Count: 1})
		s.mail(ada, "lost")
		after(time.Second)
		told := s.mail(ada, "told")
		m := st.must()
		want(t, "item", m.Events[0].Events[0].Item.ID, told)
	}},
}

func TestChecklist(t *testing.T) {
	for _, c := range checklist {
		t.Run(fmt.Sprintf("%02d %s", c.number, c.name), func(t *testing.T) {
			for _, v := range c.setup.versions() {
				t.Run(string(v), func(t *testing.T) {
					c.setup.organisation.Version = v
					inBubble(t, c.setup, c.run)
				})
			}
		})
	}
}

var allVersions = []exchange.Version{exchange.V2010SP2, exchange.V2013, exchange.V2016, exchange.V2019, exchange.VSE, exchange.VOnline}

// versions are those a row runs with.
func (s setup) versions() []exchange.Version {
	switch {
	case s.organisation.Version != "":
		return []exchange.Version{s.organisation.Version}
	case s.from != "":
		return allVersions[slices.Index(allVersions, s.from):]
	}
	return allVersions
}

func limitStreams(t *testing.T, s *site, limit int, policy string) {
	t.Helper()
	a, b := s.subscribe(ada), s.subscribe(bob)
	for range limit {
		id := s.subscribe(ada)
		defer s.open(ask{as: ada}, 30, id).ok().close()
	}
	r := s.post(ask{as: ada}, streamRequest(30, a))
	want(t, "status", r.status, 500)
	want(t, "code", r.code(), "ErrorExceededConnectionCount")
	contains(t, "fault", r.body, `<t:Value Name="Policy">`+policy+`</t:Value><t:Value Name="MaxConcurrencyLimit">`+fmt.Sprint(limit)+`</t:Value><t:Value Name="ErrorMessage">This operation exceeds the throttling budget for policy part`)
	other := s.post(ask{account: "svc2", as: ada}, subscribeRequest(inbox, "NewMailEvent"))
	want(t, "the copy is shared by all service accounts", s.post(ask{account: "svc2", as: ada}, streamRequest(30, values(other.body, "SubscriptionId")...)).code(), "ErrorExceededConnectionCount")
	st := s.open(ask{as: bob}, 30, a, b).ok()
	defer st.close()
	caller := ask{account: "plain"}
	s.org.GrantFullAccess("plain", "*")
	own := func() string {
		r := s.post(caller, subscribeRequest(`<t:DistinguishedFolderId Id="inbox"><t:Mailbox><t:EmailAddress>`+bob+`</t:EmailAddress></t:Mailbox></t:DistinguishedFolderId>`, "NewMailEvent"))
		return values(r.body, "SubscriptionId")[0]
	}
	for range limit {
		defer s.open(caller, 30, own()).ok().close()
	}
	want(t, "without impersonation the caller is charged", s.post(caller, streamRequest(30, own())).code(), "ErrorExceededConnectionCount")
	defer s.open(ask{}, 30, s.subscribe(bob)).ok().close() // another caller
}

func limitRequests(t *testing.T, s *site, limit int) {
	t.Helper()
	s.fault(faults.Fault{Name: "ews.slow", Count: limit, Args: map[string]string{"delay": "10s"}})
	var running sync.WaitGroup
	for range limit {
		running.Go(func() {
			want(t, "one of those that run", s.post(ask{as: ada}, getFolderRequest(inbox)).code(), "NoError")
		})
	}
	synctest.Wait()
	r := s.post(ask{as: ada}, getFolderRequest(inbox))
	want(t, "status", r.status, 500)
	want(t, "code", r.code(), "ErrorExceededConnectionCount")
	contains(t, "fault", r.body, `<t:Value Name="Policy">MaxConcurrency</t:Value><t:Value Name="MaxConcurrencyLimit">`+fmt.Sprint(limit)+`<`)
	want(t, "another mailbox", s.post(ask{as: bob}, getFolderRequest(inbox)).code(), "NoError")
	want(t, "another account", s.post(ask{account: "svc2", as: ada}, getFolderRequest(inbox)).code(), "NoError")
	running.Wait()
	want(t, "afterwards", s.post(ask{as: ada}, getFolderRequest(inbox)).code(), "NoError")
}

func limitRows(t *testing.T, s *site, restricted int) {
	t.Helper()
	for range 1100 {
		s.mail(ada, "x")
	}
	page := func(restriction string) reply {
		return s.post(ask{as: ada}, `<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape><m:IndexedPageItemView MaxEntriesReturned="5000" Offset="0" BasePoint="Beginning"/>`+restriction+`<m:ParentFolderIds>`+inbox+`</m:ParentFolderIds></m:FindItem>`)
	}
	r := page("")
	want(t, "rows", len(values(r.body, "ItemId")), 1000)
	contains(t, "page", r.body, `IndexedPagingOffset="1000" TotalItemsInView="1100" IncludesLastItemInRange="false"`)
	r = page(`<m:Restriction><t:IsGreaterThanOrEqualTo><t:FieldURI FieldURI="item:DateTimeReceived"/><t:FieldURIOrConstant><t:Constant Value="1999-01-01T00:00:00Z"/></t:FieldURIOrConstant></t:IsGreaterThanOrEqualTo></m:Restriction>`)
	want(t, "rows with restriction", len(values(r.body, "ItemId")), restricted)
	contains(t, "page with restriction", r.body, `IncludesLastItemInRange="false"`)
}

// lives is how long the cookies of an answer live, by name.
func lives(h http.Header) string {
	var out []string
	for _, c := range (&http.Response{Header: h}).Cookies() {
		life := time.Duration(0)
		if !c.Expires.IsZero() {
			life = time.Until(c.Expires).Round(time.Second)
		}
		out = append(out, c.Name+" "+life.String())
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func hostileSubscribe(s *site) string {
	s.t.Helper()
	for range 20 {
		r := s.post(ask{as: ada}, subscribeRequest(inbox, "NewMailEvent"))
		if ids := values(r.body, "SubscriptionId"); len(ids) == 1 {
			return ids[0]
		}
	}
	s.t.Fatal("Subscribe never succeeded")
	return ""
}

func getFolderRequest(folder string) string {
	return `<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape><m:FolderIds>` + folder + `</m:FolderIds></m:GetFolder>`
}

func syncRequest(state string, limit int) string {
	if state != "" {
		state = "<m:SyncState>" + state + "</m:SyncState>"
	}
	return fmt.Sprintf(`<m:SyncFolderItems><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape><m:SyncFolderId>%s</m:SyncFolderId>%s<m:MaxChangesReturned>%d</m:MaxChangesReturned></m:SyncFolderItems>`, inbox, state, limit)
}

func TestEveryExchangeIsJournalled(t *testing.T) {
	inBubble(t, setup{}, func(t *testing.T, s *site) {
		id := s.subscribe(ada)
		st := s.open(ask{as: ada}, 1, id).ok()
		item := s.mail(ada, "x")
		st.must()
		s.post(ask{as: ada}, getItemRequest(nil, item))
		for st.must().Status != "Closed" {
		}
		after(0)
		var got []string
		for _, e := range s.journal.After(0) {
			if e.Server == "ews" {
				got = append(got, e.Kind+" "+e.Operation+" "+e.Mailbox+" "+fmt.Sprint(e.Status)+" "+e.Reason)
				if e.Account != svc {
					t.Errorf("account %q", e.Account)
				}
			}
		}
		want(t, "journal", strings.Join(got, "\n"), strings.Join([]string{
			"request Subscribe " + ada + " 200 ",
			"request GetStreamingEvents " + ada + " 200 ",
			"notification GetStreamingEvents " + ada + " 0 ",
			"request GetItem " + ada + " 200 ",
			"stream-end GetStreamingEvents " + ada + " 0 timeout",
		}, "\n"))
	})
}

func TestMagicMailboxesMisbehave(t *testing.T) {
	address := func(prefix string) string { return prefix + ".x@contoso.test" }
	inBubble(t, setup{}, func(t *testing.T, s *site) {
		for _, p := range []string{"busy", "moved", "slow", "gone", "cut", "silent", "denied", "missing"} {
			if err := s.org.AddMailbox(address(p), exchange.MailboxOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		folder := func(p string) string { return s.post(ask{as: address(p)}, getFolderRequest(inbox)).code() }
		for range 3 {
			want(t, "busy", folder("busy"), "ErrorServerBusy")
		}
		want(t, "busy no more", folder("busy"), "NoError")
		want(t, "moved", folder("moved"), "ErrorMailboxMoveInProgress")
		after(magicMoveFor)
		want(t, "moved no more", folder("moved"), "NoError")
		began := time.Now()
		want(t, "slow", folder("slow"), "NoError")
		want(t, "slow", time.Since(began), magicSlow)
		want(t, "denied", folder("denied"), "ErrorImpersonateUserDenied")
		want(t, "missing", folder("missing"), "ErrorNonExistentMailbox")
		item := s.mail(address("gone"), "x")
		want(t, "gone", s.post(ask{as: address("gone")}, getItemRequest(nil, item)).code(), "ErrorItemNotFound")
		want(t, "gone no more", s.post(ask{as: address("gone")}, getItemRequest(nil, item)).code(), "NoError")
		st := s.open(ask{as: address("cut")}, 5, s.subscribe(address("cut"))).ok()
		st.must()
		if _, err := st.next(); !errors.Is(err, io.EOF) {
			t.Errorf("cut: %v", err)
		}
	})
}

func TestTheSameSeedMisbehavesTheSame(t *testing.T) {
	run := func(seed int64) string {
		var out strings.Builder
		inBubble(t, setup{fake: Options{Profile: faults.Hostile, Seed: seed}}, func(t *testing.T, s *site) {
			for range 30 {
				response := s.do(ask{as: ada}, ask{as: ada}.envelope(getFolderRequest(inbox)))
				dump, err := httputil.DumpResponse(response, true)
				response.Body.Close()
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintln(&out, response.StatusCode, len(response.Header["Set-Cookie"]), strings.Contains(string(dump), "<q1:"))
			}
		})
		return out.String()
	}
	want(t, "seed 1 twice", run(1), run(1))
	if run(1) == run(2) {
		t.Error("seeds 1 and 2 behave alike")
	}
}

func TestCloseEndsOpenStreams(t *testing.T) {
	inBubble(t, setup{}, func(t *testing.T, s *site) {
		st := s.open(ask{as: ada}, 30, s.subscribe(ada)).ok()
		if err := s.fake.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := st.next(); err == nil {
			t.Error("the stream goes on")
		}
		entry, err := s.journal.Await(context.Background(), 0, func(e journal.Entry) bool { return e.Kind == "stream-end" })
		if err != nil || entry.Reason != "closing" {
			t.Errorf("journalled %+v, %v", entry, err)
		}
	})
}

func TestNewNamesTheWrongOption(t *testing.T) {
	org, err := exchange.New(exchange.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, options := range map[string]Options{
		"Organisation":  {},
		"Profile":       {Organisation: org, Profile: "wild"},
		"HeartbeatForm": {Organisation: org, HeartbeatForm: "loud"},
	} {
		if _, err := New(options); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
