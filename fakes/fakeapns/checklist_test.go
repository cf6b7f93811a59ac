package fakeapns

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"mailbell/fakes/fault"
	"mailbell/fakes/testcert"
)

func digestOf(s string) []byte {
	d := sha256.Sum256([]byte(s))
	return d[:]
}

// Checklist push 1.
func TestA01EveryNameOfTheServiceIsInItsCertificate(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		for _, name := range []string{"api.push.apple.com", "api.sandbox.push.apple.com", "localhost", "127.0.0.1"} {
			raw := must(h.net.Dial(context.Background(), "tcp", testHost))(t)
			if err := tls.Client(raw, &tls.Config{RootCAs: h.ca.Pool(), ServerName: name}).Handshake(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			raw.Close()
		}
	})
}

// Checklist push 1.
func TestA01OlderTLSIsRefused(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		raw := must(h.net.Dial(context.Background(), "tcp", testHost))(t)
		defer raw.Close()
		err := tls.Client(raw, &tls.Config{RootCAs: h.ca.Pool(), ServerName: "localhost", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}).Handshake()
		synctest.Wait()
		if err == nil || h.Stats().HandshakesFailed != 1 {
			t.Errorf("TLS 1.1: %v, %d failures counted", err, h.Stats().HandshakesFailed)
		}
	})
}

// Checklist push 8.
func TestA08WhoSeesTheAnswerFindsTheSlotFree(t *testing.T) {
	h := onLoopback(t, Options{StreamsMax: 1, EnforceAtOnce: true, ErrorsMax: -1})
	raw, c := h.dialAt()
	defer raw.Close()
	fr := http2.NewFramer(c, c)
	_, _ = io.WriteString(c, http2.ClientPreface)
	_ = fr.WriteSettings()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	ask := func(id uint32) {
		block.Reset()
		for _, f := range [][2]string{{":method", "POST"}, {":scheme", "https"}, {":path", "/3/device/" + testToken}, {"apns-topic", testTopic}} {
			_ = enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
	}
	const pushes = 2000
	id := uint32(1)
	ask(id)
	for id < 2*pushes {
		f, err := fr.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if f.Header().StreamID != id {
			continue
		}
		switch f := f.(type) {
		case *http2.RSTStreamFrame:
			t.Fatalf("stream %d was refused: %v", id, f.ErrCode)
		case *http2.DataFrame: // the end of the 403: the next stream opens this very moment
			_ = fr.WriteWindowUpdate(0, uint32(len(f.Data())))
			id += 2
			ask(id)
		}
	}
	if n := h.Stats().Refused; n != 0 {
		t.Errorf("%d streams were refused", n)
	}
}

// Checklist push 13.
func TestA13FurtherPortsAreTheSameService(t *testing.T) {
	h := onLoopback(t, Options{Further: []net.Listener{must(net.Listen("tcp", "127.0.0.1:0"))(t)}})
	for _, l := range h.listeners() {
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{NextProtos: []string{"h2"}, RootCAs: h.ca.Pool(), ServerName: "api.push.apple.com"})
		if err != nil {
			t.Fatal(err)
		}
		if f, err := http2.NewFramer(nil, c).ReadFrame(); err != nil || f.Header().Type != http2.FrameSettings {
			t.Errorf("%s: %v, %v", l.Addr(), f, err)
		}
		c.Close()
	}
	if err := h.AwaitConnections(t.Context(), 0); err != nil || h.Stats().Connections != 2 {
		t.Errorf("%+v, %v", h.Stats(), err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	for _, l := range h.listeners() {
		if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
			c.Close()
			t.Errorf("%s is open after Close", l.Addr())
		}
	}
}

// reasonsOfApple is the table of Apple "Handling notification responses from
// APNs", written down a second time.
const reasonsOfApple = `
400 BadCollapseId BadDeviceToken BadExpirationDate BadMessageId BadPriority BadTopic DeviceTokenNotForTopic DuplicateHeaders IdleTimeout
400 InvalidPushType MissingDeviceToken MissingTopic PayloadEmpty TopicDisallowed
403 BadCertificate BadCertificateEnvironment BadEnvironmentKeyIdInToken ExpiredProviderToken Forbidden InvalidProviderToken MissingProviderToken
403 UnrelatedKeyIdInToken
404 BadPath
405 MethodNotAllowed
410 ExpiredToken Unregistered
413 PayloadTooLarge
429 TooManyProviderTokenUpdates TooManyRequests
500 InternalServerError
503 ServiceUnavailable Shutdown
`

// Checklist push 15.
func TestA15EveryReasonIsAnsweredWithItsStatusAndAsJSON(t *testing.T) {
	inBubble(t, Options{ErrorsMax: -1}, func(h *host) {
		p := h.dial().trusted()
		defer p.close()
		n := 0
		for line := range strings.Lines(strings.TrimSpace(reasonsOfApple)) {
			status, reasons := 0, strings.Fields(line)
			if _, err := fmt.Sscan(reasons[0], &status); err != nil {
				t.Fatal(err)
			}
			for _, reason := range reasons[1:] {
				n++
				h.Refuse(testToken, Refusal{Reason: reason, Timestamp: time.UnixMilli(1_700_000_000_123)})
				want := fmt.Sprintf(`{"reason":%q}`, reason)
				if status == 410 {
					want = fmt.Sprintf(`{"reason":%q,"timestamp":1700000000123}`, reason)
				}
				if g := p.push(ask{}); g.status != status || g.body != want || g.header["content-type"] != "application/json" || g.datas != 1 {
					t.Errorf("%s: %+v", reason, g)
				}
			}
		}
		if n != len(Reasons()) {
			t.Errorf("the fake knows %d reasons, Apple's table has %d", len(Reasons()), n)
		}
	})
}

// Checklist push 25.
func TestA25ATokenFromTheFutureIsInvalidMoreThanAnHourAhead(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		for ahead, reason := range map[time.Duration]string{time.Hour: "", time.Hour + time.Second: "InvalidProviderToken"} {
			p := h.dial()
			status := 200
			if reason != "" {
				status = 403
			}
			p.want(p.push(ask{header: map[string]string{"authorization": h.bearer(time.Now().Add(ahead))}}), status, reason)
			p.close()
		}
	})
}

