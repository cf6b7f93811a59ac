package fakeapns

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"mailbell/fakes/fault"
)

func TestFaultsAnswerAsDocumented(t *testing.T) {
	for _, c := range []struct {
		name   string
		fault  fault.Fault
		status int
		check  func(g got) bool
	}{
		{"503", fault.Fault{Name: "apns.503", Args: map[string]string{"retry-after": "30s"}}, 503, func(g got) bool { return g.reason() == "ServiceUnavailable" && g.header["retry-after"] == "30" }},
		{"429", fault.Fault{Name: "apns.429"}, 429, func(g got) bool { return g.reason() == "TooManyRequests" && g.header["retry-after"] == "" }},
		{"any answer", fault.Fault{Name: "apns.answer", Args: map[string]string{"reason": "Shutdown"}}, 503, func(g got) bool { return g.reason() == "Shutdown" }},
		{"an unknown reason", fault.Fault{Name: "apns.answer", Args: map[string]string{"reason": "NeverHeard", "status": "418"}}, 418, func(g got) bool { return g.reason() == "NeverHeard" }},
		{"a proxy's page", fault.Fault{Name: "apns.html"}, 502, func(g got) bool { return strings.Contains(g.body, "<html>") && g.header["content-type"] == "text/html" }},
		{"an empty body", fault.Fault{Name: "apns.body", Args: map[string]string{"form": "empty"}}, 500, func(g got) bool { return g.body == "" && g.ended && g.datas == 0 }},
		{"a truncated body", fault.Fault{Name: "apns.body", Args: map[string]string{"form": "truncated"}}, 500, func(g got) bool {
			return strings.HasPrefix(`{"reason":"InternalServerError"}`, g.body) && g.reason() == "" && g.ended
		}},
		{"a body with BOM", fault.Fault{Name: "apns.body", Args: map[string]string{"form": "bom"}}, 500, func(g got) bool { return strings.HasPrefix(g.body, "\xef\xbb\xbf{") }},
		{"a split body", fault.Fault{Name: "apns.body", Args: map[string]string{"form": "split"}}, 500, func(g got) bool { return g.datas == 2 && g.reason() == "InternalServerError" && g.ended }},
		{"a redirect", fault.Fault{Name: "apns.redirect"}, 307, func(g got) bool { return g.header["location"] != "" && g.ended }},
		{"a late 410", fault.Fault{Name: "apns.late410", Args: map[string]string{"ago": "2h"}}, 410, func(g got) bool { return strings.Contains(g.body, `"timestamp":`) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, Options{}, func(h *host) {
				p := h.dial()
				defer p.close()
				c.fault.Count, c.fault.Scope.Device = 1, testToken
				h.mustFault(c.fault)
				g := p.push(ask{})
				if g.status != c.status || !c.check(g) {
					t.Errorf("%+v", g)
				}
				if e := h.lastPush(); e.Status != c.status || e.Fault != c.fault.Name {
					t.Errorf("journal %+v", e)
				}
				p.want(p.push(ask{}), 200, "") // the fault was for once
			})
		})
	}
}

func TestALate410NamesTheMomentInThePast(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		p := h.dial()
		defer p.close()
		h.mustFault(fault.Fault{Name: "apns.late410", Args: map[string]string{"ago": "2h"}})
		g := p.push(ask{})
		want := verdict{status: 410, reason: "Unregistered", timestamp: time.Now().Add(-2 * time.Hour)}
		if g.body != string(want.body()) {
			t.Errorf("%s", g.body)
		}
	})
}

func TestAFaultStrikesItsDeviceOnly(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		h.AddDevice(tokenOf(1), testTopic)
		h.mustFault(fault.Fault{Name: "apns.503", Scope: fault.Scope{Server: "apns", Device: tokenOf(1)}})
		p := h.dial()
		defer p.close()
		p.want(p.push(ask{}), 200, "")
		p.want(p.push(ask{token: tokenOf(1)}), 503, "ServiceUnavailable")
	})
}

