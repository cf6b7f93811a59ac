package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"mailbell/notifier"
)

func TestARegistrationIsDurableAndInForceWhenItIsAnswered(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		now := time.Now()
		a := d.do("PUT", "/v1/devices/phone", d.credential(nil), iphone())
		if a.status != http.StatusCreated {
			t.Fatalf("%d: %s", a.status, a.body)
		}
		r, ok := d.registration("phone")
		want := notifier.APNsAddress{Token: notifier.DeviceToken(strings.ToLower(token64)), Topic: "test.contoso.mail", Environment: notifier.Production}
		if !ok || r.Mailbox != "ada@contoso.test" || r.Provider != notifier.APNs || r.Locale != "ja-JP" || *r.APNs != want || r.WNS != nil {
			t.Errorf("registered %+v", r)
		}
		if !r.Created.Equal(now) || !r.Confirmed.Equal(now) {
			t.Errorf("created %v, confirmed %v, now %v", r.Created, r.Confirmed, now)
		}
		if got := d.opt.View.Mailbox("ada@contoso.test"); len(got) != 1 {
			t.Error("the registration is not in force")
		}
		if a.reg.Device != "phone" || a.reg.Platform != "ios" || !strings.HasSuffix(a.reg.APNs.Token, "ababab") || !a.reg.Created.Equal(r.Created) {
			t.Errorf("answered %+v", a.reg)
		}
	})
}

func TestAWindowsDeviceIsRegisteredWithItsChannelByteForByte(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		a := d.do("PUT", "/v1/devices/phone", d.credential(nil), windows())
		r, _ := d.registration("phone")
		if a.status != http.StatusCreated || r.Provider != notifier.WNS || string(r.WNS.Channel) != channel || !r.WNS.Badge || a.reg.Platform != "windows" {
			t.Errorf("%d, %+v", a.status, r)
		}
	})
}

func TestRenewingKeepsTheCreationAndConfirmsTheAddress(t *testing.T) {
	for _, c := range []struct {
		name  string
		again func(*desk) answerOf
		keeps bool
	}{
		{"the same again", func(d *desk) answerOf { return d.register("phone", "ada@contoso.test") }, true},
		{"another mailbox", func(d *desk) answerOf { return d.register("phone", "bob@contoso.test") }, false},
		{"another platform", func(d *desk) answerOf { return d.do("PUT", "/v1/devices/phone", d.credential(nil), windows()) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, nil, func(d *desk) {
				began := time.Now()
				d.register("phone", "ada@contoso.test")
				time.Sleep(time.Hour)
				again := time.Now()
				a := c.again(d)
				r, _ := d.registration("phone")
				created := again
				if c.keeps {
					created = began
				}
				if a.status != http.StatusOK || !r.Created.Equal(created) || !r.Confirmed.Equal(again) {
					t.Errorf("%d: created %v, confirmed %v after the first time", a.status, r.Created.Sub(began), r.Confirmed.Sub(began))
				}
			})
		})
	}
}

