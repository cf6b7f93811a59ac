//lint:file-ignore SA1019 apns2 speaks through this HTTP/2 transport, and lanes need its connection pool.

package apns

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/sideshow/apns2"
	"github.com/sideshow/apns2/token"
	"go.uber.org/goleak"
	"golang.org/x/net/http2"
	"software.sslmate.com/src/go-pkcs12"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRequestGoesOutAsGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		c := p.client(Options{Lanes: 1})
		defer p.end(c)
		r := testPush(0)
		r.Payload = []byte(`{"aps":{"alert":{"title":"<Ada & Éva>", "body":"日本"}}, "x":"\u003c"}`)
		r.CollapseID, r.Priority, r.Expiration = "n42", 5, time.Unix(1_900_000_000, 0)
		if got := c.Push(t.Context(), r); got.Action != Delivered || got.Status != 200 || got.ID != r.ID || got.Err != nil {
			t.Fatalf("%+v", got)
		}
		once := testPush(1)
		once.Expiration = time.Unix(0, 0)
		c.Push(t.Context(), once)
		q := p.requests()
		if !bytes.Equal(q[0].payload, r.Payload) {
			t.Errorf("payload %s", q[0].payload)
		}
		for name, want := range map[string]string{
			":method": "POST", ":scheme": "https", ":path": "/3/device/" + r.Token, ":authority": "api.push.apple.com",
			"apns-topic": testTopic, "apns-push-type": "alert", "apns-id": r.ID, "apns-expiration": "1900000000",
			"apns-priority": "5", "apns-collapse-id": "n42", "content-length": fmt.Sprint(len(r.Payload)), "accept-encoding": "",
		} {
			if q[0].header[name] != want {
				t.Errorf("%s: %q, want %q", name, q[0].header[name], want)
			}
		}
		if got := q[1].header["apns-expiration"]; got != "0" {
			t.Errorf("one attempt: apns-expiration %q, want 0", got)
		}
		bearer, ok := strings.CutPrefix(q[0].header["authorization"], "bearer ")
		if !ok {
			t.Fatalf("authorization %q", q[0].header["authorization"])
		}
		token, err := jwt.Parse(bearer, func(*jwt.Token) (any, error) { return c.shared.provider.key.private.Public(), nil },
			jwt.WithValidMethods([]string{"ES256"}))
		if err != nil {
			t.Fatal(err)
		}
		issuer, _ := token.Claims.GetIssuer()
		issued, _ := token.Claims.GetIssuedAt()
		if token.Header["kid"] != testKeyID || issuer != testTeamID || !issued.Equal(q[0].at.Truncate(time.Second)) {
			t.Errorf("token %v %v", token.Header, token.Claims)
		}
	})
}

