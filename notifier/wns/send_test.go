package wns

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// burst sends one toast to each of n channels at once.
func burst(ctx context.Context, c *Client, n int) []Response {
	out := make([]Response, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { out[i] = c.Send(ctx, toast(channel(i))) })
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

func TestRequestGoesOutAsGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		c, finish := p.client(Options{})
		defer finish()
		r := toast(testChannel)
		r.TTL, r.Tag, r.Group, r.Priority = 90*time.Minute+time.Millisecond, "n0123456789abcde", "inbox", 1
		got := c.Send(t.Context(), r)
		if got.Action != Delivered || got.Err != nil || got.Status != 200 || got.Notification != "received" || got.Device != "connected" ||
			got.MessageID != "45DC47913C88B26E" || got.DebugTrace != "BN1WNS2011530" || got.Reason != ReasonReceived {
			t.Errorf("%+v", got)
		}
		q := p.requests()[0]
		if q.host != "wns2-by3p.notify.windows.com" || "https://"+q.host+q.uri != testChannel {
			t.Errorf("URI %s%s", q.host, q.uri)
		}
		if q.body != string(r.Body) || q.length != int64(len(r.Body)) {
			t.Errorf("body %q, length %d", q.body, q.length)
		}
		for name, want := range map[string]string{
			"Authorization": "Bearer EgAa-1/+=", "Content-Type": "text/xml", "X-WNS-Type": "wns/toast", "X-WNS-TTL": "5401",
			"X-WNS-Tag": r.Tag, "X-WNS-Group": "inbox", "X-WNS-PRIORITY": "1", "X-WNS-RequestForStatus": "true",
			"X-WNS-Cache-Policy": "", "Expect": "", "Transfer-Encoding": "", "Accept-Encoding": "",
		} {
			if q.header.Get(name) != want {
				t.Errorf("%s: %q, want %q", name, q.header.Get(name), want)
			}
		}
		cv := q.header.Get("MS-CV")
		if len(cv) != 24 || !strings.HasSuffix(cv, ".0") || got.CV != cv {
			t.Errorf("MS-CV %q, in the response %q", cv, got.CV)
		}
		c.Send(t.Context(), r)
		if again := p.requests()[1].header.Get("MS-CV"); again == cv {
			t.Error("MS-CV repeated")
		}
	})
}

func TestTTLNeverContradictsTheCachePolicy(t *testing.T) {
	for name, tc := range map[string]struct {
		kind        Type
		body        string
		ttl         time.Duration
		wantTTL     string
		wantPolicy  string
		contentType string
	}{
		"toast without TTL": {Toast, "<toast/>", 0, "", "", "text/xml"},
		"toast with TTL":    {Toast, "<toast/>", time.Hour, "3600", "", "text/xml"},
		"badge without TTL": {Badge, `<badge value="7"/>`, 0, "", "", "text/xml"},
		"badge with TTL":    {Badge, `<badge value="7"/>`, time.Second, "1", "", "text/xml"},
		"tile with TTL":     {Tile, "<tile/>", time.Nanosecond, "1", "", "text/xml"},
		"raw without TTL":   {Raw, "\x00\xff", 0, "", "", "application/octet-stream"},
		"raw with TTL":      {Raw, "\x00\xff", time.Minute, "60", "cache", "application/octet-stream"},
	} {
		r := Request{Channel: testChannel, Type: tc.kind, Body: []byte(tc.body), TTL: tc.ttl, Tag: "tag", Group: "group"}
		if _, err := r.check(PartnerCenter); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		h := http.Header{}
		if err := r.header(h); err != nil {
			t.Fatal(err)
		}
		if h.Get("X-WNS-TTL") != tc.wantTTL || h.Get("X-WNS-Cache-Policy") != tc.wantPolicy || h.Get("Content-Type") != tc.contentType || h.Get("X-WNS-Type") != "wns/"+tc.kind.String() {
			t.Errorf("%s: %v", name, h)
		}
		if (h.Get("X-WNS-Tag") != "") != (tc.kind == Toast || tc.kind == Tile) || (h.Get("X-WNS-Group") != "") != (tc.kind == Toast) {
			t.Errorf("%s: tag or group %v", name, h)
		}
	}
}

