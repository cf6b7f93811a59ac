package deliver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/queue"
)

func TestADeliveredPushLeavesTheQueueAfterItsReceipt(t *testing.T) {
	var depthAtReceipt atomic.Int64
	bubble(t, func(d *desk) {
		d.opt.Ledger = ledgerFunc(func(ctx context.Context, r ...notifier.Receipt) error {
			depthAtReceipt.Store(int64(d.depth()))
			return d.ledger.Append(ctx, r...)
		})
	}, func(d *desk) {
		d.push("phone")
		time.Sleep(time.Second)
		d.expect("phone", notifier.Delivered, notifier.ReasonAccepted)
		if depthAtReceipt.Load() != 1 || d.depth() != 0 {
			t.Errorf("%d queued at the receipt and %d after it", depthAtReceipt.Load(), d.depth())
		}
		if s := d.Stats().Lanes[notifier.APNs]; s.Delivered != 1 || s.InFlight != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

type ledgerFunc func(context.Context, ...notifier.Receipt) error

func (f ledgerFunc) Append(ctx context.Context, r ...notifier.Receipt) error { return f(ctx, r...) }

func TestPushesInFlightAreBounded(t *testing.T) {
	bubble(t, func(d *desk) { d.opt.InFlight = map[notifier.Provider]int{notifier.APNs: 4} }, func(d *desk) {
		for i := range 40 {
			d.push(notifier.DeviceID(fmt.Sprint("phone", i)))
		}
		time.Sleep(time.Minute)
		if d.depth() != 0 || d.provider.inFlightMax() != 4 {
			t.Errorf("%d left, %d in flight at most", d.depth(), d.provider.inFlightMax())
		}
	})
}

func TestAQueueIsAskedForManyPushesAtATimeWhileNearlyAllAreInFlight(t *testing.T) {
	const pushes = 2000
	var takes, sent atomic.Int64
	bubble(t, func(d *desk) {
		d.opt.Queue = queueOf{d.queue, &takes}
		d.provider.answer = func(ctx context.Context, s sending) notifier.Receipt {
			sleep(ctx, time.Duration(sent.Add(1)%97)*time.Millisecond) // they end one by one
			return accept(ctx, s)
		}
	}, func(d *desk) {
		for i := range pushes {
			d.push(notifier.DeviceID(fmt.Sprint("phone", i)))
		}
		time.Sleep(time.Minute)
		if d.depth() != 0 {
			t.Errorf("%d left", d.depth())
		}
		if n := takes.Load(); n > pushes/4 {
			t.Errorf("%d pushes were taken %d times", pushes, n)
		}
	})
}

// queueOf counts what is asked of a queue.
type queueOf struct {
	queue.Queue
	takes *atomic.Int64
}

func (q queueOf) Take(ctx context.Context, p notifier.Provider, most int) ([]queue.Delivery, error) {
	q.takes.Add(1)
	return q.Queue.Take(ctx, p, most)
}

func TestARefusedPushIsDroppedWithTheProvidersReason(t *testing.T) {
	bubble(t, func(d *desk) {
		d.provider.answer = func(ctx context.Context, s sending) notifier.Receipt {
			return verdict(ctx, s, notifier.Drop, "PayloadTooLarge")
		}
	}, func(d *desk) {
		d.push("phone")
		time.Sleep(time.Second)
		d.expect("phone", notifier.Drop, "PayloadTooLarge")
	})
}

func TestARefusalForNowIsTriedAgainWithGrowingWaits(t *testing.T) {
	bubble(t, func(d *desk) {
		d.provider.answer = func(ctx context.Context, s sending) notifier.Receipt {
			if s.n < 8 {
				return verdict(ctx, s, notifier.Retry, "connection-lost")
			}
			return accept(ctx, s)
		}
	}, func(d *desk) {
		d.push("phone")
		time.Sleep(time.Hour)
		d.expect("phone", notifier.Delivered, notifier.ReasonAccepted)
		if r := d.outcome("phone"); r.Attempt != 8 {
			t.Errorf("attempt %d, want 8", r.Attempt)
		}
		sent := d.provider.sendings()
		for i := 1; i < len(sent); i++ {
			const latency = 50 * time.Millisecond
			if wait, most := sent[i].at.Sub(sent[i-1].at)-latency, time.Second<<(i-1); wait < 0 || wait > most {
				t.Errorf("wait %d is %s, want at most %s", i, wait, most)
			}
		}
	})
}

func TestAttemptsAreBounded(t *testing.T) {
	bubble(t, func(d *desk) {
		d.opt.Retry.AttemptsMax = 3
		d.provider.answer = func(ctx context.Context, s sending) notifier.Receipt {
			return verdict(ctx, s, notifier.Retry, "InternalServerError")
		}
	}, func(d *desk) {
		d.push("phone")
		time.Sleep(time.Hour)
		d.expect("phone", notifier.Drop, notifier.ReasonAttempts)
		if n := len(d.provider.sendings()); n != 3 {
			t.Errorf("sent %d times", n)
		}
		if n := d.lanes[notifier.APNs].attempts.count(d.outcome("phone").Push); n != 0 {
			t.Errorf("%d attempts are remembered of a push that is gone", n)
		}
	})
}

func TestNothingIsSentAfterItsExpiry(t *testing.T) {
	for _, c := range []struct {
		name   string
		asked  time.Duration
		within time.Duration // of its composing the receipt has to be there
	}{
		{"back-off reaches beyond", 0, 31 * time.Minute},
		{"the provider asks for more than is left", 2 * time.Hour, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(d *desk) {
				d.provider.answer = func(ctx context.Context, s sending) notifier.Receipt {
					r := verdict(ctx, s, notifier.Retry, "ServiceUnavailable")
					r.RetryAfter = c.asked
					return r
				}
			}, func(d *desk) {
				r := d.register("phone", "aa", time.Now())
				began := time.Now()
				p := notifier.Push{
					ID: "p1", Notification: "n1", Device: "phone", Mailbox: r.Mailbox, Provider: r.Provider,
					Payload: []byte("{}"), Registered: r.Created, Expires: began.Add(30 * time.Minute),
				}
				d.put(p)
				time.Sleep(2 * time.Hour)
				d.expect("phone", notifier.Drop, notifier.ReasonExpired)
				if at := d.outcome("phone").At.Sub(began); at > c.within {
					t.Errorf("receipt after %s", at)
				}
				for _, s := range d.provider.sendings() {
					if s.at.After(p.Expires) {
						t.Errorf("sent %s after its expiry", s.at.Sub(p.Expires))
					}
				}
			})
		})
	}
}

func TestPushesOfAnotherRegistrationAreNotSent(t *testing.T) {
	for name, change := range map[string]func(*desk, notifier.Registration){
		"the device is gone": func(d *desk, _ notifier.Registration) { delete(d.devices, "phone") },
		"it was registered anew": func(d *desk, r notifier.Registration) {
			r.Created = r.Created.Add(time.Second)
			d.devices["phone"] = r
		},
		"it was registered for another mailbox": func(d *desk, r notifier.Registration) {
			r.Mailbox, r.Created = "bob@contoso.test", r.Created.Add(time.Second)
			d.devices["phone"] = r
		},
		"it was registered before for another mailbox": func(d *desk, r notifier.Registration) {
			r.Mailbox, r.Created = "bob@contoso.test", r.Created.Add(-time.Hour)
			d.devices["phone"] = r
		},
		"it is another platform's": func(d *desk, r notifier.Registration) {
			r.Provider = notifier.WNS
			d.devices["phone"] = r
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(d *desk) {
				r := d.register("phone", "aa", time.Now())
				d.mu.Lock()
				change(d, r)
				d.mu.Unlock()
				d.put(notifier.Push{
					ID: "p1", Device: "phone", Mailbox: r.Mailbox, Provider: notifier.APNs, Registered: r.Created, Expires: time.Now().Add(time.Hour),
				})
				time.Sleep(time.Minute)
				d.expect("phone", notifier.Drop, notifier.ReasonWiped)
				if n := len(d.provider.sendings()); n != 0 {
					t.Errorf("sent %d times", n)
				}
			})
		})
	}
}

