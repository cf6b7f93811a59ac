package fakeapns

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

var upperUUID = regexp.MustCompile(`^[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}$`)

// Checklist push 14.
func TestA14TheIDIsEchoedOrMadeInUpperCase(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		p := h.dial()
		defer p.close()
		const own = "123e4567-e89b-12d3-a456-42661417400a"
		if g := p.push(ask{header: map[string]string{"apns-id": own}}); g.header["apns-id"] != own {
			t.Errorf("echoed %q", g.header["apns-id"])
		}
		seen := map[string]bool{}
		for range 50 {
			id := p.push(ask{}).header["apns-id"]
			if !upperUUID.MatchString(id) || seen[id] {
				t.Fatalf("made %q", id)
			}
			seen[id] = true
		}
		if g := p.push(ask{token: tokenOf(9)}); !upperUUID.MatchString(g.header["apns-id"]) {
			t.Errorf("a refusal has id %q", g.header["apns-id"])
		}
	})
}

// Checklist push 16, 20.
func TestA16And20ARetiredTokenIs410WithItsMomentInMilliseconds(t *testing.T) {
	for _, reason := range []string{"Unregistered", "ExpiredToken"} {
		inBubble(t, Options{}, func(h *host) {
			p := h.dial()
			defer p.close()
			at := time.Now().Add(-90*time.Minute - 7*time.Millisecond)
			h.Retire(testToken, at, reason)
			g := p.push(ask{})
			if want := fmt.Sprintf(`{"reason":%q,"timestamp":%d}`, reason, at.UnixMilli()); g.status != 410 || g.body != want {
				t.Errorf("%d %s, want 410 %s", g.status, g.body, want)
			}
			h.AddDevice(testToken, testTopic) // the app was installed again
			p.want(p.push(ask{}), 200, "")
		})
	}
}

// Checklist push 17.
func TestA17TheUniqueIDIsTheSandboxs(t *testing.T) {
	for environment, want := range map[string]bool{Production: false, Development: true} {
		inBubble(t, Options{Environment: environment}, func(h *host) {
			p := h.dial()
			defer p.close()
			if _, has := p.push(ask{}).header["apns-unique-id"]; has != want {
				t.Errorf("%s: apns-unique-id %v", environment, has)
			}
		})
	}
}

// Checklist push 21.
func TestA21SuccessIsJournalledWithThePayloadAsReceived(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		p := h.dial()
		defer p.close()
		const body = "{ \"aps\" :{\"alert\":\"\\u00e4 <b>\"}, \"mailbell\":{\"item\":\"AAMk=\"}}\n"
		expiration := fmt.Sprint(time.Now().Add(time.Hour).Unix())
		p.push(ask{body: body, header: map[string]string{"apns-collapse-id": "c1", "apns-expiration": expiration, "apns-priority": "5"}})
		e := h.lastPush()
		if e.Server != "apns" || e.Status != 200 || e.Reason != "" || e.Device != testToken || e.Conn != 1 || string(e.Body) != body || !e.Time.Equal(time.Now()) {
			t.Errorf("%+v", e)
		}
		for k, want := range map[string]string{"collapse_id": "c1", "topic": testTopic, "expiration": expiration, "priority": "5", "push_type": "alert", "stream": "1", "effect": "shown"} {
			if e.Detail[k] != want {
				t.Errorf("detail %s is %q, want %q", k, e.Detail[k], want)
			}
		}
		if e.Detail["apns_id"] == "" || len(e.Detail["provider_token"]) < 8 {
			t.Errorf("detail %v", e.Detail)
		}
		if b, _ := json.Marshal(e); strings.Contains(string(b), strings.TrimPrefix(p.auth, "bearer ")) {
			t.Error("the provider token itself is in the journal")
		}
	})
}

// rule is a request and what it gets.
type ruleCase struct {
	name   string
	ask    ask
	status int
	reason string
}