func TestRequestRules(t *testing.T) {
	padded := func(n int) []byte { return []byte("<toast>" + strings.Repeat("x", n-15) + "</toast>") }
	for name, tc := range map[string]struct {
		app    AppKind
		change func(*Request)
		want   string
	}{
		"good":                    {PartnerCenter, func(*Request) {}, ""},
		"no type":                 {PartnerCenter, func(r *Request) { r.Type = 0 }, "Type"},
		"badge for Entra":         {Entra, func(r *Request) { r.Type = Badge; r.Body = []byte("<badge/>") }, "Windows App SDK"},
		"tile for Entra":          {Entra, func(r *Request) { r.Type = Tile; r.Body = []byte("<tile/>") }, "Windows App SDK"},
		"raw for Entra":           {Entra, func(r *Request) { r.Type = Raw }, ""},
		"toast for Entra":         {Entra, func(*Request) {}, ""},
		"empty":                   {PartnerCenter, func(r *Request) { r.Type = Raw; r.Body = nil }, "Body: empty"},
		"5,000 bytes":             {PartnerCenter, func(r *Request) { r.Body = padded(5000) }, ""},
		"5,001 bytes":             {PartnerCenter, func(r *Request) { r.Body = padded(5001) }, "5001 bytes, at most 5000"},
		"negative TTL":            {PartnerCenter, func(r *Request) { r.TTL = -1 }, "TTL"},
		"TTL of a year":           {PartnerCenter, func(r *Request) { r.TTL = 365 * 24 * time.Hour }, "TTL"},
		"tag of 17":               {PartnerCenter, func(r *Request) { r.Tag = strings.Repeat("a", 17) }, "Tag"},
		"tag with a hyphen":       {PartnerCenter, func(r *Request) { r.Tag = "a-b" }, "Tag"},
		"group with a space":      {PartnerCenter, func(r *Request) { r.Group = "a b" }, "Group"},
		"priority 5":              {PartnerCenter, func(r *Request) { r.Priority = 5 }, "Priority"},
		"wrong root":              {PartnerCenter, func(r *Request) { r.Body = []byte("<badge/>") }, "<toast>"},
		"two roots":               {PartnerCenter, func(r *Request) { r.Body = []byte("<toast/><toast/>") }, "exactly one"},
		"unescaped ampersand":     {PartnerCenter, func(r *Request) { r.Body = []byte("<toast>a & b</toast>") }, "well-formed"},
		"crossed tags":            {PartnerCenter, func(r *Request) { r.Body = []byte("<toast><a></toast></a>") }, "well-formed"},
		"an end too many":         {PartnerCenter, func(r *Request) { r.Body = []byte("<toast/></toast>") }, "well-formed"},
		"an end and no start":     {PartnerCenter, func(r *Request) { r.Body = []byte("</toast>") }, "well-formed"},
		"unclosed":                {PartnerCenter, func(r *Request) { r.Body = []byte("<toast>") }, "exactly one"},
		"a DOCTYPE":               {PartnerCenter, func(r *Request) { r.Body = []byte(`<!DOCTYPE toast><toast/>`) }, "DOCTYPE"},
		"not UTF-8":               {PartnerCenter, func(r *Request) { r.Body = []byte("<toast>\xff</toast>") }, "UTF-8"},
		"a forbidden character":   {PartnerCenter, func(r *Request) { r.Body = []byte("<toast>\x01</toast>") }, "well-formed"},
		"text outside":            {PartnerCenter, func(r *Request) { r.Body = []byte("x<toast/>") }, "outside"},
		"an XML declaration":      {PartnerCenter, func(r *Request) { r.Body = []byte(`<?xml version="1.0" encoding="utf-8"?><toast/>`) }, ""},
		"a foreign channel":       {PartnerCenter, func(r *Request) { r.Channel = "https://evil.example/?token=a" }, "channel"},
		"a channel without https": {PartnerCenter, func(r *Request) { r.Channel = "http://a.notify.windows.com/?token=a" }, "https"},
	} {
		r := toast(testChannel)
		tc.change(&r)
		_, err := r.check(tc.app)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, err := New(Options{App: entraApp})
	if err != nil {
		t.Fatal(err)
	}
	if r := c.Send(t.Context(), Request{Channel: testChannel, Type: Badge, Body: []byte("<badge/>")}); r.Action != Drop || r.Reason != ReasonInvalidRequest {
		t.Errorf("%+v", r)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestBurstAsksForOneTokenAndKeepsItsBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.token = func(n int, form url.Values) (int, string) {
			time.Sleep(2 * time.Second)
			return 200, `{"token_type":"bearer","access_token":"EgAa"}`
		}
		var mu sync.Mutex
		now, most := 0, 0
		p.answer = func(w http.ResponseWriter, _ query) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(100 * time.Millisecond)
			mu.Lock()
			now--
			mu.Unlock()
			received(w)
		}
		c, finish := p.client(Options{InFlightMax: 20})
		defer finish()
		began := time.Now()
		if got := countActions(burst(t.Context(), c, 1000)); got[Delivered] != 1000 {
			t.Errorf("actions %v", got)
		}
		if p.tokensAsked() != 1 {
			t.Errorf("%d token requests", p.tokensAsked())
		}
		if most != 20 {
			t.Errorf("%d in flight at most, want 20", most)
		}
		if took := time.Since(began); took < 1900*time.Millisecond || took > 9*time.Second {
			t.Errorf("took %s", took)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.dials) > 1+3*20 {
			t.Errorf("%d connections for 1,000 notifications to three hosts", len(p.dials))
		}
	})
}

