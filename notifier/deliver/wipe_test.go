package deliver

import (
	"context"
	"testing"
	"time"

	"mailbell/notifier"
)

func TestAWipeCutsOffWhatIsOnItsWay(t *testing.T) {
	bubble(t, func(d *desk) {
		d.provider.answer = func(ctx context.Context, s sending) notifier.Receipt {
			sleep(ctx, 5*time.Second)
			if ctx.Err() != nil {
				sleep(context.Background(), time.Second) // it takes a moment to end
			}
			return accept(ctx, s)
		}
	}, func(d *desk) {
		d.push("phone")
		d.push("other")
		time.Sleep(time.Second)
		began := time.Now()
		d.Wiped(context.Background(), "phone")
		if took := time.Since(began); took != time.Second {
			t.Errorf("returned after %s although the sending ended after 1s", took)
		}
		if got := d.provider.inFlight(); got != 1 {
			t.Errorf("%d in flight", got)
		}
		time.Sleep(time.Minute)
		d.expect("phone", notifier.Drop, notifier.ReasonWiped)
		d.expect("other", notifier.Delivered, notifier.ReasonAccepted)
	})
}

func TestAfterAWipeOnlyANewRegistrationHears(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		d.register("phone", "aa", time.Now())
		time.Sleep(time.Minute)
		d.Wiped(context.Background(), "phone") // while the lookup still knows the device
		d.push("phone")
		time.Sleep(time.Second)
		d.expect("phone", notifier.Drop, notifier.ReasonWiped)

		d.mu.Lock()
		delete(d.devices, "phone")
		d.mu.Unlock()
		d.register("phone", "aa", time.Now())
		d.push("phone")
		time.Sleep(time.Second)
		if got := d.receipts("phone"); len(got) != 2 || got[0].Verdict != notifier.Delivered {
			t.Errorf("receipts %+v", got)
		}
	})
}

func TestAWipeDoesNotWaitForEver(t *testing.T) {
	bubble(t, func(d *desk) {
		d.provider.answer = func(_ context.Context, s sending) notifier.Receipt {
			time.Sleep(20 * time.Second) // deaf
			return accept(context.Background(), s)
		}
	}, func(d *desk) {
		d.push("phone")
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		began := time.Now()
		d.Wiped(ctx, "phone")
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("returned after %s", took)
		}
		time.Sleep(time.Minute)
		d.expect("phone", notifier.Delivered, notifier.ReasonAccepted) // the provider did take it
	})
}

func TestAPurgedPushThatIsPutOffStaysGone(t *testing.T) {
	bubble(t, func(d *desk) {
		d.provider.answer = func(ctx context.Context, s sending) notifier.Receipt {
			return verdict(ctx, s, notifier.Retry, "no-answer")
		}
	}, func(d *desk) {
		d.push("phone")
		time.Sleep(10 * time.Millisecond)
		if err := d.queue.Purge(context.Background(), "phone"); err != nil {
			t.Fatal(err)
		}
		d.Wiped(context.Background(), "phone")
		d.expect("phone", notifier.Drop, notifier.ReasonWiped) // the purged push, too, has its receipt
		before := len(d.provider.sendings())
		time.Sleep(time.Hour)
		if got := len(d.provider.sendings()); got != before || d.depth() != 0 {
			t.Errorf("sent %d times more", got-before)
		}
	})
}