func TestEveryRequestRuleHasItsReason(t *testing.T) {
	with := func(name, value string) ask { return ask{header: map[string]string{name: value}} }
	voip := func(n int) ask {
		return ask{header: map[string]string{"apns-push-type": "voip", "apns-topic": testTopic + ".voip"}, body: payloadOf(n)}
	}
	cases := []ruleCase{
		// Checklist push 38.
		{"GET", ask{method: "GET", noBody: true}, 405, "MethodNotAllowed"},
		{"GET without credentials", ask{method: "GET", noBody: true, header: map[string]string{"authorization": "-"}}, 405, "MethodNotAllowed"},
		// Checklist push 39.
		{"another path", ask{path: "/4/device/" + testToken}, 404, "BadPath"},
		{"no token", ask{path: "/3/device/"}, 400, "MissingDeviceToken"},
		{"token that is not hex", ask{path: "/3/device/" + strings.Repeat("xy", 32)}, 400, "BadDeviceToken"},
		{"token of odd length", ask{path: "/3/device/" + testToken[1:]}, 400, "BadDeviceToken"},
		{"token that is too long", ask{path: "/3/device/" + strings.Repeat("ab", 101)}, 400, "BadDeviceToken"},
		// Checklist push 18.
		{"unknown token", ask{token: tokenOf(77)}, 400, "BadDeviceToken"},
		{"upper case is the same token", ask{token: strings.ToUpper(testToken)}, 200, ""},
		// Checklist push 19.
		{"token of another app", ask{token: tokenOf(1)}, 400, "DeviceTokenNotForTopic"},
		// Checklist push 40.
		{"apns-id", with("apns-id", "1234"), 400, "BadMessageId"},
		{"apns-id without hyphens", with("apns-id", "123e4567e89b12d3a45642661417400a"), 400, "BadMessageId"},
		// Checklist push 41.
		{"expiration that is a word", with("apns-expiration", "soon"), 400, "BadExpirationDate"},
		{"negative expiration", with("apns-expiration", "-1"), 400, "BadExpirationDate"},
		{"zero expiration", with("apns-expiration", "0"), 200, ""},
		// Checklist push 42.
		{"priority 1", with("apns-priority", "1"), 200, ""},
		{"priority 5", with("apns-priority", "5"), 200, ""},
		{"priority 10", with("apns-priority", "10"), 200, ""},
		{"priority 7", with("apns-priority", "7"), 400, "BadPriority"},
		{"background with priority 10", ask{header: map[string]string{"apns-push-type": "background", "apns-priority": "10"}}, 400, "BadPriority"},
		{"background with priority 5", ask{header: map[string]string{"apns-push-type": "background", "apns-priority": "5"}, body: `{"aps":{"content-available":1}}`}, 200, ""},
		// Checklist push 43.
		{"collapse ID of 64 bytes", with("apns-collapse-id", strings.Repeat("ä", 32)), 200, ""},
		{"collapse ID of 33 letters and 66 bytes", with("apns-collapse-id", strings.Repeat("ä", 33)), 400, "BadCollapseId"},
		// Checklist push 44.
		{"unknown push type", with("apns-push-type", "mail"), 400, "InvalidPushType"},
		{"no push type", with("apns-push-type", "-"), 200, ""},
		// Checklist push 45.
		{"no topic", with("apns-topic", "-"), 400, "MissingTopic"},
		{"topic without the type's suffix", with("apns-push-type", "voip"), 400, "BadTopic"},
		// Checklist push 27.
		{"topic of another app", with("apns-topic", "com.example.other"), 400, "TopicDisallowed"},
		// Checklist push 46.
		{"topic twice", ask{twice: "apns-topic"}, 400, "DuplicateHeaders"},
		{"authorization twice", ask{twice: "authorization"}, 400, "DuplicateHeaders"},
		{"collapse ID twice", ask{twice: "apns-collapse-id", header: map[string]string{"apns-collapse-id": "x"}}, 400, "DuplicateHeaders"},
		// Checklist push 47.
		{"no body", ask{noBody: true}, 400, "PayloadEmpty"},
		{"4096 bytes", ask{body: payloadOf(4096)}, 200, ""},
		{"4097 bytes", ask{body: payloadOf(4097)}, 413, "PayloadTooLarge"},
		{"voip with 5120 bytes", voip(5120), 200, ""},
		{"voip with 5121 bytes", voip(5121), 413, "PayloadTooLarge"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, Options{}, func(h *host) {
				h.AddDevice(tokenOf(1), "test.contoso.calendar")
				p := h.dial().trusted()
				defer p.close()
				p.want(p.push(c.ask), c.status, c.reason)
				if entries := h.pushes()[1:]; len(entries) != 1 || entries[0].Status != c.status || entries[0].Reason != c.reason {
					t.Errorf("journalled %+v", entries)
				}
			})
		})
	}
}

