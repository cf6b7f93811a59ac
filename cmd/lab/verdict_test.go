package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"mailbell/fakes/fakedevice"
	"mailbell/fakes/journal"
)

// stage has two devices of one mailbox, and one letter that both were told of.
type stage struct {
	devices []*device
	letter  letter
	entries []journal.Entry
}

func newStage() *stage {
	s := &stage{letter: letter{About: "x", Name: "Ada", Address: "ada@fabrikam.test", Subject: "Figures", Text: "Here they are.", ID: "<1@x>"}}
	for _, d := range []sample{{ID: "phone", Name: "Phone", Kind: kindPhone, Locale: "en"}, {ID: "pc", Name: "PC", Kind: kindPC, Locale: "de"}} {
		one := &device{sample: d, Mailbox: "taro@contoso.test", app: &fakedevice.Device{APNs: &fakedevice.APNs{Token: "token"}}}
		if d.Kind == kindPC {
			one.app = &fakedevice.Device{WNS: &fakedevice.WNS{Channel: "https://channel"}}
		}
		s.devices = append(s.devices, one)
	}
	s.entries = []journal.Entry{
		s.mail("item", "taro@contoso.test", "Figures"),
		{Server: "ews", Kind: "notification", Item: "item", Time: moment(2)},
		{Server: "ews", Kind: "request", Operation: "GetItem", Item: "item", Status: 200, Time: moment(3)},
		apnsEntry("token", "id", "item", "Ada", "Figures", "Here they are."),
		wnsEntry("https://channel", "id", "item", "Ada", "Figures", "Here they are."),
	}
	return s
}

func moment(ms int) time.Time { return time.Unix(1_800_000_000, int64(ms)*1e6) }

func (s *stage) mail(item, mailbox, subject string) journal.Entry {
	return journal.Entry{Server: "exchange", Kind: "mail", Item: item, Mailbox: mailbox, Time: moment(0), Detail: map[string]string{
		"subject": subject, "from_name": "Ada", "from_addr": "ada@fabrikam.test", "message_id": "<1@x>",
	}}
}

func apnsEntry(token, id, item string, lines ...string) journal.Entry {
	body, err := json.Marshal(map[string]any{
		"aps":      map[string]any{"alert": map[string]string{"title": lines[0], "subtitle": lines[1], "body": lines[2]}, "badge": 4},
		"mailbell": map[string]string{"id": id, "item": item},
	})
	if err != nil {
		panic(err)
	}
	return journal.Entry{Server: "apns", Kind: "push", Device: token, Status: 200, Time: moment(9), Body: body}
}

func wnsEntry(channel, id, item string, lines ...string) journal.Entry {
	text := fmt.Sprintf(`<toast launch="action=open&amp;id=%s&amp;item=%s"><visual><binding template="ToastGeneric"><text hint-maxLines="1">%s</text><text>%s</text><text>%s</text><text placement="attribution">taro@contoso.test</text></binding></visual></toast>`,
		id, item, lines[0], lines[1], lines[2])
	body, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return journal.Entry{Server: "wns", Kind: "push", Device: channel, Status: 200, Reason: "received", Time: moment(12), Detail: map[string]string{"type": "wns/toast"}, Body: body}
}

func (s *stage) judge() verdict {
	t := newTrail(s.devices)
	for _, e := range s.entries {
		t.follow(e)
	}
	return judge(t, s.devices, []letter{s.letter}, true)
}

func TestAStoryAsPromisedHasNoFindings(t *testing.T) {
	s := newStage()
	s.entries = append(s.entries, s.entries[3]) // a repeat with the same ID is allowed
	v := s.judge()
	if !v.OK() || v.Expected != 2 || v.Accepted != 2 || v.Repeats != 1 {
		t.Errorf("verdict %+v", v)
	}
	if v.median() != 9*time.Millisecond || v.longest() != 12*time.Millisecond {
		t.Errorf("took %v", v.Took)
	}
}