func TestTokenRequests(t *testing.T) {
	for name, tc := range map[string]struct {
		app   App
		where string
		form  url.Values
	}{
		"Partner Center": {liveApp, "login.live.com/accesstoken.srf", url.Values{
			"grant_type": {"client_credentials"}, "client_id": {testSID}, "client_secret": {testSecret}, "scope": {"notify.windows.com"},
		}},
		"Entra": {entraApp, "login.microsoftonline.com/contoso.test/oauth2/v2.0/token", url.Values{
			"grant_type": {"client_credentials"}, "client_id": {entraApp.ClientID}, "client_secret": {testSecret}, "scope": {"https://wns.windows.com/.default"},
		}},
		"other address": {App{Name: "x", Kind: PartnerCenter, PackageSID: testSID, Secret: "s", TokenURL: "https://tokens.contoso.test/t"}, "tokens.contoso.test/t", url.Values{
			"grant_type": {"client_credentials"}, "client_id": {testSID}, "client_secret": {"s"}, "scope": {"notify.windows.com"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t)
				var got url.Values
				p.token = func(_ int, form url.Values) (int, string) {
					got = form
					return 200, `{"token_type":"Bearer","expires_in":"3599","ext_expires_in":"3599","access_token":"eyJ0"}`
				}
				c, finish := p.client(Options{App: tc.app})
				defer finish()
				if r := c.Send(t.Context(), toast(testChannel)); r.Action != Delivered {
					t.Fatalf("%+v", r)
				}
				if got.Encode() != tc.form.Encode() || p.lines[0] != tc.where {
					t.Errorf("%s %v", p.lines[0], got)
				}
			})
		})
	}
}

func TestTokenIsRenewedInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.token = func(n int, _ url.Values) (int, string) {
			if n > 1 {
				time.Sleep(5 * time.Second) // nobody waits for it
			}
			return 200, fmt.Sprintf(`{"token_type":"bearer","access_token":"T%d","expires_in":3600}`, n)
		}
		c, finish := p.client(Options{})
		defer finish()
		began := time.Now()
		var renewed time.Duration
		for range 6 * 60 {
			sent := time.Now()
			if r := c.Send(t.Context(), toast(testChannel)); r.Action != Delivered {
				t.Fatalf("%+v", r)
			}
			if took := time.Since(sent); took > time.Second {
				t.Errorf("a notification waited %s for a renewal", took)
			}
			if renewed == 0 && p.tokensAsked() == 2 {
				renewed = time.Since(began)
			}
			time.Sleep(10 * time.Second)
		}
		if renewed < 48*time.Minute || renewed > 54*time.Minute+11*time.Second {
			t.Errorf("renewed after %s, want 80 to 90 %% of an hour", renewed)
		}
		bearers := map[string]bool{}
		for _, q := range p.requests() {
			bearers[q.bearer] = true
		}
		if p.tokensAsked() != 2 || !bearers["T1"] || !bearers["T2"] {
			t.Errorf("%d token requests, used %v", p.tokensAsked(), bearers)
		}
	})
}

func TestRefusedTokenIsRenewedOnceAndSentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		var mu sync.Mutex
		dead := map[string]bool{}
		p.answer = func(w http.ResponseWriter, q query) {
			mu.Lock()
			defer mu.Unlock()
			if dead[q.bearer] {
				w.WriteHeader(401)
				return
			}
			received(w)
		}
		c, finish := p.client(Options{})
		defer finish()
		burst(t.Context(), c, 10)
		mu.Lock()
		dead["EgAa-1/+="] = true
		mu.Unlock()
		if got := countActions(burst(t.Context(), c, 50)); got[Delivered] != 50 {
			t.Errorf("after revocation: %v", got)
		}
		if p.tokensAsked() != 2 {
			t.Errorf("%d token requests, want 2", p.tokensAsked())
		}
		mu.Lock()
		for i := range 10000 {
			dead[fmt.Sprintf("EgAa-%d/+=", i)] = true
		}
		mu.Unlock()
		before := len(p.requests())
		r := c.Send(t.Context(), toast(testChannel))
		if r.Action != Pause || r.Status != 401 || r.Reason != ReasonUnauthorized || r.RetryAfter <= 0 {
			t.Errorf("every token refused: %+v", r)
		}
		if n := len(p.requests()) - before; n != 2 {
			t.Errorf("sent %d times, want twice", n)
		}
		for range 100 {
			c.Send(t.Context(), toast(testChannel))
		}
		if n := p.tokensAsked(); n > 6 {
			t.Errorf("%d token requests although every token is refused", n)
		}
	})
}

func TestTokenServiceDownPausesWithBackoff(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"invalid client": {400, `{"error":"invalid_client","error_description":"Invalid client id ` + testSecret + `"}`, "400 invalid_client"},
		"unavailable":    {503, `<html>`, "503"},
		"a sign-in page": {200, `<html>`, "sign-in page"},
		"another type":   {200, `{"token_type":"mac","access_token":"x"}`, "token_type"},
		"a line break":   {200, `{"token_type":"bearer","access_token":"a\r\nb"}`, "access_token"},
		"no life":        {200, `{"token_type":"bearer","access_token":"x","expires_in":"soon"}`, "expires_in"},
		"a redirect":     {302, ``, "302"},
		"cannot connect": {0, ``, "no route"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t)
				p.token = func(int, url.Values) (int, string) { return tc.status, tc.body }
				if tc.status == 0 {
					p.refuse = func(string) error { return errors.New("no route") }
				}
				c, finish := p.client(Options{})
				defer finish()
				var waits []time.Duration
				for range 12 {
					for _, r := range burst(t.Context(), c, 20) {
						if r.Action != Pause || r.Reason != ReasonNoToken || r.RetryAfter <= 0 || r.RetryAfter > tokenBackoffMax || !strings.Contains(r.Err.Error(), tc.want) {
							t.Fatalf("%+v", r)
						}
						if strings.Contains(r.Err.Error(), testSecret) {
							t.Fatalf("secret in %v", r.Err)
						}
					}
					r := c.Send(t.Context(), toast(testChannel))
					waits = append(waits, r.RetryAfter)
					time.Sleep(r.RetryAfter)
				}
				if waits[0] > tokenBackoffMin || waits[11] < tokenBackoffMax*4/5 {
					t.Errorf("waits %v", waits)
				}
				if n := p.tokensAsked() + len(p.dials); n > 2*12 {
					t.Errorf("%d requests in 12 back-offs", n)
				}
				p.token = func(int, url.Values) (int, string) { return 200, `{"token_type":"bearer","access_token":"x"}` }
				p.mu.Lock()
				p.refuse = nil
				p.mu.Unlock()
				if r := c.Send(t.Context(), toast(testChannel)); r.Action != Delivered {
					t.Errorf("after healing: %+v", r)
				}
			})
		})
	}
}

func TestOldTokenServesWhileTheServiceIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.token = func(n int, _ url.Values) (int, string) {
			if n == 1 {
				return 200, `{"token_type":"bearer","access_token":"T1","expires_in":3600}`
			}
			return 503, ""
		}
		c, finish := p.client(Options{})
		defer finish()
		began := time.Now()
		for time.Since(began) < 2*time.Hour {
			r := c.Send(t.Context(), toast(testChannel))
			if late := time.Since(began) >= time.Hour; late != (r.Action == Pause) {
				t.Fatalf("after %s: %+v", time.Since(began), r)
			}
			time.Sleep(time.Minute)
		}
	})
}

func TestThrottlingPausesTheAppForAsLongAsWNSSays(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		header []string
		want   time.Duration
	}{
		// Recorded in 2022; the names are in capitals on the wire.
		"406 with 900 seconds": {406, []string{"Retry-After", "900", "X-WNS-NOTIFICATIONSTATUS", "appthrottled", "X-WNS-STATUS", "appthrottled", "X-WNS-ERROR-DESCRIPTION", "App is throttled. Wait for the seconds of the value in Retry-After header and try again"}, 900 * time.Second},
		"429 with a date":      {429, []string{"Retry-After", "Sat, 01 Jan 2000 00:10:00 GMT"}, 10 * time.Minute},
		"406 without a wait":   {406, nil, throttleWait},
		"429 without a wait":   {429, nil, throttleWait},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t)
				p.answer = fail(tc.status, tc.header...)
				c, finish := p.client(Options{})
				defer finish()
				r := c.Send(t.Context(), toast(testChannel))
				if r.Action != Pause || r.Reason != ReasonThrottled || r.RetryAfter != tc.want {
					t.Errorf("%+v", r)
				}
				time.Sleep(tc.want / 2)
				if r := c.Send(t.Context(), toast(testChannel)); r.Action != Pause || r.Status != 0 || r.RetryAfter > tc.want/2 {
					t.Errorf("while waiting: %+v", r)
				}
				if n := len(p.requests()); n != 1 {
					t.Errorf("%d requests although WNS asked for a wait", n)
				}
				time.Sleep(tc.want/2 + time.Second)
				p.answer = func(w http.ResponseWriter, _ query) { received(w) }
				if r := c.Send(t.Context(), toast(testChannel)); r.Action != Delivered {
					t.Errorf("afterwards: %+v", r)
				}
				if got := c.pacer.limit.Limit(); got != RateDefault/2 {
					t.Errorf("rate %v after the first throttle", got)
				}
				for range 10 {
					time.Sleep(paceRaiseEvery)
					c.Send(t.Context(), toast(testChannel))
				}
				if got := c.pacer.limit.Limit(); got != RateDefault {
					t.Errorf("rate %v after ten quiet minutes", got)
				}
			})
		})
	}
}

