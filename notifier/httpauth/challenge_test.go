package httpauth

import (
	"slices"
	"testing"
)

func TestChallengesAreSplitAndSpelledAlike(t *testing.T) {
	for name, c := range map[string]struct {
		lines, want []string
	}{
		"nothing":           {nil, nil},
		"lines":             {[]string{"Negotiate", "NTLM"}, []string{"Negotiate", "NTLM"}},
		"any case":          {[]string{"nEGOTIATE", "ntlm", "BASIC Realm=\"\""}, []string{"Negotiate", "NTLM", `Basic Realm=""`}},
		"one line":          {[]string{"Negotiate,NTLM , Basic realm=\"x\""}, []string{"Negotiate", "NTLM", `Basic realm="x"`}},
		"token68":           {[]string{"ntlm TlRMTVNTUAACAAAA=="}, []string{"NTLM TlRMTVNTUAACAAAA=="}},
		"commas in quotes":  {[]string{`Bearer a="1, NTLM", b="\", Negotiate"`}, []string{`Bearer a="1, NTLM", b="\", Negotiate"`}},
		"unknown schemes":   {[]string{"Digest realm=x, qop=auth, Hawk"}, []string{"Digest realm=x, qop=auth", "Hawk"}},
		"empty elements":    {[]string{",, NTLM,", ""}, []string{"NTLM"}},
		"orphan parameters": {[]string{`realm="x", NTLM`}, []string{"NTLM"}},
		// Challenge of Exchange Online, as seen in public logs.
		"Exchange Online": {
			[]string{`Bearer client_id="00000002-0000-0ff1-ce00-000000000000", trusted_issuers="00000001-0000-0000-c000-000000000000@*", token_types="app_asserted_user_v1 service_asserted_app_v1", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize",Basic Realm=""`},
			[]string{`Bearer client_id="00000002-0000-0ff1-ce00-000000000000", trusted_issuers="00000001-0000-0000-c000-000000000000@*", token_types="app_asserted_user_v1 service_asserted_app_v1", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize"`, `Basic Realm=""`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, ch := range parseChallenges(c.lines) {
				got = append(got, ch.String())
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func FuzzChallenges(f *testing.F) {
	f.Add("Negotiate, NTLM", `Basic realm="x"`)
	f.Add(`Bearer a="\"`, "ntlm TlRMTVNTUAAC==")
	f.Fuzz(func(t *testing.T, first, second string) {
		once := parseChallenges([]string{first, second})
		var lines []string
		for _, c := range once {
			if c.scheme == "" {
				t.Fatalf("a challenge without a scheme: %q", c)
			}
			lines = append(lines, c.String())
		}
		if again := parseChallenges(lines); !slices.Equal(schemes(again), schemes(once)) {
			t.Fatalf("%q\nread again %q", once, again)
		}
	})
}
