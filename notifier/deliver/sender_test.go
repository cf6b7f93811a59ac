package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/apns"
	"mailbell/notifier/wns"
)

func TestActionsAreVerdictsOneToOne(t *testing.T) {
	want := map[string]notifier.Verdict{
		"delivered": notifier.Delivered, "retry": notifier.Retry, "drop": notifier.Drop, "forget": notifier.Forget, "pause": notifier.Pause,
		"action(0)": notifier.Retry, "action(6)": notifier.Retry,
	}
	for i := range 7 {
		a, w := apns.Action(i), wns.Action(i)
		if got := verdictOfAPNs(a); got != want[a.String()] {
			t.Errorf("apns %s became %s", a, got)
		}
		if got := verdictOfWNS(w); got != want[w.String()] {
			t.Errorf("wns %s became %s", w, got)
		}
	}
}

type apnsFunc func(context.Context, apns.Request) apns.Response

func (f apnsFunc) Push(ctx context.Context, r apns.Request) apns.Response { return f(ctx, r) }

type wnsFunc func(context.Context, wns.Request) wns.Response

func (f wnsFunc) Send(ctx context.Context, r wns.Request) wns.Response { return f(ctx, r) }

func TestAPNsSenderSaysWhatThePushSays(t *testing.T) {
	gone, failure := time.Unix(1_800_000_000, 0), errors.New("refused")
	var got apns.Request
	s := &APNsSender{clients: map[notifier.Environment]apnsClient{notifier.Production: apnsFunc(func(_ context.Context, r apns.Request) apns.Response {
		got = r
		return apns.Response{Status: 410, Reason: "Unregistered", ID: "the-id", Timestamp: gone, Action: apns.Forget, RetryAfter: time.Minute, Err: failure}
	})}}
	p := notifier.Push{ID: "p1", Payload: []byte("{}"), CollapseID: "c", Expires: time.Unix(1_900_000_000, 0)}
	r := notifier.Registration{Device: "phone", APNs: &notifier.APNsAddress{Token: "ab", Topic: "t", Environment: notifier.Production}}
	receipt := s.Send(t.Context(), p, r)
	want := apns.Request{Token: "ab", Topic: "t", Payload: []byte("{}"), ID: p.ID.UUID(), CollapseID: "c", Expiration: p.Expires, Priority: 10, PushType: "alert"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("request %+v, want %+v", got, want)
	}
	if receipt.Verdict != notifier.Forget || receipt.Reason != "Unregistered" || receipt.Status != 410 || receipt.ProviderID != "the-id" ||
		!receipt.GoneSince.Equal(gone) || receipt.RetryAfter != time.Minute || !errors.Is(receipt.Err, failure) || receipt.Push != "p1" {
		t.Errorf("receipt %+v", receipt)
	}

	r.APNs.Environment = notifier.Development
	if receipt := s.Send(t.Context(), p, r); receipt.Verdict != notifier.Drop || receipt.Reason != ReasonNoEnvironment {
		t.Errorf("receipt %+v", receipt)
	}
	if receipt := s.Send(t.Context(), p, notifier.Registration{}); receipt.Verdict != notifier.Drop {
		t.Errorf("receipt %+v", receipt)
	}
	if got := s.Ways(); !slices.Equal(got, []string{"production"}) || s.Way(r) != "development" {
		t.Errorf("ways %v, %s", got, s.Way(r))
	}
}

func windows(badge bool) notifier.Registration {
	return notifier.Registration{Device: "pc", WNS: &notifier.WNSAddress{Channel: "https://x.notify.windows.com/?token=a", Badge: badge}}
}

func toast(unread int, noticed time.Time) notifier.Push {
	return notifier.Push{ID: "p1", Device: "pc", Payload: []byte("<toast/>"), Tag: "tag", Badge: &unread, Noticed: noticed, Expires: time.Now().Add(time.Hour)}
}