func TestForbiddenChannelIsForgottenAfterTwoRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.answer = func(w http.ResponseWriter, q query) {
			if q.uri == "/?token=foreign" {
				w.WriteHeader(403)
				return
			}
			received(w)
		}
		c, finish := p.client(Options{})
		defer finish()
		burst(t.Context(), c, 10)
		time.Sleep(time.Hour) // the token is old now
		foreign := toast("https://a.notify.windows.com/?token=foreign")
		for range 2 { // a toast and its badge
			if r := c.Send(t.Context(), foreign); r.Action != Retry || r.RetryAfter != forbiddenWait || r.Status != 403 {
				t.Errorf("first refusal: %+v", r)
			}
		}
		time.Sleep(forbiddenWait)
		if r := c.Send(t.Context(), foreign); r.Action != Forget || r.Reason != ReasonForbidden {
			t.Errorf("second refusal: %+v", r)
		}
		q := p.requests()
		if p.tokensAsked() != 2 || q[len(q)-1].bearer == q[0].bearer {
			t.Errorf("%d token requests; want the second refusal with a fresh token", p.tokensAsked())
		}
	})
}

func TestWavesPauseInsteadOfForgetting(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		first  Action
		alone  int // answers before it counts as a wave
	}{
		"403": {403, Retry, guardChannels - 1},
		"410": {410, Forget, goneChannels - 1},
		"404": {404, Forget, goneChannels - 1},
		"500": {500, Retry, guardChannels - 1},
		"503": {503, Retry, guardChannels - 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t)
				p.answer = fail(tc.status)
				c, finish := p.client(Options{})
				defer finish()
				got := countActions(burst(t.Context(), c, 100))
				if got[tc.first] != tc.alone || got[Pause] != 100-tc.alone {
					t.Errorf("actions %v", got)
				}
			})
		})
	}
}

func TestGoneChannelsAmongGoodOnesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.answer = func(w http.ResponseWriter, q query) {
			if strings.Contains(q.uri, "7%3d") {
				w.WriteHeader(410)
				return
			}
			received(w)
		}
		c, finish := p.client(Options{})
		defer finish()
		if got := countActions(burst(t.Context(), c, 200)); got[Forget] != 20 || got[Delivered] != 180 {
			t.Errorf("actions %v", got)
		}
	})
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.answer = fail(307, "Location", "https://elsewhere.notify.windows.com/?token=x")
		c, finish := p.client(Options{})
		defer finish()
		if r := c.Send(t.Context(), toast(testChannel)); r.Action != Pause || r.Status != 307 {
			t.Errorf("%+v", r)
		}
		if n := len(p.requests()); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestNoAnswerIsRetryAndAnOutageIsPause(t *testing.T) {
	for name, tc := range map[string]struct {
		answer func(http.ResponseWriter, query)
		refuse bool
		reason string
	}{
		"silent":         {nil, false, ReasonNoAnswer},
		"cut":            {func(w http.ResponseWriter, _ query) { hijackAndClose(w) }, false, ReasonConnection},
		"cannot connect": {nil, true, ReasonConnection},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t)
				p.answer = tc.answer
				if tc.answer == nil {
					p.answer = func(http.ResponseWriter, query) { p.sleep(time.Hour) }
				}
				if tc.refuse {
					p.refuse = func(addr string) error {
						if strings.HasSuffix(addr, HostSuffix+":443") {
							return errors.New("no route")
						}
						return nil
					}
				}
				c, finish := p.client(Options{})
				defer finish()
				began := time.Now()
				if r := c.Send(t.Context(), toast(channel(0))); r.Action != Retry || r.Reason != tc.reason || r.Status != 0 {
					t.Errorf("%+v", r)
				}
				if took := time.Since(began); took > TimeoutDefault {
					t.Errorf("took %s", took)
				}
				rs := burst(t.Context(), c, 20)
				if got := countActions(rs); got[Pause] < 18 {
					t.Errorf("actions %v", got)
				}
			})
		})
	}
}

func TestContextEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.token = func(int, url.Values) (int, string) {
			time.Sleep(10 * time.Second)
			return 200, `{"token_type":"bearer","access_token":"x"}`
		}
		c, finish := p.client(Options{InFlightMax: 1})
		defer finish()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for _, r := range burst(ctx, c, 3) {
			if r.Action != Retry || r.Reason != ReasonCancelled || !errors.Is(r.Err, context.DeadlineExceeded) {
				t.Errorf("%+v", r)
			}
		}
		if r := c.Send(t.Context(), toast(testChannel)); r.Action != Delivered || p.tokensAsked() != 1 {
			t.Errorf("%d token requests, %+v", p.tokensAsked(), r)
		}
	})
}

