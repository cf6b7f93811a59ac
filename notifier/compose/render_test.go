package compose

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mailbell/notifier"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestPayloadsAreAsRecorded(t *testing.T) {
	full := Decision{Notify: true, Show: ShowEverything, Preview: true, Sound: SoundDefault}
	plain := Decision{Notify: true, Show: ShowEverything, Sound: SoundDefault}
	sender := Decision{Notify: true, Show: ShowSender, Sound: "bell.caf"}
	nothing := Decision{Notify: true, Show: ShowNothing, Silent: true}
	anonymous := mail()
	anonymous.FromName, anonymous.FromAddr, anonymous.Subject = "", "", ""
	awkward := mail()
	awkward.FromName, awkward.Subject, awkward.Preview = "Ada <&\"'> Example", "R&D: <b>1 < 2</b> 👩‍💻 \u202eevil", "zwei\r\nZeilen"

	for _, c := range []struct {
		name   string
		locale string
		mail   notifier.Message
		d      Decision
		unread int
	}{
		{"everything", "en", mail(), full, 7},
		{"no-preview", "en", mail(), plain, 0},
		{"sender-only-de", "de-AT", mail(), sender, notifier.UnreadUnknown},
		{"nothing-ja", "ja", mail(), nothing, 3},
		{"nameless-fr", "fr-CA", anonymous, full, 1},
		{"awkward", "en", awkward, full, 120},
	} {
		for _, device := range []notifier.Registration{phone(), pc()} {
			t.Run(c.name+" "+string(device.Provider), func(t *testing.T) {
				device.Locale = c.locale
				n := notification(c.mail)
				n.Unread = c.unread
				composer := &Composer{languages: newLanguages()}
				p, err := composer.render(n, device, c.d)
				if err != nil {
					t.Fatal(err)
				}
				golden(t, c.name, device.Provider, p.Payload)
				checkPush(t, p, n, device)
			})
		}
	}
}

// golden compares with a recorded payload. The files hold exactly what goes to
// the provider, and a line break.
func golden(t *testing.T, name string, provider notifier.Provider, got []byte) {
	t.Helper()
	ending := ".golden.json"
	if provider == notifier.WNS {
		ending = ".golden.xml"
	}
	file := filepath.Join("testdata", name+ending)
	if *update {
		if err := os.WriteFile(file, append(bytes.Clone(got), '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want = bytes.TrimSuffix(want, []byte("\n")); !bytes.Equal(got, want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func checkPush(t *testing.T, p notifier.Push, n notifier.Notification, device notifier.Registration) {
	t.Helper()
	if p.ID != notifier.NewPushID(n.ID, device.Device) || !p.Registered.Equal(device.Created) || p.Item != n.Message.Item {
		t.Errorf("push %+v", p)
	}
	if device.Provider == notifier.APNs {
		if p.CollapseID == "" || len(p.CollapseID) > CollapseIDMax || p.Tag != "" || p.Badge != nil {
			t.Errorf("collapse ID %q, tag %q, badge %v", p.CollapseID, p.Tag, p.Badge)
		}
		return
	}
	if !regexp.MustCompile(`^[0-9A-Za-z]{16}$`).MatchString(p.Tag) {
		t.Errorf("tag %q", p.Tag)
	}
	if (p.Badge != nil) != (n.Unread >= 0) || p.Badge != nil && *p.Badge != n.Unread {
		t.Errorf("badge %v of %d unread", p.Badge, n.Unread)
	}
}

func TestWNSBadgeNeedsAChannelThatTakesIt(t *testing.T) {
	device := pc()
	device.WNS.Badge = false
	p, err := (&Composer{languages: newLanguages()}).render(notification(mail()), device, Decision{Notify: true, Show: ShowNothing})
	if err != nil || p.Badge != nil {
		t.Errorf("badge %v, %v", p.Badge, err)
	}
}

func TestLaunchSurvivesEveryItemID(t *testing.T) {
	m := mail()
	m.Item = "AAMk+/=&x=1 %ü"
	n := notification(m)
	payload, err := renderWNS(n, Decision{Show: ShowNothing}, text{"a", "b", ""})
	if err != nil {
		t.Fatal(err)
	}
	var x toast
	if err := xml.Unmarshal(payload, &x); err != nil {
		t.Fatal(err)
	}
	q, err := url.ParseQuery(x.Launch)
	if err != nil || q.Get("action") != "open" || q.Get("item") != string(m.Item) || q.Get("mailbox") != string(n.Mailbox) || q.Get("id") != string(n.ID) {
		t.Errorf("launch %q: %v, %v", x.Launch, q, err)
	}
}

func TestTwoMailsNeverMerge(t *testing.T) {
	a, b := notifier.NewNotificationID("a@x.test", "1"), notifier.NewNotificationID("a@x.test", "2")
	if collapseID(a) == collapseID(b) || tag(a) == tag(b) {
		t.Error("two mails have the same collapse ID or tag")
	}
}

func TestLanguageFollowsTheReader(t *testing.T) {
	l := newLanguages()
	for locale, want := range map[string]string{
		"en": "New message", "en-GB": "New message", "ja": "新着メール", "ja-JP": "新着メール", "de": "Neue Nachricht", "de-CH": "Neue Nachricht",
		"fr": "Nouveau message", "fr-CA": "Nouveau message", "": "New message", "tlh": "New message", "not a tag": "New message", "ko": "New message",
	} {
		if got := l.of(locale).newMail; got != want {
			t.Errorf("%q reads %q, want %q", locale, got, want)
		}
	}
	for _, s := range spoken {
		for _, p := range []string{s.newMail, s.openApp, s.noSubject, s.noSender, s.manyMails} {
			if p == "" || clean(p) != p {
				t.Errorf("%s: phrase %q", s.tag, p)
			}
		}
	}
}

func TestHiddenContentIsNowhereInThePayload(t *testing.T) {
	for _, show := range []Show{ShowSender, ShowNothing} {
		for _, device := range []notifier.Registration{phone(), pc()} {
			p, err := (&Composer{languages: newLanguages()}).render(notification(mail()), device, Decision{Notify: true, Show: show})
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{mail().Subject, mail().Preview} {
				if strings.Contains(string(p.Payload), secret) {
					t.Errorf("%s on %s: %s", show, device.Provider, p.Payload)
				}
			}
			if show == ShowNothing && strings.Contains(string(p.Payload), "Ada Example") {
				t.Errorf("%s on %s: %s", show, device.Provider, p.Payload)
			}
		}
	}
}

func TestBadgeIsAbsentWhenTheUnreadCountIsUnknown(t *testing.T) {
	n := notification(mail())
	for unread, want := range map[int]string{notifier.UnreadUnknown: "", 0: "0", 12: "12"} {
		n.Unread = unread
		payload, err := renderAPNs(n, Decision{Show: ShowNothing}, text{"a", "b", ""})
		if err != nil {
			t.Fatal(err)
		}
		var p struct {
			APS struct{ Badge json.Number } `json:"aps"`
		}
		if err := json.Unmarshal(payload, &p); err != nil || p.APS.Badge.String() != want {
			t.Errorf("%d unread: badge %q, %v", unread, p.APS.Badge, err)
		}
	}
}