func TestBadRegistrationsAreRefusedByFieldWithTheCure(t *testing.T) {
	with := func(base members, path string, value any) members {
		outer, inner, nested := strings.Cut(path, ".")
		if !nested {
			base[outer] = value
			return base
		}
		base[outer].(members)[inner] = value
		return base
	}
	without := func(base members, path string) members {
		outer, inner, nested := strings.Cut(path, ".")
		if !nested {
			delete(base, outer)
			return base
		}
		delete(base[outer].(members), inner)
		return base
	}
	for _, c := range []struct {
		name   string
		body   any
		fields string
	}{
		{"no platform", without(iphone(), "platform"), "platform"},
		{"an unknown platform", with(iphone(), "platform", "android"), "platform"},
		{"no mailbox", without(iphone(), "mailbox"), "mailbox"},
		{"a mailbox that is none", with(iphone(), "mailbox", "ada"), "mailbox"},
		{"a mailbox that is a number", with(iphone(), "mailbox", 7), "mailbox"},
		{"no address", without(iphone(), "apns"), "apns"},
		{"an address that is text", with(iphone(), "apns", "x"), "apns"},
		{"an address that is null", with(iphone(), "apns", nil), "apns"},
		{"two addresses", with(iphone(), "wns", members{"channel": channel}), "wns"},
		{"the other platform's address", with(without(iphone(), "apns"), "wns", members{"channel": channel}), "wns apns"},
		{"a token that is too short", with(iphone(), "apns.token", strings.Repeat("a", 62)), "apns.token"},
		{"a token that is too long", with(iphone(), "apns.token", strings.Repeat("a", 202)), "apns.token"},
		{"a token of odd length", with(iphone(), "apns.token", strings.Repeat("a", 65)), "apns.token"},
		{"a token that is not hex", with(iphone(), "apns.token", strings.Repeat("a/", 32)), "apns.token"},
		{"no token", without(iphone(), "apns.token"), "apns.token"},
		{"an empty topic", with(iphone(), "apns.topic", ""), "apns.topic"},
		{"a topic that is none", with(iphone(), "apns.topic", "a b"), "apns.topic"},
		{"a topic that is too long", with(iphone(), "apns.topic", strings.Repeat("a", 156)), "apns.topic"},
		{"a topic with an empty part", with(iphone(), "apns.topic", "a..b"), "apns.topic"},
		{"an unknown environment", with(iphone(), "apns.environment", "sandbox"), "apns.environment"},
		{"no environment", without(iphone(), "apns.environment"), "apns.environment"},
		{"an unknown field", with(iphone(), "color", "red"), "color"},
		{"a known field in another case", with(iphone(), "Mailbox", "ada@contoso.test"), "Mailbox"},
		{"an unknown field inside", with(iphone(), "apns.sound", "x"), "apns.sound"},
		{"a locale that is none", with(iphone(), "locale", "german"), "locale"},
		{"a locale that is too long", with(iphone(), "locale", "en-"+strings.Repeat("abcdefgh-", 4)+"a"), "locale"},
		{"another device than in the path", with(iphone(), "device", "other"), "device"},
		{"no channel", without(windows(), "wns.channel"), "wns.channel"},
		{"a channel outside the WNS hosts", with(windows(), "wns.channel", "https://notify.windows.com.evil.example/?token=a"), "wns.channel"},
		{"a channel without TLS", with(windows(), "wns.channel", "http://db5p.notify.windows.com/?token=a"), "wns.channel"},
		{"a channel on another port", with(windows(), "wns.channel", "https://db5p.notify.windows.com:8443/?token=a"), "wns.channel"},
		{"a channel that is an address of the inner network", with(windows(), "wns.channel", "https://10.0.0.1/?token=a"), "wns.channel"},
		{"an app name that is none", with(windows(), "wns.app", "a b"), "wns.app"},
		{"a badge that is text", with(windows(), "wns.badge", "yes"), "wns.badge"},
		{"several at once", with(with(iphone(), "apns.token", "x"), "locale", "!"), "locale apns.token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, nil, func(d *desk) {
				a := d.do("PUT", "/v1/devices/phone", d.credential(nil), c.body)
				if a.status != http.StatusBadRequest || fields(a.problem) != c.fields {
					t.Errorf("%d, fields %q, want %q: %s", a.status, fields(a.problem), c.fields, a.body)
				}
				if _, ok := d.registration("phone"); ok {
					t.Error("it was registered all the same")
				}
				if a := d.register("phone", "ada@contoso.test"); a.status != http.StatusCreated {
					t.Errorf("a good one afterwards: %d", a.status)
				}
			})
		})
	}
}

func TestBodiesThatAreNoRegistrationAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, body string
		headers    []string
		want       int
	}{
		{"empty", " ", nil, 400},
		{"not JSON", "token=ab", nil, 400},
		{"broken off", `{"platform":"ios"`, nil, 400},
		{"an array", `[]`, nil, 400},
		{"null", `null`, nil, 400},
		{"two objects", `{"platform":"ios"}{}`, nil, 400},
		{"a field twice", `{"platform":"ios","platform":"ios"}`, nil, 400},
		{"not UTF-8", "{\"platform\":\"\xff\"}", nil, 400},
		{"nested without end", strings.Repeat(`{"a":`, 3000), nil, 400},
		{"too large", `{"locale":"` + strings.Repeat("a", BodyBytesMaxDefault) + `"}`, nil, 413},
		{"no type", "{}", []string{"Content-Type", ""}, 415},
		{"a form", "{}", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		{"another character set", "{}", []string{"Content-Type", "application/json; charset=iso-8859-1"}, 415},
		{"compressed", "{}", []string{"Content-Encoding", "gzip"}, 415},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, nil, func(d *desk) {
				if a := d.do("PUT", "/v1/devices/phone", d.credential(nil), c.body, c.headers...); a.status != c.want {
					t.Errorf("%d, want %d: %s", a.status, c.want, a.body)
				}
			})
		})
	}
}

