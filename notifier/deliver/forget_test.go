package deliver

import (
	"context"
	"errors"
	"testing"
	"time"

	"mailbell/notifier"
)

// dead answers that a token is dead since a time.
func dead(token notifier.DeviceToken, since time.Time) func(context.Context, sending) notifier.Receipt {
	return func(ctx context.Context, s sending) notifier.Receipt {
		if s.reg.APNs.Token != token {
			return accept(ctx, s)
		}
		r := verdict(ctx, s, notifier.Forget, "Unregistered")
		r.GoneSince = since
		return r
	}
}

func (d *desk) registered(id notifier.DeviceID) bool {
	_, _, ok := d.lookup(id)
	return ok
}

func TestADeadAddressIsForgotten(t *testing.T) {
	for _, c := range []struct {
		name  string
		since func(confirmed time.Time) time.Time
		keeps bool
	}{
		{"410 newer than the registration", func(c time.Time) time.Time { return c.Add(time.Minute) }, false},
		{"410 at the very time of the confirmation", func(c time.Time) time.Time { return c }, false},
		{"410 older than the registration", func(c time.Time) time.Time { return c.Add(-time.Second) }, true},
		{"a refusal that names no time", func(time.Time) time.Time { return time.Time{} }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, nil, func(d *desk) {
				r := d.register("phone", "aa", time.Now())
				d.provider.answer = dead("aa", c.since(r.Confirmed))
				d.push("phone")
				time.Sleep(time.Minute)
				d.expect("phone", notifier.Forget, "Unregistered")
				if d.registered("phone") != c.keeps {
					t.Errorf("registered: %v, want %v", d.registered("phone"), c.keeps)
				}
				if d.depth() != 0 || d.Stats().Lanes[notifier.APNs].Forgotten != 1 {
					t.Errorf("%d left, stats %+v", d.depth(), d.Stats())
				}
			})
		})
	}
}

func TestAPushFollowsItsDeviceToItsNewAddress(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		d.register("phone", "aa", time.Now())
		d.provider.answer = func(ctx context.Context, s sending) notifier.Receipt {
			if s.n == 1 {
				d.register("phone", "bb", time.Now()) // while the push is on its way
			}
			return dead("aa", time.Now().Add(time.Minute))(ctx, s)
		}
		d.push("phone")
		time.Sleep(time.Minute)
		d.expect("phone", notifier.Delivered, notifier.ReasonAccepted)
		if !d.registered("phone") {
			t.Error("the new registration was forgotten")
		}
	})
}

func TestARegistrationConfirmedDuringTheSendingStays(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		d.register("phone", "aa", time.Now())
		d.provider.answer = func(ctx context.Context, s sending) notifier.Receipt {
			d.register("phone", "aa", time.Now())
			return dead("aa", time.Time{})(ctx, s)
		}
		d.push("phone")
		time.Sleep(time.Minute)
		d.expect("phone", notifier.Forget, "Unregistered")
		if !d.registered("phone") {
			t.Error("the registration was forgotten")
		}
	})
}

func TestADeadAddressThatCannotBeForgottenIsTriedAgain(t *testing.T) {
	failures := 3
	bubble(t, func(d *desk) {
		d.opt.Forget = func(ctx context.Context, id notifier.DeviceID, revision uint64) error {
			if failures--; failures >= 0 {
				return errors.New("registry is away")
			}
			return d.forget(ctx, id, revision)
		}
	}, func(d *desk) {
		d.provider.answer = dead("aa", time.Now().Add(time.Hour))
		d.push("phone")
		time.Sleep(time.Minute)
		d.expect("phone", notifier.Forget, "Unregistered")
		if d.registered("phone") || d.depth() != 0 {
			t.Error("the registration or the push is still there")
		}
	})
}
