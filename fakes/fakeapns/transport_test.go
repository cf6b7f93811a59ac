package fakeapns

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Checklist push 1.
func TestA01BothTLSVersionsAreSpoken(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			inBubble(t, Options{}, func(h *host) {
				p := h.dialWith(&tls.Config{MinVersion: version, MaxVersion: version, NextProtos: []string{"h2"}})
				defer p.close()
				p.want(p.push(ask{}), 200, "")
			})
		})
	}
}

// Checklist push 2.
func TestA02ClientsWithoutH2InALPNAreServedHTTP2(t *testing.T) {
	for _, alpn := range [][]string{nil, {"http/1.1"}} {
		t.Run(fmt.Sprint(alpn), func(t *testing.T) {
			inBubble(t, Options{}, func(h *host) {
				p := h.dialWith(&tls.Config{NextProtos: alpn})
				defer p.close()
				if got := p.tls.ConnectionState().NegotiatedProtocol; got != "" {
					t.Errorf("agreed on %q", got)
				}
				p.want(p.push(ask{}), 200, "")
			})
		})
	}
}

// Checklist push 3, 4.
func TestA03And04SettingsComeBeforeTheClientSpeaks(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		raw, c := h.dialTLS(nil)
		defer raw.Close()
		f, err := http2.NewFramer(io.Discard, c).ReadFrame() // nothing was written
		if err != nil {
			t.Fatal(err)
		}
		var got []http2.Setting
		_ = f.(*http2.SettingsFrame).ForeachSetting(func(s http2.Setting) error { got = append(got, s); return nil })
		want := []http2.Setting{{ID: http2.SettingHeaderTableSize, Val: 4096}, {ID: http2.SettingMaxConcurrentStreams, Val: 1}, {ID: http2.SettingInitialWindowSize, Val: 65535}, {ID: http2.SettingMaxFrameSize, Val: 16384}, {ID: http2.SettingMaxHeaderListSize, Val: 8000}}
		if !slices.Equal(got, want) {
			t.Errorf("settings %v, want %v", got, want)
		}
	})
}

// Checklist push 5.
func TestA05TheConnectionWindowIsGivenBack(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		p := h.dial().trusted()
		defer p.close()
		body := `{"aps":{"alert":"` + strings.Repeat("x", 4000) + `"}}`
		sent := len(goodBody)
		for range 100 { // 400 KB: six windows
			p.want(p.push(ask{body: body}), 200, "")
			sent += len(body)
			if room := 65535 + int(p.windows[0]) - sent; room < 4096 {
				t.Fatalf("after %d bytes the window is down to %d", sent, room)
			}
		}
	})
}

// Checklist push 5.
func TestA05ALongBodyGetsItsStreamWindowBackAndIs413(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		p := h.dial().trusted()
		defer p.close()
		id := p.send(ask{body: strings.Repeat("x", 60_000)})
		synctest.Wait()
		p.want(p.on(id), 413, "PayloadTooLarge")
		if p.windows[id] == 0 {
			t.Error("the stream's window was never given back")
		}
	})
}

// Checklist push 6.
func TestA06SuccessIsOneHeadersFrame(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		p := h.dial()
		defer p.close()
		if g := p.push(ask{}); g.status != 200 || !g.ended || g.datas != 0 {
			t.Errorf("%+v", g)
		}
	})
}

// Checklist push 7.
func TestA07AnErrorIsHeadersAndOneDataFrame(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		p := h.dial()
		defer p.close()
		g := p.push(ask{token: tokenOf(5)})
		if g.body != `{"reason":"BadDeviceToken"}` || g.datas != 1 || !g.ended || g.header["content-type"] != "application/json" {
			t.Errorf("%+v", g)
		}
	})
}

// Checklist push 7.
func TestA07AnErrorBodyWaitsForTheClientsWindow(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		p := h.dial()
		defer p.close()
		p.write(func() error { return p.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 3}) })
		id := p.send(ask{token: tokenOf(5)})
		synctest.Wait()
		if g := p.on(id); g.status != 400 || g.datas != 0 {
			t.Fatalf("with a window of 3: %+v", g)
		}
		p.write(func() error { return p.fr.WriteWindowUpdate(id, 100) })
		synctest.Wait()
		if g := p.on(id); g.reason() != "BadDeviceToken" || g.datas != 1 || !g.ended {
			t.Errorf("with room: %+v", g)
		}
	})
}

// Checklist push 8.
func TestA08TheSlotIsFreeBeforeTheAnswerIsSeen(t *testing.T) {
	inBubble(t, Options{StreamsMax: 1, EnforceAtOnce: true}, func(h *host) {
		p := h.dial()
		defer p.close()
		for i := range 200 { // each stream opens the moment the one before was answered
			if g := p.push(ask{}); g.status != 200 {
				t.Fatalf("push %d: %+v", i, g)
			}
		}
	})
}

// Checklist push 9.
func TestA09PingsAreAnsweredWhileAnswersAreStalled(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		p := h.dial()
		defer p.close()
		h.Stall(true)
		id := p.send(ask{})
		p.write(func() error { return p.fr.WritePing(false, [8]byte{1}) })
		synctest.Wait()
		if g := p.on(id); g.status != 0 || p.pongs != 1 || len(h.pushes()) != 0 {
			t.Errorf("stalled: %+v, %d pongs", g, p.pongs)
		}
		h.Stall(false)
		synctest.Wait()
		p.want(p.on(id), 200, "")
		if h.Stats().Pings != 1 {
			t.Error("the ping was not counted")
		}
	})
}