// Checklist push 28.
func TestA28TheClockOfTheServerMayBeAnother(t *testing.T) {
	var ahead time.Duration
	inBubble(t, Options{Now: func() time.Time { return time.Now().Add(ahead) }}, func(h *host) {
		p := h.dial().trusted()
		defer p.close()
		ahead = 21 * time.Minute // nobody waited
		p.auth = h.bearer(time.Now())
		p.want(p.push(ask{header: map[string]string{"authorization": h.bearer(time.Now().Add(time.Second))}}), 200, "")
		ahead = 2 * time.Hour
		p.want(p.push(ask{}), 403, "ExpiredProviderToken")
	})
}

// Checklist push 32.
func TestA32BeforeTheFirstAcknowledgementTheLimitIsNotInForceUnlessAtOnce(t *testing.T) {
	for _, atOnce := range []bool{false, true} {
		inBubble(t, Options{EnforceAtOnce: atOnce, Latency: time.Second}, func(h *host) {
			p := h.dialMute()
			defer p.close()
			ids := []uint32{p.send(ask{}), p.send(ask{}), p.send(ask{})}
			time.Sleep(2 * time.Second)
			for i, id := range ids {
				g := p.on(id)
				if refused := slices.Contains(g.resets, http2.ErrCodeRefusedStream); refused != (atOnce && i > 0) || refused == (g.status == 200) {
					t.Errorf("at once %v, stream %d: %+v", atOnce, id, g)
				}
			}
		})
	}
}

// marked is a client certificate with extensions that name environments.
func marked(t *testing.T, oids ...asn1.ObjectIdentifier) tls.Certificate {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "marked"}, NotBefore: testcert.NotBefore, NotAfter: testcert.NotAfter}
	for _, oid := range oids {
		template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: oid, Value: []byte{5, 0}})
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))(t)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Checklist push 36.
func TestA36ACertificateOfTheOtherEnvironmentIsAGoAway(t *testing.T) {
	for name, c := range map[string]struct {
		oids []asn1.ObjectIdentifier
		good bool
	}{
		"development": {[]asn1.ObjectIdentifier{oidDevelopment}, false},
		"production":  {[]asn1.ObjectIdentifier{oidProduction}, true},
		"both":        {[]asn1.ObjectIdentifier{oidDevelopment, oidProduction}, true},
		"unmarked":    {nil, true},
	} {
		inBubble(t, Options{}, func(h *host) {
			p := h.dialWith(&tls.Config{NextProtos: []string{"h2"}, Certificates: []tls.Certificate{marked(t, c.oids...)}})
			defer p.close()
			id := p.send(ask{})
			time.Sleep(time.Minute)
			if c.good {
				p.want(p.on(id), 200, "")
				return
			}
			if a := p.goAways(); len(a) != 1 || a[0] != (goneAway{0, 0, `{"reason":"BadCertificateEnvironment"}`}) || !p.over() || p.on(id).status != 0 {
				t.Errorf("%s: goaway %+v, ended %v, answer %+v", name, a, p.over(), p.on(id))
			}
		})
	}
}

// Checklist push 44.
func TestA44APushWithoutAPushTypeIsNoted(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		p := h.dial()
		defer p.close()
		p.push(ask{})
		if v, noted := h.lastPush().Detail["push_type"]; !noted || v != "alert" {
			t.Errorf("with a type: %q", v)
		}
		p.want(p.push(ask{header: map[string]string{"apns-push-type": "-"}}), 200, "")
		if v, noted := h.lastPush().Detail["push_type"]; !noted || v != "" {
			t.Errorf("without one: %q, %v", v, noted)
		}
	})
}