func TestWNSSenderFollowsADeliveredToastWithItsBadge(t *testing.T) {
	for _, c := range []struct {
		name   string
		action wns.Action
		badge  bool
		want   []wns.Type
	}{
		{"delivered", wns.Delivered, true, []wns.Type{wns.Toast, wns.Badge}},
		{"a channel without badges", wns.Delivered, false, []wns.Type{wns.Toast}},
		{"put off", wns.Retry, true, []wns.Type{wns.Toast}},
		{"dropped", wns.Drop, true, []wns.Type{wns.Toast}},
		{"paused", wns.Pause, true, []wns.Type{wns.Toast}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got []wns.Request
				s := &WNSSender{badges: newBadges(), clients: map[string]wnsClient{"mail": wnsFunc(func(_ context.Context, r wns.Request) wns.Response {
					got = append(got, r)
					if r.Type == wns.Badge {
						return wns.Response{Action: wns.Retry, Err: errors.New("not now")}
					}
					return wns.Response{Status: 200, MessageID: "m", Reason: "received", Action: c.action}
				})}}
				receipt := s.Send(t.Context(), toast(7, time.Now()), windows(c.badge))
				if receipt.Verdict != verdictOfWNS(c.action) || receipt.ProviderID != "m" {
					t.Errorf("receipt %+v", receipt)
				}
				var types []wns.Type
				for _, r := range got {
					types = append(types, r.Type)
					if r.TTL != time.Hour {
						t.Errorf("%s: TTL %s", r.Type, r.TTL)
					}
				}
				if !slices.Equal(types, c.want) {
					t.Errorf("sent %v, want %v", types, c.want)
				}
				if got[0].Tag != "tag" || len(got) > 1 && string(got[1].Body) != `<badge value="7"/>` {
					t.Errorf("requests %+v", got)
				}
			})
		})
	}
}

func TestWNSSenderFindsTheApp(t *testing.T) {
	answer := wnsFunc(func(context.Context, wns.Request) wns.Response { return wns.Response{Action: wns.Delivered} })
	one := &WNSSender{badges: newBadges(), clients: map[string]wnsClient{"mail": answer}}
	two := &WNSSender{badges: newBadges(), clients: map[string]wnsClient{"mail": answer, "desk": answer}}
	named, other := windows(false), windows(false)
	named.WNS.App, other.WNS.App = "desk", "else"
	for _, c := range []struct {
		name string
		s    *WNSSender
		r    notifier.Registration
		want notifier.Verdict
	}{
		{"no name means the only app", one, windows(false), notifier.Delivered},
		{"no name means none of two", two, windows(false), notifier.Drop},
		{"by name", two, named, notifier.Delivered},
		{"an unknown name", one, other, notifier.Drop},
	} {
		if got := c.s.Send(t.Context(), toast(1, time.Now()), c.r); got.Verdict != c.want || c.want == notifier.Drop && got.Reason != ReasonNoApp {
			t.Errorf("%s: %s %s", c.name, got.Verdict, got.Reason)
		}
	}
}

func TestBadgesOfADeviceGoInOrderAndNoOldOneFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var sent []int
		b, now := newBadges(), time.Now()
		send := func(count int, noticed time.Time) {
			b.send(toast(count, noticed), func(n int) {
				time.Sleep(time.Second)
				mu.Lock()
				sent = append(sent, n)
				mu.Unlock()
			})
		}
		var all sync.WaitGroup
		all.Go(func() { send(1, now) })
		synctest.Wait()
		all.Go(func() { send(2, now.Add(time.Second)) })
		synctest.Wait()
		all.Go(func() { send(3, now.Add(2*time.Second)) })
		all.Wait()
		send(1, now) // of a toast that was put off
		if !slices.Equal(sent, []int{1, 3}) {
			t.Errorf("sent %v, want 1 and then only the newest", sent)
		}
	})
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	now := time.Now()
	a, u, b, g := newAttempts(), newUnsettled(), newBarred(), newBadges()
	for i := range attemptsKept + 10 {
		a.add(notifier.Push{ID: notifier.PushID(fmt.Sprint(i)), Expires: now.Add(time.Hour)}, now)
	}
	for i := range unsettledKept + 10 {
		u.keep(notifier.PushID(fmt.Sprint(i)), unwritten{})
	}
	for i := range 3 * barredKept {
		b.add(notifier.DeviceID(fmt.Sprint(i)), now)
	}
	for i := range badgesKept + 10 {
		g.send(notifier.Push{Device: notifier.DeviceID(fmt.Sprint(i)), Badge: new(int)}, func(int) {})
	}
	if len(a.counts) > attemptsKept || len(u.receipts) > unsettledKept || len(b.at) > barredKept || len(g.devices) > badgesKept {
		t.Errorf("%d attempts, %d receipts, %d devices, %d badges", len(a.counts), len(u.receipts), len(b.at), len(g.devices))
	}
	if p := (notifier.Push{Device: notifier.DeviceID(fmt.Sprint(3*barredKept - 1)), Registered: now.Add(-time.Hour)}); !b.has(p) {
		t.Error("the device wiped last is not barred")
	}
}