func TestCloseDrainsAndThenCuts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.answer = func(w http.ResponseWriter, q query) {
			if q.number > 5 {
				p.sleep(time.Hour)
			}
			p.sleep(2 * time.Second)
			received(w)
		}
		c, _ := p.client(Options{InFlightMax: 8, Timeout: time.Minute})
		var rs []Response
		done := make(chan struct{})
		go func() { defer close(done); rs = burst(t.Context(), c, 20) }()
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := c.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close: %v", err)
		}
		<-done
		closed := 0
		for _, r := range rs {
			if r.Reason == ReasonClosed && r.Action == Retry {
				closed++
			}
		}
		if got := countActions(rs); got[Delivered] != 5 || closed != 15 {
			t.Errorf("actions %v, %d given back", got, closed)
		}
		if r := c.Send(t.Context(), toast(testChannel)); r.Reason != ReasonClosed {
			t.Errorf("%+v", r)
		}
		p.close()
	})
}

func TestCloseDoesNotWaitForTheTokenService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		release := make(chan struct{})
		p.token = func(int, url.Values) (int, string) { <-release; return 500, "" }
		c, _ := p.client(Options{})
		done := make(chan Response, 1)
		go func() { done <- c.Send(t.Context(), toast(testChannel)) }()
		synctest.Wait()
		began := time.Now()
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if r := <-done; r.Reason != ReasonClosed {
			t.Errorf("%+v", r)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %s", took)
		}
		close(release)
		p.close()
	})
}

func TestNoSecretInErrorsOrLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		answers := []func(http.ResponseWriter, query){
			func(w http.ResponseWriter, q query) {
				fail(400, "X-WNS-ERROR-DESCRIPTION", "bad "+testChannel+" and "+q.bearer)(w, q)
			}, fail(403), fail(410), fail(500), fail(307, "Location", testChannel),
			func(w http.ResponseWriter, _ query) { hijackAndClose(w) }, func(http.ResponseWriter, query) { p.sleep(time.Hour) },
			fail(401), fail(200, "X-WNS-STATUS", "dropped"),
		}
		p.answer = func(w http.ResponseWriter, q query) { answers[q.number%len(answers)](w, q) }
		p.token = func(n int, _ url.Values) (int, string) {
			if n%2 == 0 {
				return 401, `{"error":"invalid_client","error_description":"` + testSecret + `"}`
			}
			return 200, fmt.Sprintf(`{"token_type":"bearer","access_token":"EgAa-%d/+="}`, n)
		}
		var log bytes.Buffer
		c, finish := p.client(Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		var text strings.Builder
		for range 60 {
			r := toast(testChannel)
			r.Body = []byte("<toast>Kennwort-4711</toast>")
			resp := c.Send(t.Context(), r)
			fmt.Fprintf(&text, "%v %+v\n", resp.Err, resp)
			if resp.Action == Pause {
				time.Sleep(resp.RetryAfter)
			}
		}
		fmt.Fprintf(&text, "%v %+v %#v", liveApp, liveApp, liveApp)
		finish()
		all := text.String() + log.String()
		for _, s := range []string{"Kennwort", "EgAa", "AwYAAAB", testSecret, "Bearer"} {
			if strings.Contains(all, s) {
				t.Errorf("%q in errors or logs", s)
			}
		}
		if !strings.Contains(all, "invalid_client") || !strings.Contains(all, "wns: not received") || !strings.Contains(all, "dropped") {
			t.Error("the test saw too little")
		}
	})
}