func TestWhateverIsNotAsPromisedIsFound(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*stage)
		says  string
	}{
		{"a push that never came", func(s *stage) { s.entries = s.entries[:4] }, "PC: no push was accepted"},
		{"a push that was refused", func(s *stage) { s.entries[3].Status = 503 }, "Phone: no push was accepted"},
		{"a toast that was dropped", func(s *stage) { s.entries[4].Reason = "dropped" }, "PC: no push was accepted"},
		{"a mail that never arrived", func(s *stage) { s.entries = s.entries[1:] }, "not in the mailbox"},
		{"another push of the same mail", func(s *stage) {
			s.entries = append(s.entries, apnsEntry("token", "other", "item", "Ada", "Figures", "Here they are."))
		}, "twice with different IDs"},
		{"another subject", func(s *stage) {
			s.entries[3] = apnsEntry("token", "id", "item", "Ada", "Figures!", "Here they are.")
		}, `line 2 is "Figures!"`},
		{"a subject in the wrong encoding", func(s *stage) { s.letter.Subject = "Figürs" }, "Exchange reads"},
		{"one character less", func(s *stage) {
			s.entries[4] = wnsEntry("https://channel", "id", "item", "Ada", "Figure", "Here they are.")
		}, `line 2 is "Figure"`},
		{"shortened without need", func(s *stage) {
			s.entries[3] = apnsEntry("token", "id", "item", "Ada", "Fig…", "Here they are.")
		}, "shortened although"},
		{"a line too few", func(s *stage) {
			s.entries[3] = apnsEntry("token", "id", "item", "Ada", "", "Here they are.")
		}, "shows 2 lines"},
		{"somebody else's mail", func(s *stage) {
			s.entries = append(s.entries, s.mail("foreign", "ben@contoso.test", "Secret"), apnsEntry("token", "id2", "foreign", "Ada", "Secret", "x"))
		}, "phone was told of a mail in ben@contoso.test"},
		{"a mail that nobody sent", func(s *stage) {
			e := s.mail("more", "taro@contoso.test", "More")
			e.Detail["message_id"] = "<2@x>"
			s.entries = append(s.entries, e, apnsEntry("token", "id2", "more", "Ada", "More", "x"))
		}, "none of the story's"},
		{"what policy hides", func(s *stage) { s.devices[0].Hidden = true }, "it shows what policy hides"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage()
			c.spoil(s)
			v := s.judge()
			if v.OK() || !strings.Contains(strings.Join(v.Findings, "\n"), c.says) {
				t.Errorf("findings %q; want one with %q", v.Findings, c.says)
			}
		})
	}
}

func TestALongTextMayBeShortenedToTheLimit(t *testing.T) {
	s := newStage()
	s.letter.Text = strings.Repeat("long ", 2000)
	for i, limit := range map[int]int{3: apnsPayloadMax, 4: wnsPayloadMax} {
		for n := limit; ; n-- {
			if i == 3 {
				s.entries[i] = apnsEntry("token", "id", "item", "Ada", "Figures", s.letter.Text[:n]+"…")
			} else {
				s.entries[i] = wnsEntry("https://channel", "id", "item", "Ada", "Figures", s.letter.Text[:n]+"…")
			}
			if p, _ := readPush(s.entries[i]); len(p.Payload) <= limit {
				break
			}
		}
	}
	if v := s.judge(); !v.OK() {
		t.Errorf("findings %q", v.Findings)
	}
}

func TestAMailIsFollowedHopByHop(t *testing.T) {
	s := newStage()
	refused := apnsEntry("token", "id", "item", "Ada", "Figures", "Here they are.")
	refused.Status, refused.Reason, refused.Time = 503, "ServiceUnavailable", moment(5)
	s.entries = append(s.entries[:3:3], append([]journal.Entry{refused}, s.entries[3:]...)...)
	trail := newTrail(s.devices)
	var told []string
	for _, e := range s.entries {
		for _, e := range trail.follow(e) {
			text, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			told = append(told, e.name()+" "+string(text))
		}
	}
	want := []string{
		`mail {"item":"item","subject":"Figures","from":"Ada","mailbox":"taro@contoso.test"}`,
		`hop {"item":"item","kind":"told","name":"told by the stream","detail":"","ms":2,"times":1}`,
		`hop {"item":"item","kind":"read"`,
		`hop {"item":"item","kind":"bad","name":"Phone: APNs said 503 ServiceUnavailable","detail":"","ms":5,"times":1}`,
		`hop {"item":"item","kind":"push","name":"Phone: APNs accepted","detail":"","ms":9,"times":1}`,
		`push {"device":"phone","item":"item","lines":["Ada","Figures","Here they are."],"badge":"4","ms":9}`,
		`hop {"item":"item","kind":"push","name":"PC: WNS accepted","detail":"","ms":12,"times":1}`,
		`push {"device":"pc","item":"item","lines":["Ada","Figures","Here they are."],"badge":"","ms":12}`,
	}
	if len(told) != len(want) {
		t.Fatalf("told %s", strings.Join(told, "\n"))
	}
	for i := range want {
		if !strings.HasPrefix(told[i], want[i]) {
			t.Errorf("%d: %s\nwant %s", i, told[i], want[i])
		}
	}
}

func TestATrailForgetsTheOldest(t *testing.T) {
	s := newStage()
	trail := newTrail(s.devices)
	for i := range 2 * mailsMax {
		trail.follow(s.mail(fmt.Sprint(i), "taro@contoso.test", "x"))
	}
	if len(trail.order) != mailsMax || len(trail.mails) != mailsMax || trail.mails["0"] != nil {
		t.Errorf("%d mails in order, %d by item", len(trail.order), len(trail.mails))
	}
}
