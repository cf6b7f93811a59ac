package fakeapns

import (
	"fmt"
	"testing"
	"time"
)

// alert is a push with a title, badge and, if not empty, collapse ID.
func alert(title string, badge int, collapse string) ask {
	a := ask{body: fmt.Sprintf(`{"aps":{"alert":{"title":%q},"badge":%d}}`, title, badge), header: map[string]string{}}
	if collapse != "" {
		a.header["apns-collapse-id"] = collapse
	}
	return a
}

func (h *host) shown() (bodies []string, badge int) {
	h.t.Helper()
	st, ok := h.Device(testToken)
	if !ok {
		h.t.Fatal("no such device")
	}
	for _, n := range st.Shown {
		bodies = append(bodies, string(n.Payload))
	}
	return bodies, st.Badge
}

// Checklist push 50, 52.
func TestA50AnOnlineDeviceShowsInOrderAndMergesByCollapseID(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		p := h.dial()
		defer p.close()
		for _, a := range []ask{alert("one", 1, "x"), alert("two", 2, ""), alert("three", 3, "x"), {body: `{"aps":{"badge":0}}`}} {
			p.want(p.push(a), 200, "")
		}
		got, badge := h.shown()
		want := []string{alert("two", 2, "").body, alert("three", 3, "x").body}
		if fmt.Sprint(got) != fmt.Sprint(want) || badge != 0 {
			t.Errorf("shows %v, badge %d", got, badge)
		}
		var effects []string
		for _, e := range h.pushes() {
			effects = append(effects, e.Detail["effect"])
		}
		if fmt.Sprint(effects) != "[shown shown replaced silent]" {
			t.Errorf("effects %v", effects)
		}
	})
}

// Checklist push 51, 52.
func TestA51And52OfAnAbsentDeviceTheNewestIsKept(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		p := h.dial()
		defer p.close()
		h.SetOnline(testToken, false)
		p.push(alert("one", 1, "a"))
		p.push(alert("two", 2, "b"))
		if got, _ := h.shown(); len(got) != 0 {
			t.Fatalf("away, and shows %v", got)
		}
		st, _ := h.Device(testToken)
		if len(st.Stored) != 1 || st.Online {
			t.Fatalf("%+v", st)
		}
		h.SetOnline(testToken, true)
		if got, badge := h.shown(); len(got) != 1 || got[0] != alert("two", 2, "b").body || badge != 2 {
			t.Errorf("back, and shows %v, badge %d", got, badge)
		}
	})
}

// Checklist push 51.
func TestA51ExpirationDecidesWhatIsKept(t *testing.T) {
	for _, c := range []struct {
		name       string
		expiration func(now time.Time) string
		away       time.Duration
		kept       bool
	}{
		{"zero is never kept", func(time.Time) string { return "0" }, time.Second, false},
		{"a past time is never kept", func(now time.Time) string { return fmt.Sprint(now.Add(-time.Hour).Unix()) }, time.Second, false},
		{"before its time", func(now time.Time) string { return fmt.Sprint(now.Add(time.Hour).Unix()) }, 59 * time.Minute, true},
		{"after its time", func(now time.Time) string { return fmt.Sprint(now.Add(time.Hour).Unix()) }, 61 * time.Minute, false},
		{"without the header for thirty days", func(time.Time) string { return "-" }, 30*24*time.Hour - time.Minute, true},
		{"without the header no longer", func(time.Time) string { return "-" }, 30*24*time.Hour + time.Minute, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, Options{}, func(h *host) {
				p := h.dial()
				defer p.close()
				h.SetOnline(testToken, false)
				a := alert("one", 1, "")
				a.header["apns-expiration"] = c.expiration(time.Now())
				p.want(p.push(a), 200, "")
				time.Sleep(c.away)
				h.SetOnline(testToken, true)
				if got, _ := h.shown(); (len(got) == 1) != c.kept {
					t.Errorf("shows %v", got)
				}
			})
		})
	}
}

// Checklist push 54.
func TestA54TooManyPushesInARowToOneDevice(t *testing.T) {
	inBubble(t, Options{BurstMax: 3, BurstWindow: time.Minute}, func(h *host) {
		h.AddDevice(tokenOf(1), testTopic)
		p := h.dial()
		defer p.close()
		for range 3 {
			p.want(p.push(ask{}), 200, "")
		}
		p.want(p.push(ask{}), 429, "TooManyRequests")
		p.want(p.push(ask{token: tokenOf(1)}), 200, "")
		time.Sleep(61 * time.Second)
		p.want(p.push(ask{}), 200, "")
	})
}

func TestAnyDeviceMakesATokenKnownAtItsFirstPush(t *testing.T) {
	inBubble(t, Options{AnyDevice: true}, func(h *host) {
		p := h.dial()
		defer p.close()
		p.want(p.push(ask{token: tokenOf(4)}), 200, "")
		if st, ok := h.Device(tokenOf(4)); !ok || st.Topic != testTopic || len(st.Shown) != 1 {
			t.Errorf("%+v, %v", st, ok)
		}
	})
}

func TestStrictTokensHave64Digits(t *testing.T) {
	inBubble(t, Options{StrictToken: true, AnyDevice: true}, func(h *host) {
		p := h.dial()
		defer p.close()
		p.want(p.push(ask{token: "abcd"}), 400, "BadDeviceToken")
	})
}
