package ews

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden requests")

func TestRequestsAreWrittenAsTheSchemaOrdersThem(t *testing.T) {
	alice := Caller{Impersonate: "alice@contoso.com"}
	tests := []struct {
		golden string
		source string
		got    []byte
	}{
		{"subscribe_request.golden.xml", `EWS reference "Subscribe operation", streaming subscription`, subscribeRequest(Exchange2010SP2, alice, []EventType{NewMailEvent})},
		{"subscribe_listener_request.golden.xml", `EWS reference "Subscribe operation", without impersonation, two event types`, subscribeRequest(Exchange2013SP1, Caller{}, []EventType{NewMailEvent, ModifiedEvent})},
		{"unsubscribe_request.golden.xml", `EWS reference "Unsubscribe operation"`, unsubscribeRequest(Exchange2013SP1, alice, "DwBiZTEu1")},
		{"getstreamingevents_request.golden.xml", `EWS reference "GetStreamingEvents operation"`, streamRequest(Exchange2013SP1, alice, StreamRequest{Subscriptions: []SubscriptionID{"DwBiZTEu1", "DwBiZTEu2"}, Timeout: 29*time.Minute + 59*time.Second})},
		{"getitem_2010_request.golden.xml", `EWS reference "GetItem operation"; no Preview before Exchange 2013`, getItemRequest(Exchange2010SP2, alice, []ItemID{"AAMkAGI0="})},
		{"getitem_request.golden.xml", `EWS reference "GetItem operation"`, getItemRequest(Exchange2013SP1, alice, []ItemID{"AAMkAGI0=", "AAMkGONE="})},
		{"finditem_request.golden.xml", `EWS reference "FindItem operation"`, findItemRequest(Exchange2013SP1, alice, FindRequest{Offset: 50, Max: 100})},
		{"syncfolderitems_first_request.golden.xml", `EWS reference "SyncFolderItems operation", without SyncState`, syncRequest(Exchange2013SP1, alice, SyncRequest{Max: 512})},
		{"syncfolderitems_request.golden.xml", `EWS reference "SyncFolderItems operation"`, syncRequest(Exchange2013SP1, alice, SyncRequest{State: "H4sIAAAA", Max: 512})},
		{"getfolder_request.golden.xml", `EWS reference "GetFolder operation"`, getFolderRequest(Exchange2013SP1, alice)},
	}
	for _, tt := range tests {
		t.Run(tt.golden, func(t *testing.T) {
			// The comment on top is of the file, not of the request.
			got := append([]byte("<!-- "+tt.source+" -->\n"), tt.got...)
			path := filepath.Join("testdata", tt.golden)
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want := sample(t, tt.golden); !bytes.Equal(got, want) {
				t.Errorf("request differs from %s:\n got %s\nwant %s", path, got, want)
			}
			wellFormed(t, tt.got)
		})
	}
}

func wellFormed(t *testing.T, document []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(document))
	for {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, document)
		}
	}
}

func TestHostileNamesCannotLeaveTheirElement(t *testing.T) {
	evil := "a</t:SmtpAddress>&<\"'\x00\x1f\r\n\ufffe\xff\u202e😀@contoso.com"
	document := getItemRequest(Exchange2013SP1, Caller{Impersonate: evil}, []ItemID{ItemID(evil)})
	wellFormed(t, document)
	var back struct {
		Address string `xml:"Header>ExchangeImpersonation>ConnectingSID>SmtpAddress"`
		Item    struct {
			ID string `xml:"Id,attr"`
		} `xml:"Body>GetItem>ItemIds>ItemId"`
	}
	if err := xml.Unmarshal(document, &back); err != nil {
		t.Fatal(err)
	}
	want := "a</t:SmtpAddress>&<\"'\ufffd\ufffd\r\n\ufffd\ufffd\u202e😀@contoso.com"
	if back.Address != want || back.Item.ID != want {
		t.Errorf("read back %q and %q, want %q", back.Address, back.Item.ID, want)
	}
}

// seen is what a server notes of a request.
type seen struct {
	header http.Header
	body   string
}

func TestEveryRequestSaysWhoAndWhere(t *testing.T) {
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			var got []seen
			c := clientWith(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got = append(got, seen{r.Header.Clone(), string(body)})
				w.WriteHeader(http.StatusServiceUnavailable)
			}), Options{UserAgent: "Mailbell/1.0"})
			who := Caller{Impersonate: "bob@contoso.com", Anchor: "alice@contoso.com", Affinity: NewAffinity()}
			for range 2 {
				if err := op.call(t.Context(), c, who); err == nil {
					t.Fatal("no error for a 503")
				}
			}
			if err := op.call(t.Context(), c, Caller{Impersonate: "bob@contoso.com"}); err == nil {
				t.Fatal("no error for a 503")
			}
			if len(got) != 3 {
				t.Fatalf("%d requests, want 3: nothing is repeated here", len(got))
			}
			h := got[0].header
			for name, want := range map[string]string{
				"Content-Type": "text/xml; charset=utf-8", "Accept": "text/xml", "Accept-Encoding": "identity", "User-Agent": "Mailbell/1.0",
				"X-AnchorMailbox": "alice@contoso.com", "X-PreferServerAffinity": "true", "return-client-request-id": "true",
			} {
				if h.Get(name) != want {
					t.Errorf("header %s is %q, want %q", name, h.Get(name), want)
				}
			}
			if id := h.Get("client-request-id"); len(id) != 36 || id == got[1].header.Get("client-request-id") {
				t.Errorf("client-request-id %q is no GUID of its own", id)
			}
			if !strings.Contains(got[0].body, "<t:SmtpAddress>bob@contoso.com</t:SmtpAddress>") {
				t.Error("the request impersonates nobody")
			}
			if a := got[2].header.Get("X-AnchorMailbox"); a != "bob@contoso.com" {
				t.Errorf("without an anchor the header is %q, want the mailbox impersonated", a)
			}
			if got[2].header.Get("X-PreferServerAffinity") != "" {
				t.Error("a request of no group asks for affinity")
			}
		})
	}
}

