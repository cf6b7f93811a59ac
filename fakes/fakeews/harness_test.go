package fakeews

import (
	"bufio"
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"mailbell/fakes/exchange"
	faults "mailbell/fakes/fault"
	"mailbell/fakes/iisauth"
	"mailbell/fakes/journal"
	"mailbell/fakes/memnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	ada = "ada@contoso.test"
	bob = "bob@contoso.test"
	svc = "svc"

	password = "pw of svc"
)

// site is an organisation with two mailboxes behind a fake, on a network in
// memory, with plain HTTP clients. The account is told by a header, in place of
// authentication.
type site struct {
	t       *testing.T
	org     *exchange.Organisation
	fake    *Server
	journal *journal.Journal
	faults  *faults.Set
	network *memnet.Network
	client  *http.Client
}

type setup struct {
	organisation exchange.Options
	fake         Options
	schemes      []string         // on offer by a site of IIS in front; nil: there is none
	mailboxes    int              // further ones: m0@contoso.test …
	from         exchange.Version // of a row: the oldest version it runs with
}

// inBubble runs a test in virtual time.
func inBubble(t *testing.T, s setup, run func(*testing.T, *site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		run(t, newSite(t, s))
	})
}

func newSite(t *testing.T, s setup) *site {
	t.Helper()
	j := journal.New()
	set := faults.New(1)
	s.organisation.Journal = j
	org, err := exchange.New(s.organisation)
	if err != nil {
		t.Fatal(err)
	}
	add := func(address string, options exchange.MailboxOptions) {
		if err := org.AddMailbox(address, options); err != nil {
			t.Fatal(err)
		}
	}
	add(ada, exchange.MailboxOptions{DisplayName: "Ada", Server: "ex01", Aliases: []string{"countess@contoso.test"}, UPN: "ada@corp.contoso.test"})
	add(bob, exchange.MailboxOptions{DisplayName: "Bob", Server: "ex01"})
	for i := range s.mailboxes {
		add(fmt.Sprintf("m%d@contoso.test", i), exchange.MailboxOptions{})
	}
	org.AddAccount(iisauth.Account{User: svc, NetBIOS: "CONTOSO", Password: password, Impersonation: true})
	org.AddAccount(iisauth.Account{User: "svc2", NetBIOS: "CONTOSO", Impersonation: true})
	org.AddAccount(iisauth.Account{User: "plain", NetBIOS: "CONTOSO"})
	if s.fake.Profile == "" {
		s.fake.Profile = faults.Calm
	}
	s.fake.Organisation, s.fake.Journal, s.fake.Faults = org, j, set
	fake, err := New(s.fake)
	if err != nil {
		t.Fatal(err)
	}
	network := memnet.New(memnet.Options{})
	l, err := network.Listen("mail.contoso.test:443")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if account := r.Header.Get("X-Test-Account"); account != "" {
			r = iisauth.WithIdentity(r, iisauth.Identity{Account: account})
		}
		fake.ServeHTTP(w, r)
	})}
	if s.schemes != nil {
		auth := iisauth.New(iisauth.Options{Directory: org, Schemes: s.schemes})
		server.Handler, server.ConnContext = auth.Handler(fake), auth.ConnContext
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	transport := &http.Transport{DialContext: func(ctx context.Context, network_, addr string) (net.Conn, error) {
		return network.Dial(ctx, network_, "mail.contoso.test:443")
	}, DisableCompression: true}
	t.Cleanup(func() {
		if err := fake.Close(); err != nil {
			t.Error(err)
		}
		transport.CloseIdleConnections()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		<-served
		if err := network.Close(); err != nil {
			t.Error(err)
		}
	})
	return &site{t: t, org: org, fake: fake, journal: j, faults: set, network: network, client: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// ask is a request: who asks, as whom, with which headers.
type ask struct {
	account string // "": svc
	as      string // SmtpAddress impersonated; "": none
	header  string // further SOAP headers
	version string // "": Exchange2013_SP1; "-": none
	http    map[string]string
	path    string
}

func (a ask) envelope(operation string) string {
	if a.version == "" {
		a.version = "Exchange2010_SP2"
	}
	header := a.header
	if a.version != "-" {
		header += `<t:RequestServerVersion Version="` + a.version + `"/>`
	}
	if a.as != "" {
		header += `<t:ExchangeImpersonation><t:ConnectingSID><t:SmtpAddress>` + a.as + `</t:SmtpAddress></t:ConnectingSID></t:ExchangeImpersonation>`
	}
	return `<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages" xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"><s:Header>` +
		header + `</s:Header><s:Body>` + operation + `</s:Body></s:Envelope>`
}

func (s *site) do(a ask, body string) *http.Response {
	s.t.Helper()
	if a.path == "" {
		a.path = "/EWS/Exchange.asmx"
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://mail.contoso.test"+a.path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	switch a.account {
	case "":
		r.Header.Set("X-Test-Account", svc)
	case "-":
	default:
		r.Header.Set("X-Test-Account", a.account)
	}
	r.Header.Set("Content-Type", "text/xml; charset=utf-8")
	for k, v := range a.http {
		r.Header.Set(k, v)
	}
	response, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { response.Body.Close() })
	return response
}

// reply is an answer.
type reply struct {
	status int
	body   string
	header http.Header
}

func (s *site) post(a ask, operation string) reply {
	s.t.Helper()
	response := s.do(a, a.envelope(operation))
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{response.StatusCode, string(body), response.Header}
}

// codes are the response codes of an answer, in order.
func (r reply) codes() []string { return values(r.body, "ResponseCode") }

func (r reply) code() string {
	if c := r.codes(); len(c) > 0 {
		return c[0]
	}
	return fmt.Sprintf("status %d", r.status)
}

// values are the texts of all elements of a local name; of empty elements with
// an Id, the Id.
func values(body, name string) []string {
	d := xml.NewDecoder(strings.NewReader(body))
	var out []string
	for {
		token, err := d.Token()
		if err != nil {
			return out
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == name {
			var e struct {
				Text string `xml:",chardata"`
				ID   string `xml:"Id,attr"`
			}
			if err := d.DecodeElement(&e, &start); err != nil {
				return out
			}
			if e.ID != "" {
				e.Text = e.ID
			}
			out = append(out, e.Text)
		}
	}
}

// chunks sends a request on a connection of its own and returns the chunks of
// the answer as they came, to its end.
func (s *site) chunks(a ask, operation string) (int, []string) {
	s.t.Helper()
	conn, err := s.network.Dial(context.Background(), "tcp", "mail.contoso.test:443")
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	body := a.envelope(operation)
	fmt.Fprintf(conn, "POST /EWS/Exchange.asmx HTTP/1.1\r\nHost: mail\r\nX-Test-Account: svc\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	r := textproto.NewReader(bufio.NewReader(conn))
	line, err := r.ReadLine()
	if err != nil {
		s.t.Fatal(err)
	}
	var status int
	if _, err := fmt.Sscanf(line, "HTTP/1.1 %d", &status); err != nil {
		s.t.Fatal(err, line)
	}
	header, err := r.ReadMIMEHeader()
	if err != nil {
		s.t.Fatal(err)
	}
	if header.Get("Transfer-Encoding") != "chunked" {
		return status, nil
	}
	var out []string
	for {
		line, err := r.ReadLine()
		if err != nil {
			s.t.Fatal(err)
		}
		size, err := strconv.ParseUint(line, 16, 31)
		if err != nil {
			s.t.Fatal(err)
		}
		if size == 0 {
			return status, out
		}
		chunk := make([]byte, size+2)
		if _, err := io.ReadFull(r.R, chunk); err != nil {
			s.t.Fatal(err)
		}
		out = append(out, string(chunk[:size]))
	}
}

const inbox = `<t:DistinguishedFolderId Id="inbox"/>`

func subscribeRequest(folders string, kinds ...string) string {
	types := ""
	for _, k := range kinds {
		types += "<t:EventType>" + k + "</t:EventType>"
	}
	return `<m:Subscribe><m:StreamingSubscriptionRequest><t:FolderIds>` + folders + `</t:FolderIds><t:EventTypes>` + types + `</t:EventTypes></m:StreamingSubscriptionRequest></m:Subscribe>`
}

func (s *site) subscribe(address string, kinds ...string) string {
	s.t.Helper()
	if len(kinds) == 0 {
		kinds = []string{"NewMailEvent"}
	}
	r := s.post(ask{as: address}, subscribeRequest(inbox, kinds...))
	ids := values(r.body, "SubscriptionId")
	if len(ids) != 1 {
		s.t.Fatalf("Subscribe: %d %s", r.status, r.body)
	}
	return ids[0]
}

func streamRequest(minutes int, ids ...string) string {
	list := ""
	for _, id := range ids {
		list += "<t:SubscriptionId>" + id + "</t:SubscriptionId>"
	}
	return fmt.Sprintf(`<m:GetStreamingEvents><m:SubscriptionIds>%s</m:SubscriptionIds><m:ConnectionTimeout>%d</m:ConnectionTimeout></m:GetStreamingEvents>`, list, minutes)
}

// stream is an open stream.
type stream struct {
	site     *site
	response *http.Response
	decoder  *xml.Decoder
	raw      *bytes.Buffer
}

// message is one response message of a stream.
type message struct {
	Class  string `xml:"ResponseClass,attr"`
	Code   string `xml:"ResponseCode"`
	Text   string `xml:"MessageText"`
	Status string `xml:"ConnectionStatus"`
	Events []struct {
		Subscription string  `xml:"SubscriptionId"`
		Events       []event `xml:",any"`
	} `xml:"Notifications>Notification"`
	Bad []string `xml:"ErrorSubscriptionIds>SubscriptionId"`
}

type event struct {
	XMLName xml.Name
	Time    string `xml:"TimeStamp"`
	Item    struct {
		ID string `xml:"Id,attr"`
	} `xml:"ItemId"`
	Old struct {
		ID string `xml:"Id,attr"`
	} `xml:"OldItemId"`
	Unread string `xml:"UnreadCount"`
}

// kinds are the events of a message by name.
func (m message) kinds() string {
	var out []string
	for _, n := range m.Events {
		for _, e := range n.Events {
			out = append(out, e.XMLName.Local)
		}
	}
	return strings.Join(out, " ")
}

func (s *site) open(a ask, minutes int, ids ...string) *stream {
	s.t.Helper()
	response := s.do(a, a.envelope(streamRequest(minutes, ids...)))
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		s.t.Fatalf("GetStreamingEvents: %d %s", response.StatusCode, body)
	}
	raw := new(bytes.Buffer)
	st := &stream{site: s, response: response, raw: raw, decoder: xml.NewDecoder(io.TeeReader(response.Body, raw))}
	return st
}

// next is the next message; ok is false at the end of the stream.
func (st *stream) next() (message, error) {
	var envelope struct {
		Message message `xml:"Body>GetStreamingEventsResponse>ResponseMessages>GetStreamingEventsResponseMessage"`
	}
	err := st.decoder.Decode(&envelope)
	return envelope.Message, err
}

func (st *stream) must() message {
	st.site.t.Helper()
	m, err := st.next()
	if err != nil {
		st.site.t.Fatalf("stream: %v; so far: %s", err, st.raw)
	}
	return m
}

// ok reads the first message.
func (st *stream) ok() *stream {
	st.site.t.Helper()
	if m := st.must(); m.Class != "Success" || m.Status != "OK" {
		st.site.t.Fatalf("first message %+v, want OK", m)
	}
	return st
}

func (st *stream) close() { st.response.Body.Close() }

// mail delivers a mail and returns its item id.
func (s *site) mail(address, subject string, headers ...string) string {
	s.t.Helper()
	raw := "From: Eve Example <eve@example.org>\r\nSubject: " + subject + "\r\nMessage-ID: <1@example.org>\r\n" + strings.Join(append(headers, ""), "\r\n") + "\r\nThe body."
	d, err := s.org.Deliver(exchange.Envelope{From: "eve@example.org", To: []string{address}, Raw: []byte(raw)})
	if err != nil || d[0].Err != nil {
		s.t.Fatal(err, d)
	}
	return d[0].Item
}

func getItemRequest(fields []string, ids ...string) string {
	properties, items := "", ""
	for _, f := range fields {
		properties += `<t:FieldURI FieldURI="` + f + `"/>`
	}
	for _, id := range ids {
		items += `<t:ItemId Id="` + id + `"/>`
	}
	if properties != "" {
		properties = "<t:AdditionalProperties>" + properties + "</t:AdditionalProperties>"
	}
	return `<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>` + properties + `</m:ItemShape><m:ItemIds>` + items + `</m:ItemIds></m:GetItem>`
}

func (s *site) fault(f faults.Fault) {
	s.t.Helper()
	if _, err := s.faults.Add(f); err != nil {
		s.t.Fatal(err)
	}
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func contains(t *testing.T, what, body string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(body, p) {
			t.Errorf("%s: no %s in %s", what, p, body)
		}
	}
}

// after waits in virtual time.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
