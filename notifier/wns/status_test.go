package wns

import (
	"net/http"
	"testing"
	"time"
)

// documented is the table of answers: status, notification status and error
// description (WNS "Push notification service request and response headers",
// response codes), with what follows from each.
var documented = []struct {
	name         string
	status       int
	notification string
	description  string
	action       Action
	reason       string
}{
	{"taken", 200, "received", "", Delivered, ReasonReceived},
	{"taken without a word", 200, "", "", Delivered, ReasonReceived},
	{"dropped", 200, "dropped", "", Drop, ReasonDropped},
	{"channel throttled", 200, "channelthrottled", "", Retry, ReasonChannelThrottled},
	{"app throttled in a 200", 200, "appthrottled", "", Pause, ReasonThrottled},
	{"a word nobody knows", 200, "postponed", "", Retry, ReasonUnexpected},
	{"contradicting headers", 400, "", "Ttl value conflicts with X-WNS-Cache-Policy.", Drop, ReasonBadRequest},
	{"token refused", 401, "", "", Pause, ReasonUnauthorized},
	{"another app's channel", 403, "", "", Retry, ReasonForbidden},
	{"app not mapped", 403, "", "Request targets an app that is not in allowed receiving apps list by WNS.", Pause, ReasonForbidden},
	{"unknown channel", 404, "", "", Forget, ReasonChannelUnknown},
	{"wrong method", 405, "", "", Drop, ReasonBadRequest},
	{"throttled", 406, "appthrottled", "", Pause, ReasonThrottled},
	{"expired channel", 410, "", "", Forget, ReasonChannelExpired},
	{"expired channel with a word", 410, "dropped", "Channel expired", Forget, ReasonChannelExpired},
	{"blocked domain", 410, "", "Domain Blocked", Pause, ReasonBlocked},
	{"device unreachable", 412, "", "", Retry, ReasonUnreachable},
	{"too large", 413, "", "", Drop, ReasonTooLarge},
	{"throttled, newer", 429, "", "", Pause, ReasonThrottled},
	{"internal error", 500, "", "", Retry, ReasonWNSFailed},
	{"unavailable", 503, "", "", Retry, ReasonWNSFailed},
}

func TestEveryAnswerHasItsRow(t *testing.T) {
	used := make([]bool, len(rules))
	for _, d := range documented {
		r := judge(d.status, d.notification, d.description)
		if r.action != d.action || r.reason != d.reason || r.meaning == "" {
			t.Errorf("%s: %v %q", d.name, r.action, r.reason)
		}
		for i := range rules {
			used[i] = used[i] || rules[i] == r
		}
	}
	for i, u := range used {
		if !u {
			t.Errorf("row %d (%d %s) is not in the table of this test", i, rules[i].status, rules[i].reason)
		}
	}
	for _, status := range []int{200, 400, 401, 403, 404, 405, 406, 410, 412, 413, 429, 500, 503} {
		found := false
		for _, d := range documented {
			found = found || d.status == status
		}
		if !found {
			t.Errorf("%d: no row", status)
		}
	}
}

func TestOtherAnswersAreJudgedByStatusClass(t *testing.T) {
	for status, want := range map[int]Action{
		201: Retry, 204: Retry, 301: Pause, 307: Pause, 402: Drop, 407: Pause, 408: Retry, 411: Drop, 414: Drop, 425: Retry, 431: Drop, 502: Retry, 504: Retry, 599: Retry,
	} {
		if r := judge(status, "", ""); r.action != want || r.reason == "" {
			t.Errorf("%d: %v %q, want %v", status, r.action, r.reason, want)
		}
	}
}

func TestStatusComesUnderEitherName(t *testing.T) {
	for name, tc := range map[string]struct {
		header http.Header
		want   string
	}{
		"first name":   {http.Header{"X-Wns-Notificationstatus": {"Received"}}, "received"},
		"second name":  {http.Header{"X-Wns-Status": {" dropped "}}, "dropped"},
		"both":         {http.Header{"X-Wns-Notificationstatus": {"received"}, "X-Wns-Status": {"received"}}, "received"},
		"they differ":  {http.Header{"X-Wns-Notificationstatus": {"received"}, "X-Wns-Status": {"dropped"}}, "dropped"},
		"other way":    {http.Header{"X-Wns-Notificationstatus": {"channelthrottled"}, "X-Wns-Status": {"received"}}, "channelthrottled"},
		"neither":      {http.Header{}, ""},
		"a line break": {http.Header{"X-Wns-Status": {"drop\nped\x00ä"}}, "dropped"},
	} {
		if a := readAnswer(&http.Response{StatusCode: 200, Header: tc.header}, time.Now()); a.notification != tc.want {
			t.Errorf("%s: %q", name, a.notification)
		}
	}
}

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "900": 15 * time.Minute, " 5 ": 5 * time.Second, "0": 0, "-1": 0, "soon": 0,
		"9223372036854775807": retryAfterMax, "-9223372036854775808": 0,
		"Tue, 24 Nov 2026 09:15:00 GMT": 15 * time.Minute, "Tue, 24 Nov 2026 08:00:00 GMT": 0,
	} {
		if got := parseRetryAfter(value, now); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add([]byte(`{"token_type":"bearer","access_token":"EgAa","expires_in":86400}`))
	f.Add([]byte(`{"token_type":"Bearer","expires_in":"86399","access_token":"eyJ0"}`))
	f.Add([]byte(`{"error":"invalid_client","error_description":"Invalid client id"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		value, life, err := parseToken(body)
		if err == nil && (value == "" || !isVisible(value) || life <= 0 || life > tokenLifeMax) {
			t.Errorf("%q %s", value, life)
		}
		code, description := parseTokenError(body)
		if len(code) > textMax || len(description) > textMax || printable(code) != code {
			t.Errorf("%q %q", code, description)
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	m := newMemory(time.Hour, 3)
	if !m.note("a", now).Equal(now) || !m.note("a", now.Add(time.Minute)).Equal(now) {
		t.Error("the first time is not remembered")
	}
	if later := now.Add(2 * time.Hour); !m.note("a", later).Equal(later) {
		t.Error("remembered for too long")
	}
	m.forget("a")
	for i, c := range []string{"b", "c", "d", "e", "f"} {
		m.note(c, now.Add(time.Duration(i)*time.Minute))
		if len(m.since) > 3 {
			t.Errorf("%d channels remembered", len(m.since))
		}
	}
}