func TestAnswersBecomeResponses(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123).UTC()
	for name, tc := range map[string]struct {
		reply  reply
		action Action
		check  func(Response) bool
	}{
		"410 keeps its time to the millisecond": {
			reply{status: 410, body: `{"reason":"Unregistered","timestamp":1700000000123}`},
			Forget,
			func(r Response) bool { return r.Timestamp.Equal(at) && r.Reason == "Unregistered" },
		},
		"status survives a body that is not JSON": {
			reply{status: 502, body: "<html>bad gateway</html>"},
			Retry,
			func(r Response) bool {
				return r.Status == 502 && r.Reason == "" && r.RetryAfter >= UnavailableWaitDefault
			},
		},
		"nothing is forgotten for a 410 without a reason": {
			reply{status: 410, body: "<html>gone</html>"},
			Retry,
			func(r Response) bool { return r.Status == 410 },
		},
		"Retry-After is passed on": {
			reply{status: 429, body: `{"reason":"TooManyRequests"}`, header: map[string]string{"retry-after": "77"}},
			Retry,
			func(r Response) bool { return r.RetryAfter == 77*time.Second },
		},
		"a busy device waits a minute": {
			reject(429, "TooManyRequests"), Retry,
			func(r Response) bool { return r.RetryAfter == time.Minute },
		},
		"redirects are not followed": {
			reply{status: 307, header: map[string]string{"location": "https://elsewhere.example/"}},
			Pause,
			func(r Response) bool { return r.Status == 307 },
		},
		"configuration pauses": {
			reject(400, "TopicDisallowed"), Pause,
			func(r Response) bool { return r.RetryAfter == probeWait },
		},
		"an unknown reason is judged by its class": {
			reject(400, "BrandNewReason"), Drop,
			func(r Response) bool { return r.Reason == "BrandNewReason" },
		},
		"503 waits a quarter of an hour": {
			reject(503, "ServiceUnavailable"), Retry,
			func(r Response) bool { return r.RetryAfter >= 15*time.Minute && r.RetryAfter <= 17*time.Minute },
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t)
				p.answer = func(*peerConn, query) reply { return tc.reply }
				c := p.client(Options{})
				defer p.end(c)
				r := c.Push(t.Context(), testPush(0))
				var rejected *RejectedError
				if r.Action != tc.action || !tc.check(r) || !errors.As(r.Err, &rejected) || rejected.Status != tc.reply.status {
					t.Errorf("%+v", r)
				}
				if dials, seen, _ := p.counts(); dials != 1 || seen != 1 {
					t.Errorf("%d dials, %d requests", dials, seen)
				}
			})
		})
	}
}

func TestErrorInsideOneServerIsTriedOnceOnAnotherConnection(t *testing.T) {
	for reason, status := range map[string]int{"InternalServerError": 500, "Shutdown": 503, "IdleTimeout": 400, "UnrelatedKeyIdInToken": 403} {
		t.Run(reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t)
				p.answer = func(_ *peerConn, q query) reply {
					if q.conn == 1 {
						return reject(status, reason)
					}
					return reply{}
				}
				c := p.client(Options{Lanes: 2})
				defer p.end(c)
				if r := c.Push(t.Context(), testPush(0)); r.Action != Delivered {
					t.Errorf("%+v", r)
				}
				if dials, _, _ := p.counts(); dials != 2 {
					t.Errorf("%d connections, want 2", dials)
				}
			})
		})
	}
}

func TestExpiredProviderTokenIsRenewedInsidePush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		var mu sync.Mutex
		dead := map[string]bool{}
		wedged := map[int]bool{}
		p.answer = func(_ *peerConn, q query) reply {
			mu.Lock()
			defer mu.Unlock()
			if dead[q.header["authorization"]] || wedged[q.conn] {
				wedged[q.conn] = true // such a connection does not recover
				return reject(403, "ExpiredProviderToken")
			}
			return reply{after: 10 * time.Millisecond}
		}
		c := p.client(Options{Lanes: 2})
		defer p.end(c)
		if got := countActions(burst(t.Context(), c, 100)); got[Delivered] != 100 {
			t.Fatalf("actions %v", got)
		}
		time.Sleep(30 * time.Minute)
		mu.Lock()
		dead[p.requests()[0].header["authorization"]] = true
		mu.Unlock()
		if got := countActions(burst(t.Context(), c, 100)); got[Delivered] != 100 {
			t.Errorf("after the token expired: %v", got)
		}
		tokens := map[string]bool{}
		for _, q := range p.requests() {
			tokens[q.header["authorization"]] = true
		}
		if len(tokens) != 2 {
			t.Errorf("%d provider tokens, want 2", len(tokens))
		}
		if dials, _, _ := p.counts(); dials != 4 {
			t.Errorf("%d connections, want 4", dials)
		}
	})
}

func TestTokenRefusedRightAfterMintingPausesWithoutMintingAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.answer = func(*peerConn, query) reply { return reject(403, "ExpiredProviderToken") }
		c := p.client(Options{Lanes: 1})
		defer p.end(c)
		r := c.Push(t.Context(), testPush(0))
		if r.Action != Pause || r.RetryAfter < probeWait || !strings.Contains(r.Err.Error(), "clock") {
			t.Errorf("%+v", r)
		}
		q := p.requests()
		if len(q) != 2 || q[0].header["authorization"] != q[1].header["authorization"] || q[0].conn == q[1].conn {
			t.Errorf("want the same token twice, on two connections")
		}
	})
}