func TestARegistrationThatIsNotKnownHereYetIsWaitedFor(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		r := notifier.Registration{Device: "phone", Mailbox: "ada@contoso.test", Provider: notifier.APNs, Created: time.Now()}
		d.put(notifier.Push{ID: "p1", Device: "phone", Mailbox: r.Mailbox, Provider: r.Provider, Registered: r.Created, Expires: time.Now().Add(time.Hour)})
		time.Sleep(3 * time.Second)
		d.mu.Lock()
		d.devices["phone"] = r
		d.mu.Unlock()
		time.Sleep(5 * time.Second)
		d.expect("phone", notifier.Delivered, notifier.ReasonAccepted)
		if a := d.outcome("phone").Attempt; a != 1 {
			t.Errorf("attempt %d", a)
		}
	})
}

func TestALongSendingIsClaimedAnew(t *testing.T) {
	bubble(t, func(d *desk) {
		d.opt.Retry.SendTimeout = 5 * time.Minute
		d.provider.answer = func(ctx context.Context, s sending) notifier.Receipt {
			sleep(ctx, 3*queue.AckWaitDefault)
			return accept(ctx, s)
		}
	}, func(d *desk) {
		d.push("phone")
		time.Sleep(4 * queue.AckWaitDefault)
		d.expect("phone", notifier.Delivered, notifier.ReasonAccepted)
		if n := len(d.provider.sendings()); n != 1 {
			t.Errorf("sent %d times", n)
		}
	})
}

