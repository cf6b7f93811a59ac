package fakeapns

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"mailbell/fakes/against"
)

// BenchmarkServer is the server's own share: a client that writes prepared
// frames and only counts the answers, over loopback TLS.
func BenchmarkServer(b *testing.B) {
	h := onLoopback(b, Options{})
	raw, c := h.dialAt()
	defer raw.Close()
	fr := http2.NewFramer(c, c)
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		b.Fatal(err)
	}
	_ = fr.WriteSettings()
	auth := h.bearer(time.Now())
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	var out bytes.Buffer
	batch := http2.NewFramer(&out, nil)
	id := uint32(1)
	add := func() {
		block.Reset()
		for _, f := range [][2]string{
			{":method", "POST"},
			{":scheme", "https"},
			{":authority", "api.push.apple.com"},
			{":path", "/3/device/" + testToken},
			{"authorization", auth},
			{"apns-topic", testTopic},
			{"apns-push-type", "alert"},
			{"apns-priority", "10"},
			{"apns-collapse-id", "c"},
			{"apns-id", fmt.Sprintf("123e4567-e89b-12d3-a456-%012x", id)},
		} {
			_ = enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1], Sensitive: f[0] == "apns-id"})
		}
		_ = batch.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true})
		_ = batch.WriteData(id, true, []byte(goodBody))
		id += 2
	}
	await := func(n int) {
		for n > 0 {
			f, err := fr.ReadFrame()
			if err != nil {
				b.Fatal(err)
			}
			switch f := f.(type) {
			case *http2.HeadersFrame:
				n--
			case *http2.SettingsFrame:
				if !f.IsAck() {
					_ = fr.WriteSettingsAck()
				}
			}
		}
	}
	add()
	_, _ = c.Write(out.Bytes())
	await(1)
	const inFlight = 200
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; left -= inFlight {
		n := min(left, inFlight)
		out.Reset()
		for range n {
			add()
		}
		_, _ = c.Write(out.Bytes())
		await(n)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pushes/s")
}

// BenchmarkPushesAgainstBare compares with the HTTP/2 server of net/http and a
// handler that reads the payload and answers with an apns-id: the same client,
// one connection, a hundred streams.
func BenchmarkPushesAgainstBare(b *testing.B) {
	h := onLoopback(b, Options{})
	bare := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a payload is short
		w.Header().Set("apns-id", r.Header.Get("apns-id"))
	}))
	bare.EnableHTTP2 = true
	bare.StartTLS()
	defer bare.Close()
	auth := h.bearer(time.Now())
	body := `{"aps":{"alert":{"title":"Ada","body":"` + strings.Repeat("x", 150) + `"}}}`
	pushing := func(tr http.RoundTripper, url string) func(n int) {
		return func(n int) {
			const streams = 100
			var wg sync.WaitGroup
			for c := range streams {
				wg.Go(func() {
					for i := c; i < n; i += streams {
						r, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
						if err != nil {
							b.Error(err)
							return
						}
						r.Header = http.Header{"Authorization": {auth}, "Apns-Topic": {testTopic}, "Apns-Push-Type": {"alert"}, "Apns-Id": {"123e4567-e89b-12d3-a456-426614174000"}}
						resp, err := tr.RoundTrip(r)
						if err != nil || resp.StatusCode != http.StatusOK {
							b.Error(resp, err)
							return
						}
						_, _ = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
					}
				})
			}
			wg.Wait()
		}
	}
	// A strict transport waits for a stream instead of opening another connection.
	fake := &http.Transport{
		ForceAttemptHTTP2: true, HTTP2: &http.HTTP2Config{StrictMaxConcurrentRequests: true},
		TLSClientConfig: &tls.Config{RootCAs: h.ca.Pool(), ServerName: "api.push.apple.com"},
	}
	defer fake.CloseIdleConnections()
	against.Bare(b, "pushes/s", pushing(fake, "https://"+h.Addr().String()+"/3/device/"+testToken), pushing(bare.Client().Transport, bare.URL))
}