func TestLocalesAreCanonical(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		for given, want := range map[string]string{"ja_JP": "ja-JP", "EN-gb": "en-GB", "": "en", "zh-hant-tw": "zh-Hant-TW"} {
			body := iphone()
			body["locale"] = given
			d.do("PUT", "/v1/devices/phone", d.credential(nil), body)
			if r, _ := d.registration("phone"); r.Locale != want {
				t.Errorf("%q became %q, want %q", given, r.Locale, want)
			}
		}
	})
}

func TestNobodyRegistersWhatTheirCredentialDoesNotName(t *testing.T) {
	for _, c := range []struct {
		name       string
		path       string
		credential func(*desk) string
		body       members
		want       string
	}{
		{"a foreign mailbox", "phone", func(d *desk) string { return d.deviceOf("phone", "bob@contoso.test") }, iphone(), "forbidden"},
		{"a foreign device", "other", func(d *desk) string { return d.credential(nil) }, iphone(), "forbidden"},
		{"an administrator", "phone", (*desk).admin, iphone(), "forbidden"},
		{"a mailbox that is not approved", "phone", func(d *desk) string { return d.deviceOf("phone", "ada@fabrikam.test") }, func() members {
			m := iphone()
			m["mailbox"] = "ada@fabrikam.test"
			return m
		}(), "mailbox-not-approved"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, nil, func(d *desk) {
				a := d.do("PUT", "/v1/devices/"+c.path, c.credential(d), c.body)
				if a.status != http.StatusForbidden || a.problem.Type != problemType+c.want {
					t.Errorf("%d %s", a.status, a.problem.Type)
				}
				if _, ok := d.registration(notifier.DeviceID(c.path)); ok {
					t.Error("it was registered all the same")
				}
			})
		})
	}
}

func TestTheMailboxOfACredentialIsComparedInCanonicalForm(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		body := iphone()
		body["mailbox"] = "ADA@Contoso.test"
		if a := d.do("PUT", "/v1/devices/phone", d.deviceOf("phone", " Ada@contoso.TEST "), body); a.status != http.StatusCreated {
			t.Errorf("%d: %s", a.status, a.body)
		}
	})
}

func TestAMailboxHasABoundedNumberOfDevices(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		for i := range DevicesPerMailboxMaxDefault {
			if a := d.register(fmt.Sprint("phone", i), "ada@contoso.test"); a.status != http.StatusCreated {
				t.Fatalf("device %d: %d", i, a.status)
			}
		}
		a := d.register("onetoomany", "ada@contoso.test")
		if a.status != http.StatusConflict || !strings.Contains(a.problem.Detail, "20") {
			t.Errorf("%d: %s", a.status, a.body)
		}
		if a := d.register("phone0", "ada@contoso.test"); a.status != http.StatusOK {
			t.Errorf("renewing at the limit: %d", a.status)
		}
		if a := d.register("onetoomany", "bob@contoso.test"); a.status != http.StatusCreated {
			t.Errorf("another mailbox: %d", a.status)
		}
		d.do("DELETE", "/v1/devices/phone0", d.deviceOf("phone0", "ada@contoso.test"), nil)
		if a := d.register("onetoomany", "ada@contoso.test"); a.status != http.StatusOK {
			t.Errorf("after one was removed: %d", a.status)
		}
	})
}

func TestTheNumberOfDevicesHoldsUnderConcurrency(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		d.store.slow = 10 * time.Millisecond
		answers := make(chan int)
		const tries = 60
		for i := range tries {
			go func() { answers <- d.register(fmt.Sprint("phone", i), "ada@contoso.test").status }()
		}
		counts := map[int]int{}
		for range tries {
			counts[<-answers]++
		}
		if counts[201] != 20 || counts[409] != 40 {
			t.Errorf("answers %v", counts)
		}
	})
}

func TestAWipeRemovesTheRegistrationAndThenWhatIsQueued(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		d.register("phone", "ada@contoso.test")
		d.onWipe = func(id notifier.DeviceID) error {
			if _, ok := d.registration(id); ok {
				t.Error("the queue was purged before the registration was gone")
			}
			if _, _, ok := d.opt.View.Device(id); ok {
				t.Error("the queue was purged while pushes were still composed")
			}
			return nil
		}
		for i, status := range []int{204, 204} {
			if a := d.do("DELETE", "/v1/devices/phone", d.credential(nil), nil); a.status != status {
				t.Errorf("time %d: %d", i+1, a.status)
			}
		}
		if fmt.Sprint(d.wiped) != "[phone phone]" {
			t.Errorf("wiped %v; a repeat has to finish what the first time may not have", d.wiped)
		}
		if a := d.do("GET", "/v1/devices/phone", d.credential(nil), nil); a.status != http.StatusNotFound {
			t.Errorf("GET afterwards: %d", a.status)
		}
	})
}