func TestASendingThatNeverEndsIsCutOff(t *testing.T) {
	bubble(t, func(d *desk) {
		d.provider.answer = func(ctx context.Context, s sending) notifier.Receipt {
			if s.n == 1 {
				<-ctx.Done()
				return notifier.NewReceipt(s.push, notifier.Retry, "cancelled", time.Now())
			}
			return accept(ctx, s)
		}
	}, func(d *desk) {
		d.push("phone")
		time.Sleep(SendTimeoutDefault + 5*time.Second)
		d.expect("phone", notifier.Delivered, notifier.ReasonAccepted)
		if a := d.outcome("phone").Attempt; a != 2 {
			t.Errorf("attempt %d, want 2", a)
		}
	})
}

func TestWhatWasDeliveredIsNotSentAgainWhenItCannotBeWrittenDown(t *testing.T) {
	outage := errors.New("ledger is away")
	var broken atomic.Bool
	bubble(t, func(d *desk) {
		broken.Store(true)
		d.opt.Ledger = ledgerFunc(func(ctx context.Context, r ...notifier.Receipt) error {
			if broken.Load() {
				return outage
			}
			return d.ledger.Append(ctx, r...)
		})
	}, func(d *desk) {
		d.push("phone")
		time.Sleep(5 * time.Minute)
		if d.depth() != 1 {
			t.Fatal("the push left the queue without a receipt")
		}
		broken.Store(false)
		time.Sleep(time.Minute)
		d.expect("phone", notifier.Delivered, notifier.ReasonAccepted)
		if n := len(d.provider.sendings()); n != 1 || d.depth() != 0 {
			t.Errorf("sent %d times, %d left", n, d.depth())
		}
	})
}

func TestRunWaitsForAnswersAndCutsOffTheRest(t *testing.T) {
	bubble(t, func(d *desk) {
		d.provider.answer = func(ctx context.Context, s sending) notifier.Receipt {
			if s.push.Device == "slow" {
				sleep(ctx, 45*time.Second)
			} else {
				sleep(ctx, 5*time.Second)
			}
			return accept(ctx, s)
		}
	}, func(d *desk) {
		d.push("slow")
		d.push("quick")
		time.Sleep(time.Second)
		began := time.Now()
		if err := d.stop(); !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
		if took := time.Since(began); took != DrainDefault {
			t.Errorf("took %s, want %s", took, DrainDefault)
		}
		d.expect("quick", notifier.Delivered, notifier.ReasonAccepted)
		if d.depth() != 1 {
			t.Fatalf("%d queued, want the slow one", d.depth())
		}

		d.provider.answer = accept
		d.start()
		time.Sleep(time.Second)
		if r := d.outcome("slow"); r.Verdict != notifier.Delivered || r.Attempt != 1 {
			t.Errorf("the one cut off: %s, attempt %d", r.Verdict, r.Attempt)
		}
	})
}

func TestRunEndsAtOnceWithNothingInFlight(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		time.Sleep(time.Second)
		if err := d.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "already") {
			t.Errorf("a second Run: %v", err)
		}
		began := time.Now()
		d.end()
		if took := time.Since(began); took != 0 {
			t.Errorf("took %s", took)
		}
	})
}

func TestRunEndsWhenTheQueueIsClosed(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		time.Sleep(time.Second)
		if err := d.queue.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := d.stop(); !errors.Is(err, queue.ErrClosed) {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestStartAndStopUnderLoadLosesNothing(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		const pushes = 200
		for i := range pushes {
			d.push(notifier.DeviceID(fmt.Sprint("phone", i)))
			if i%10 == 0 {
				time.Sleep(20 * time.Millisecond)
				_ = d.stop()
				d.start()
			}
		}
		time.Sleep(time.Minute)
		for i := range pushes {
			d.expect(notifier.DeviceID(fmt.Sprint("phone", i)), notifier.Delivered, notifier.ReasonAccepted)
		}
	})
}

func TestOptionsAreChecked(t *testing.T) {
	good := func() Options {
		d := &desk{}
		return Options{
			Queue: queue.NewMemory(queue.MemoryOptions{}), Ledger: ledgerFunc(nil), Lookup: d.lookup, Forget: d.forget,
			Senders: map[notifier.Provider]Sender{notifier.APNs: &provider{}},
		}
	}
	if _, err := New(good()); err != nil {
		t.Fatal(err)
	}
	for field, spoil := range map[string]func(*Options){
		"Queue": func(o *Options) { o.Queue = nil }, "Ledger": func(o *Options) { o.Ledger = nil },
		"Lookup": func(o *Options) { o.Lookup = nil }, "Forget": func(o *Options) { o.Forget = nil },
		"Senders": func(o *Options) { o.Senders = nil }, "Senders[wns]": func(o *Options) { o.Senders[notifier.WNS] = nil },
		"InFlight[apns]": func(o *Options) { o.InFlight = map[notifier.Provider]int{notifier.APNs: 0} },
		"Drain":          func(o *Options) { o.Drain = -1 }, "Retry": func(o *Options) { o.Retry.AttemptsMax = -1 },
		"PauseMin": func(o *Options) { o.Retry.PauseMin = time.Hour }, "Min": func(o *Options) { o.Retry.Min = time.Hour },
	} {
		o := good()
		spoil(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}