func payloadOf(n int) string {
	const head, tail = `{"aps":{"alert":"`, `"}}`
	return head + strings.Repeat("x", n-len(head)-len(tail)) + tail
}

// Checklist push 13, 18.
func TestA18ATokenOfTheOtherEnvironmentIsUnknown(t *testing.T) {
	inBubble(t, Options{Environment: Development}, func(h *host) {
		production, err := Start(Options{Listener: must(h.net.Listen("production:443"))(t), Certificate: h.tls.Certificates[0]})
		if err != nil {
			t.Fatal(err)
		}
		defer production.Close()
		production.AddDevice(tokenOf(3), testTopic)
		p := h.dial()
		defer p.close()
		p.want(p.push(ask{token: tokenOf(3)}), 400, "BadDeviceToken")
	})
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// Checklist push 22.
func TestA22AuthenticationGoesBeforeTokenTopicAndPayload(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		p := h.dial()
		defer p.close()
		for _, body := range []string{"{}", `{"aps":{}}`} {
			p.want(p.push(ask{token: "aaaa", body: body, header: map[string]string{"authorization": "-", "apns-topic": "-"}}), 403, "MissingProviderToken")
		}
		p.want(p.push(ask{path: "/3/device/", header: map[string]string{"authorization": "-"}}), 403, "MissingProviderToken")
		stranger := sign(t, newKey(t), "ES256", "STRANGER01", testTeam, time.Now())
		p.want(p.push(ask{token: strings.Repeat("0", 64), header: map[string]string{"authorization": "bearer " + stranger}}), 403, "InvalidProviderToken")
	})
}

// Checklist push 23.
func TestA23ProviderTokensAreVerified(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		p := h.dial()
		defer p.close()
		now := time.Now()
		good := sign(t, h.key, "ES256", testKeyID, testTeam, now)
		parts := strings.Split(good, ".")
		for name, token := range map[string]string{
			"another key":     sign(t, newKey(t), "ES256", testKeyID, testTeam, now),
			"unknown kid":     sign(t, h.key, "ES256", "UNKNOWN001", testTeam, now),
			"another team":    sign(t, h.key, "ES256", testKeyID, "FABRIKAM01", now),
			"alg none":        sign(t, h.key, "none", testKeyID, testTeam, now),
			"alg HS256":       sign(t, h.key, "HS256", testKeyID, testTeam, now),
			"no signature":    parts[0] + "." + parts[1] + ".",
			"two parts":       parts[0] + "." + parts[1],
			"changed claims":  parts[0] + "." + parts[1][:len(parts[1])-4] + "AAAA." + parts[2],
			"not base64":      "%%%.%%%.%%%",
			"a word":          "x",
			"ASN.1 signature": parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(must(ecdsa.SignASN1(rand.Reader, h.key, digestOf(parts[0]+"."+parts[1])))(t)),
		} {
			g := p.push(ask{header: map[string]string{"authorization": "bearer " + token}})
			if g.status != 403 || g.reason() != "InvalidProviderToken" {
				t.Errorf("%s: %d %s", name, g.status, g.reason())
			}
		}
		p.want(p.push(ask{header: map[string]string{"authorization": "bearer " + good}}), 200, "")
	})
}

