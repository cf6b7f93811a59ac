//lint:file-ignore SA1019 apns2 speaks through this HTTP/2 transport, and lanes need its connection pool.

package apns

import (
	"bytes"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

func TestParseReason(t *testing.T) {
	at := time.UnixMilli(1454948015990).UTC()
	for body, want := range map[string]struct {
		reason string
		at     time.Time
	}{
		// Apple "Handling notification responses from APNs", response for a failed request.
		`{"reason":"BadDeviceToken"}`:                               {"BadDeviceToken", time.Time{}},
		`{"reason":"Unregistered","timestamp":1454948015990}`:       {"Unregistered", at},
		"\xef\xbb\xbf" + `{"reason":"Unregistered"}`:                {"Unregistered", time.Time{}},
		`{"timestamp":"1454948015990","reason":"ExpiredToken"}`:     {"ExpiredToken", at},
		`{"reason":"Unregistered","timestamp":-1}`:                  {"Unregistered", time.Time{}},
		`{"reason":"Unregistered","timestamp":9223372036854775807}`: {"Unregistered", time.Time{}},
		`{"reason":"Unregistered","timestamp":{}}`:                  {"Unregistered", time.Time{}},
		`{"reason":7}`:           {"", time.Time{}},
		`{"reason":"two words"}`: {"", time.Time{}},
		`{"reason":"` + strings.Repeat("x", 65) + `"}`: {"", time.Time{}},
		`{"reason":"Unregi`:                            {"", time.Time{}},
		`<html>`:                                       {"", time.Time{}},
		`null`:                                         {"", time.Time{}},
		``:                                             {"", time.Time{}},
	} {
		reason, got := parseReason([]byte(body))
		if reason != want.reason || !got.Equal(want.at) {
			t.Errorf("%s: %q %v", body, reason, got)
		}
	}
}

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                              0,
		"120":                           2 * time.Minute,
		" 7 ":                           7 * time.Second,
		"0":                             0,
		"-5":                            0,
		"-9223372036854775808":          0,
		"9223372036854775807":           retryAfterMax,
		"99999999":                      retryAfterMax,
		"Tue, 24 Nov 2026 09:15:00 GMT": 15 * time.Minute,
		"Tue, 24 Nov 2026 08:00:00 GMT": 0,
		"soon":                          0,
	} {
		if got := parseRetryAfter(value, now); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

func FuzzParseReason(f *testing.F) {
	f.Add([]byte(`{"reason":"Unregistered","timestamp":1454948015990}`))
	f.Add([]byte(`{"reason":"BadDeviceToken"}`))
	f.Add([]byte(`<html>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		reason, at := parseReason(body)
		if !plain(reason) {
			t.Errorf("reason %q", reason)
		}
		if _, err := at.MarshalJSON(); err != nil {
			t.Errorf("time %v: %v", at, err)
		}
	})
}

// scan feeds the bytes in pieces and writes down what was reported.
func scan(b []byte, pieces func(left int) int) string {
	var out strings.Builder
	s := frameScanner{
		settings: func(n uint32, named bool) { fmt.Fprintln(&out, "settings", n, named) },
		goAway:   func(e http2.GoAwayError) { fmt.Fprintf(&out, "goaway %v\n", e) },
	}
	for len(b) > 0 {
		n := min(max(pieces(len(b)), 1), len(b))
		s.feed(b[:n])
		b = b[n:]
	}
	return out.String()
}

func sampleFrames(t testing.TB) []byte {
	var buf bytes.Buffer
	fr := http2.NewFramer(&buf, nil)
	for _, err := range []error{
		fr.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 4096}, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1}),
		fr.WriteSettingsAck(),
		fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x88}, EndHeaders: true}),
		fr.WriteData(1, true, bytes.Repeat([]byte{7}, 90)), // looks like GOAWAY headers inside
		fr.WriteSettings(),
		fr.WritePing(false, [8]byte{7, 4}),
		fr.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1000}),
		fr.WriteGoAway(41, http2.ErrCodeEnhanceYourCalm, []byte(`{"reason":"Shutdown"}`)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return buf.Bytes()
}

func TestFrameScannerReadsWhateverTheCuts(t *testing.T) {
	b := sampleFrames(t)
	want := "settings 1 true\nsettings 0 false\nsettings 1000 true\n" +
		fmt.Sprintf("goaway %v\n", http2.GoAwayError{LastStreamID: 41, ErrCode: http2.ErrCodeEnhanceYourCalm, DebugData: `{"reason":"Shutdown"}`})
	for size := 1; size < 40; size++ {
		if got := scan(b, func(int) int { return size }); got != want {
			t.Fatalf("pieces of %d: %s", size, got)
		}
	}
}

func FuzzFrameScanner(f *testing.F) {
	f.Add(sampleFrames(f), uint8(3))
	f.Add([]byte{0, 0, 4, 7, 0, 0, 0, 0, 0, 1, 2, 3, 4}, uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, size uint8) {
		whole := scan(b, func(left int) int { return left })
		if cut := scan(b, func(int) int { return int(size) }); cut != whole {
			t.Errorf("in pieces of %d: %s, whole: %s", size, cut, whole)
		}
	})
}

func TestRequestRules(t *testing.T) {
	good := testPush(0)
	sized := func(n int) []byte { return []byte(`{"a":"` + strings.Repeat("x", n-8) + `"}`) }
	for name, tc := range map[string]struct {
		change func(*Request)
		reason string
	}{
		"good":                          {func(*Request) {}, ""},
		"no token":                      {func(r *Request) { r.Token = "" }, "MissingDeviceToken"},
		"token with a path":             {func(r *Request) { r.Token = "../../etc/passwd00" }, "BadDeviceToken"},
		"odd token":                     {func(r *Request) { r.Token = r.Token[1:] }, "BadDeviceToken"},
		"long token":                    {func(r *Request) { r.Token = strings.Repeat("ab", 101) }, "BadDeviceToken"},
		"token of 100 bytes":            {func(r *Request) { r.Token = strings.Repeat("aB", 100) }, ""},
		"no topic":                      {func(r *Request) { r.Topic = "" }, "MissingTopic"},
		"topic with a line break":       {func(r *Request) { r.Topic = "a\r\nb: c" }, "BadTopic"},
		"ID in capitals":                {func(r *Request) { r.ID = strings.ToUpper(r.ID) }, "BadMessageId"},
		"ID without hyphens":            {func(r *Request) { r.ID = strings.ReplaceAll(r.ID, "-", "") }, "BadMessageId"},
		"no ID":                         {func(r *Request) { r.ID = "" }, ""},
		"collapse ID of 64 bytes":       {func(r *Request) { r.CollapseID = strings.Repeat("é", 32) }, ""},
		"collapse ID of 66 bytes":       {func(r *Request) { r.CollapseID = strings.Repeat("é", 33) }, "BadCollapseId"},
		"collapse ID with a line break": {func(r *Request) { r.CollapseID = "a\nb" }, "BadCollapseId"},
		"priority 7":                    {func(r *Request) { r.Priority = 7 }, "BadPriority"},
		"background at once":            {func(r *Request) { r.PushType = "background"; r.Priority = 10 }, "BadPriority"},
		"background":                    {func(r *Request) { r.PushType = "background"; r.Priority = 5 }, ""},
		"push type with a space":        {func(r *Request) { r.PushType = "an alert" }, "InvalidPushType"},
		"empty payload":                 {func(r *Request) { r.Payload = nil }, "PayloadEmpty"},
		"4,096 bytes":                   {func(r *Request) { r.Payload = sized(4096) }, ""},
		"4,097 bytes":                   {func(r *Request) { r.Payload = sized(4097) }, "PayloadTooLarge"},
		"5,120 bytes of VoIP":           {func(r *Request) { r.Payload = sized(5120); r.PushType = "voip" }, ""},
		"5,121 bytes of VoIP":           {func(r *Request) { r.Payload = sized(5121); r.PushType = "voip" }, "PayloadTooLarge"},
		"payload that is not JSON":      {func(r *Request) { r.Payload = []byte(`{"aps":`) }, ReasonInvalidRequest},
		"payload that is not an object": {func(r *Request) { r.Payload = []byte(` [1]`) }, ReasonInvalidRequest},
		"payload with spaces before it": {func(r *Request) { r.Payload = []byte(" \n{}") }, ""},
	} {
		r := good
		tc.change(&r)
		err := r.check(true)
		switch {
		case err == nil && tc.reason != "":
			t.Errorf("%s: accepted", name)
		case err != nil && err.reason != tc.reason:
			t.Errorf("%s: %s %v, want %q", name, err.reason, err, tc.reason)
		case err != nil && len(r.Token) > 8 && strings.Contains(err.Error(), r.Token):
			t.Errorf("%s: the error quotes the token", name)
		}
	}
}

func TestLoadKeyErrorsNameTheFix(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaDER, err := x509.MarshalPKCS8PrivateKey(rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	good := p8(t, elliptic.P256())
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	for name, tc := range map[string]struct {
		text        []byte
		key, team   string
		wantInError string
	}{
		"good":              {good, testKeyID, testTeamID, ""},
		"not PEM":           {[]byte("MIGTAgEAMBMG"), testKeyID, testTeamID, "not PEM"},
		"a certificate":     {block("CERTIFICATE", []byte{1}), testKeyID, testTeamID, "CERTIFICATE"},
		"broken":            {block("PRIVATE KEY", []byte{1, 2}), testKeyID, testTeamID, "download"},
		"RSA":               {block("PRIVATE KEY", rsaDER), testKeyID, testTeamID, "EC key"},
		"P-384":             {p8(t, elliptic.P384()), testKeyID, testTeamID, "P-256"},
		"short key ID":      {good, "ABC", testTeamID, "key ID: 3 characters, want 10"},
		"small letters":     {good, "abc123defg", testTeamID, "capital letters"},
		"no team":           {good, testKeyID, "", "team ID: 0 characters"},
		"team with a space": {good, testKeyID, "DEF123 HIJ", "team ID"},
	} {
		key, err := LoadKey(tc.text, tc.key, tc.team)
		if (err == nil) != (tc.wantInError == "") || err != nil && !strings.Contains(err.Error(), tc.wantInError) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && (key.String() != fmt.Sprintf("%#v", key) || !strings.HasSuffix(key.String(), testKeyID)) {
			t.Errorf("%s: %v %#v", name, key, key)
		}
	}
}

func TestGuardTellsAWaveFromADevice(t *testing.T) {
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	g := newGuard(10*time.Minute, 3, 5)
	for range 3 {
		if g.hit("a", now) {
			t.Error("one device is not a wave, however often it comes")
		}
	}
	if g.hit("b", now) {
		t.Error("two devices are not a wave")
	}
	if !g.hit("c", now) {
		t.Error("three devices and nothing else are a wave")
	}
	for range 57 {
		g.other(now)
	}
	if g.hit("c", now) {
		t.Error("three of sixty are 5 %, not more")
	}
	if !g.hit("d", now) {
		t.Error("four of sixty-one are more than 5 %")
	}
	if g.hit("e", now.Add(11*time.Minute)) {
		t.Error("what lies back further than ten minutes does not count")
	}
	for i := range 3 * guardAnswers {
		g.other(now.Add(12*time.Minute + time.Duration(i)))
	}
	if g.hit("f", now.Add(13*time.Minute)) {
		t.Error("one among hundreds is not a wave")
	}
}
