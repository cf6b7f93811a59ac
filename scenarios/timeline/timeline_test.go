package timeline

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"mailbell/fakes/journal"
)

func entry(seconds int, e journal.Entry) journal.Entry {
	e.Time = time.Date(2026, 11, 26, 12, 0, seconds, 0, time.UTC)
	return e
}

func TestAMailLastsUntilItsFirstAcceptedPush(t *testing.T) {
	apns := func(status int) journal.Entry {
		return journal.Entry{Server: "apns", Kind: "push", Status: status, Device: "aabbccddeeff", Body: json.RawMessage(`{"mailbell":{"item":"AAM+/="}}`)}
	}
	marks := read([]journal.Entry{
		entry(0, journal.Entry{Server: "story", Kind: "blow", Detail: map[string]string{"text": "apns outage"}}),
		entry(1, journal.Entry{Server: "exchange", Kind: "mail", Mailbox: "a@x.test", Item: "AAM+/=", Detail: map[string]string{"subject": "#1"}}),
		entry(2, apns(503)), entry(5, apns(200)), entry(9, apns(200)),
		entry(10, journal.Entry{Server: "ews", Kind: "stream-end", Reason: "cut", Detail: map[string]string{"took": "9s"}}),
		entry(11, journal.Entry{Server: "ews", Kind: "request", Status: 200}), // nothing to see
	})
	if len(marks) != 6 {
		t.Fatalf("%d marks: %+v", len(marks), marks)
	}
	if m := marks[1]; m.Lane != "mail" || m.At != 1000 || m.To != 5000 {
		t.Errorf("%+v", m)
	}
	if !marks[2].Bad || marks[3].Bad {
		t.Errorf("%+v, %+v", marks[2], marks[3])
	}
	if m := marks[5]; m.At != 1000 || m.To != 10000 || !m.Bad {
		t.Errorf("%+v", m)
	}
}

func TestAToastIsFoundByItsItem(t *testing.T) {
	body, err := json.Marshal(`<toast launch="action=open&amp;id=n1&amp;mailbox=a%40x.test&amp;item=AAM%2B%2F%3D">`)
	if err != nil {
		t.Fatal(err)
	}
	if got := item(journal.Entry{Body: body}); got != "AAM+/=" {
		t.Errorf("%q", got)
	}
}

func TestThePageNeedsNothingElseAndNoSubjectBreaksIt(t *testing.T) {
	var b bytes.Buffer
	err := Write(&b, "seed <7>\nthe plan", []journal.Entry{entry(0, journal.Entry{Server: "exchange", Kind: "mail", Detail: map[string]string{"subject": "</script><script>alert(1)</script>"}})})
	if err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if strings.Contains(text, "</script><script>alert") || strings.Contains(text, "seed <7>") || strings.Contains(text, "http") {
		t.Errorf("%s", text)
	}
}