// Checklist push 24.
func TestA24AnOldTokenIsExpiredAndWedgesTheConnectionOnlyIfAsked(t *testing.T) {
	for _, wedge := range []bool{false, true} {
		inBubble(t, Options{Wedge: wedge}, func(h *host) {
			p := h.dial()
			defer p.close()
			old := h.bearer(time.Now().Add(-time.Hour - time.Second))
			p.want(p.push(ask{header: map[string]string{"authorization": old}}), 403, "ExpiredProviderToken")
			g := p.push(ask{header: map[string]string{"authorization": h.bearer(time.Now())}})
			if wedge {
				p.want(g, 403, "ExpiredProviderToken")
			} else {
				p.want(g, 200, "")
			}
		})
	}
}

// Checklist push 24.
func TestA24ATokenExpiresOnALivingConnection(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		p := h.dial().trusted()
		defer p.close()
		time.Sleep(time.Hour)
		p.want(p.push(ask{}), 200, "")
		time.Sleep(2 * time.Second)
		p.want(p.push(ask{}), 403, "ExpiredProviderToken")
		p.auth = h.bearer(time.Now())
		p.want(p.push(ask{}), 200, "")
	})
}

// Checklist push 26, 28.
func TestA26AndA28ASecondTokenWithinTwentyMinutesIsTooMany(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		p := h.dial().trusted()
		defer p.close()
		first, second := p.auth, h.bearer(time.Now().Add(-30*time.Minute)) // iat does not matter, arrival does
		time.Sleep(19 * time.Minute)
		p.auth = second
		p.want(p.push(ask{}), 429, "TooManyProviderTokenUpdates")
		p.auth = first
		p.want(p.push(ask{}), 200, "")
		time.Sleep(time.Minute)
		p.auth = second
		p.want(p.push(ask{}), 200, "")
		p.auth = first
		p.want(p.push(ask{}), 429, "TooManyProviderTokenUpdates")

		q := h.dial() // the rule is each connection's own
		defer q.close()
		q.auth = first
		q.want(q.push(ask{}), 200, "")
	})
}

// Checklist push 27.
func TestA27TheFirstPushFixesTeamKeyAndTopics(t *testing.T) {
	other, related, foreign := newKey(t), newKey(t), newKey(t)
	keys := func() []ProviderKey {
		return []ProviderKey{
			{KeyID: testKeyID, TeamID: testTeam, Topics: []string{testTopic}, Related: []string{"RELATED001"}},
			{KeyID: "OTHERKEY01", TeamID: testTeam, PublicKey: &other.PublicKey},
			{KeyID: "RELATED001", TeamID: testTeam, PublicKey: &related.PublicKey},
			{KeyID: "FOREIGN001", TeamID: "FABRIKAM01", PublicKey: &foreign.PublicKey},
			{KeyID: "SANDBOX001", TeamID: testTeam, PublicKey: &related.PublicKey, Environment: Development},
		}
	}
	inBubble(t, Options{Keys: keys()}, func(h *host) {
		p := h.dial().trusted()
		defer p.close()
		time.Sleep(30 * time.Minute)
		as := func(sign string) ask { return ask{header: map[string]string{"authorization": "bearer " + sign}} }
		p.want(p.push(as(sign(t, foreign, "ES256", "FOREIGN001", "FABRIKAM01", time.Now()))), 403, "InvalidProviderToken")
		p.want(p.push(as(sign(t, other, "ES256", "OTHERKEY01", testTeam, time.Now()))), 403, "UnrelatedKeyIdInToken")
		p.want(p.push(as(sign(t, related, "ES256", "RELATED001", testTeam, time.Now()))), 200, "")

		q := h.dial()
		defer q.close()
		q.want(q.push(as(sign(t, related, "ES256", "SANDBOX001", testTeam, time.Now()))), 403, "BadEnvironmentKeyIdInToken")
	})
}

func TestA27AKeyThatWasRevokedIsInvalid(t *testing.T) {
	inBubble(t, Options{}, func(h *host) {
		p := h.dial().trusted()
		defer p.close()
		h.SetKeys()
		p.want(p.push(ask{}), 403, "InvalidProviderToken")
	})
}

