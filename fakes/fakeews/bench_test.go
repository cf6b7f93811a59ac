package fakeews

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"mailbell/fakes/against"
	"mailbell/fakes/exchange"
	"mailbell/fakes/iisauth"
)

// clients is how many connections a benchmark uses.
const clients = 8

// benchSite is the fake and a bare handler over TLS on loopback.
type benchSite struct {
	org        *exchange.Organisation
	fake, bare *httptest.Server
	answer     []byte // what the bare handler says to a POST
}

func newBenchSite(b *testing.B) *benchSite {
	b.Helper()
	s := &benchSite{}
	var err error
	if s.org, err = exchange.New(exchange.Options{Unthrottled: true}); err != nil {
		b.Fatal(err)
	}
	if err := s.org.AddMailbox(ada, exchange.MailboxOptions{}); err != nil {
		b.Fatal(err)
	}
	fake, err := New(Options{Organisation: s.org, Anonymous: &iisauth.Identity{Account: svc, Impersonation: true}})
	if err != nil {
		b.Fatal(err)
	}
	s.fake = httptest.NewTLSServer(fake)
	s.bare = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // what the client sends is short
		w.Header().Set("Content-Type", "text/xml; charset=utf-8")
		_, _ = w.Write(s.answer)
	}))
	b.Cleanup(func() {
		_ = fake.Close()
		for _, server := range []*httptest.Server{s.fake, s.bare} {
			server.CloseClientConnections()
			server.Close()
		}
	})
	return s
}

func post(b *testing.B, server *httptest.Server, body string) *http.Response {
	r, err := server.Client().Post(server.URL+"/EWS/Exchange.asmx", "text/xml; charset=utf-8", strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	return r
}

func read(b *testing.B, r *http.Response) []byte {
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		b.Fatalf("%s: %v: %s", r.Status, err, text)
	}
	_ = r.Body.Close()
	return text
}

// asking repeats one request over a few connections.
func asking(b *testing.B, server *httptest.Server, body string) func(n int) {
	server.Client().Transport.(*http.Transport).MaxIdleConnsPerHost = clients
	return func(n int) {
		var wg sync.WaitGroup
		for c := range clients {
			wg.Go(func() {
				for i := c; i < n; i += clients {
					read(b, post(b, server, body))
				}
			})
		}
		wg.Wait()
	}
}

// BenchmarkGetItemAgainstBare is one item with what a push needs.
func BenchmarkGetItemAgainstBare(b *testing.B) {
	s := newBenchSite(b)
	delivered, err := s.org.Deliver(exchange.Envelope{To: []string{ada}, Raw: []byte("From: Ada <a@b.c>\r\nSubject: Figures\r\n\r\nx")})
	if err != nil {
		b.Fatal(err)
	}
	body := ask{as: ada}.envelope(getItemRequest([]string{"item:Subject", "message:From", "item:DateTimeReceived", "message:IsRead"}, delivered[0].Item))
	s.answer = read(b, post(b, s.fake, body))
	against.Bare(b, "items/s", asking(b, s.fake, body), asking(b, s.bare, body))
}

// BenchmarkSubscribeAgainstBare makes a subscription each time.
func BenchmarkSubscribeAgainstBare(b *testing.B) {
	s := newBenchSite(b)
	body := ask{as: ada}.envelope(subscribeRequest(inbox, "NewMailEvent"))
	s.answer = read(b, post(b, s.fake, body))
	against.Bare(b, "subscriptions/s", asking(b, s.fake, body), asking(b, s.bare, body))
}

// BenchmarkEnvelopesAgainstBare is a stream of one mail an envelope, delivery
// included; the bare handler writes and flushes the same bytes.
func BenchmarkEnvelopesAgainstBare(b *testing.B) {
	s := newBenchSite(b)
	raw := []byte("From: Ada <a@b.c>\r\nSubject: Figures\r\n\r\nx")
	deliver := func() {
		if _, err := s.org.Deliver(exchange.Envelope{To: []string{ada}, Raw: raw}); err != nil {
			b.Fatal(err)
		}
	}
	const end = "</Envelope>"
	next := func(r io.Reader, buf *[]byte) []byte { // the next envelope of a stream
		chunk := make([]byte, 16<<10)
		for {
			if i := bytes.Index(*buf, []byte(end)); i >= 0 {
				one := (*buf)[:i+len(end)]
				*buf = (*buf)[i+len(end):]
				return one
			}
			n, err := r.Read(chunk)
			if err != nil {
				b.Fatal(err)
			}
			*buf = append(*buf, chunk[:n]...)
		}
	}
	sub := values(string(read(b, post(b, s.fake, ask{as: ada}.envelope(subscribeRequest(inbox, "NewMailEvent"))))), "SubscriptionId")[0]
	stream := post(b, s.fake, ask{as: ada}.envelope(streamRequest(30, sub)))
	defer stream.Body.Close()
	var buf []byte
	next(stream.Body, &buf) // ConnectionStatus OK
	deliver()
	envelope := bytes.Clone(next(stream.Body, &buf))

	go1 := make(chan struct{})
	bare := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range go1 {
			_, _ = w.Write(envelope)
			_ = http.NewResponseController(w).Flush()
		}
	}))
	defer bare.Close()
	defer close(go1)
	resp := make(chan *http.Response, 1)
	go func() { resp <- post(b, bare, "") }()
	go1 <- struct{}{}
	answer := <-resp
	defer answer.Body.Close()
	var bareBuf []byte
	next(answer.Body, &bareBuf)

	against.Bare(b, "envelopes/s", func(n int) {
		for range n {
			deliver()
			next(stream.Body, &buf)
		}
	}, func(n int) {
		for range n {
			go1 <- struct{}{}
			next(answer.Body, &bareBuf)
		}
	})
}
