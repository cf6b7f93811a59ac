package loadgen

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// court is a judge of two mailboxes: a with an iPhone and a PC, b with a PC.
type court struct {
	*Judge
	results []Result
	now     time.Time
}

const theRun = "cafe"

var theStart = time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)

func newCourt() *court {
	c := &court{now: theStart}
	p := &Population{
		Devices:   []Device{{"phone", 0, IOS, "aa11"}, {"pc", 0, Windows, "https://x/1"}, {"pc2", 1, Windows, "https://x/2"}},
		Mailboxes: []string{"A@x.test", "b@x.test"}, first: []int{0, 2, 3},
	}
	c.Judge = NewJudge(p, theRun, func(slot int) (time.Time, bool) { return theStart, slot < 10 }, func(r Result) { c.results = append(c.results, r) })
	return c
}

// entry takes in what the journal would tell, as it tells it.
func (c *court) entry(e entry) *court {
	c.now = c.now.Add(100 * time.Millisecond)
	e.Time = c.now
	if o, ok := observe(e); ok {
		c.Observe(o)
	}
	return c
}

func (c *court) mail(mailbox, item string, slot int) *court {
	return c.entry(entry{Server: "exchange", Kind: "mail", Mailbox: mailbox, Item: item, Detail: map[string]string{"subject": subject(theRun, slot), "folder": "inbox"}})
}

func (c *court) phone(item string, status int, reason string) *court {
	body, _ := json.Marshal(map[string]any{"mailbell": map[string]string{"mailbox": "a@x.test", "item": item}})
	return c.entry(entry{Server: "apns", Kind: "push", Device: "aa11", Status: status, Reason: reason, Body: body})
}

func (c *court) pc(channel, item string, status int, reason string) *court {
	body, _ := json.Marshal(fmt.Sprintf(`<toast launch="mailbox=a%%40x.test&amp;item=%s"/>`, item))
	return c.entry(entry{Server: "wns", Kind: "push", Device: channel, Status: status, Reason: reason, Detail: map[string]string{"type": "wns/toast"}, Body: body})
}

func TestTheJudgeCountsFromTheJournalAlone(t *testing.T) {
	for _, c := range []struct {
		name  string
		story *court
		want  Counts
		finds string
	}{
		{
			"each device has its push",
			newCourt().mail("a@x.test", "i1", 0).phone("i1", 200, "").pc("https://x/1", "i1", 200, "received"),
			Counts{Mails: 1, Pushes: 2, Due: 2, Delivered: 2},
			"",
		},
		{
			"a device without a push has lost it",
			newCourt().mail("a@x.test", "i1", 0).phone("i1", 200, ""),
			Counts{Mails: 1, Pushes: 1, Due: 2, Delivered: 1, Lost: 1},
			"lost: pc",
		},
		{
			"a second push is a duplicate",
			newCourt().mail("b@x.test", "i1", 0).pc("https://x/2", "i1", 200, "received").pc("https://x/2", "i1", 200, "received"),
			Counts{Mails: 1, Pushes: 2, Due: 1, Delivered: 1, Duplicated: 1},
			"duplicated: pc2",
		},
		{
			"a push for no mail is unexpected",
			newCourt().phone("i9", 200, ""),
			Counts{Pushes: 1, Unexpected: 1},
			"unexpected: phone",
		},
		{
			"a push for another's mail is unexpected",
			newCourt().mail("b@x.test", "i1", 0).phone("i1", 200, "").pc("https://x/2", "i1", 200, "received"),
			Counts{Mails: 1, Pushes: 2, Due: 1, Delivered: 1, Unexpected: 1},
			"unexpected: phone",
		},
		{
			"a push to a stranger is unexpected",
			newCourt().mail("b@x.test", "i1", 0).pc("https://x/2", "i1", 200, "received").pc("https://x/3", "i1", 200, "received"),
			Counts{Mails: 1, Pushes: 2, Due: 1, Delivered: 1, Unexpected: 1},
			"no device of the population",
		},
		{
			"a push without a mail in it is unexpected",
			newCourt().entry(entry{Server: "apns", Kind: "push", Device: "aa11", Status: 200, Body: json.RawMessage(`"?"`)}),
			Counts{Pushes: 1, Unexpected: 1},
			"unexpected: phone",
		},
		{
			"a refusal that may be repeated changes nothing",
			newCourt().mail("b@x.test", "i1", 0).pc("https://x/2", "i1", 503, "").pc("https://x/2", "i1", 406, "").pc("https://x/2", "i1", 200, "received"),
			Counts{Mails: 1, Pushes: 1, Due: 1, Delivered: 1},
			"",
		},
		{
			"a refusal for good suppresses the push",
			newCourt().mail("b@x.test", "i1", 0).pc("https://x/2", "i1", 200, "dropped"),
			Counts{Mails: 1, Due: 1, Suppressed: 1},
			"",
		},
		{
			"a push accepted after all is not suppressed",
			newCourt().mail("b@x.test", "i1", 0).pc("https://x/2", "i1", 200, "dropped").pc("https://x/2", "i1", 200, "received"),
			Counts{Mails: 1, Pushes: 1, Due: 1, Delivered: 1},
			"",
		},
		{
			"a device that is gone is due nothing, before and after",
			newCourt().mail("a@x.test", "i1", 0).mail("a@x.test", "i2", 1).phone("i2", 410, "Unregistered").mail("a@x.test", "i3", 2),
			Counts{Mails: 3, Due: 6, Suppressed: 3, Lost: 3},
			"gone: phone",
		},
		{
			"mail of others is nobody's business",
			newCourt().entry(entry{Server: "exchange", Kind: "mail", Mailbox: "a@x.test", Item: "i1", Detail: map[string]string{"subject": "Hello", "folder": "inbox"}}).phone("i1", 200, ""),
			Counts{},
			"",
		},
		{
			"mail outside of the Inbox, badges and requests do not count",
			newCourt().entry(entry{Server: "exchange", Kind: "mail", Mailbox: "a@x.test", Item: "i1", Detail: map[string]string{"subject": subject(theRun, 0), "folder": "junkemail"}}).
				entry(entry{Server: "wns", Kind: "push", Device: "https://x/1", Status: 200, Detail: map[string]string{"type": "wns/badge"}}).
				entry(entry{Server: "apns", Kind: "push", Device: "t", Status: 200, Body: json.RawMessage(`{"aps":{"badge":3,"content-available":1},"mailbell":{"mailbox":"a@x","update":true}}`)}).
				entry(entry{Server: "ews", Kind: "request", Status: 200}),
			Counts{},
			"",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.story.Counts(); got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			found := strings.Join(c.story.Findings(), "\n")
			if c.finds == "" && found != "" || !strings.Contains(found, c.finds) {
				t.Errorf("found %q, want %q", found, c.finds)
			}
		})
	}
}

