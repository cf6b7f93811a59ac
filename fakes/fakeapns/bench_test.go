package fakeapns

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
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