func TestALostAnswerWasAcceptedAndAResetWasNot(t *testing.T) {
	for name, accepted := range map[string]int{"apns.lost-answer": 1, "apns.reset": 0} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Options{}, func(h *host) {
				h.mustFault(fault.Fault{Name: name, Count: 1})
				p := h.dial()
				defer p.close()
				if g := p.push(ask{}); g.status != 0 || !p.over() {
					t.Errorf("%+v, ended %v", g, p.over())
				}
				if len(h.pushes()) != accepted || h.Stats().Accepted != uint64(accepted) {
					t.Errorf("journal %+v", h.pushes())
				}
				if got, _ := h.shown(); len(got) != accepted {
					t.Errorf("the device shows %v", got)
				}
			})
		})
	}
}

func TestRefusedStreamsAreNotLookedAt(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		p := h.dial().trusted()
		defer p.close()
		h.mustFault(fault.Fault{Name: "apns.refuse-stream", Count: 1})
		if g := p.push(ask{}); !slices.Equal(g.resets, []http2.ErrCode{http2.ErrCodeRefusedStream}) {
			t.Errorf("%+v", g)
		}
		h.mustFault(fault.Fault{Name: "apns.refuse-stream", Count: 1, Args: map[string]string{"code": "ENHANCE_YOUR_CALM"}})
		if g := p.push(ask{}); !slices.Equal(g.resets, []http2.ErrCode{http2.ErrCodeEnhanceYourCalm}) {
			t.Errorf("%+v", g)
		}
		h.ResetNext(2, http2.ErrCodeCancel)
		for range 2 {
			if g := p.push(ask{}); !slices.Equal(g.resets, []http2.ErrCode{http2.ErrCodeCancel}) {
				t.Errorf("%+v", g)
			}
		}
		p.want(p.push(ask{}), 200, "")
		if n := len(h.pushes()); n != 2 {
			t.Errorf("%d pushes were looked at", n)
		}
	})
}

func TestAStallLastsAsLongAsItSays(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		h.AddDevice(tokenOf(1), testTopic)
		p := h.dial().trusted()
		defer p.close()
		h.mustFault(fault.Fault{Name: "apns.stall", Count: 1, Scope: fault.Scope{Device: tokenOf(1)}, Args: map[string]string{"for": "90s"}})
		id := p.send(ask{token: tokenOf(1)})
		p.want(p.push(ask{}), 200, "") // others are answered
		time.Sleep(89 * time.Second)
		if g := p.on(id); g.status != 0 {
			t.Errorf("answered early: %+v", g)
		}
		time.Sleep(2 * time.Second)
		p.want(p.on(id), 200, "")
	})
}

func TestADeadPeerReadsNothingUntilItIsReleased(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		p := h.dial().trusted()
		defer p.close()
		h.StopReading(true)
		p.write(func() error { return p.fr.WritePing(false, [8]byte{}) })
		id := p.send(ask{})
		time.Sleep(10 * time.Minute)
		if p.pongs != 0 || p.on(id).status != 0 || p.over() {
			t.Errorf("%d pongs, %+v, ended %v", p.pongs, p.on(id), p.over())
		}
		h.StopReading(false)
		synctest.Wait()
		if p.pongs != 1 {
			t.Error("the ping was never answered")
		}
		p.want(p.on(id), 200, "")

		h.mustFault(fault.Fault{Name: "apns.deaf", Count: 1})
		id = p.send(ask{})
		p.write(func() error { return p.fr.WritePing(false, [8]byte{}) })
		time.Sleep(10 * time.Minute)
		if p.pongs != 1 || p.on(id).status != 0 || p.over() {
			t.Error("not deaf by fault")
		}
	})
}

func TestCloseEndsDeafAndStalledConnections(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		p := h.dial().trusted()
		h.Stall(true)
		p.send(ask{})
		h.StopReading(true)
		synctest.Wait()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		<-p.done
	})
}