func TestNewNamesTheWrongField(t *testing.T) {
	with := func(a App, change func(*App)) Options { change(&a); return Options{App: a} }
	for field, o := range map[string]Options{
		"Kind":                {},
		"PackageSID":          with(liveApp, func(a *App) { a.PackageSID = "s-1-15-2" }),
		"ClientID":            with(entraApp, func(a *App) { a.ClientID = "" }),
		"Tenant":              with(entraApp, func(a *App) { a.Tenant = "a/b" }),
		"Secret":              with(liveApp, func(a *App) { a.Secret = "" }),
		"TokenURL":            with(liveApp, func(a *App) { a.TokenURL = "http://login.live.com/" }),
		"Options.InFlightMax": {App: liveApp, InFlightMax: -1},
		"Options.Timeout":     {App: liveApp, Timeout: -1},
		"RateMax":             with(liveApp, func(a *App) { a.RateMax = -1 }),
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestAnAppKeepsToItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		app := liveApp
		app.RateMax = 20 // and two at once
		c, finish := p.client(Options{App: app})
		defer finish()
		began := time.Now()
		for range 42 {
			if got := c.Send(t.Context(), toast(testChannel)); got.Action != Delivered {
				t.Error(got.Err)
			}
		}
		if took := time.Since(began).Round(time.Millisecond); took != 2*time.Second {
			t.Errorf("42 notifications took %v, want 2s", took)
		}
	})
}

func BenchmarkSend(b *testing.B) {
	p := newPeer(b)
	app := liveApp
	app.RateMax = 1_000_000
	c, finish := p.client(Options{App: app})
	r := toast(testChannel)
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if got := c.Send(context.Background(), r); got.Action != Delivered {
				b.Error(got.Err)
			}
		}
	})
	b.StopTimer()
	finish()
}

// BenchmarkSendBareNetHTTP is the floor of BenchmarkSend: the same notification to
// the same peer by net/http alone, with the headers that WNS asks for.
func BenchmarkSendBareNetHTTP(b *testing.B) {
	p := newPeer(b)
	transport := &http.Transport{
		DialContext: p.dial, TLSClientConfig: &tls.Config{RootCAs: p.pool}, MaxIdleConnsPerHost: 1000,
		Protocols: new(http.Protocols),
	}
	transport.Protocols.SetHTTP1(true)
	client := &http.Client{Transport: transport}
	n := toast(testChannel)
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, n.Channel, bytes.NewReader(n.Body))
			if err != nil {
				b.Error(err)
				return
			}
			r.Header.Set("Authorization", "Bearer EgAa-1/+=")
			r.Header.Set("Content-Type", "text/xml")
			r.Header.Set("X-WNS-Type", "wns/toast")
			resp, err := client.Do(r)
			if err != nil {
				b.Error(err)
				return
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
				b.Error(resp.Status, err)
			}
			resp.Body.Close()
		}
	})
	b.StopTimer()
	transport.CloseIdleConnections()
	p.close()
}

func TestForbiddenChannelStaysWhileNoFreshTokenComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.token = func(n int, _ url.Values) (int, string) {
			if n == 1 {
				return 200, `{"token_type":"bearer","access_token":"T1"}`
			}
			return 503, ""
		}
		c, finish := p.client(Options{})
		defer finish()
		c.Send(t.Context(), toast(channel(0)))
		time.Sleep(time.Hour)
		p.answer = fail(403)
		for range 5 {
			if r := c.Send(t.Context(), toast(testChannel)); r.Action != Retry {
				t.Errorf("%+v", r)
			}
			time.Sleep(forbiddenWait)
		}
	})
}

func TestOneThrottleHalvesTheRateOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		p.answer = func(w http.ResponseWriter, _ query) {
			p.sleep(time.Second) // so that all are under way together
			fail(429, "Retry-After", "60")(w, query{})
		}
		c, finish := p.client(Options{})
		defer finish()
		if got := countActions(burst(t.Context(), c, 30)); got[Pause] != 30 {
			t.Errorf("actions %v", got)
		}
		if got := c.pacer.limit.Limit(); got != RateDefault/2 {
			t.Errorf("rate %v, want %v", got, RateDefault/2)
		}
	})
}
