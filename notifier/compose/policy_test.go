package compose

import (
	"strings"
	"testing"
	"time"

	"mailbell/notifier"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func phone() notifier.Registration {
	return notifier.Registration{
		Device: "phone", Mailbox: "ada@contoso.test", Provider: notifier.APNs, Locale: "en", Created: noon.Add(-time.Hour),
		APNs: &notifier.APNsAddress{Token: "ab", Topic: "test.contoso.mail", Environment: notifier.Production},
	}
}

func pc() notifier.Registration {
	return notifier.Registration{
		Device: "pc", Mailbox: "ada@contoso.test", Provider: notifier.WNS, Locale: "en", Created: noon.Add(-time.Hour),
		WNS: &notifier.WNSAddress{Channel: "https://db5p.notify.windows.com/?token=x", Badge: true},
	}
}

func mail() notifier.Message {
	return notifier.Message{
		Item: "AAMkAD/1+a=", Class: "IPM.Note", Subject: "Figures for March", FromName: "Ada Example", FromAddr: "ada@example.test",
		Preview: "Here they are.", Received: noon, Importance: "Normal",
	}
}

func notification(m notifier.Message) notifier.Notification {
	return notifier.Notification{
		ID: notifier.NewNotificationID("ada@contoso.test", m.Item), Mailbox: "ada@contoso.test", Message: m,
		Source: notifier.FromStream, Noticed: noon, Unread: 7,
	}
}

func TestPolicyDecides(t *testing.T) {
	tokyo, err := time.LoadLocation("Asia/Tokyo") // noon UTC is 21:00 there
	if err != nil {
		t.Fatal(err)
	}
	served := func(change func(*Rule)) Rule {
		r := Rule{Mailbox: "*", Approved: true}
		if change != nil {
			change(&r)
		}
		return r
	}
	with := func(change func(*notifier.Message)) notifier.Message {
		m := mail()
		change(&m)
		return m
	}
	yes := Decision{Notify: true, Show: ShowEverything, Sound: SoundDefault, Expires: noon.Add(ExpiryDefault)}
	but := func(change func(*Decision)) Decision {
		d := yes
		change(&d)
		return d
	}
	no := func(reason string) Decision { return Decision{Reason: reason} }

	for _, c := range []struct {
		name  string
		rules []Rule
		mail  notifier.Message
		want  Decision
	}{
		{"no rule serves nobody", nil, mail(), no(notifier.ReasonNotApproved)},
		{"a rule for others serves nobody else", []Rule{{Mailbox: "*@fabrikam.test", Approved: true}}, mail(), no(notifier.ReasonNotApproved)},
		{"a subdomain is another domain", []Rule{{Mailbox: "*@test", Approved: true}}, mail(), no(notifier.ReasonNotApproved)},
		{"a rule without approval refuses", []Rule{{Mailbox: "*"}}, mail(), no(notifier.ReasonNotApproved)},
		{"the domain's rule counts without case", []Rule{{Mailbox: "*@CONTOSO.test", Approved: true}}, mail(), yes},
		{"the address's rule counts without case", []Rule{{Mailbox: "Ada@contoso.test", Approved: true}}, mail(), yes},
		{"the first rule that fits counts, not the closest", []Rule{{Mailbox: "*"}, {Mailbox: "ada@contoso.test", Approved: true}}, mail(), no(notifier.ReasonNotApproved)},
		{"a rule that fits stops the search", []Rule{{Mailbox: "ada@contoso.test", Approved: true, Show: ShowSender}, served(nil)}, mail(), but(func(d *Decision) { d.Show = ShowSender })},

		{"read elsewhere", []Rule{served(nil)}, with(func(m *notifier.Message) { m.Read = true }), no(notifier.ReasonAlreadyRead)},
		{"received before the registration", []Rule{served(nil)}, with(func(m *notifier.Message) { m.Received = noon.Add(-time.Hour - RegistrationTolerance - time.Second) }), no(notifier.ReasonOld)},
		{"received within the tolerance", []Rule{served(nil)}, with(func(m *notifier.Message) { m.Received = noon.Add(-time.Hour - RegistrationTolerance) }), yes},

		{"a preview on request", []Rule{served(func(r *Rule) { r.Preview = true })}, mail(), but(func(d *Decision) { d.Preview = true })},
		{"no preview beside the sender only", []Rule{served(func(r *Rule) { r.Show, r.Preview = ShowSender, true })}, mail(), but(func(d *Decision) { d.Show = ShowSender })},
		{"nothing", []Rule{served(func(r *Rule) { r.Show = ShowNothing })}, mail(), but(func(d *Decision) { d.Show = ShowNothing })},

		{"not important", []Rule{served(func(r *Rule) { r.ImportantOnly = true })}, mail(), no(notifier.ReasonPolicy)},
		{"important", []Rule{served(func(r *Rule) { r.ImportantOnly = true })}, with(func(m *notifier.Message) { m.Importance = "High" }), yes},

		{"a meeting request", []Rule{served(func(r *Rule) { r.Suppress = []Kind{Meetings} })}, with(func(m *notifier.Message) { m.Class = "IPM.Schedule.Meeting.Request" }), no(notifier.ReasonPolicy)},
		{"a class that only looks like a meeting", []Rule{served(func(r *Rule) { r.Suppress = []Kind{Meetings} })}, with(func(m *notifier.Message) { m.Class = "IPM.Schedule.MeetingRoom" }), yes},
		{"a report", []Rule{served(func(r *Rule) { r.Suppress = []Kind{OutOfOffice, Reports} })}, with(func(m *notifier.Message) { m.Class = "REPORT.IPM.Note.NDR" }), no(notifier.ReasonPolicy)},
		{"an automatic reply", []Rule{served(func(r *Rule) { r.Suppress = []Kind{OutOfOffice} })}, with(func(m *notifier.Message) { m.Class = "IPM.Note.Rules.OofTemplate.Microsoft" }), no(notifier.ReasonPolicy)},
		{"a signed mail is mail", []Rule{served(func(r *Rule) { r.Suppress = []Kind{Meetings, Reports, OutOfOffice} })}, with(func(m *notifier.Message) { m.Class = "IPM.Note.SMIME.MultipartSigned" }), yes},
		{"a meeting where nothing is suppressed", []Rule{served(nil)}, with(func(m *notifier.Message) { m.Class = "IPM.Schedule.Meeting.Request" }), yes},

		{"quiet hours silence and do not suppress", []Rule{served(func(r *Rule) { r.QuietHours = QuietHours{21 * time.Hour, 7 * time.Hour, tokyo} })}, mail(), but(func(d *Decision) { d.Silent, d.Sound = true, "" })},
		{"quiet hours of another place", []Rule{served(func(r *Rule) { r.QuietHours = QuietHours{21 * time.Hour, 7 * time.Hour, time.UTC} })}, mail(), yes},
		{"no sound", []Rule{served(func(r *Rule) { r.Sound = SoundNone })}, mail(), but(func(d *Decision) { d.Silent, d.Sound = true, "" })},
		{"a sound of the app", []Rule{served(func(r *Rule) { r.Sound = "bell.caf" })}, mail(), but(func(d *Decision) { d.Sound = "bell.caf" })},
		{"an expiry", []Rule{served(func(r *Rule) { r.Expiry = time.Hour })}, mail(), but(func(d *Decision) { d.Expires = noon.Add(time.Hour) })},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Policy{Rules: c.rules}
			if err := p.Validate(); err != nil {
				t.Fatal(err)
			}
			if got := p.Decide(phone(), notification(c.mail), noon); got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestQuietHoursSpanMidnightAndFollowTheClockOnTheWall(t *testing.T) {
	berlin, err := ParseQuietHours("22:00", "07:00", "Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	lunch := QuietHours{From: 12 * time.Hour, To: 13 * time.Hour}
	for _, c := range []struct {
		hours QuietHours
		at    string
		want  bool
	}{
		{berlin, "2026-07-01T19:59:59Z", false}, // summer: two hours ahead
		{berlin, "2026-07-01T20:00:00Z", true},
		{berlin, "2026-07-01T23:30:00Z", true},
		{berlin, "2026-07-02T04:59:59Z", true},
		{berlin, "2026-07-02T05:00:00Z", false},
		{berlin, "2026-12-01T20:30:00Z", false}, // winter: one hour
		{berlin, "2026-12-01T21:00:00Z", true},
		{lunch, "2026-12-01T11:59:59Z", false},
		{lunch, "2026-12-01T12:00:00Z", true},
		{lunch, "2026-12-01T13:00:00Z", false},
		{QuietHours{}, "2026-12-01T00:00:00Z", false},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.hours.Contain(at); got != c.want {
			t.Errorf("%v contain %s: %v", c.hours, c.at, got)
		}
	}
}

func TestPolicyRefusesWhatItCannotApply(t *testing.T) {
	for _, c := range []struct {
		rule Rule
		says string
	}{
		{Rule{Mailbox: ""}, "mailbox"},
		{Rule{Mailbox: "contoso.test"}, "mailbox"},
		{Rule{Mailbox: "a*@contoso.test"}, "star"},
		{Rule{Mailbox: "*@*.test"}, "star"},
		{Rule{Mailbox: "*", Show: "all"}, "show"},
		{Rule{Mailbox: "*", Suppress: []Kind{"spam"}}, "suppress"},
		{Rule{Mailbox: "*", Expiry: time.Second}, "expiry"},
		{Rule{Mailbox: "*", Expiry: -time.Hour}, "expiry"},
		{Rule{Mailbox: "*", Expiry: 30 * 24 * time.Hour}, "expiry"},
		{Rule{Mailbox: "*", Sound: "a/b"}, "sound"},
		{Rule{Mailbox: "*", Sound: strings.Repeat("a", 65)}, "sound"},
		{Rule{Mailbox: "*", QuietHours: QuietHours{From: 25 * time.Hour}}, "quiet hours"},
	} {
		err := Policy{Rules: []Rule{{Mailbox: "*"}, c.rule}}.Validate()
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "rule 2") {
			t.Errorf("%+v: %v", c.rule, err)
		}
	}
	for _, c := range [][3]string{{"7", "8:00", ""}, {"22:00", "24:00", ""}, {"22:00", "22:00", ""}, {"22:00", "07:00", "Mars/Olympus"}, {"22:00", "07:00", "Local"}} {
		if _, err := ParseQuietHours(c[0], c[1], c[2]); err == nil || !strings.Contains(err.Error(), "quiet hours") {
			t.Errorf("%v: %v", c, err)
		}
	}
}