func TestRequestBodiesCanBeSentAgain(t *testing.T) {
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			tried := false
			c, err := NewClient(Options{URL: "https://mail.contoso.test/EWS/Exchange.asmx", Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				tried = true
				first, err := io.ReadAll(r.Body)
				if err != nil {
					return nil, err
				}
				if r.GetBody == nil {
					return nil, errors.New("no GetBody")
				}
				again, err := r.GetBody()
				if err != nil {
					return nil, err
				}
				second, err := io.ReadAll(again)
				if err != nil || !bytes.Equal(first, second) || int64(len(first)) != r.ContentLength {
					t.Errorf("sent %d bytes first, then %d, of %d: %v", len(first), len(second), r.ContentLength, err)
				}
				return nil, errNoRoute
			})})
			if err != nil {
				t.Fatal(err)
			}
			if err := op.call(t.Context(), c, Caller{}); !errors.Is(err, errNoRoute) || !tried {
				t.Errorf("error %v, want the transport's", err)
			}
		})
	}
}

var errNoRoute = errors.New("no route to host")

func TestArgumentsOutOfBoundsAreNamed(t *testing.T) {
	c := clientFor(t, http.NotFoundHandler())
	many := make([]SubscriptionID, SubscriptionsPerStreamMax+1)
	for i := range many {
		many[i] = "x"
	}
	stream := func(q StreamRequest) error {
		_, err := c.GetStreamingEvents(t.Context(), Caller{}, q)
		return err
	}
	find := func(q FindRequest) error { _, err := c.FindItems(t.Context(), Caller{}, q); return err }
	sync := func(q SyncRequest) error { _, err := c.SyncFolderItems(t.Context(), Caller{}, q); return err }
	_, subscribe := c.Subscribe(t.Context(), Caller{})
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"no event types", subscribe, "event types"},
		{"no subscriptions", stream(StreamRequest{Timeout: time.Minute}), "Subscriptions"},
		{"201 subscriptions", stream(StreamRequest{Subscriptions: many, Timeout: time.Minute}), "Subscriptions"},
		{"an empty subscription", stream(StreamRequest{Subscriptions: []SubscriptionID{""}, Timeout: time.Minute}), "Subscriptions"},
		{"59 seconds", stream(StreamRequest{Subscriptions: many[:1], Timeout: 59 * time.Second}), "Timeout"},
		{"31 minutes", stream(StreamRequest{Subscriptions: many[:1], Timeout: 31 * time.Minute}), "Timeout"},
		{"negative silence", stream(StreamRequest{Subscriptions: many[:1], Timeout: time.Minute, SilenceMax: -1}), "SilenceMax"},
		{"negative offset", find(FindRequest{Offset: -1}), "Offset"},
		{"1001 rows", find(FindRequest{Max: FindRowsMax + 1}), "Max"},
		{"negative rows", find(FindRequest{Max: -1}), "Max"},
		{"513 changes", sync(SyncRequest{Max: SyncChangesMax + 1}), "Max"},
		{"negative changes", sync(SyncRequest{Max: -1}), "Max"},
	}
	for _, tt := range tests {
		if _, sent := errors.AsType[*HTTPError](tt.err); tt.err == nil || sent || !strings.Contains(tt.err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one that names %s before anything is sent", tt.name, tt.err, tt.want)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	ok := Options{URL: "https://mail.contoso.test/EWS/Exchange.asmx", Transport: http.DefaultTransport}
	with := func(change func(*Options)) Options { o := ok; change(&o); return o }
	tests := []struct {
		name string
		o    Options
		want string // part of the error; empty: none
	}{
		{"defaults", ok, ""},
		{"a newer schema", with(func(o *Options) { o.Version = "Exchange2016" }), ""},
		{"no URL", with(func(o *Options) { o.URL = "" }), "URL"},
		{"a path", with(func(o *Options) { o.URL = "/EWS/Exchange.asmx" }), "URL"},
		{"another scheme", with(func(o *Options) { o.URL = "ftp://mail.contoso.test" }), "URL"},
		{"a password in the URL", with(func(o *Options) { o.URL = "https://svc:hunter2@mail.contoso.test/" }), "URL"},
		{"no transport", with(func(o *Options) { o.Transport = nil }), "Transport"},
		{"negative timeout", with(func(o *Options) { o.RequestTimeout = -1 }), "RequestTimeout"},
		{"a label as schema", with(func(o *Options) { o.Version = "V2017_07_11" }), "Version"},
	}
	for _, tt := range tests {
		c, err := NewClient(tt.o)
		switch {
		case tt.want == "" && (err != nil || c == nil):
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2")):
			t.Errorf("%s: error %v, want one that names %s", tt.name, err, tt.want)
		}
	}
}

func TestServerFamiliesGetTheirSchema(t *testing.T) {
	for build, want := range map[string]Version{
		"14.2.247.5": Exchange2010SP2, "14.3.123.4": Exchange2010SP2, "15.0.847.32": Exchange2013SP1, "15.01.2507.037": Exchange2013SP1,
		"15.2.1544.11": Exchange2013SP1, "15.20.7897.21": Exchange2013SP1, "16.0": Exchange2013SP1,
		"14.1.218.15": "", "8.3.83.6": "", "": "", "Exchange2016": "", "-1.5": "", "15": "",
	} {
		got, err := VersionForServer(build)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("build %q: %q, %v; want %q", build, got, err, want)
		}
	}
}