// Checklist push 10.
func TestA10UnknownFramesPriorityContinuationAndPaddingAreTaken(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		p := h.dial()
		defer p.close()
		var block bytes.Buffer
		enc := hpack.NewEncoder(&block)
		for _, f := range [][2]string{{":method", "POST"}, {":scheme", "https"}, {":path", "/3/device/" + testToken}, {"authorization", p.auth}, {"apns-topic", testTopic}} {
			_ = enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		b := block.Bytes()
		p.write(func() error {
			_ = p.fr.WriteRawFrame(0xbb, 0, 0, []byte("what is this"))
			_ = p.fr.WritePriority(1, http2.PriorityParam{Weight: 3})
			_ = p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:20], PadLength: 9})
			_ = p.fr.WriteContinuation(1, false, b[20:50])
			_ = p.fr.WriteContinuation(1, true, b[50:])
			return p.fr.WriteDataPadded(1, true, []byte(goodBody), make([]byte, 100))
		})
		synctest.Wait()
		p.want(p.on(1), 200, "")
	})
}

// Checklist push 10.
func TestA10AHeaderListOverTheLimitResetsItsStreamOnly(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		p := h.dial()
		defer p.close()
		g := p.push(ask{header: map[string]string{"x-long": strings.Repeat("x", 8000)}})
		if g.status != 0 || len(g.resets) == 0 {
			t.Errorf("%+v", g)
		}
		p.want(p.push(ask{}), 200, "")
	})
}

func TestA10AMalformedHeaderResetsItsStreamOnly(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		p := h.dial()
		defer p.close()
		g := p.push(ask{header: map[string]string{"Upper-Case": "x"}})
		if g.status != 0 || len(g.resets) == 0 {
			t.Errorf("%+v", g)
		}
		p.want(p.push(ask{}), 200, "")
	})
}

// Checklist push 11.
func TestA11AResetByTheClientFreesTheSlotAndIsNotAnswered(t *testing.T) {
	inBubble(t, Options{StreamsMax: 1, EnforceAtOnce: true, Latency: time.Second}, func(h *host) {
		p := h.dial()
		defer p.close()
		open := p.send(ask{open: true})
		p.write(func() error { return p.fr.WriteRSTStream(open, http2.ErrCodeCancel) })
		waiting := p.send(ask{})
		p.write(func() error { return p.fr.WriteRSTStream(waiting, http2.ErrCodeCancel) })
		id := p.send(ask{})
		time.Sleep(2 * time.Second)
		if g := p.on(open); g.status != 0 || len(g.resets) != 0 {
			t.Errorf("reset while open: %+v", g)
		}
		if g := p.on(waiting); g.status != 0 || len(g.resets) != 0 {
			t.Errorf("reset while waiting: %+v", g)
		}
		p.want(p.on(id), 200, "")
	})
}

// Checklist push 11.
func TestA11AThousandStreamsOnEachOfManyConnections(t *testing.T) {
	const conns, streams = 20, 1000
	inBubble(t, Options{Latency: time.Second}, func(h *host) {
		var peers []*peer
		for range conns {
			p := h.dial()
			defer p.close()
			id := p.send(ask{})
			time.Sleep(2 * time.Second)
			p.want(p.on(id), 200, "")
			peers = append(peers, p)
		}
		for _, p := range peers {
			for range streams {
				p.send(ask{})
			}
		}
		time.Sleep(2 * time.Second)
		for i, p := range peers {
			for id := uint32(3); id < p.next; id += 2 {
				if g := p.on(id); g.status != 200 {
					t.Fatalf("connection %d, stream %d: %+v", i, id, g)
				}
			}
		}
		if st := h.Stats(); st.StreamsMost != streams || st.OpenMost != conns || st.Accepted != conns*(streams+1) {
			t.Errorf("%+v", st)
		}
	})
}

// Checklist push 11.
func TestA11StreamIDsGoUpToTheirEnd(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		p := h.dial().trusted()
		defer p.close()
		p.next = 1<<31 - 1
		p.want(p.push(ask{}), 200, "")
	})
}

// Checklist push 12.
func TestA12AClientCertificateIsAskedForAndNotRequired(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		asked := false
		p := h.dialWith(&tls.Config{NextProtos: []string{"h2"}, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = true
			return &tls.Certificate{}, nil
		}})
		defer p.close()
		if !asked {
			t.Error("no certificate was asked for")
		}
		p.want(p.push(ask{}), 200, "")
	})
}

func TestGarbageInPlaceOfThePrefaceEndsTheConnection(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		raw, c := h.dialTLS(&tls.Config{})
		defer raw.Close()
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: api.push.apple.com\r\n\r\n")
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Logf("ended with %v", err)
		}
	})
}

func TestAnOffenceAgainstTheProtocolIsAConnectionError(t *testing.T) {
	for name, offend := range map[string]func(p *peer) error{
		"data on an idle stream": func(p *peer) error { return p.fr.WriteData(99, true, []byte("x")) },
		"a stream with an even ID": func(p *peer) error {
			return p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 2, BlockFragment: []byte{0x82, 0x87, 0x84}, EndHeaders: true, EndStream: true})
		},
		"a header block that is no HPACK": func(p *peer) error {
			return p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, EndHeaders: true})
		},
		"a push promise": func(p *peer) error {
			return p.fr.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, EndHeaders: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Options{}, func(h *host) {
				p := h.dial().trusted()
				p.write(func() error { return offend(p) })
				time.Sleep(time.Minute)
				if a := p.goAways(); len(a) != 1 || a[0].code == http2.ErrCodeNo || !p.over() {
					t.Errorf("goaway %+v, ended %v", a, p.over())
				}
				p.close()
			})
		})
	}
}
