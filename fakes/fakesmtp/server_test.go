package fakesmtp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/smtp"
	"net/textproto"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/text/encoding/japanese"

	"mailbell/fakes/exchange"
	"mailbell/fakes/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type entrance struct {
	org     *exchange.Organisation
	journal *journal.Journal
	addr    string
}

func start(t *testing.T, options Options) entrance {
	t.Helper()
	j := journal.New()
	org, err := exchange.New(exchange.Options{Journal: j})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{"ada@contoso.test", "bob@contoso.test"} {
		if err := org.AddMailbox(a, exchange.MailboxOptions{Aliases: []string{"alias." + a}}); err != nil {
			t.Fatal(err)
		}
	}
	options.Organisation, options.Journal = org, j
	server, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return entrance{org: org, journal: j, addr: l.Addr().String()}
}

func (e entrance) send(t *testing.T, raw []byte, to ...string) error {
	t.Helper()
	return smtp.SendMail(e.addr, nil, "sender@example.org", to, raw)
}

func (e entrance) mails() []journal.Entry {
	var out []journal.Entry
	for _, entry := range e.journal.After(0) {
		if entry.Server == "exchange" && entry.Kind == "mail" {
			out = append(out, entry)
		}
	}
	return out
}

func message(headers ...string) []byte {
	return []byte(strings.Join(append(headers, "", "Body."), "\r\n"))
}

func TestWhatIsJournalledIsWhatWasMailed(t *testing.T) {
	japaneseText := "四半期の数字をお送りします"
	iso, err := japanese.ISO2022JP.NewEncoder().String(japaneseText)
	if err != nil {
		t.Fatal(err)
	}
	long := string([]rune(strings.Repeat("Größe und Maß der dreihundert Zeichen ", 10))[:300])
	attachment := bytes.Repeat([]byte("0123456789abcdef"), 10<<20/16)
	cases := []struct {
		name              string
		raw               []byte
		subject           string
		fromName, address string
	}{
		{"Japanese subject in ISO-2022-JP", message("From: =?ISO-2022-JP?B?"+b64(mustISO(t, "山田太郎"))+"?= <taro@example.jp>",
			"Subject: =?ISO-2022-JP?B?"+b64(iso)+"?="), japaneseText, "山田太郎", "taro@example.jp"},
		{"Japanese subject in raw ISO-2022-JP", message("From: a@example.jp", "Subject: "+iso), japaneseText, "", "a@example.jp"},
		{
			"emoji", message(`From: "Zoë 🎈" <zoe@example.org>`, "Subject: =?utf-8?q?=F0=9F=8E=89_Party!_=F0=9F=A7=91=E2=80=8D=F0=9F=9A=80?="),
			"🎉 Party! 🧑‍🚀", "Zoë 🎈", "zoe@example.org",
		},
		{
			"300 characters folded over encoded words", message("From: <long@example.org>", "Subject: "+strings.ReplaceAll(mime.QEncoding.Encode("utf-8", long), "?= =?", "?=\r\n =?")),
			long, "", "long@example.org",
		},
		{
			"a character cut in two by the fold", message("From: x@example.org", "Subject: =?UTF-8?B?"+b64("caf\xc3")+"?=\r\n =?UTF-8?B?"+b64("\xa9 au lait")+"?="),
			"café au lait", "", "x@example.org",
		},
		{"plain text folded", message("From: x@example.org", "Subject: one two\r\n three\r\n\tfour"), "one two three\tfour", "", "x@example.org"},
		{"empty subject", message("From: Eve <eve@example.org>", "Subject: "), "", "Eve", "eve@example.org"},
		{"no subject", message("From: Eve <eve@example.org>"), "", "Eve", "eve@example.org"},
		{"a sender without a name", message("From: nobody@example.org", "Subject: hi"), "hi", "", "nobody@example.org"},
		{"no sender", message("Subject: hi"), "hi", "", ""},
		{"a 10-MB attachment", withAttachment("big", attachment), "big", "Big", "big@example.org"},
		{
			"broken MIME", message("From: <unclosed@example.org", "Subject: =?utf-8?b?broken", "Content-Type: multipart/mixed; boundary=", "not a header"),
			"=?utf-8?b?broken", "<unclosed@example.org", "",
		},
		{"no header at all", []byte("just text\r\n"), "", "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			e := start(t, Options{})
			if err := e.send(t, c.raw, "ada@contoso.test"); err != nil {
				t.Fatal(err)
			}
			mails := e.mails()
			if len(mails) != 1 {
				t.Fatalf("%d mails journalled, want 1", len(mails))
			}
			d := mails[0].Detail
			if d["subject"] != c.subject {
				t.Errorf("subject %q, want %q", d["subject"], c.subject)
			}
			if c.name != "broken MIME" && (d["from_name"] != c.fromName || d["from_addr"] != c.address) {
				t.Errorf("from %q <%s>, want %q <%s>", d["from_name"], d["from_addr"], c.fromName, c.address)
			}
		})
	}
}

