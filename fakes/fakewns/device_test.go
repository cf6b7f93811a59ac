package fakewns_test

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"mailbell/fakes/fakewns"
	"mailbell/fakes/fault"
)

const badge = "wns/badge"

// Checklist push 77.
func TestRule77ThrottlesTheAppUntilTheTimeHasPassed(t *testing.T) {
	for _, status := range []int{406, 429} {
		synctest.Test(t, func(t *testing.T) {
			s := inMemory(t, fakewns.Options{RateMax: 3, RateRetryAfter: 30 * time.Second, ThrottleStatus: status}).login()
			uri := s.NewChannel("mail")
			for range 3 {
				if a := s.send(uri, toast); a.status != 200 {
					t.Fatalf("within the rate: %d", a.status)
				}
			}
			a := s.send(uri, toast)
			if a.status != status || a.header.Get("Retry-After") != "30" || a.notification() != "appthrottled" || a.header.Get("X-WNS-ERROR-DESCRIPTION") == "" {
				t.Errorf("over the rate: %d %v", a.status, a.header)
			}
			time.Sleep(29 * time.Second)
			if a := s.send(s.NewChannel("mail"), toast); a.status != status {
				t.Errorf("another channel before the time: %d, want %d", a.status, status)
			}
			time.Sleep(time.Second)
			if a := s.send(uri, toast); a.status != 200 {
				t.Errorf("after it: %d, want 200", a.status)
			}
		})
	}
}

// Checklist push 77.
func TestThrottleHoldsUntilItIsLifted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := inMemory(t, fakewns.Options{}).login()
		uri := s.NewChannel("mail")
		s.Throttle(true, 2*time.Second)
		time.Sleep(time.Minute)
		if a := s.send(uri, toast); a.status != 406 || a.header.Get("Retry-After") != "2" {
			t.Errorf("%d, Retry-After %q", a.status, a.header.Get("Retry-After"))
		}
		s.Throttle(false, 0)
		if a := s.send(uri, toast); a.status != 200 {
			t.Errorf("lifted: %d", a.status)
		}
	})
}

// Checklist push 78.
func TestRule78ThrottlesAChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := inMemory(t, fakewns.Options{ChannelMax: 2, ChannelWindow: time.Minute}).login()
		uri := s.NewChannel("mail")
		for _, want := range []string{"received", "received", "channelthrottled"} {
			if a := s.send(uri, toast); a.status != 200 || a.notification() != want {
				t.Errorf("%d %q, want 200 %s", a.status, a.notification(), want)
			}
		}
		if a := s.send(s.NewChannel("mail"), toast); a.notification() != "received" {
			t.Errorf("another channel: %q", a.notification())
		}
		time.Sleep(61 * time.Second)
		if a := s.send(uri, toast); a.notification() != "received" {
			t.Errorf("after the window: %q", a.notification())
		}
		if got := len(s.state(uri).Toasts); got != 3 {
			t.Errorf("%d toasts, want the three that were received", got)
		}
	})
}

// Checklist push 79.
func TestRule79KeepsTheLastForAnAbsentDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := inMemory(t, fakewns.Options{}).login()
		uri := s.NewChannel("mail")
		s.SetOnline(uri, false)
		raw := []string{"X-WNS-Type", "wns/raw", "Content-Type", "application/octet-stream"}
		for _, c := range []struct {
			body, effect string
			headers      []string
		}{
			{`<toast launch="1"/>`, "stored", nil},
			{`<toast launch="2"/>`, "stored-replaced", nil},
			{`<badge value="1"/>`, "stored", []string{"X-WNS-Type", badge}},
			{`<badge value="2"/>`, "stored-replaced", []string{"X-WNS-Type", badge}},
			{"x", "dropped", raw},
			{"x", "stored", append(raw, "X-WNS-Cache-Policy", "cache")},
		} {
			if a := s.send(uri, c.body, c.headers...); a.status != 200 || a.notification() != "received" || s.effect() != c.effect {
				t.Errorf("%s: %d %q, effect %q, want %q", c.body, a.status, a.notification(), s.effect(), c.effect)
			}
		}
		if st := s.state(uri); len(st.Toasts) != 0 || st.Badge != "" || len(st.Stored) != 1 {
			t.Errorf("away: %+v", st)
		}
		s.SetOnline(uri, true)
		if st := s.state(uri); len(st.Toasts) != 1 || st.Toasts[0].Launch != "2" || st.Badge != "2" || st.Raws != 1 || len(st.Stored) != 0 {
			t.Errorf("back: %+v", st)
		}
	})
}

// Checklist push 79.
func TestRule79RespectsTheTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := inMemory(t, fakewns.Options{TokenLife: 10 * day}).login()
		away, here := s.NewChannel("mail"), s.NewChannel("mail")
		s.SetOnline(away, false)
		s.send(away, toast, "X-WNS-TTL", "60")
		s.send(here, toast, "X-WNS-TTL", "60")
		s.send(here, toast)
		time.Sleep(time.Minute)
		s.SetOnline(away, true)
		if n := len(s.state(away).Toasts); n != 0 {
			t.Errorf("%d toasts came after their time", n)
		}
		if n := len(s.state(here).Toasts); n != 1 {
			t.Errorf("%d toasts, want the one without a time", n)
		}
	})
}

