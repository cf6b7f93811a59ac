package fakeapns

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// prepared is a connection's beginning with one push.
func prepared(path string, body []byte) []byte {
	var out, block bytes.Buffer
	out.WriteString(http2.ClientPreface)
	fr, enc := http2.NewFramer(&out, nil), hpack.NewEncoder(&block)
	_ = fr.WriteSettings() // into memory
	for _, f := range [][2]string{{":method", "POST"}, {":scheme", "https"}, {":path", path}, {"apns-topic", testTopic}} {
		_ = enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
	_ = fr.WriteData(1, true, body)
	return out.Bytes()
}

// FuzzConnection sends anything over TLS. Whatever comes, the server neither
// panics nor hangs, takes nothing for a push, lets go of the connection when the
// client does, and serves the next one.
func FuzzConnection(f *testing.F) {
	good := prepared("/3/device/"+testToken, []byte(`{"aps":{}}`))
	for _, seed := range [][]byte{
		nil, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), good, good[:len(good)/2], prepared("/", nil),
		append(bytes.Clone(good), good...), bytes.Repeat([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0}, 50),
		append([]byte(http2.ClientPreface), 0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		inBubble(t, Options{}, func(h *host) {
			dial := func() (net.Conn, *tls.Conn) {
				raw := must(h.net.Dial(context.Background(), "tcp", testHost))(t)
				c := tls.Client(raw, &tls.Config{NextProtos: []string{"h2"}, RootCAs: h.ca.Pool(), ServerName: "api.push.apple.com"})
				if err := c.Handshake(); err != nil {
					t.Fatal(err)
				}
				return raw, c
			}
			raw, c := dial()
			read := make(chan struct{})
			go func() {
				defer close(read)
				_, _ = io.Copy(io.Discard, c) // until either end closes
			}()
			_ = c.SetWriteDeadline(time.Now().Add(time.Minute))
			_, _ = c.Write(data) // the server may close before the end
			synctest.Wait()
			_ = raw.Close()
			<-read
			time.Sleep(time.Minute)
			synctest.Wait()
			if s := h.Stats(); s.Accepted != 0 || s.Open != 0 {
				t.Fatalf("after the client has gone: %+v", s)
			}
			if raw, c := dial(); c.ConnectionState().NegotiatedProtocol != http2.NextProtoTLS {
				t.Error("the next connection is not served")
			} else {
				_ = raw.Close()
			}
		})
	})
}
