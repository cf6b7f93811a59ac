package notifier

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

func TestMailboxesAreComparedInCanonicalForm(t *testing.T) {
	got, err := ParseMailbox("  Taro.Yamada@Contoso.TEST ")
	if err != nil || got != "taro.yamada@contoso.test" {
		t.Errorf("got %q, %v", got, err)
	}
	if got.Domain() != "contoso.test" {
		t.Errorf("domain %q", got.Domain())
	}
}

func TestMailboxesThatNoServerHasAreRefused(t *testing.T) {
	for _, bad := range []string{"", "taro", "@contoso.test", "taro@", "a@b@c", "taro@.test", "taro@contoso..test", "taro@contoso.test.", "ta ro@contoso.test", "a\x00b@c.test", `"q"@c.test`, strings.Repeat("a", 250) + "@c.test"} {
		if got, err := ParseMailbox(bad); err == nil {
			t.Errorf("%q became %q", bad, got)
		}
	}
}

func TestDeviceIDsHaveOneSpelling(t *testing.T) {
	if _, err := ParseDeviceID("iPhone-7.a_1"); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "a b", "a/b", "ä", strings.Repeat("x", DeviceIDLenMax+1)} {
		if _, err := ParseDeviceID(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestIDsDependOnEveryPartAndNothingElse(t *testing.T) {
	n := NewNotificationID("a@x.test", "AAMk1")
	if n != NewNotificationID("a@x.test", "AAMk1") {
		t.Error("the same mail has two IDs")
	}
	others := map[NotificationID]bool{n: true}
	for _, o := range []NotificationID{NewNotificationID("a@x.test", "aamk1"), NewNotificationID("b@x.test", "AAMk1"), NewNotificationID("a@x.testA", "AMk1")} {
		if others[o] {
			t.Errorf("two mails share ID %s", o)
		}
		others[o] = true
	}
	if NewPushID(n, "d1") == NewPushID(n, "d2") {
		t.Error("two devices share a push ID")
	}
}

func TestPushIDBecomesACanonicalUUID(t *testing.T) {
	u := NewPushID("n1", "d1").UUID()
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(u) {
		t.Errorf("%s is not a UUID", u)
	}
	if u != NewPushID("n1", "d1").UUID() {
		t.Error("a repeat has another UUID")
	}
}

func TestVerdictsAreWrittenByName(t *testing.T) {
	for v := range verdictNames {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var back Verdict
		if err := json.Unmarshal(b, &back); err != nil || back != v {
			t.Errorf("%s came back as %s, %v", v, back, err)
		}
	}
	if _, err := json.Marshal(Receipt{}); err == nil {
		t.Error("a receipt without a verdict was written")
	}
}

func TestCapabilitiesAreShortenedInText(t *testing.T) {
	token := DeviceToken(strings.Repeat("ab", 32))
	channel := ChannelURI("https://dm3p.notify.windows.com/?token=AwYAAABsecretsecret")
	text := fmt.Sprint(token, channel, Registration{APNs: &APNsAddress{Token: token}}.Address(), Registration{WNS: &WNSAddress{Channel: channel}}.Address())
	if strings.Contains(text, string(token)) || strings.Contains(text, "AwYAAAB") {
		t.Errorf("a capability is readable: %s", text)
	}
}
