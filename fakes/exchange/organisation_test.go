package exchange

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"mailbell/fakes/iisauth"
	"mailbell/fakes/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ada = "ada@contoso.test"

func newOrganisation(t testing.TB, options Options) *Organisation {
	t.Helper()
	o, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.AddMailbox(ada, MailboxOptions{Aliases: []string{"Countess@contoso.test"}}); err != nil {
		t.Fatal(err)
	}
	return o
}

func deliver(t testing.TB, o *Organisation, to, raw string) Delivered {
	t.Helper()
	d, err := o.Deliver(Envelope{From: "eve@example.org", To: []string{to}, Raw: []byte(raw)})
	if err != nil {
		t.Fatal(err)
	}
	return d[0]
}

func TestEveryVersionHasARow(t *testing.T) {
	for _, v := range []Version{V2010SP2, V2013, V2016, V2019, VSE, VOnline} {
		b, err := BehaviourOf(v)
		if err != nil || b.Version != v || b.StreamsMax == 0 || b.RequestsMax == 0 || b.FindRowsMax == 0 || len(b.Schemas) == 0 || b.Label == "" {
			t.Errorf("%s: %+v, %v", v, b, err)
		}
	}
	if _, err := New(Options{Version: "2007"}); err == nil || !strings.Contains(err.Error(), "2010sp2") {
		t.Errorf("unknown version: %v, want the known ones named", err)
	}
}

func TestDeliverJournalsEachRecipient(t *testing.T) {
	j := journal.New()
	o := newOrganisation(t, Options{Journal: j})
	if err := o.AddMailbox("bob@contoso.test", MailboxOptions{}); err != nil {
		t.Fatal(err)
	}
	d, err := o.Deliver(Envelope{
		To:  []string{"countess@CONTOSO.test", "bob@contoso.test", "nobody@contoso.test"},
		Raw: []byte("From: \"Eve\" <eve@example.org>\r\nSubject: hi\r\nMessage-ID: <1@x>\r\n\r\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if d[0].Mailbox != ada || d[1].Mailbox != "bob@contoso.test" || !errors.Is(d[2].Err, ErrNoMailbox) {
		t.Errorf("delivered %+v", d)
	}
	entries := j.After(0)
	if len(entries) != 2 {
		t.Fatalf("%d entries, want 2", len(entries))
	}
	e := entries[0]
	if e.Server != "exchange" || e.Kind != "mail" || e.Mailbox != ada || e.Item != d[0].Item || e.Detail["subject"] != "hi" ||
		e.Detail["from_name"] != "Eve" || e.Detail["from_addr"] != "eve@example.org" || e.Detail["message_id"] != "<1@x>" {
		t.Errorf("entry %+v", e)
	}
	if _, err := o.Deliver(Envelope{}); err == nil {
		t.Error("an envelope without recipients was taken")
	}
}

func TestAccountsGoByTheirNames(t *testing.T) {
	o := newOrganisation(t, Options{})
	o.AddAccount(iisauth.Account{User: "svc", NetBIOS: "CONTOSO", DNSDomain: "contoso.test", UPN: "service@contoso.test"})
	for _, c := range []struct {
		user, domain string
		ok           bool
	}{
		{"svc", "", true},
		{"SVC", "contoso", true},
		{"svc", "contoso.test", true},
		{"Service@Contoso.test", "", true},
		{"svc", "FABRIKAM", false},
		{"other", "", false},
		{"svc@fabrikam.test", "", false},
		{"", "", false},
	} {
		if _, ok := o.LookupAccount(c.user, c.domain); ok != c.ok {
			t.Errorf("%q in %q: %v, want %v", c.user, c.domain, ok, c.ok)
		}
	}
}

func TestSettingsFollowAMoveWhenItIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrganisation(t, Options{Servers: []string{"ex01", "ex02"}})
		if err := o.Move(ada, "ex02", time.Minute); err != nil {
			t.Fatal(err)
		}
		d := deliver(t, o, ada, "Subject: meanwhile\r\n\r\n")
		if s, _ := o.Settings("countess@contoso.test"); s.Server != "ex01" || s.Address != ada {
			t.Errorf("during the move: %+v", s)
		}
		if _, err := o.GetItem(ada, d.Item); !errors.Is(err, &Error{Code: CodeMailboxMove}) {
			t.Errorf("during the move: %v", err)
		}
		time.Sleep(time.Minute)
		if s, _ := o.Settings(ada); s.Server != "ex02" {
			t.Errorf("after the move: %+v", s)
		}
		if _, err := o.GetItem(ada, d.Item); err != nil {
			t.Errorf("after the move: %v", err)
		}
		if err := o.Move(ada, "ex03", 0); err == nil {
			t.Error("moved to a server that is not there")
		}
	})
}

