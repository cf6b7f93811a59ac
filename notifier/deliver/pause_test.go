package deliver

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"mailbell/notifier"
)

func TestAnOutageOfTenMinutesCostsNoAttemptAndNoPush(t *testing.T) {
	const pushes = 300
	var healed time.Time
	bubble(t, func(d *desk) {
		healed = time.Now().Add(10 * time.Minute)
		d.provider.answer = func(ctx context.Context, s sending) notifier.Receipt {
			if time.Now().Before(healed) {
				return verdict(ctx, s, notifier.Pause, "unreachable")
			}
			return accept(ctx, s)
		}
	}, func(d *desk) {
		for i := range pushes {
			d.push(notifier.DeviceID(fmt.Sprint("phone", i)))
		}
		time.Sleep(10*time.Minute - time.Second)
		tries := len(d.provider.sendings())
		if tries > InFlightAPNs+20 {
			t.Errorf("%d sendings during the outage", tries)
		}
		if len(d.Stats().Lanes[notifier.APNs].Paused) != 1 {
			t.Error("the way does not count as paused")
		}
		time.Sleep(PauseMaxDefault + 10*time.Second)
		for i := range pushes {
			r := d.outcome(notifier.DeviceID(fmt.Sprint("phone", i)))
			if r.Verdict != notifier.Delivered || r.Attempt != 1 {
				t.Fatalf("phone%d: %s, attempt %d", i, r.Verdict, r.Attempt)
			}
		}
		if s := d.Stats().Lanes[notifier.APNs]; s.Retried != 0 || len(s.Paused) != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestWhilePausedOneProbeGoesAtATime(t *testing.T) {
	bubble(t, func(d *desk) {
		d.provider.answer = func(ctx context.Context, s sending) notifier.Receipt {
			return verdict(ctx, s, notifier.Pause, "unreachable")
		}
	}, func(d *desk) {
		d.push("first") // alone, so that each sending is a step of the pause
		time.Sleep(100 * time.Millisecond)
		for i := range 50 {
			d.push(notifier.DeviceID(fmt.Sprint("phone", i)))
		}
		time.Sleep(20 * time.Minute)
		sent := d.provider.sendings()
		want := PauseMinDefault
		for i := 1; i < len(sent); i++ {
			// Pushes come back a moment after the pause, spread over a second.
			if wait := sent[i].at.Sub(sent[i-1].at); wait < want || wait > want+2*time.Second {
				t.Errorf("probe %d after %s, want %s", i, wait, want)
			}
			want = min(2*want, PauseMaxDefault)
		}
		if len(sent) < 10 {
			t.Errorf("%d probes in 20 minutes", len(sent))
		}
	})
}

func TestAfterAnOutageTheNextPauseIsShortAgain(t *testing.T) {
	var down atomic.Bool
	down.Store(true)
	bubble(t, func(d *desk) {
		d.provider.answer = func(ctx context.Context, s sending) notifier.Receipt {
			if down.Load() {
				return verdict(ctx, s, notifier.Pause, "unreachable")
			}
			return accept(ctx, s)
		}
	}, func(d *desk) {
		d.push("phone")
		time.Sleep(30 * time.Minute)
		down.Store(false)
		time.Sleep(10 * time.Minute)
		d.expect("phone", notifier.Delivered, notifier.ReasonAccepted)

		down.Store(true)
		d.push("other")
		time.Sleep(500 * time.Millisecond)
		down.Store(false)
		time.Sleep(PauseMinDefault + 2*time.Second)
		d.expect("other", notifier.Delivered, notifier.ReasonAccepted)
	})
}

func TestAPauseLastsAsLongAsTheProviderAsks(t *testing.T) {
	bubble(t, func(d *desk) {
		d.provider.answer = func(ctx context.Context, s sending) notifier.Receipt {
			if s.n > 1 {
				return accept(ctx, s)
			}
			r := verdict(ctx, s, notifier.Pause, "throttled")
			r.RetryAfter = 15 * time.Minute
			return r
		}
	}, func(d *desk) {
		d.push("phone")
		time.Sleep(14 * time.Minute)
		d.push("other")
		time.Sleep(59 * time.Second)
		if n := len(d.provider.sendings()); n != 1 {
			t.Fatalf("%d sendings before the pause was over", n)
		}
		time.Sleep(time.Hour)
		d.expect("phone", notifier.Delivered, notifier.ReasonAccepted)
	})
}

func TestARefusedProbeDoesNotOpenTheWay(t *testing.T) {
	var began time.Time
	bubble(t, func(d *desk) {
		began = time.Now()
		d.provider.answer = func(ctx context.Context, s sending) notifier.Receipt {
			switch since := time.Since(began); {
			case since < time.Second:
				return verdict(ctx, s, notifier.Pause, "unreachable")
			case since < time.Minute:
				return verdict(ctx, s, notifier.Retry, "no-answer")
			}
			return accept(ctx, s)
		}
	}, func(d *desk) {
		for i := range 20 {
			d.push(notifier.DeviceID(fmt.Sprint("phone", i)))
		}
		time.Sleep(59 * time.Second)
		if d.provider.sendings(); d.Stats().Lanes[notifier.APNs].Retried > 60 {
			t.Errorf("%d attempts used during the outage", d.Stats().Lanes[notifier.APNs].Retried)
		}
		if len(d.Stats().Lanes[notifier.APNs].Paused) == 0 {
			t.Error("the way counts as open although no push was accepted")
		}
		time.Sleep(5 * time.Minute)
		if d.depth() != 0 {
			t.Errorf("%d left", d.depth())
		}
	})
}

func TestAProbeThatIsNotSentLeavesTheNextOneTheChance(t *testing.T) {
	bubble(t, func(d *desk) {
		d.provider.answer = func(ctx context.Context, s sending) notifier.Receipt {
			if len(d.provider.sendings()) == 1 {
				r := verdict(ctx, s, notifier.Pause, "unreachable")
				r.RetryAfter = time.Minute
				return r
			}
			return accept(ctx, s)
		}
	}, func(d *desk) {
		d.push("wiped")
		time.Sleep(time.Second)
		d.push("phone")
		d.mu.Lock()
		delete(d.devices, "wiped")
		d.mu.Unlock()
		time.Sleep(2 * time.Minute)
		d.expect("wiped", notifier.Drop, notifier.ReasonWiped)
		d.expect("phone", notifier.Delivered, notifier.ReasonAccepted)
	})
}

// twoWays sends by way of the environment.
type twoWays struct{ *provider }

func (twoWays) Ways() []string { return []string{"production", "development"} }
func (twoWays) Way(r notifier.Registration) string {
	return string(r.APNs.Environment)
}

func TestAClosedWayDoesNotHoldUpTheOther(t *testing.T) {
	bubble(t, func(d *desk) {
		d.opt.Senders[notifier.APNs] = twoWays{d.provider}
		d.provider.answer = func(ctx context.Context, s sending) notifier.Receipt {
			if s.reg.APNs.Environment == notifier.Development {
				return verdict(ctx, s, notifier.Pause, "InvalidProviderToken")
			}
			return accept(ctx, s)
		}
	}, func(d *desk) {
		d.register("tester", "bb", time.Now())
		d.mu.Lock()
		d.devices["tester"].APNs.Environment = notifier.Development
		d.mu.Unlock()
		for range 20 {
			d.push("tester")
		}
		time.Sleep(10 * time.Minute)
		before := len(d.provider.sendings())
		began := time.Now()
		for range 20 {
			d.push("phone")
		}
		time.Sleep(time.Second)
		if got := d.receipts("phone"); len(got) != 20 {
			t.Errorf("%d of 20 delivered", len(got))
		}
		for _, s := range d.provider.sendings()[before:] {
			if s.reg.APNs.Environment == notifier.Production && s.at.Sub(began) > 100*time.Millisecond {
				t.Errorf("held up for %s", s.at.Sub(began))
			}
		}
		if len(d.receipts("tester")) != 0 || d.depth() != 20 {
			t.Errorf("%d queued", d.depth())
		}
	})
}

func TestPushesExpireDuringAPause(t *testing.T) {
	bubble(t, func(d *desk) {
		d.provider.answer = func(ctx context.Context, s sending) notifier.Receipt {
			r := verdict(ctx, s, notifier.Pause, "throttled")
			r.RetryAfter = time.Hour
			return r
		}
	}, func(d *desk) {
		r := d.register("phone", "aa", time.Now())
		d.put(notifier.Push{ID: "p1", Device: "phone", Mailbox: r.Mailbox, Provider: r.Provider, Registered: r.Created, Expires: time.Now().Add(10 * time.Minute)})
		time.Sleep(2 * time.Hour)
		d.expect("phone", notifier.Drop, notifier.ReasonExpired)
	})
}