// Checklist push 79.
func TestRule79CanDropToastsOfAbsentDevices(t *testing.T) {
	s := overTCP(t, fakewns.Options{AwayToastsDropped: true}).login()
	uri := s.NewChannel("mail")
	s.SetOnline(uri, false)
	if a := s.send(uri, toast); a.status != 200 || a.notification() != "dropped" {
		t.Errorf("%d %q, want 200 dropped", a.status, a.notification())
	}
	s.SetOnline(uri, true)
	if n := len(s.state(uri).Toasts); n != 0 {
		t.Errorf("%d toasts, want none", n)
	}
}

// Checklist push 80.
func TestRule80TheSameTagReplaces(t *testing.T) {
	s := overTCP(t, fakewns.Options{}).login()
	uri := s.NewChannel("mail")
	s.send(uri, `<toast launch="1"/>`, "X-WNS-Tag", "a")
	s.send(uri, `<toast launch="2"/>`, "X-WNS-Tag", "b")
	s.send(uri, `<toast launch="3"/>`, "X-WNS-Tag", "a", "X-WNS-Group", "g")
	s.send(uri, toast, "X-WNS-Tag", "a")
	if s.effect() != "replaced" {
		t.Errorf("effect %q, want replaced", s.effect())
	}
	s.send(uri, `<badge value="1"/>`, "X-WNS-Type", badge)
	s.send(uri, `<badge value="2"/>`, "X-WNS-Type", badge)
	st := s.state(uri)
	if len(st.Toasts) != 3 || st.Toasts[2].Replaced != 1 || st.Toasts[2].Text[0] != "Ada" || st.Badge != "2" {
		t.Errorf("%+v", st)
	}
}

func TestTheJournalHasWhatTheOracleReads(t *testing.T) {
	s := overTCP(t, fakewns.Options{}).login()
	uri := s.NewChannel("mail")
	s.send(uri, toast, "X-WNS-Tag", "a", "X-WNS-TTL", "60")
	e := s.pushes()[0]
	var body string
	if err := json.Unmarshal(e.Body, &body); err != nil || body != toast {
		t.Errorf("body %s: %v", e.Body, err)
	}
	if e.Device != uri || e.Status != 200 || e.Reason != "received" || e.Detail["type"] != "wns/toast" || e.Detail["tag"] != "a" || e.Detail["ttl"] != "60" {
		t.Errorf("%+v", e)
	}
}

func TestFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := inMemory(t, fakewns.Options{}).login()
		uri, other := s.NewChannel("mail"), s.NewChannel("mail")
		strike := func(name string, args map[string]string) {
			s.strike(fault.Fault{Name: name, Scope: fault.Scope{Server: "wns", Device: uri}, Count: 1, Args: args})
			if a := s.send(other, toast); a.status != 200 || a.notification() != "received" {
				t.Errorf("%s struck another channel: %d", name, a.status)
			}
		}
		for _, c := range []struct {
			name         string
			status       int
			notification string
			retryAfter   string
		}{
			{"wns.406", 406, "appthrottled", "900"},
			{"wns.429", 429, "appthrottled", "900"},
			{"wns.500", 500, "", ""},
			{"wns.503", 503, "", ""},
			{"wns.dropped", 200, "dropped", ""},
			{"wns.channelthrottled", 200, "channelthrottled", ""},
		} {
			strike(c.name, nil)
			if a := s.send(uri, toast); a.status != c.status || a.notification() != c.notification || a.header.Get("Retry-After") != c.retryAfter {
				t.Errorf("%s: %d %q %q", c.name, a.status, a.notification(), a.header.Get("Retry-After"))
			}
			if list := s.pushes(); list[len(list)-1].Fault != c.name {
				t.Errorf("%s is not in the journal", c.name)
			}
		}
		if n := len(s.state(uri).Toasts); n != 0 {
			t.Fatalf("%d toasts shown under faults, want none", n)
		}
		strike("wns.slow", map[string]string{"delay": "3s"})
		before := time.Now()
		if a := s.send(uri, toast); a.status != 200 || time.Since(before) < 3*time.Second {
			t.Errorf("wns.slow: %d after %v", a.status, time.Since(before))
		}
		for name, shown := range map[string]int{"wns.reset": 0, "wns.lost-answer": 1} {
			had := len(s.state(uri).Toasts)
			strike(name, nil)
			r := s.request("POST", uri, toast)
			r.GetBody = nil // the client must not send it again by itself
			if resp, err := s.client.Do(r); err == nil {
				resp.Body.Close()
				t.Errorf("%s: answered %d", name, resp.StatusCode)
			}
			if got := len(s.state(uri).Toasts) - had; got != shown {
				t.Errorf("%s: %d toasts came, want %d", name, got, shown)
			}
		}
	})
}