// Checklist push 12, 29, 30.
func TestA29ACertificateBringsItsTopic(t *testing.T) {
	for badTopic, foreign := range map[bool]string{false: "TopicDisallowed", true: "BadTopic"} {
		inBubble(t, Options{StreamsMax: 77, CertificateBadTopic: badTopic}, func(h *host) {
			cert := must(h.ca.Client("Apple Push Services: "+testTopic, testTopic))(t)
			p := h.dialWith(&tls.Config{NextProtos: []string{"h2"}, Certificates: []tls.Certificate{cert}})
			defer p.close()
			if got := p.limits(); len(got) != 1 || got[0] != 77 {
				t.Errorf("a certificate connection starts with the limits %v", got)
			}
			p.want(p.push(ask{header: map[string]string{"authorization": "-", "apns-topic": "-"}}), 200, "")
			if e := h.lastPush(); e.Detail["certificate"] != testTopic {
				t.Errorf("journal %v", e.Detail)
			}
			p.want(p.push(ask{header: map[string]string{"authorization": "-", "apns-topic": "com.example.other"}}), 400, foreign)
			p.want(p.push(ask{header: map[string]string{"authorization": "bearer nonsense"}}), 200, "") // a token is not looked at
		})
	}
}

// Checklist push 36.
func TestA36ABadCertificateIsAGoAwayWithoutAnAnswer(t *testing.T) {
	stranger := must(testcertNew(t).Client("stranger", testTopic))(t)
	inBubble(t, Options{ClientCAs: testcertNew(t).Pool()}, func(h *host) {
		p := h.dialWith(&tls.Config{NextProtos: []string{"h2"}, Certificates: []tls.Certificate{stranger}})
		defer p.close()
		p.send(ask{})
		time.Sleep(time.Minute)
		a := p.goAways()
		if len(a) != 1 || a[0].last != 0 || a[0].code != 0 || a[0].debug != `{"reason":"BadCertificate"}` || !p.over() {
			t.Errorf("goaway %+v, ended %v", a, p.over())
		}
		if n := len(h.pushes()); n != 0 {
			t.Errorf("%d pushes were looked at", n)
		}
	})
}

// Checklist push 48, 49.
func TestA48And49BadPayloadsAreAcceptedAndNoted(t *testing.T) {
	for body, want := range map[string]string{
		`no json`:                             "not an object with aps",
		`[]`:                                  "not an object with aps",
		`{}`:                                  "not an object with aps",
		`{"aps":7}`:                           "not an object with aps",
		`{"aps":{"badge":"7"}}`:               "badge is not an integer",
		`{"aps":{"badge":1.5}}`:               "badge is not an integer",
		`{"aps":{"alert":7}}`:                 "alert is neither string nor object",
		`{"aps":{"alert":{"title":7}}}`:       "alert has a text that is no string",
		`{"aps":{"alert":"x","sound":1}}`:     "sound is neither string nor object",
		`{"aps":{"alert":"x","thread-id":1}}`: "thread-id is not a string",
		`{"aps":{"content-available":1}}`:     "content-available alone with priority 10",
		goodBody:                              "",
		`{"aps":{"alert":"x","content-available":1}}`: "",
	} {
		inBubble(t, Options{}, func(h *host) {
			p := h.dial()
			defer p.close()
			p.want(p.push(ask{body: body}), 200, "")
			if got := h.lastPush().Detail["composition"]; got != want {
				t.Errorf("%s: noted %q, want %q", body, got, want)
			}
		})
	}
	inBubble(t, Options{RefuseComposition: true}, func(h *host) {
		p := h.dial()
		defer p.close()
		if g := p.push(ask{body: "[]"}); g.status != 400 {
			t.Errorf("refusing: %+v", g)
		}
	})
}

func TestEveryReasonHasAStatusOfApples(t *testing.T) {
	allowed := map[int]bool{400: true, 403: true, 404: true, 405: true, 410: true, 413: true, 429: true, 500: true, 503: true}
	if len(Reasons()) < 32 {
		t.Errorf("only %d reasons", len(Reasons()))
	}
	for reason, status := range Reasons() {
		if !allowed[status] {
			t.Errorf("%s: %d", reason, status)
		}
	}
}