func TestGoAwayOfEveryKind(t *testing.T) {
	for _, c := range []struct {
		name     string
		away     GoAway
		want     func(last uint32) []goneAway
		answered bool
		over     bool
	}{
		{"clean", GoAway{}, func(l uint32) []goneAway { return []goneAway{{l, 0, ""}} }, true, true},
		{"code and reason", GoAway{Code: http2.ErrCodeEnhanceYourCalm, Reason: "IdleTimeout"}, func(l uint32) []goneAway {
			return []goneAway{{l, http2.ErrCodeEnhanceYourCalm, `{"reason":"IdleTimeout"}`}}
		}, true, true},
		{"words that are no JSON", GoAway{Debug: "go"}, func(l uint32) []goneAway { return []goneAway{{l, 0, "go"}} }, true, true},
		{"zero", GoAway{Zero: true}, func(uint32) []goneAway { return []goneAway{{0, 0, ""}} }, false, true},
		{"one lower", GoAway{Lower: 1}, func(l uint32) []goneAway { return []goneAway{{l - 2, 0, ""}} }, false, true},
		{"twice", GoAway{Twice: true}, func(l uint32) []goneAway { return []goneAway{{l, 0, ""}, {l, 0, ""}} }, true, true},
		{"at once", GoAway{Now: true}, func(l uint32) []goneAway { return []goneAway{{l, 0, ""}} }, false, true},
		{"never", GoAway{Never: true}, func(l uint32) []goneAway { return []goneAway{{l, 0, ""}} }, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, Options{Latency: time.Second}, func(h *host) {
				p := h.dial()
				defer p.close()
				p.send(ask{})
				time.Sleep(2 * time.Second)
				id := p.send(ask{})
				synctest.Wait()
				if n := h.End(c.away); n != 1 {
					t.Errorf("%d connections ended", n)
				}
				time.Sleep(time.Minute)
				if got := p.goAways(); !slices.Equal(got, c.want(id)) {
					t.Errorf("goaway %+v, want %+v", got, c.want(id))
				}
				if answered := p.on(id).status == 200; answered != c.answered || p.over() != c.over {
					t.Errorf("answered %v, ended %v", answered, p.over())
				}
			})
		})
	}
}

func TestAGoAwayAtARequestLeavesItUnprocessed(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		p := h.dial().trusted()
		defer p.close()
		h.mustFault(fault.Fault{Name: "apns.goaway", Count: 1, Args: map[string]string{"code": "7"}})
		id := p.send(ask{})
		time.Sleep(time.Minute)
		if got := p.goAways(); len(got) != 1 || got[0] != (goneAway{id - 2, http2.ErrCodeRefusedStream, `{"reason":"Shutdown"}`}) || len(h.pushes()) != 1 {
			t.Errorf("goaway %+v, %d pushes", got, len(h.pushes()))
		}
	})
}

func TestAnOutageIs503OrRefusedConnections(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		p := h.dial()
		defer p.close()
		h.Outage(true)
		p.want(p.push(ask{}), 503, "ServiceUnavailable")
		h.Outage(false)
		p.want(p.push(ask{}), 200, "")

		h.RefuseConnections(true)
		synctest.Wait()
		if !p.over() {
			t.Error("the open connection lives on")
		}
		raw := must(h.net.Dial(context.Background(), "tcp", testHost))(t)
		if _, err := raw.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a new connection ended with %v", err)
		}
		raw.Close()
		h.RefuseConnections(false)
		q := h.dial()
		defer q.close()
		q.want(q.push(ask{}), 200, "")
	})
}

func TestRulesForOneTokenOrForAll(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		h.AddDevice(tokenOf(1), testTopic)
		p := h.dial()
		defer p.close()
		h.Refuse(testToken, Refusal{Reason: "TooManyRequests", RetryAfter: 7 * time.Second, Count: 2})
		h.Refuse("", Refusal{Reason: "InternalServerError"})
		for range 2 {
			g := p.push(ask{})
			p.want(g, 429, "TooManyRequests")
			if g.header["retry-after"] != "7" {
				t.Errorf("%+v", g.header)
			}
		}
		p.want(p.push(ask{}), 500, "InternalServerError")
		p.want(p.push(ask{token: tokenOf(1)}), 500, "InternalServerError")
		h.Refuse("", Refusal{})
		p.want(p.push(ask{}), 200, "")
	})
}

