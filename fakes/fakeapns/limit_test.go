package fakeapns

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"mailbell/fakes/testcert"
)

func testcertNew(t testing.TB) *testcert.Authority {
	t.Helper()
	return must(testcert.NewAuthority())(t)
}

// Checklist push 30.
func TestA30OneStreamUntilTheFirstAcceptedPush(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		p := h.dial()
		defer p.close()
		p.push(ask{token: tokenOf(9)}) // refused: worth nothing
		if got := p.limits(); !slices.Equal(got, []uint32{1}) {
			t.Errorf("limits %v before an accepted push", got)
		}
		p.push(ask{})
		p.push(ask{})
		if got := p.limits(); !slices.Equal(got, []uint32{1, StreamsMaxDefault}) {
			t.Errorf("limits %v after it", got)
		}
	})
}

// Checklist push 31.
func TestA31ARejectionDropsTheLimitToOneIfAsked(t *testing.T) {
	inBubble(t, Options{RejectionDropsToOne: true, StreamsMax: 500}, func(h *host) {
		p := h.dial().trusted()
		defer p.close()
		h.Retire(tokenOf(2), time.Now(), "")
		p.push(ask{token: tokenOf(2)}) // a 410 is no error
		p.push(ask{token: tokenOf(9)})
		p.push(ask{token: tokenOf(9)})
		p.push(ask{})
		if got := p.limits(); !slices.Equal(got, []uint32{1, 500, 1, 500}) {
			t.Errorf("limits %v", got)
		}
	})
}

// Checklist push 32.
func TestA32StreamsOverTheLimitAreRefusedFromTheAcknowledgementOn(t *testing.T) {
	for _, atOnce := range []bool{false, true} {
		inBubble(t, Options{EnforceAtOnce: atOnce, Latency: time.Second}, func(h *host) {
			p := h.dial() // the limit of 1 is acknowledged by now
			defer p.close()
			a, b := p.send(ask{}), p.send(ask{})
			time.Sleep(2 * time.Second)
			p.want(p.on(a), 200, "")
			if g := p.on(b); g.status != 0 || !slices.Equal(g.resets, []http2.ErrCode{http2.ErrCodeRefusedStream, http2.ErrCodeStreamClosed}) {
				t.Errorf("over the limit: %+v", g)
			}
			if n := len(h.pushes()); n != 1 {
				t.Errorf("%d pushes were looked at", n)
			}

			p.mute = true // from here on nothing is acknowledged
			h.SetMaxStreams(2)
			synctest.Wait()
			ids := []uint32{p.send(ask{}), p.send(ask{}), p.send(ask{})}
			time.Sleep(2 * time.Second)
			third := p.on(ids[2])
			if refused := len(third.resets) > 0; refused != atOnce {
				t.Errorf("at once %v: third of two streams %+v", atOnce, third)
			}
		})
	}
}

// Checklist push 33.
func TestA33AViolationIsAGoAwayIfAsked(t *testing.T) {
	inBubble(t, Options{ViolationGoAway: true, Latency: time.Second}, func(h *host) {
		p := h.dial()
		defer p.close()
		a, b := p.send(ask{}), p.send(ask{})
		time.Sleep(time.Minute)
		p.want(p.on(a), 200, "")
		if g := p.on(b); g.status != 0 {
			t.Errorf("over the limit: %+v", g)
		}
		want := goneAway{a, http2.ErrCodeRefusedStream, "Maximum active streams violated for this endpoint."}
		if got := p.goAways(); len(got) != 1 || got[0] != want || !p.over() {
			t.Errorf("goaway %+v, ended %v", got, p.over())
		}
	})
}

// Checklist push 34.
func TestA34TooManyErrorsEndTheConnection(t *testing.T) {
	inBubble(t, Options{ErrorsMax: 35}, func(h *host) {
		p := h.dial().trusted()
		defer p.close()
		h.Retire(tokenOf(2), time.Now(), "")
		for range 100 {
			p.push(ask{token: tokenOf(2)}) // 410 counts nothing
		}
		for range 3 {
			p.push(ask{token: tokenOf(9)}) // ten each
		}
		for range 4 {
			p.push(ask{header: map[string]string{"apns-topic": "-"}})
		}
		if p.over() || len(p.goAways()) != 0 {
			t.Fatal("ended after 34 points")
		}
		g := p.push(ask{header: map[string]string{"apns-topic": "-"}})
		p.want(g, 400, "MissingTopic")
		time.Sleep(time.Minute)
		if len(p.goAways()) != 1 || !p.over() {
			t.Errorf("goaway %+v, ended %v", p.goAways(), p.over())
		}
	})
}

// Checklist push 35.
func TestA35AfterGoAwayStreamsUpToTheLastAreAnsweredAndNoOthers(t *testing.T) {
	inBubble(t, Options{Latency: time.Second}, func(h *host) {
		p := h.dial()
		defer p.close()
		first := p.send(ask{})
		time.Sleep(2 * time.Second)
		p.want(p.on(first), 200, "")
		a, b := p.send(ask{}), p.send(ask{})
		synctest.Wait()
		h.GoAway("Shutdown")
		var late []uint32
		for range 100 {
			late = append(late, p.send(ask{}))
		}
		time.Sleep(time.Minute)
		got := p.goAways()
		if len(got) != 1 || got[0].last != b || got[0].code != 0 || got[0].debug != `{"reason":"Shutdown"}` {
			t.Fatalf("goaway %+v, want last %d", got, b)
		}
		p.want(p.on(a), 200, "")
		p.want(p.on(b), 200, "")
		for _, id := range late {
			if g := p.on(id); g.status != 0 {
				t.Errorf("stream %d above the last: %+v", id, g)
			}
		}
		if n := len(h.pushes()); n != 3 || h.Stats().Accepted != 3 {
			t.Errorf("%d pushes journalled, %d accepted; want 3", n, h.Stats().Accepted)
		}
		if !p.over() {
			t.Error("the connection lives on")
		}
	})
}

// Checklist push 37.
func TestA37AnIdleConnectionIsClosed(t *testing.T) {
	for _, word := range []bool{false, true} {
		inBubble(t, Options{IdleTimeout: 10 * time.Minute, IdleGoAway: word}, func(h *host) {
			p := h.dial().trusted()
			defer p.close()
			time.Sleep(9 * time.Minute)
			p.want(p.push(ask{}), 200, "")
			time.Sleep(9 * time.Minute)
			if p.over() {
				t.Fatal("closed early")
			}
			time.Sleep(2 * time.Minute)
			if !p.over() || (len(p.goAways()) == 1) != word {
				t.Errorf("ended %v, goaway %+v", p.over(), p.goAways())
			}
		})
	}
}