func TestRecipients(t *testing.T) {
	e := start(t, Options{})
	if err := e.send(t, message("Subject: both"), "ADA@contoso.test", "alias.bob@contoso.test"); err != nil {
		t.Fatal(err)
	}
	mails := e.mails()
	if len(mails) != 2 || mails[0].Mailbox != "ada@contoso.test" || mails[1].Mailbox != "bob@contoso.test" || mails[0].Item == mails[1].Item {
		t.Errorf("mails %+v, want one for ada and one for bob", mails)
	}
	for _, c := range []struct{ to, want string }{
		{"nobody@contoso.test", "5.1.1"},
		{"ada@elsewhere.test", "5.7.54"},
	} {
		var refused *textproto.Error
		if err := e.send(t, message("Subject: x"), c.to); !errors.As(err, &refused) || refused.Code != 550 || !strings.HasPrefix(refused.Msg, c.want) {
			t.Errorf("%s: %v, want 550 %s", c.to, err, c.want)
		}
	}
}

func TestTooLargeAMessageIsRefusedAndTheSessionGoesOn(t *testing.T) {
	const limit = 100 << 10
	e := start(t, Options{MaxBytes: limit})
	client, err := smtp.Dial(e.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	header := message("Subject: size")
	transaction := func(raw []byte) error {
		if err := client.Mail("a@example.org"); err != nil {
			return err
		}
		if err := client.Rcpt("ada@contoso.test"); err != nil {
			return err
		}
		w, err := client.Data()
		if err != nil {
			return err
		}
		if _, err := w.Write(raw); err != nil {
			return err
		}
		return w.Close()
	}
	var refused *textproto.Error
	if err := transaction(append(header[:len(header):len(header)], bytes.Repeat([]byte("0123456789\r\n"), limit/12+10)...)); !errors.As(err, &refused) || refused.Code != 552 || !strings.HasPrefix(refused.Msg, "5.3.4") {
		t.Fatalf("too large a message: %v, want 552 5.3.4", err)
	}
	if err := transaction(append(header[:len(header):len(header)], bytes.Repeat([]byte("0123456789\r\n"), limit/12-10)...)); err != nil {
		t.Fatalf("a message within the limit, on the same connection: %v", err)
	}
	if n := len(e.mails()); n != 1 {
		t.Errorf("%d mails delivered, want 1", n)
	}
	if err := client.Quit(); err != nil {
		t.Error(err)
	}
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func mustISO(t *testing.T, s string) string {
	t.Helper()
	out, err := japanese.ISO2022JP.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func withAttachment(subject string, content []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: Big <big@example.org>\r\nSubject: %s\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=frontier\r\n\r\n", subject)
	fmt.Fprintf(&b, "--frontier\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nSee the attachment.\r\n")
	fmt.Fprintf(&b, "--frontier\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=big.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	encoded := base64.StdEncoding.EncodeToString(content)
	for len(encoded) > 76 {
		b.WriteString(encoded[:76] + "\r\n")
		encoded = encoded[76:]
	}
	fmt.Fprintf(&b, "%s\r\n--frontier--\r\n", encoded)
	return b.Bytes()
}
