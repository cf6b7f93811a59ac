//lint:file-ignore SA1019 apns2 speaks through this HTTP/2 transport, and lanes need its connection pool.

package apns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

const testTopic = "com.contoso.mail"

func testToken(i int) string { return fmt.Sprintf("%064x", i+1) }

func testPush(i int) Request {
	return Request{
		Token: testToken(i), Topic: testTopic, Payload: []byte(`{"aps":{"badge":1}}`),
		ID: fmt.Sprintf("123e4567-e89b-82d3-a456-%012x", i),
	}
}

// burst pushes n requests at once and returns the answers by index.
func burst(ctx context.Context, c *Client, n int) []Response {
	out := make([]Response, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { out[i] = c.Push(ctx, testPush(i)) })
	}
	wg.Wait()
	return out
}

func countActions(rs []Response) map[Action]int {
	m := map[Action]int{}
	for _, r := range rs {
		m[r.Action]++
	}
	return m
}

func TestBurstFollowsTheStreamLimitWithoutFurtherConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.answer = func(*peerConn, query) reply { return reply{after: 50 * time.Millisecond} }
		c := p.client(Options{Lanes: 2})
		defer p.end(c)
		const n = 2000
		began := time.Now()
		got := countActions(burst(t.Context(), c, n))
		if got[Delivered] != n {
			t.Errorf("actions %v, want %d delivered", got, n)
		}
		dials, seen, refused := p.counts()
		if dials != 2 || seen != n || refused != 0 {
			t.Errorf("%d dials, %d pushes, %d streams over the limit; want 2, %d, 0", dials, seen, refused, n)
		}
		if p.streams != StreamsDefault {
			t.Errorf("most streams at once on a connection: %d, want %d", p.streams, StreamsDefault)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %s", took)
		}
	})
}

func TestFirstPushOnAConnectionGoesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.streamsFirst = 1000 // as with a certificate
		began := time.Now()
		p.answer = func(_ *peerConn, q query) reply {
			if q.number == 1 {
				return reply{after: time.Second}
			}
			if q.at.Sub(began) < time.Second {
				t.Error("another push came before the first was answered")
			}
			return reply{after: 10 * time.Millisecond}
		}
		c := p.client(Options{Lanes: 1})
		defer p.end(c)
		if got := countActions(burst(t.Context(), c, 100)); got[Delivered] != 100 {
			t.Errorf("actions %v", got)
		}
	})
}

func TestLimitOfOneForEverStillDeliversAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.streamsLater = 1
		c := p.client(Options{Lanes: 1})
		defer p.end(c)
		if got := countActions(burst(t.Context(), c, 200)); got[Delivered] != 200 {
			t.Errorf("actions %v", got)
		}
		if dials, _, refused := p.counts(); dials != 1 || refused != 0 {
			t.Errorf("%d dials, %d refused streams; want 1, 0", dials, refused)
		}
	})
}

func TestLimitThatFallsAfterRejectionsIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.dropsToOne = true
		p.answer = func(_ *peerConn, q query) reply {
			if q.token()[63] == '0' {
				r := reject(400, "BadExpirationDate")
				r.after = 20 * time.Millisecond
				return r
			}
			return reply{after: 20 * time.Millisecond}
		}
		c := p.client(Options{Lanes: 1})
		defer p.end(c)
		got := countActions(burst(t.Context(), c, 1600))
		if got[Delivered] != 1500 || got[Drop] != 100 {
			t.Errorf("actions %v, want 1500 delivered and 100 dropped", got)
		}
		if dials, seen, _ := p.counts(); dials != 1 || seen != 1600 {
			t.Errorf("%d dials, %d answers; want 1, 1600", dials, seen)
		}
	})
}

func TestRefusedStreamsAreSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		var mu sync.Mutex
		tries := map[string]int{}
		p.answer = func(_ *peerConn, q query) reply {
			mu.Lock()
			defer mu.Unlock()
			tries[q.path]++
			if tries[q.path] < 3 {
				return reply{reset: http2.ErrCodeRefusedStream}
			}
			return reply{}
		}
		c := p.client(Options{Lanes: 1})
		defer p.end(c)
		if got := countActions(burst(t.Context(), c, 3)); got[Delivered] != 3 {
			t.Errorf("actions %v", got)
		}
	})
}

func TestGoAwayLosesAndRepeatsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.answer = func(c *peerConn, q query) reply {
			r := reply{after: 30 * time.Millisecond}
			if q.number == 500 {
				c.mu.Lock()
				last := c.last
				c.mu.Unlock()
				c.sendGoAway(http2.GoAwayError{LastStreamID: last, DebugData: `{"reason":"Shutdown"}`})
			}
			return r
		}
		c := p.client(Options{Lanes: 1})
		defer p.end(c)
		const n = 1900
		for _, r := range burst(t.Context(), c, n) {
			if r.Action != Delivered {
				t.Errorf("%v %q %v", r.Action, r.Reason, r.Err)
			}
		}
		ids := map[string]int{}
		for _, q := range p.requests() {
			ids[q.header["apns-id"]]++
		}
		if len(ids) != n || len(p.requests()) != n {
			t.Errorf("%d different pushes in %d requests, want %d in %d", len(ids), len(p.requests()), n, n)
		}
		if dials, _, _ := p.counts(); dials != 4 {
			t.Errorf("%d connections, want 4", dials)
		}
	})
}

func TestGoAwayBeforeTheStreamIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.answer = func(c *peerConn, q query) reply {
			if q.conn == 1 && q.number == 2 {
				return reply{goAway: &http2.GoAwayError{LastStreamID: 1, DebugData: `{"reason":"Shutdown"}`}, status: 200}
			}
			return reply{}
		}
		c := p.client(Options{Lanes: 1})
		defer p.end(c)
		for i := range 3 {
			if r := c.Push(t.Context(), testPush(i)); r.Action != Delivered {
				t.Errorf("push %d: %v %v", i, r.Action, r.Err)
			}
		}
	})
}

func TestGoAwayThatCoversThePushIsUnknownAndNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.answer = func(c *peerConn, q query) reply {
			return reply{goAway: &http2.GoAwayError{LastStreamID: 1, DebugData: `{"reason":"Shutdown"}`}}
		}
		c := p.client(Options{Lanes: 1})
		defer p.end(c)
		r := c.Push(t.Context(), testPush(0))
		var g http2.GoAwayError
		if r.Action != Retry || !errors.As(r.Err, &g) || !strings.Contains(g.DebugData, "Shutdown") {
			t.Errorf("%v %v %v, want retry with the GOAWAY's words", r.Action, r.Reason, r.Err)
		}
		if _, seen, _ := p.counts(); seen != 0 {
			t.Error("answered")
		}
	})
}

func TestBadCertificateGoAwayPausesAtOnce(t *testing.T) {
	for name, greet := range map[string]bool{"before the push": true, "after the push": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t)
				bad := http2.GoAwayError{DebugData: `{"reason":"BadCertificateEnvironment"}`}
				if greet {
					p.greet = func(c *peerConn) { c.sendGoAway(bad); _ = c.raw.Close() }
				} else {
					p.answer = func(*peerConn, query) reply { return reply{goAway: &bad} }
				}
				c := p.client(Options{Lanes: 1})
				defer p.end(c)
				began := time.Now()
				rs := burst(t.Context(), c, 20)
				if took := time.Since(began); took > time.Second {
					t.Errorf("took %s", took)
				}
				for _, r := range rs {
					var g http2.GoAwayError
					if r.Action != Pause || r.Reason != "BadCertificateEnvironment" || !errors.As(r.Err, &g) || r.RetryAfter <= 0 {
						t.Fatalf("%v %q %v", r.Action, r.Reason, r.Err)
					}
				}
				if dials, _, _ := p.counts(); dials > 2 {
					t.Errorf("%d dials", dials)
				}
			})
		})
	}
}

func TestCutConnectionLeavesOutcomesUnknownAndTheRestGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.answer = func(_ *peerConn, q query) reply {
			if q.conn == 1 && q.number == 100 {
				return reply{cut: true}
			}
			return reply{after: 30 * time.Millisecond}
		}
		c := p.client(Options{Lanes: 1, StreamsMax: 50})
		defer p.end(c)
		rs := burst(t.Context(), c, 400)
		lost := 0
		for _, r := range rs {
			switch r.Action {
			case Delivered:
			case Retry:
				lost++
				if r.Reason != ReasonConnectionLost || r.Status != 0 {
					t.Errorf("%q %v", r.Reason, r.Err)
				}
			default:
				t.Errorf("%v %q %v", r.Action, r.Reason, r.Err)
			}
		}
		if lost == 0 || lost > 50 {
			t.Errorf("%d pushes with unknown outcome, want 1 to 50", lost)
		}
		if dials, _, _ := p.counts(); dials != 2 {
			t.Errorf("%d dials, want 2", dials)
		}
	})
}

func TestThreeUnansweredDeadlinesReplaceTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.answer = func(_ *peerConn, q query) reply { return reply{silent: q.conn == 1 && q.number > 1} }
		c := p.client(Options{Lanes: 1})
		defer p.end(c)
		for i, want := range []Action{Delivered, Retry, Retry, Retry, Delivered} {
			began := time.Now()
			r := c.Push(t.Context(), testPush(i))
			if r.Action != want {
				t.Errorf("push %d: %v (%v), want %v", i, r.Action, r.Err, want)
			}
			if want == Retry && (time.Since(began) != PushTimeoutDefault || r.Reason != ReasonNoAnswer) {
				t.Errorf("push %d: %s after %s", i, r.Reason, time.Since(began))
			}
		}
		if dials, _, _ := p.counts(); dials != 2 {
			t.Errorf("%d dials, want 2", dials)
		}
	})
}

func TestServerSilentFromTheStartNeverHoldsAPushForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.answer = func(*peerConn, query) reply { return reply{silent: true} }
		c := p.client(Options{Lanes: 2})
		defer p.end(c)
		began := time.Now()
		rs := burst(t.Context(), c, 500)
		if took := time.Since(began); took > (waitMax+2)*PushTimeoutDefault {
			t.Errorf("took %s", took)
		}
		for _, r := range rs {
			if r.Action != Retry && r.Action != Pause {
				t.Fatalf("%v %q", r.Action, r.Reason)
			}
		}
	})
}

func TestUnreachableHostPausesWithBackoffAndOneDialAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.dialed = func(ctx context.Context) error {
			select {
			case <-time.After(100 * time.Millisecond):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		p.refuse = func(int) error { return io.ErrUnexpectedEOF }
		c := p.client(Options{Lanes: 1})
		defer p.end(c)
		var waits []time.Duration
		for range 10 {
			for _, r := range burst(t.Context(), c, 50) {
				if r.Action != Pause || r.Reason != ReasonUnreachable || r.RetryAfter <= 0 || r.RetryAfter > backoffMax {
					t.Fatalf("%v %q %v %v", r.Action, r.Reason, r.RetryAfter, r.Err)
				}
			}
			r := c.Push(t.Context(), testPush(0))
			waits = append(waits, r.RetryAfter)
			time.Sleep(r.RetryAfter)
		}
		if dials, _, _ := p.counts(); dials != 10 {
			t.Errorf("%d dials in 10 back-offs", dials)
		}
		if p.dialsMost != 1 {
			t.Errorf("%d dials at once", p.dialsMost)
		}
		if waits[0] > backoffMin || waits[9] < backoffMax*4/5 {
			t.Errorf("waits %v", waits)
		}
		p.refuse = nil
		if r := c.Push(t.Context(), testPush(0)); r.Action != Delivered {
			t.Errorf("after healing: %v %v", r.Action, r.Err)
		}
	})
}

func TestConnectionsThatNeverAnswerAreNotOpenedQuickly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.answer = func(*peerConn, query) reply { return reply{cut: true} }
		c := p.client(Options{Lanes: 1})
		defer p.end(c)
		for began := time.Now(); time.Since(began) < 10*time.Minute; {
			if r := c.Push(t.Context(), testPush(0)); r.Action == Pause {
				time.Sleep(r.RetryAfter)
			}
		}
		if dials, _, _ := p.counts(); dials > 20 {
			t.Errorf("%d dials in ten minutes", dials)
		}
	})
}

// A server in trouble that still takes pushes is used while it does.
func TestConnectionsThatWorkForAMomentOnlyAreOpenedAgainWithinSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.answer = func(_ *peerConn, q query) reply { return reply{cut: q.number > 100} }
		c := p.client(Options{Lanes: 1})
		defer p.end(c)
		began := time.Now()
		for delivered := 0; delivered < 3000; {
			switch r := c.Push(t.Context(), testPush(0)); r.Action {
			case Delivered:
				delivered++
			case Pause:
				time.Sleep(r.RetryAfter)
			}
		}
		took := time.Since(began)
		if took > 30*hurriedMax {
			t.Errorf("30 connections took %s", took)
		}
		if dials, _, _ := p.counts(); float64(dials) > took.Seconds()/hurriedMax.Seconds()*5/4+shortLivesMax+2 {
			t.Errorf("%d dials in %s", dials, took)
		}
	})
}

func TestOtherLaneCarriesOnWhileOneIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.refuse = func(dial int) error {
			if dial == 1 {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		c := p.client(Options{Lanes: 2})
		defer p.end(c)
		if got := countActions(burst(t.Context(), c, 50)); got[Delivered] != 50 {
			t.Errorf("actions %v", got)
		}
	})
}

func TestWaitingHonoursTheContextAndKeepsItsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.streamsLater = 1
		p.answer = func(*peerConn, query) reply { return reply{after: time.Second} }
		c := p.client(Options{Lanes: 1})
		defer p.end(c)
		var wg sync.WaitGroup
		for i := range 8 {
			ctx, cancel := context.WithCancel(t.Context())
			wg.Go(func() {
				defer cancel()
				r := c.Push(ctx, testPush(i))
				if i == 3 {
					if r.Action != Retry || r.Reason != ReasonCancelled || !errors.Is(r.Err, context.Canceled) {
						t.Errorf("cancelled push: %v %q %v", r.Action, r.Reason, r.Err)
					}
				} else if r.Action != Delivered {
					t.Errorf("push %d: %v %v", i, r.Action, r.Err)
				}
			})
			synctest.Wait()
			if i == 5 && c.Stats().Waiting != 4 {
				t.Errorf("%+v", c.Stats())
			}
			if i == 3 {
				cancel()
			}
			synctest.Wait()
		}
		wg.Wait()
		var order []string
		for _, q := range p.requests() {
			order = append(order, q.token()[62:])
		}
		if got := strings.Join(order, " "); got != "01 02 03 05 06 07 08" {
			t.Errorf("order %s", got)
		}
	})
}

func TestConnectionWithoutSettingsOrWithoutStreamsIsGivenUp(t *testing.T) {
	for name, mute := range map[string]bool{"no SETTINGS": true, "a limit of zero": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t)
				p.streamsFirst, p.mute = 0, mute
				c := p.client(Options{Lanes: 1})
				defer p.end(c)
				began := time.Now()
				r := c.Push(t.Context(), testPush(0))
				if r.Action != Pause || r.Reason != ReasonUnreachable || r.RetryAfter <= 0 {
					t.Errorf("%v %q %v", r.Action, r.Reason, r.Err)
				}
				if took := time.Since(began); took > 2*settingsTimeout {
					t.Errorf("took %s", took)
				}
			})
		})
	}
}

func TestIdleConnectionThatThePeerClosesIsReplacedUnseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		c := p.client(Options{Lanes: 1})
		defer p.end(c)
		for i := range 5 {
			if r := c.Push(t.Context(), testPush(i)); r.Action != Delivered {
				t.Errorf("push %d: %v %v", i, r.Action, r.Err)
			}
			time.Sleep(time.Hour)
			p.mu.Lock()
			conn := p.conns[len(p.conns)-1]
			p.mu.Unlock()
			if i%2 == 0 {
				conn.sendGoAway(http2.GoAwayError{LastStreamID: 1, DebugData: `{"reason":"IdleTimeout"}`})
			}
			_ = conn.raw.Close()
			synctest.Wait()
		}
	})
}

func TestCertificateThatTurnsBadPausesWithoutAnotherDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.answer = func(_ *peerConn, q query) reply {
			if q.number == 3 {
				return reply{goAway: &http2.GoAwayError{LastStreamID: 3, DebugData: `{"reason":"BadCertificate"}`}}
			}
			return reply{}
		}
		c := p.client(Options{Lanes: 1})
		defer p.end(c)
		for i, want := range []Action{Delivered, Delivered, Pause} {
			if r := c.Push(t.Context(), testPush(i)); r.Action != want {
				t.Errorf("push %d: %+v", i, r)
			}
		}
		if dials, _, _ := p.counts(); dials != 1 {
			t.Errorf("%d dials, want 1", dials)
		}
	})
}