// Checklist push 45.
func TestA45EveryPushTypeHasItsTopicSuffix(t *testing.T) {
	inBubble(t, Options{ErrorsMax: -1}, func(h *host) {
		p := h.dial()
		defer p.close()
		for kind, suffix := range map[string]string{
			"alert": "", "background": "", "mdm": "", "voip": ".voip", "complication": ".complication", "fileprovider": ".pushkit.fileprovider",
			"location": ".location-query", "liveactivity": ".push-type.liveactivity", "pushtotalk": ".voip-ptt",
			"widgets": ".push-type.widgets", "controls": ".push-type.controls",
		} {
			header := map[string]string{"apns-push-type": kind, "apns-priority": "5", "apns-topic": testTopic + suffix}
			if g := p.push(ask{header: header}); g.status != 200 {
				t.Errorf("%s with its suffix: %d %s", kind, g.status, g.reason())
			}
			if suffix == "" {
				continue
			}
			for _, wrong := range []string{testTopic, suffix} {
				header["apns-topic"] = wrong
				if g := p.push(ask{header: header}); g.reason() != "BadTopic" {
					t.Errorf("%s for %q: %d %s", kind, wrong, g.status, g.reason())
				}
			}
		}
	})
}

// Checklist push 53.
func TestA53DeliveryMayBeReorderedBySeed(t *testing.T) {
	order := func(seed int64, within time.Duration) (titles []string) {
		inBubble(t, Options{Seed: seed, ReorderWithin: within}, func(h *host) {
			p := h.dial()
			defer p.close()
			for i := range 20 {
				p.want(p.push(alert(fmt.Sprint(i), i, "")), 200, "")
				time.Sleep(10 * time.Millisecond)
			}
			time.Sleep(within)
			titles, _ = h.shown()
		})
		return titles
	}
	inOrder, shuffled := order(1, 0), order(1, 100*time.Millisecond)
	if len(shuffled) != 20 || slices.Equal(inOrder, shuffled) || !slices.Equal(shuffled, order(1, 100*time.Millisecond)) || slices.Equal(shuffled, order(2, 100*time.Millisecond)) {
		t.Errorf("in order %v\nby seed  %v", inOrder, shuffled)
	}
	slices.Sort(inOrder)
	slices.Sort(shuffled)
	if !slices.Equal(inOrder, shuffled) {
		t.Error("something was lost or doubled on the way")
	}
}

// Checklist push 51, 53.
func TestA53OfWhatIsOnTheWayToADeviceThatLeavesTheNewestIsKept(t *testing.T) {
	inBubble(t, Options{ReorderWithin: time.Hour}, func(h *host) {
		p := h.dial()
		defer p.close()
		for i := range 5 {
			p.push(alert(fmt.Sprint(i), i, ""))
		}
		if e := h.lastPush(); e.Detail["effect"] != "coming" {
			t.Errorf("effect %q", e.Detail["effect"])
		}
		h.SetOnline(testToken, false)
		h.SetOnline(testToken, true)
		if got, badge := h.shown(); len(got) != 1 || got[0] != alert("4", 4, "").body || badge != 4 {
			t.Errorf("shows %v, badge %d", got, badge)
		}
	})
}

func TestAHalfAnswerEndsWithinItsFrame(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		h.mustFault(fault.Fault{Name: "apns.half-answer", Count: 1})
		p := h.dial()
		defer p.close()
		g := p.push(ask{})
		if g.status != 0 || !p.over() || h.Stats().Accepted != 1 || h.lastPush().Fault != "apns.half-answer" {
			t.Errorf("%+v, ended %v, journal %+v", g, p.over(), h.lastPush())
		}
		q := h.dial()
		defer q.close()
		q.want(q.push(ask{}), 200, "")
	})
}

func TestAnswersMayOvertakeOneAnother(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		h.AddDevice(tokenOf(1), testTopic)
		p := h.dial().trusted()
		defer p.close()
		h.mustFault(fault.Fault{Name: "apns.slow", Count: 1, Scope: fault.Scope{Device: tokenOf(1)}, Args: map[string]string{"delay": "2s"}})
		slow, quick := p.send(ask{token: tokenOf(1)}), p.send(ask{})
		time.Sleep(time.Second)
		if p.on(slow).status != 0 || p.on(quick).status != 200 {
			t.Errorf("slow %+v, quick %+v", p.on(slow), p.on(quick))
		}
		time.Sleep(2 * time.Second)
		p.want(p.on(slow), 200, "")
	})
}

func TestASleepingServerIsAwaitedNoLongerThanAsked(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		h.Stall(true)
		p := h.dial()
		defer p.close()
		p.send(ask{})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := h.AwaitIdle(ctx); err == nil {
			t.Error("a stalled server is idle")
		}
	})
}
