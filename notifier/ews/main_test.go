package ews

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sample is a message of testdata.
func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// clientFor is a client of a server that lives as long as the test.
func clientFor(t testing.TB, h http.Handler) *Client {
	t.Helper()
	return clientWith(t, h, Options{})
}

func clientWith(t testing.TB, h http.Handler, o Options) *Client {
	t.Helper()
	srv := httptest.NewServer(h)
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		srv.CloseClientConnections()
		srv.Close()
	})
	o.URL, o.Transport = srv.URL+"/EWS/Exchange.asmx", transport
	c, err := NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// answering is a server with one answer.
func answering(status int, contentType string, body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write(body)
	})
}

// saying is a server that answers with a message of testdata.
func saying(t testing.TB, name string) http.Handler {
	return answering(http.StatusOK, "text/xml; charset=utf-8", sample(t, name))
}

// reply is the ordinary answer of an operation around response messages.
func reply(operation string, messages ...string) []byte {
	return []byte(`<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="` + nsSOAP + `"><s:Body><m:` + operation + `Response xmlns:m="` + nsMessages +
		`" xmlns:t="` + nsTypes + `"><m:ResponseMessages>` + strings.Join(messages, "") + `</m:ResponseMessages></m:` + operation + `Response></s:Body></s:Envelope>`)
}

// refusal is a response message that says no.
func refusal(operation, code, text string) string {
	return fmt.Sprintf(`<m:%[1]sResponseMessage ResponseClass="Error"><m:MessageText>%[3]s</m:MessageText><m:ResponseCode>%[2]s</m:ResponseCode><m:DescriptiveLinkKey>0</m:DescriptiveLinkKey></m:%[1]sResponseMessage>`, operation, code, text)
}

// roundTripper is a transport made of a function.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// operations are all calls of a client, for what they have in common.
var operations = []struct {
	name string
	call func(context.Context, *Client, Caller) error
}{
	{"Subscribe", func(ctx context.Context, c *Client, who Caller) error {
		_, err := c.Subscribe(ctx, who, NewMailEvent)
		return err
	}},
	{"Unsubscribe", func(ctx context.Context, c *Client, who Caller) error { return c.Unsubscribe(ctx, who, "DwBiZTEu1") }},
	{"GetItem", func(ctx context.Context, c *Client, who Caller) error {
		_, err := c.GetItem(ctx, who, []ItemID{"AAMkAGI0="})
		return err
	}},
	{"FindItem", func(ctx context.Context, c *Client, who Caller) error {
		_, err := c.FindItems(ctx, who, FindRequest{})
		return err
	}},
	{"SyncFolderItems", func(ctx context.Context, c *Client, who Caller) error {
		_, err := c.SyncFolderItems(ctx, who, SyncRequest{})
		return err
	}},
	{"GetFolder", func(ctx context.Context, c *Client, who Caller) error {
		_, err := c.GetFolder(ctx, who)
		return err
	}},
	{"GetStreamingEvents", func(ctx context.Context, c *Client, who Caller) error {
		st, err := c.GetStreamingEvents(ctx, who, StreamRequest{Subscriptions: []SubscriptionID{"DwBiZTEu1"}, Timeout: StreamTimeoutMax})
		if err != nil {
			return err
		}
		defer st.Close()
		_, err = st.Next()
		return err
	}},
}