func TestAWipeGoesOnWhenTheClientLeaves(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		d.register("phone", "ada@contoso.test")
		ctx, leave := context.WithCancel(context.Background())
		leave()
		r, err := http.NewRequestWithContext(ctx, "DELETE", "/v1/devices/phone", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+d.credential(nil))
		d.handler.ServeHTTP(discard{http.Header{}}, r)
		if _, ok := d.registration("phone"); ok || len(d.wiped) != 1 {
			t.Errorf("registered %v, wiped %v", ok, d.wiped)
		}
	})
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

func TestAnAdministratorLooksAtAndWipesAnyDevice(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		d.register("phone", "ada@contoso.test")
		if a := d.do("GET", "/v1/devices/phone", d.admin(), nil); a.status != 200 || a.reg.Mailbox != "ada@contoso.test" {
			t.Errorf("GET: %d %s", a.status, a.body)
		}
		if a := d.do("DELETE", "/v1/devices/phone", d.admin(), nil); a.status != 204 {
			t.Errorf("DELETE: %d", a.status)
		}
		if _, ok := d.registration("phone"); ok {
			t.Error("still registered")
		}
	})
}

func TestADeviceSeesNothingOfOthers(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		d.register("phone", "ada@contoso.test")
		for _, c := range []struct {
			method, path string
			credential   string
			want         int
		}{
			{"GET", "/v1/devices/phone", d.deviceOf("other", "ada@contoso.test"), 403},
			{"DELETE", "/v1/devices/phone", d.deviceOf("other", "ada@contoso.test"), 403},
			{"GET", "/v1/devices/phone/notifications", d.deviceOf("other", "ada@contoso.test"), 403},
			{"GET", "/v1/devices/phone", d.deviceOf("phone", "bob@contoso.test"), 403},
		} {
			if a := d.do(c.method, c.path, c.credential, nil); a.status != c.want {
				t.Errorf("%s %s: %d, want %d", c.method, c.path, a.status, c.want)
			}
		}
		if _, ok := d.registration("phone"); !ok || len(d.wiped) != 0 {
			t.Error("the device was wiped by a foreign credential")
		}
	})
}

func TestNotificationsTellWhatBecameOfTheMailsOfOnesOwnMailbox(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		for i, m := range []notifier.Mailbox{"bob@contoso.test", "ada@contoso.test", "ada@contoso.test", "ada@contoso.test"} {
			r := notifier.Receipt{
				Push: notifier.PushID(fmt.Sprint("p", i)), Notification: "n", Device: "phone", Mailbox: m, Item: "i", Provider: notifier.APNs,
				Verdict: notifier.Delivered, Reason: notifier.ReasonAccepted, Status: 200, ProviderID: "x", Attempt: 1, Noticed: time.Now(), At: time.Now(),
			}
			if err := d.ledger.Append(context.Background(), r); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			query, credential, want string
		}{
			{"", d.credential(nil), "p3 p2 p1"},
			{"?limit=2", d.credential(nil), "p3 p2"},
			{"", d.deviceOf("phone", "bob@contoso.test"), "p0"},
			{"", d.admin(), "p3 p2 p1 p0"},
		} {
			a := d.do("GET", "/v1/devices/phone/notifications"+c.query, c.credential, nil)
			if got := pushes(t, a); a.status != 200 || got != c.want {
				t.Errorf("%d: %q, want %q", a.status, got, c.want)
			}
		}
		if a := d.do("GET", "/v1/devices/silent/notifications", d.deviceOf("silent", "ada@contoso.test"), nil); a.status != 200 || strings.TrimSpace(string(a.body)) != `{"notifications":[]}` {
			t.Errorf("none: %d %s", a.status, a.body)
		}
		for _, q := range []string{"0", "-1", "1001", "x", ""} {
			if a := d.do("GET", "/v1/devices/phone/notifications?limit="+q, d.credential(nil), nil); a.status != 400 || fields(a.problem) != "limit" {
				t.Errorf("limit %q: %d", q, a.status)
			}
		}
	})
}

