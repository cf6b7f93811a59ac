package watch_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mailbell/fakes/exchange"
	"mailbell/notifier"
	"mailbell/notifier/watch"
)

func TestAPlanDoesTheArithmeticOfTheSheet(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    watch.PlanOptions
		want string // accounts, mailboxes each, streams, with the short ones, requests at start-up, time
	}{
		{"one mailbox", watch.PlanOptions{Mailboxes: 1, Exchange: "2019"}, "1 1 1 2 4 150ms"},
		{"a full stream", watch.PlanOptions{Mailboxes: 200, Exchange: "2019"}, "1 200 1 2 405 2.6s"},
		{"one more than a full stream", watch.PlanOptions{Mailboxes: 201, Exchange: "2019"}, "1 201 2 4 409 2.7s"},
		{"the reference's 15,000", watch.PlanOptions{Mailboxes: 15000, Exchange: "2013"}, "12 1250 84 168 30384 19.45s"},
		{"the same over eight groups", watch.PlanOptions{Mailboxes: 15000, Exchange: "online", Groups: 8}, "12 1250 96 192 30396 19.45s"},
		{"an account of its own size", watch.PlanOptions{Mailboxes: 1000, Exchange: "se", AccountMailboxes: 500, Latency: 10 * time.Millisecond}, "2 500 6 12 2026 1.31s"},
	} {
		p, err := watch.MakePlan(tt.o)
		got := fmt.Sprint(p.Accounts, p.PerAccount, p.Streams, p.StreamsMost, p.Requests(), " ", p.StartUp)
		if err != nil || strings.Join(strings.Fields(got), " ") != tt.want || len(p.Problems) > 0 {
			t.Errorf("%s: %s, %q, %v; want %s", tt.name, got, p.Problems, err, tt.want)
		}
	}
}

func TestAPlanSaysWhatDoesNotFitAndWhatToChange(t *testing.T) {
	for want, o := range map[string]watch.PlanOptions{
		"2500 mailboxes find no place: 2 accounts of 1250 have room for 2500; use 4 accounts": {Mailboxes: 5000, Exchange: "2019", Accounts: 2},
		"12 requests at a time are more than the 10 that Exchange 2010sp2 allows":             {Mailboxes: 10, Exchange: "2010sp2", Requests: 12},
		"2000 mailboxes an account are more than the 1250 that are proved":                    {Mailboxes: 10, Exchange: "2019", AccountMailboxes: 2000},
	} {
		p, err := watch.MakePlan(o)
		if err != nil || len(p.Problems) != 1 || !strings.Contains(p.Problems[0], want) {
			t.Errorf("%+v: %q, %v; want %q", o, p.Problems, err, want)
		}
	}
}

func TestAPlanRefusesWhatItCannotMean(t *testing.T) {
	for want, o := range map[string]watch.PlanOptions{
		"mailboxes: 0":     {Exchange: "2019"},
		"exchange: \"95\"": {Mailboxes: 1, Exchange: "95"},
		"negative":         {Mailboxes: 1, Exchange: "2019", Accounts: -1},
	} {
		if _, err := watch.MakePlan(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v; want %q", o, err, want)
		}
	}
}

func TestEveryPlanHasRoomForEveryMailbox(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := watch.PlanOptions{
			Mailboxes: rapid.IntRange(1, 200_000).Draw(t, "mailboxes"), Exchange: rapid.SampledFrom(watch.PlanVersions()).Draw(t, "exchange"),
			Groups: rapid.IntRange(1, 500).Draw(t, "groups"), AccountMailboxes: rapid.IntRange(1, 1250).Draw(t, "capacity"),
		}
		p, err := watch.MakePlan(o)
		if err != nil || len(p.Problems) > 0 {
			t.Fatalf("%v, %q", err, p.Problems)
		}
		if p.Accounts*p.PerAccount < o.Mailboxes || p.PerAccount > o.AccountMailboxes || p.Streams*watch.StreamMembersMax < o.Mailboxes {
			t.Errorf("%+v", p)
		}
		bigger := o
		bigger.Mailboxes++
		if q, _ := watch.MakePlan(bigger); q.Accounts < p.Accounts || q.Requests() < p.Requests() {
			t.Errorf("one more mailbox, and less to do: %+v, then %+v", p, q)
		}
	})
}

// What the watcher really asks at start-up is what the plan says, or a little
// more: a stream that was opened for the first ones is opened again for the rest.
func TestTheWatcherAsksWhatThePlanSays(t *testing.T) {
	inBubble(t, func(s *stage) {
		const more = 298 // beside ada and ben, who are not added
		for i := range more {
			m := notifier.Mailbox(fmt.Sprintf("m%03d@contoso.test", i))
			must(t, s.org.AddMailbox(string(m), exchange.MailboxOptions{Server: "ex01"}))
			s.watcher.Add(m, time.Now())
		}
		s.pass(30 * time.Second)
		p, err := watch.MakePlan(watch.PlanOptions{Mailboxes: more, Exchange: "2019"})
		must(t, err)
		if got := s.watcher.Stats().ByState[watch.Streaming]; got != more {
			t.Fatalf("%d of %d are streaming", got, more)
		}
		if subscribes := s.count("Subscribe"); subscribes != p.Subscribes {
			t.Errorf("%d Subscribe requests, planned %d", subscribes, p.Subscribes)
		}
		for what, n := range map[string][2]int{
			"comparisons": {s.count("FindItem"), p.Comparisons}, "streams opened": {int(s.watcher.Stats().StreamsOpened), p.Openings},
		} {
			if n[0] < n[1] || n[0] > 2*n[1] {
				t.Errorf("%d %s, planned %d", n[0], what, n[1])
			}
		}
	})
}