func TestInvalidProviderTokenIsTriedOnANewConnectionThenPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.answer = func(*peerConn, query) reply { return reject(403, "InvalidProviderToken") }
		c := p.client(Options{Lanes: 1})
		defer p.end(c)
		rs := burst(t.Context(), c, 300)
		for _, r := range rs {
			if r.Action != Pause {
				t.Fatalf("%+v", r)
			}
		}
		if dials, seen, _ := p.counts(); dials > 10 || seen > 20 {
			t.Errorf("%d dials, %d requests for a key that is refused", dials, seen)
		}
	})
}

func TestNoConnectionSeesASecondTokenWithinTwentyMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hours = 12
		p := newPeer(t)
		type use struct {
			token string
			since time.Time
		}
		var mu sync.Mutex
		uses := map[int]use{}
		tokens := map[string]bool{}
		p.answer = func(_ *peerConn, q query) reply {
			mu.Lock()
			defer mu.Unlock()
			token := q.header["authorization"]
			tokens[token] = true
			u, ok := uses[q.conn]
			if ok && u.token != token && q.at.Sub(u.since) < 20*time.Minute {
				return reject(429, "TooManyProviderTokenUpdates")
			}
			if !ok || u.token != token {
				uses[q.conn] = use{token, q.at}
			}
			parsed, _, err := jwt.NewParser().ParseUnverified(strings.TrimPrefix(token, "bearer "), jwt.MapClaims{})
			if err != nil {
				t.Error(err)
				return reply{}
			}
			if issued, _ := parsed.Claims.GetIssuedAt(); q.at.Sub(issued.Time) > time.Hour {
				return reject(403, "ExpiredProviderToken")
			}
			if q.number%37 == 0 { // so that connections begin at odd moments
				return reply{status: 200, goAway: &http2.GoAwayError{LastStreamID: uint32(2*q.number + 1)}}
			}
			return reply{}
		}
		c := p.client(Options{Lanes: 3})
		defer p.end(c)
		// The step is not a multiple of the time between PINGs, so that no PING
		// meets the end of a connection.
		const step = 67 * time.Second
		began := time.Now()
		for i := 0; time.Since(began) < hours*time.Hour; i++ {
			if r := c.Push(t.Context(), testPush(i)); r.Action != Delivered {
				t.Errorf("push %d: %+v", i, r)
			}
			time.Sleep(step)
		}
		for _, q := range p.requests() {
			if s := q.header["authorization"]; s == "" {
				t.Error("no token")
			}
		}
		if n := len(tokens); n < hours*60/58 || n > hours*60/50+1 {
			t.Errorf("%d tokens in %d hours", n, hours)
		}
	})
}

func TestWaveOfBadDeviceTokensPausesInsteadOfForgetting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.answer = func(*peerConn, query) reply { return reject(400, "BadDeviceToken") }
		c := p.client(Options{})
		defer p.end(c)
		got := countActions(burst(t.Context(), c, 100))
		if got[Forget] != guardDevices-1 || got[Pause] != 100-guardDevices+1 {
			t.Errorf("actions %v", got)
		}
		p.answer = func(*peerConn, query) reply { return reply{} }
		burst(t.Context(), c, 400)
		time.Sleep(guardAge + time.Second)
		p.answer = func(*peerConn, query) reply { return reject(400, "BadDeviceToken") }
		if r := c.Push(t.Context(), testPush(0)); r.Action != Forget {
			t.Errorf("a single bad token among good ones: %+v", r)
		}
	})
}

func TestOutagePausesWithoutUsingUpAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.answer = func(*peerConn, query) reply { return reject(503, "ServiceUnavailable") }
		c := p.client(Options{})
		defer p.end(c)
		got := countActions(burst(t.Context(), c, 100))
		if got[Retry] != guardDevices-1 || got[Pause] != 100-guardDevices+1 {
			t.Errorf("actions %v", got)
		}
	})
}

func TestCloseDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.answer = func(_ *peerConn, q query) reply {
			if q.number == 1 {
				return reply{}
			}
			return reply{after: 2 * time.Second}
		}
		c := p.client(Options{Lanes: 1, StreamsMax: 10})
		c.Push(t.Context(), testPush(0))
		var rs []Response
		done := make(chan struct{})
		go func() { defer close(done); rs = burst(t.Context(), c, 30) }()
		time.Sleep(time.Second)
		began := time.Now()
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("drained in %s, want 1 s", took)
		}
		<-done
		if got := countActions(rs); got[Delivered] != 10 || got[Retry] != 20 {
			t.Errorf("actions %v, want 10 delivered and 20 given back", got)
		}
		if r := c.Push(t.Context(), testPush(0)); r.Action != Retry || r.Reason != ReasonClosed {
			t.Errorf("after Close: %+v", r)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		p.wg.Wait()
	})
}

func TestCloseCutsWhatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.answer = func(*peerConn, query) reply { return reply{silent: true} }
		c := p.client(Options{})
		var rs []Response
		done := make(chan struct{})
		go func() { defer close(done); rs = burst(t.Context(), c, 5) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close: %v", err)
		}
		<-done
		for _, r := range rs {
			if r.Action != Retry {
				t.Errorf("%+v", r)
			}
		}
		p.wg.Wait()
	})
}

func TestClientSurvivesStartStopStress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.answer = func(_ *peerConn, q query) reply {
			switch {
			case q.number%11 == 0:
				return reply{cut: true}
			case q.number%7 == 0:
				return reply{silent: true}
			}
			return reply{after: time.Duration(q.number) * time.Millisecond}
		}
		for i := range 30 {
			c := p.client(Options{Lanes: 1 + i%3})
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*10*time.Millisecond)
			done := make(chan struct{})
			go func() { defer close(done); burst(ctx, c, 40) }()
			time.Sleep(time.Duration(i) * 5 * time.Millisecond)
			_ = c.Close(ctx)
			<-done
			cancel()
			if s := c.Stats(); s != (Stats{}) {
				t.Errorf("after Close: %+v", s)
			}
		}
		p.wg.Wait()
	})
}

func TestNoSecretInErrorsOrLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		replies := []reply{
			{},
			reject(400, "BadDeviceToken"), reject(403, "InvalidProviderToken"),
			{status: 307, header: map[string]string{"location": "https://x.example/"}},
			{cut: true},
			{silent: true},
			{reset: http2.ErrCodeInternal},
			{status: 500, body: "<html>"},
			{goAway: &http2.GoAwayError{LastStreamID: 99, DebugData: "{"}},
		}
		var mu sync.Mutex
		n := 0
		p.answer = func(*peerConn, query) reply {
			mu.Lock()
			defer mu.Unlock()
			n++
			return replies[n%len(replies)]
		}
		p.refuse = func(n int) error {
			if n%3 == 2 {
				return errors.New("refused")
			}
			return nil
		}
		var log bytes.Buffer
		c := p.client(Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		var text strings.Builder
		for i := range 60 {
			r := testPush(i)
			r.Payload = []byte(`{"aps":{"alert":"Kennwort-4711"}}`)
			resp := c.Push(t.Context(), r)
			fmt.Fprintln(&text, resp.Err, fmt.Sprintf("%+v", resp.Err), resp.Reason)
			if resp.Action == Pause {
				time.Sleep(resp.RetryAfter)
			}
		}
		p.end(c)
		all := text.String() + log.String()
		secrets := []string{"Kennwort", "bearer ", "/3/device/", "0000000000000000000000"}
		for _, q := range p.requests() {
			secrets = append(secrets, strings.TrimPrefix(q.header["authorization"], "bearer "))
		}
		for _, s := range secrets {
			if strings.Contains(all, s) {
				t.Errorf("%q in errors or logs", s)
			}
		}
		if !strings.Contains(all, "INTERNAL_ERROR") || !strings.Contains(all, "lane connected") {
			t.Error("the test saw too little")
		}
	})
}

func TestCertificateIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.streamsFirst = 1000
		p.answer = func(c *peerConn, q query) reply {
			certs := c.tls.ConnectionState().PeerCertificates
			if len(certs) != 1 || certs[0].Subject.CommonName != "Apple Push Services" || q.header["authorization"] != "" {
				return reject(403, "MissingProviderToken")
			}
			return reply{}
		}
		cert, err := LoadCertificate(p12(t, time.Now().Add(time.Hour)), "secret")
		if err != nil {
			t.Fatal(err)
		}
		c := p.client(Options{Certificate: &cert})
		defer p.end(c)
		r := testPush(0)
		r.Topic = ""
		if got := c.Push(t.Context(), r); got.Action != Delivered {
			t.Errorf("%+v", got)
		}
	})
}

func p12(t *testing.T, until time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "Apple Push Services"}, NotBefore: until.Add(-48 * time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	data, err := pkcs12.Modern.Encode(key, leaf, nil, "secret")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestLoadCertificateErrorsNameTheFix(t *testing.T) {
	good, old := p12(t, time.Now().Add(time.Hour)), p12(t, time.Now().Add(-time.Hour))
	for name, tc := range map[string]struct {
		data           []byte
		password, want string
	}{
		"good":           {good, "secret", ""},
		"wrong password": {good, "guess", "password"},
		"expired":        {old, "secret", "renew"},
		"not a p12":      {[]byte("-----BEGIN"), "secret", "export it again"},
		"empty":          {nil, "", "export it again"},
	} {
		_, err := LoadCertificate(tc.data, tc.password)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && (strings.Contains(err.Error(), "guess") || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%s: the error quotes the password", name)
		}
	}
}

func TestNewNamesTheWrongField(t *testing.T) {
	key := testKey(t)
	for field, o := range map[string]Options{
		"no identity":         {},
		"both set":            {Key: key, Certificate: &tls.Certificate{}},
		"Options.Key":         {Key: &Key{}},
		"Options.Certificate": {Certificate: &tls.Certificate{}},
		"Options.Host":        {Key: key, Host: "http://api.push.apple.com"},
		"Options.Lanes":       {Key: key, Lanes: LanesMax + 1},
		"Options.StreamsMax":  {Key: key, StreamsMax: -1},
		"Options.PushTimeout": {Key: key, PushTimeout: -1},
		"UnavailableWait":     {Key: key, UnavailableWait: -1},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	for host, addr := range map[string]string{
		"": "api.push.apple.com:443", HostDevelopment: "api.sandbox.push.apple.com:443", "https://api.push.apple.com:2197/": "api.push.apple.com:2197",
	} {
		c, err := New(Options{Key: key, Host: host})
		if err != nil || c.shared.addr != addr {
			t.Errorf("%q: %v %v", host, c, err)
		}
	}
}

func BenchmarkPush(b *testing.B) {
	p := newPeer(b)
	c := p.client(Options{Lanes: 2})
	r := testPush(0)
	r.Payload = []byte(`{"aps":{"alert":{"title":"Ada Example","body":"Figures for March"},"badge":7,"sound":"default","mutable-content":1},"item":"` + strings.Repeat("A", 64) + `"}`)
	if got := c.Push(b.Context(), r); got.Action != Delivered {
		b.Fatal(got.Err)
	}
	b.ReportAllocs()
	b.SetParallelism(100)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if got := c.Push(context.Background(), r); got.Status != http.StatusOK {
				b.Error(got.Err)
			}
		}
	})
	b.StopTimer()
	p.end(c)
}