func TestAFailingStoreIsATemporaryRefusal(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		d.register("phone", "ada@contoso.test")
		d.store.err = errors.New("disk full at /var/lib/secret")
		for _, c := range []struct {
			method, path string
			body         any
		}{
			{"PUT", "/v1/devices/phone", iphone()},
			{"GET", "/v1/devices/phone", nil},
			{"DELETE", "/v1/devices/phone", nil},
		} {
			a := d.do(c.method, c.path, d.credential(nil), c.body)
			if a.status != http.StatusServiceUnavailable || strings.Contains(string(a.body), "secret") {
				t.Errorf("%s: %d %s", c.method, a.status, a.body)
			}
		}
		if len(d.wiped) != 0 {
			t.Error("purged although the registration is still there")
		}
		d.store.err = nil
		d.onWipe = func(notifier.DeviceID) error { return errors.New("queue is away") }
		if a := d.do("DELETE", "/v1/devices/phone", d.credential(nil), nil); a.status != http.StatusServiceUnavailable {
			t.Errorf("a wipe half done: %d", a.status)
		}
		d.onWipe = nil
		if a := d.do("DELETE", "/v1/devices/phone", d.credential(nil), nil); a.status != http.StatusNoContent {
			t.Errorf("repeated: %d", a.status)
		}
		if err := d.ledger.Close(); err != nil {
			t.Fatal(err)
		}
		if a := d.do("GET", "/v1/devices/phone/notifications", d.credential(nil), nil); a.status != http.StatusServiceUnavailable {
			t.Errorf("notifications: %d", a.status)
		}
	})
}

func TestAViewThatIsBehindDelaysTheAnswerButDoesNotPreventIt(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		d.stop() // the view stands still
		began := time.Now()
		if a := d.register("phone", "ada@contoso.test"); a.status != http.StatusCreated {
			t.Errorf("%d", a.status)
		}
		if took := time.Since(began); took != viewWait {
			t.Errorf("took %s, want %s", took, viewWait)
		}
	})
}

func TestNoSecretIsLogged(t *testing.T) {
	bubble(t, nil, func(d *desk) {
		credential := d.credential(nil)
		d.do("PUT", "/v1/devices/phone", credential, iphone())
		d.do("PUT", "/v1/devices/phone", credential, windows())
		bad := iphone()
		bad["apns"].(members)["token"] = token64 + "zz"
		d.do("PUT", "/v1/devices/phone", credential, bad)
		d.do("GET", "/v1/devices/"+credential, "", nil)
		d.do("GET", "/v1/devices/phone/notifications?token="+credential, credential, nil)
		d.store.err = errors.New("away")
		d.do("PUT", "/v1/devices/phone", credential, iphone())
		d.store.err = nil
		d.do("DELETE", "/v1/devices/phone", credential, nil)
		log := strings.ToLower(d.log.String())
		for _, secret := range []string{token64, channel, "AwYAAAB", credential, credential[len(credential)-20:]} {
			if strings.Contains(log, strings.ToLower(secret)) {
				t.Errorf("the log tells %.12s…", secret)
			}
		}
		if !strings.Contains(log, "device registered") || !strings.Contains(log, "device removed") {
			t.Errorf("log:\n%s", log)
		}
	})
}

func TestRequestsOfOneCredentialAreBounded(t *testing.T) {
	bubble(t, func(d *desk) { d.opt.Limits = Limits{RatePerSecond: 0.5, RateBurst: 3, SubjectsMax: 2} }, func(d *desk) {
		get := func(id string) answerOf {
			return d.do("GET", "/v1/devices/"+id, d.deviceOf(id, "ada@contoso.test"), nil)
		}
		for range 3 {
			if a := get("phone"); a.status != 404 {
				t.Fatalf("%d", a.status)
			}
		}
		a := get("phone")
		if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") != "2" {
			t.Errorf("%d, Retry-After %q", a.status, a.header.Get("Retry-After"))
		}
		if a := get("other"); a.status != 404 {
			t.Errorf("another credential: %d", a.status)
		}
		time.Sleep(2 * time.Second)
		if a := get("phone"); a.status != 404 {
			t.Errorf("after the wait: %d", a.status)
		}
		if a := get("phone"); a.status != http.StatusTooManyRequests {
			t.Errorf("and at once again: %d", a.status)
		}
		for i := range 10 {
			get(fmt.Sprint("many", i))
		}
		if a := get("phone"); a.status != 404 {
			t.Errorf("once forgotten: %d", a.status)
		}
		if a := d.do("GET", "/v1/devices/phone", d.credential(func(c jwt.MapClaims) { c["aud"] = "x" }), nil); a.status != 401 {
			t.Errorf("a bad credential: %d", a.status)
		}
	})
}

// pushes lists the push IDs of an answer.
func pushes(t *testing.T, a answerOf) string {
	t.Helper()
	var list notificationsAnswer
	if err := json.Unmarshal(a.body, &list); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, n := range list.Notifications {
		ids = append(ids, string(n.Push))
	}
	return strings.Join(ids, " ")
}