func TestLatencyRunsFromThePlannedArrival(t *testing.T) {
	c := newCourt()
	c.now = theStart.Add(5 * time.Second) // the mail was sent that late
	c.mail("b@x.test", "i1", 0).pc("https://x/2", "i1", 200, "received")
	if len(c.results) != 1 || c.results[0].Latency() != 5200*time.Millisecond {
		t.Errorf("%+v", c.results)
	}
}

func TestTheJournalIsReadPageByPageAndGapsAreSeen(t *testing.T) {
	var all []entry
	for seq := uint64(1); seq <= 2*journalPage+5; seq++ {
		if seq != 7 && seq != 8 {
			all = append(all, entry{Seq: seq, Server: "exchange", Kind: "mail", Detail: map[string]string{"folder": "Inbox"}})
		}
	}
	j := journal{pages: func(_ context.Context, after uint64, limit int) ([]entry, uint64, error) {
		from := 0
		for from < len(all) && all[from].Seq <= after {
			from++
		}
		return all[from:min(from+limit, len(all))], uint64(len(all)), nil
	}}
	n := 0
	for range 2 { // nothing is told twice
		if err := j.read(t.Context(), func(Observation) { n++ }); err != nil {
			t.Fatal(err)
		}
	}
	if n != len(all) || j.lost != 2 {
		t.Errorf("%d of %d told, %d lost", n, len(all), j.lost)
	}
}

func TestQuantilesAreInMilliseconds(t *testing.T) {
	m := newMeter(theStart)
	for i := range 1000 {
		m.take(Result{Kind: Delivered, Planned: theStart.Add(time.Duration(i) * time.Millisecond), At: theStart.Add(time.Duration(2*i+1) * time.Millisecond)})
	}
	m.take(Result{Kind: Duplicated, At: theStart.Add(time.Hour)})
	near := func(got, want float64) bool { return math.Abs(got-want) <= 0.01*want }
	if l := m.latency(); !near(l.P50, 500) || !near(l.P90, 900) || !near(l.P99, 990) || !near(l.P999, 999) || !near(l.Max, 1000) {
		t.Errorf("%+v", l)
	}
	cdf := m.cdf()
	if last := cdf[len(cdf)-1]; last.Share != 1 || !near(last.MS, 1000) || len(cdf) > cdfPointsMax {
		t.Errorf("%d points, the last %+v", len(cdf), last)
	}
}