func TestConnectionsDropAfterTheirRequests(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		h.DropAfter(3)
		p := h.dial()
		defer p.close()
		p.want(p.push(ask{}), 200, "")
		p.want(p.push(ask{}), 200, "")
		if g := p.push(ask{}); g.status != 0 || !p.over() || len(h.pushes()) != 2 {
			t.Errorf("%+v, ended %v, %d pushes", g, p.over(), len(h.pushes()))
		}
	})
}

func TestHandshakesFailAsDocumented(t *testing.T) {
	try := func(h *host) (time.Duration, error) {
		raw, err := h.net.Dial(context.Background(), "tcp", testHost)
		if err != nil {
			return 0, err
		}
		defer raw.Close()
		begin := time.Now()
		err = tls.Client(raw, &tls.Config{RootCAs: h.ca.Pool(), ServerName: "api.push.apple.com"}).Handshake()
		return time.Since(begin), err
	}
	inBubble(t, Options{}, func(h *host) {
		h.mustFault(fault.Fault{Name: "apns.handshake", Count: 1})
		if _, err := try(h); err == nil {
			t.Error("the handshake went well")
		}
		h.mustFault(fault.Fault{Name: "apns.handshake", Count: 1, Args: map[string]string{"how": "certificate"}})
		var unknown *tls.CertificateVerificationError
		if _, err := try(h); !errors.As(err, &unknown) {
			t.Errorf("wrong certificate: %v", err)
		}
		h.mustFault(fault.Fault{Name: "apns.handshake", Count: 1, Args: map[string]string{"how": "slow", "delay": "8s"}})
		if took, err := try(h); err != nil || took != 8*time.Second {
			t.Errorf("slow: %v after %v", err, took)
		}
		h.mustFault(fault.Fault{Name: "apns.refuse-connection", Count: 1})
		if _, err := try(h); err == nil {
			t.Error("the connection was not refused")
		}
		if _, err := try(h); err != nil {
			t.Error(err)
		}
	})
}

func TestAwaitingTellsWhatWasAwaitedInVain(t *testing.T) {
	inBubble(t, Options{Latency: time.Second}, func(h *host) {
		p := h.dial()
		ctx, cancel := context.WithTimeout(h.t.(*testing.T).Context(), time.Minute)
		defer cancel()
		id := p.send(ask{})
		synctest.Wait()
		if err := h.AwaitIdle(ctx); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		p.want(p.on(id), 200, "")
		if err := errors.Join(h.AwaitAccepted(ctx, testToken, 1), h.AwaitAccepted(ctx, "", 1), h.AwaitConnections(ctx, 1)); err != nil {
			t.Error(err)
		}
		p.close()
		if err := h.AwaitConnections(ctx, 0); err != nil {
			t.Error(err)
		}
		if err := h.AwaitAccepted(ctx, testToken, 2); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
}

// Checklist push 21.
func TestAllHeadersAreJournalledIfAsked(t *testing.T) {
	inBubble(t, Options{JournalHeaders: true}, func(h *host) {
		p := h.dial()
		defer p.close()
		p.push(ask{header: map[string]string{"user-agent": "test/1"}})
		all := h.lastPush().Detail["headers"]
		if !strings.HasPrefix(all, ":method: POST\n:scheme: https\n") || !strings.Contains(all, "\nuser-agent: test/1\n") || strings.Contains(all, p.auth) {
			t.Errorf("%s", all)
		}
	})
}

func TestTheHostileProfileLosesNothingItAccepted(t *testing.T) {
	inBubble(t, Options{Profile: fault.Hostile, Seed: 3}, func(h *host) {
		var p *peer
		accepted, seen := 0, map[int]bool{}
		for range 3000 {
			if p == nil || p.over() || len(p.goAways()) > 0 {
				if p != nil {
					p.close()
				}
				p = h.dial()
			}
			id := p.send(ask{})
			time.Sleep(10 * time.Second)
			g := p.on(id)
			seen[g.status] = true
			if g.status == 200 {
				accepted++
			}
		}
		p.close()
		inJournal := 0
		for _, e := range h.pushes() {
			if e.Status == 200 {
				inJournal++
			}
		}
		if inJournal < accepted || inJournal > accepted+20 || !seen[503] || !seen[0] {
			t.Errorf("%d answers 200, %d in the journal, statuses %v", accepted, inJournal, seen)
		}
	})
}