// BenchmarkPushBareAPNs2 is the floor of BenchmarkPush: apns2 as it is shipped, over
// one connection to the same peer, with the same payload.
func BenchmarkPushBareAPNs2(b *testing.B) {
	p := newPeer(b)
	transport := &http2.Transport{DialTLSContext: func(ctx context.Context, network, addr string, config *tls.Config) (net.Conn, error) {
		conn, err := p.dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return tls.Client(conn, &tls.Config{RootCAs: p.pool, ServerName: "api.push.apple.com", NextProtos: []string{"h2"}}), nil
	}}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	c := &apns2.Client{HTTPClient: &http.Client{Transport: transport}, Host: "https://api.push.apple.com", Token: &token.Token{AuthKey: private, KeyID: "ABC123DEFG", TeamID: "DEF123GHIJ"}}
	n := &apns2.Notification{
		DeviceToken: testToken(0), Topic: testTopic, ApnsID: "123e4567-e89b-82d3-a456-000000000000",
		Payload: []byte(`{"aps":{"alert":{"title":"Ada Example","body":"Figures for March"},"badge":7,"sound":"default","mutable-content":1},"item":"` + strings.Repeat("A", 64) + `"}`),
	}
	if got, err := c.Push(n); err != nil || !got.Sent() {
		b.Fatal(got, err)
	}
	b.ReportAllocs()
	b.SetParallelism(100)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if got, err := c.Push(n); err != nil || !got.Sent() {
				b.Error(got, err)
			}
		}
	})
	b.StopTimer()
	transport.CloseIdleConnections()
	p.wg.Wait()
}

func TestTooManyTokenUpdatesReplacesTheConnectionAndStopsMinting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.answer = func(_ *peerConn, q query) reply {
			if q.conn == 1 && q.number == 2 {
				return reject(429, "TooManyProviderTokenUpdates")
			}
			return reply{}
		}
		c := p.client(Options{Lanes: 1})
		defer p.end(c)
		c.Push(t.Context(), testPush(0))
		time.Sleep(45 * time.Minute)
		if r := c.Push(t.Context(), testPush(1)); r.Action != Delivered {
			t.Errorf("%+v", r)
		}
		time.Sleep(8 * time.Minute) // the token is 53 minutes old
		c.Push(t.Context(), testPush(2))
		q := p.requests()
		if q[0].header["authorization"] != q[len(q)-1].header["authorization"] {
			t.Error("a token was minted within 20 minutes of the complaint")
		}
		if dials, _, _ := p.counts(); dials != 2 {
			t.Errorf("%d connections, want 2", dials)
		}
		time.Sleep(6 * time.Minute)
		if r := c.Push(t.Context(), testPush(3)); r.Action != Delivered {
			t.Errorf("%+v", r)
		}
		if q = p.requests(); q[0].header["authorization"] == q[len(q)-1].header["authorization"] {
			t.Error("a token of 59 minutes was used")
		}
	})
}

// Go's own HTTP/2 server over real sockets: another implementation's view.
func TestPushOverLoopbackToGoServer(t *testing.T) {
	p := newPeer(t)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.ProtoMajor != 2 || !strings.HasPrefix(r.URL.Path, "/3/device/") || !json.Valid(body) {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("apns-id", r.Header.Get("apns-id"))
		if strings.HasSuffix(r.URL.Path, "7") {
			w.WriteHeader(http.StatusGone)
			_, _ = io.WriteString(w, `{"reason":"Unregistered","timestamp":1700000000123}`)
		}
	}))
	srv.EnableHTTP2 = true
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{p.cert}}
	srv.StartTLS()
	defer srv.Close()
	c, err := New(Options{
		Key: testKey(t), RootCAs: p.pool,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, srv.Listener.Addr().String())
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := countActions(burst(t.Context(), c, 320))
	if got[Delivered] != 300 || got[Forget] != 20 {
		t.Errorf("actions %v", got)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
