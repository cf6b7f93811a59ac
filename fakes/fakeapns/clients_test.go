//lint:file-ignore SA1019 apns2 is used with the transport that it comes with

package fakeapns

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sideshow/apns2"
	"github.com/sideshow/apns2/token"
	"golang.org/x/net/http2"

	"mailbell/fakes/testtool"
)

// onLoopback is a server that programs outside this process can reach.
func onLoopback(t testing.TB, o Options) *host {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.Listener = l
	h := newHost(t, o)
	t.Cleanup(h.end)
	return h
}

// curlPost runs curl and returns the status, the headers and the body.
func (h *host) curlPost(t *testing.T, url string, args ...string) (head, body string, err error) {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, h.ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	all := append([]string{"--silent", "--show-error", "--include", "--cacert", ca, "--connect-to", "api.push.apple.com:443:" + h.Addr().String()}, args...)
	cmd := exec.CommandContext(ctx, testtool.Curl.Path(t, "no client with another HTTP/2 library"), append(all, "https://api.push.apple.com"+url)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", string(out), errors.New(strings.TrimSpace(stderr.String()))
	}
	head, body, _ = strings.Cut(string(out), "\r\n\r\n")
	return head, body, nil
}

func TestCurlIsAnsweredAsByApple(t *testing.T) {
	h := onLoopback(t, Options{})
	h.Retire(tokenOf(2), time.UnixMilli(1_700_000_000_123), "")
	auth := "authorization: " + h.bearer(time.Now())
	const topic = "apns-topic: " + testTopic
	device := "/3/device/" + testToken
	for _, c := range []struct {
		name, url string
		args      []string
		status    string
		body      string
	}{
		{"GET without credentials", device, []string{"--http2"}, "405", `{"reason":"MethodNotAllowed"}`},
		{"POST without credentials", "/3/device/aaaa", []string{"--http2", "--data", "{}"}, "403", `{"reason":"MissingProviderToken"}`},
		{"a foreign key", "/3/device/" + strings.Repeat("0", 64), []string{"--http2", "--data", "{}", "-H", "authorization: bearer " + sign(t, newKey(t), "ES256", "STRANGER01", testTeam, time.Now())}, "403", `{"reason":"InvalidProviderToken"}`},
		{"a good push", device, []string{"--http2", "--data", goodBody, "-H", auth, "-H", topic}, "200", ""},
		{"TLS 1.2", device, []string{"--http2", "--tls-max", "1.2", "--data", goodBody, "-H", auth, "-H", topic}, "200", ""},
		{"prior knowledge without ALPN", device, []string{"--http2-prior-knowledge", "--no-alpn", "--data", goodBody, "-H", auth, "-H", topic}, "200", ""},
		{"no topic", device, []string{"--http2", "--data", goodBody, "-H", auth}, "400", `{"reason":"MissingTopic"}`},
		{"a retired token", "/3/device/" + tokenOf(2), []string{"--http2", "--data", goodBody, "-H", auth, "-H", topic}, "410", `{"reason":"Unregistered","timestamp":1700000000123}`},
		{"a large payload", device, []string{"--http2", "--data", payloadOf(4097), "-H", auth, "-H", topic}, "413", `{"reason":"PayloadTooLarge"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			head, body, err := h.curlPost(t, c.url, c.args...)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(head, "HTTP/2 "+c.status) || body != c.body || !strings.Contains(head, "apns-id: ") {
				t.Errorf("%s\n\n%s\nwant %s %s", head, body, c.status, c.body)
			}
		})
	}
}

// Checklist push 3.
func TestA03CurlWithHTTP1ReportsHTTP09(t *testing.T) {
	h := onLoopback(t, Options{})
	if _, _, err := h.curlPost(t, "/3/device/"+testToken, "--http1.1", "--data", "{}"); err == nil || !strings.Contains(err.Error(), "HTTP/0.9") {
		t.Errorf("curl --http1.1: %v", err)
	}
}

// client is an apns2 client with its own connection.
func (h *host) client(t testing.TB, dial func(ctx context.Context) (net.Conn, error)) *apns2.Client {
	t.Helper()
	tr := &http2.Transport{
		TLSClientConfig: &tls.Config{RootCAs: h.ca.Pool()},
		DialTLSContext: func(ctx context.Context, _, _ string, config *tls.Config) (net.Conn, error) {
			raw, err := dial(ctx)
			if err != nil {
				return nil, err
			}
			config.ServerName = "api.push.apple.com"
			c := tls.Client(raw, config)
			return c, c.HandshakeContext(ctx)
		},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &apns2.Client{
		Host: "https://api.push.apple.com", Token: &token.Token{AuthKey: h.key, KeyID: testKeyID, TeamID: testTeam},
		HTTPClient: &http.Client{Transport: tr, Timeout: time.Minute},
	}
}

func (h *host) overTCP(ctx context.Context) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", h.Addr().String())
}

func (h *host) overMemory(ctx context.Context) (net.Conn, error) {
	return h.net.Dial(ctx, "tcp", testHost)
}

func TestApns2PushesOverLoopback(t *testing.T) {
	h := onLoopback(t, Options{RejectionDropsToOne: true})
	h.Retire(tokenOf(2), time.Unix(1_700_000_000, 0), "")
	c := h.client(t, h.overTCP)
	push := func(tok string) *apns2.Response {
		t.Helper()
		r, err := c.PushWithContext(t.Context(), &apns2.Notification{DeviceToken: tok, Topic: testTopic, Payload: []byte(goodBody), CollapseID: "c"})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := push(testToken); !r.Sent() || r.ApnsID == "" {
		t.Errorf("%+v", r)
	}
	if r := push(tokenOf(9)); r.StatusCode != 400 || r.Reason != apns2.ReasonBadDeviceToken {
		t.Errorf("%+v", r)
	}
	if r := push(tokenOf(2)); r.StatusCode != 410 || r.Reason != apns2.ReasonUnregistered || r.Timestamp.Unix() != 1_700_000_000 {
		t.Errorf("%+v", r)
	}
	const workers, each = 50, 20
	var sent atomic.Int32
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for range each {
				r, err := c.PushWithContext(t.Context(), &apns2.Notification{DeviceToken: testToken, Topic: testTopic, Payload: []byte(goodBody)})
				if err == nil && r.Sent() {
					sent.Add(1)
				}
			}
		})
	}
	group.Wait()
	if sent.Load() != workers*each || h.Stats().Accepted != workers*each+1 {
		t.Errorf("%d sent, %d accepted", sent.Load(), h.Stats().Accepted)
	}
}

func TestApns2PushesForADayOfVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, Options{Latency: 80 * time.Millisecond})
		c := h.client(t, h.overMemory)
		for range 24 * 6 { // provider tokens are renewed on the way
			r, err := c.PushWithContext(t.Context(), &apns2.Notification{DeviceToken: testToken, Topic: testTopic, Payload: []byte(goodBody)})
			if err != nil || !r.Sent() {
				t.Fatalf("%+v, %v", r, err)
			}
			time.Sleep(10 * time.Minute)
		}
		if st := h.Stats(); st.Accepted != 24*6 || st.Connections != 1 || st.ProviderTokens < 24 {
			t.Errorf("%+v", st)
		}
		c.CloseIdleConnections()
		synctest.Wait()
		h.end()
	})
}

// BenchmarkPush is one apns2 client with 250 pushes in flight over loopback
// TLS: client and server share the processor.
func BenchmarkPush(b *testing.B) {
	h := onLoopback(b, Options{})
	c := h.client(b, h.overTCP)
	note := &apns2.Notification{DeviceToken: testToken, Topic: testTopic, Payload: []byte(goodBody), PushType: apns2.PushTypeAlert, CollapseID: "c"}
	push := func() {
		if r, err := c.PushWithContext(b.Context(), note); err != nil || !r.Sent() {
			b.Error(r, err)
		}
	}
	push()
	b.ResetTimer()
	work := make(chan struct{}, 250)
	var group sync.WaitGroup
	for range 250 {
		group.Go(func() {
			for range work {
				push()
			}
		})
	}
	for range b.N {
		work <- struct{}{}
	}
	close(work)
	group.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pushes/s")
}