func TestSubscriptionIDsNameTheirServer(t *testing.T) {
	for version, length := range map[Version]int{V2010SP2: 2 + 17 + 28, V2019: 2 + 17 + 48} {
		o := newOrganisation(t, Options{Version: version})
		id, refused := o.Subscribe(SubscribeRequest{Account: "svc", Mailbox: ada, Folders: []FolderRef{{Distinguished: Inbox}}, Kinds: []EventKind{NewMailEvent}})
		if refused != nil {
			t.Fatal(refused)
		}
		if host, ok := subscriptionHost(id); !ok || host != "ex01.contoso.test" || len(id) != (length+2)/3*4 {
			t.Errorf("%s: id %s of %q", version, id, host)
		}
	}
	for _, id := range []string{"", "AAA-", "AAAA", "!!!!", "EQBl"} {
		if _, ok := subscriptionHost(id); ok {
			t.Errorf("%q was taken for an id", id)
		}
	}
}

func TestTheSameSeedGivesTheSameIDs(t *testing.T) {
	id := func(seed int64) string { return deliver(t, newOrganisation(t, Options{Seed: seed}), ada, "").Item }
	first := id(1)
	if again, other := id(1), id(2); again != first || other == first {
		t.Error("ids do not follow the seed")
	}
}

func TestFindOrdersByReceivedTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrganisation(t, Options{})
		var ids []string
		for i := range 5 {
			ids = append(ids, deliver(t, o, ada, fmt.Sprintf("Subject: %d\r\n\r\n", i)).Item)
			if i%2 == 1 {
				time.Sleep(time.Second)
			}
		}
		out, err := o.MoveItem(ada, ids[1], JunkEmail)
		if err != nil {
			t.Fatal(err)
		}
		if ids[1], err = o.MoveItem(ada, out, Inbox); err != nil { // comes back with its old time
			t.Fatal(err)
		}
		page, refused := o.Find(ada, FindQuery{Folder: FolderRef{Distinguished: Inbox}, Max: 3})
		if refused != nil {
			t.Fatal(refused)
		}
		got := subjects(page.Items)
		if got != "4 3 2" || page.Last || page.Next != 3 || page.Total != 5 {
			t.Errorf("first page %s %+v", got, page)
		}
		page, _ = o.Find(ada, FindQuery{Folder: FolderRef{Distinguished: Inbox}, Offset: 3})
		if got := subjects(page.Items); got != "1 0" || !page.Last {
			t.Errorf("second page %s", got)
		}
		page, _ = o.Find(ada, FindQuery{Folder: FolderRef{Distinguished: Inbox}, Ascending: true, Max: 2})
		if got := subjects(page.Items); got != "0 1" {
			t.Errorf("ascending %s", got)
		}
	})
}

func subjects(items []Item) string {
	var out []string
	for _, it := range items {
		out = append(out, it.Message.Subject)
	}
	return strings.Join(out, " ")
}

func TestDecodeWords(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                                   "plain",
		"=?utf-8?Q?a=C3=A9_b?=":                   "aé b",
		"=?utf-8?q?a?= =?utf-8?q?b?=":             "ab",
		"=?utf-8?q?a?= x =?utf-8?q?b?=":           "a x b",
		"=?utf-8?q??= x":                          " x",
		"=?iso-8859-1?q?=E9?= =?utf-8?q?=C3=A9?=": "éé",
		"=?utf-8*en?q?lang?=":                     "lang",
		"=?utf-8?b?w?= =?utf-8?b?broken":          "=?utf-8?b?w?= =?utf-8?b?broken",
		"=?no-such?q?a?=":                         "a",
		"caf\xe9":                                 "café",
		"=?":                                      "=?",
		"=?=?=?utf-8?q?x?=":                       "=?=?x",
	} {
		if got := DecodeWords(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestPreviewIsTheTextFoldedAndCut(t *testing.T) {
	for _, c := range []struct{ name, raw, want string }{
		{"text", "Subject: x\r\n\r\n  one\r\n\ttwo  ", "one two"},
		{"HTML only", "Content-Type: text/html\r\n\r\n<html><style>p{}</style><p>one &amp; <b>two</b></p></html>", "one & two"},
		{"alternative", "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncaf=E9\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>no</p>\r\n--b--\r\n", "café"},
		{"broken boundary", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nstill", "still"},
	} {
		if got := Parse([]byte(c.raw)).Preview; got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// FuzzParse: any bytes are a mail, and its texts are UTF-8.
func FuzzParse(f *testing.F) {
	f.Add([]byte("From: =?iso-2022-jp?b?GyRCO00bKEI=?= <a@b>\r\nSubject: =?utf-8?q?=C3?=\r\n =?utf-8?q?=A9?=\r\n\r\nx"))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!\r\n--b--"))
	f.Add([]byte("Content-Type: text/calendar; method=REQUEST; charset=nonsense\r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := Parse(raw)
		for _, s := range []string{m.Subject, m.From.Name, m.Preview, m.Text} {
			if strings.ToValidUTF8(s, "") != s {
				t.Errorf("%q is not UTF-8", s)
			}
		}
		if n := len([]rune(m.Preview)); n > PreviewLenMax {
			t.Errorf("preview of %d characters", n)
		}
	})
}

func BenchmarkDeliver(b *testing.B) {
	o, err := New(Options{Journal: journal.New()})
	if err != nil {
		b.Fatal(err)
	}
	const mailboxes = 15_000
	for i := range mailboxes {
		address := fmt.Sprintf("m%d@contoso.test", i)
		if err := o.AddMailbox(address, MailboxOptions{}); err != nil {
			b.Fatal(err)
		}
		if _, refused := o.Subscribe(SubscribeRequest{Account: "svc", Mailbox: address, Folders: []FolderRef{{Distinguished: Inbox}}, Kinds: []EventKind{NewMailEvent}}); refused != nil {
			b.Fatal(refused)
		}
	}
	raw := []byte("From: Eve <eve@example.org>\r\nSubject: hello\r\nMessage-ID: <1@x>\r\n\r\nThe body.\r\n")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := o.Deliver(Envelope{To: []string{fmt.Sprintf("m%d@contoso.test", i%mailboxes)}, Raw: raw}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestStateCountsTheMailboxesThatAStreamServes(t *testing.T) {
	o := newOrganisation(t, Options{})
	s, err := o.Subscribe(SubscribeRequest{Account: "svc", Mailbox: ada, Server: "ex01", Folders: []FolderRef{{Distinguished: Inbox}}, Kinds: []EventKind{NewMailEvent}})
	if err != nil {
		t.Fatal(err)
	}
	if n := o.State().Streaming; n != 0 {
		t.Errorf("%d before there is a stream", n)
	}
	st, notices, err := o.OpenStream(StreamRequest{Server: "ex01", Account: "svc", Charge: AccountCharge("x"), Subscriptions: []string{s}})
	if err != nil || len(notices) > 0 {
		t.Fatal(err, notices)
	}
	if n := o.State().Streaming; n != 1 {
		t.Errorf("%d with an open stream", n)
	}
	st.Close()
	if n := o.State().Streaming; n != 0 {
		t.Errorf("%d after its end", n)
	}
}
