package watch_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"mailbell/fakes/exchange"
	"mailbell/fakes/fault"
	"mailbell/fakes/iisauth"
	"mailbell/notifier"
	"mailbell/notifier/watch"
)

// streaming sets a stage with ada and ben on a stream.
func streaming(t *testing.T, tell func(*stage)) {
	inBubble(t, func(s *stage) {
		s.watcher.Add(ada, time.Now())
		s.watcher.Add(ben, time.Now())
		s.pass(10 * time.Second)
		if s.state(ada) != watch.Streaming || s.state(ben) != watch.Streaming {
			t.Fatalf("not streaming: %+v", s.watcher.Stats())
		}
		tell(s)
	})
}

func TestSubscriptionsReportedLostAreMadeAgain(t *testing.T) {
	for _, code := range []string{"ErrorSubscriptionNotFound", "ErrorInvalidSubscription", "ErrorExpiredSubscription", "ErrorReadEventsFailed"} {
		t.Run(code, func(t *testing.T) {
			streaming(t, func(s *stage) {
				_, err := s.faults.Add(fault.Fault{Name: "ews.stream.error", Scope: fault.Scope{Mailbox: string(ada)}, Count: 1, Args: map[string]string{"code": code}})
				must(t, err)
				ids := []notifier.ItemID{s.mail(ada, "told as an error"), s.mail(ben, "not concerned")}
				s.pass(2 * time.Minute)
				ids = append(ids, s.mailAndPass(ada, "afterwards"))
				s.mustHandle(ids...)
			})
		})
	}
}

func TestForgottenSubscriptionsAreMadeAgain(t *testing.T) {
	streaming(t, func(s *stage) {
		s.org.LoseSubscriptions(string(ada))
		ids := []notifier.ItemID{s.mail(ada, "while lost"), s.mail(ben, "not concerned")}
		s.pass(2 * time.Minute)
		ids = append(ids, s.mailAndPass(ada, "afterwards"))
		s.mustHandle(ids...)
	})
}

func TestAServerRestartLosesNothing(t *testing.T) {
	streaming(t, func(s *stage) {
		must(t, s.org.RestartServer("ex01"))
		id := s.mail(ada, "during the restart")
		s.pass(5 * time.Minute)
		s.mustHandle(id, s.mailAndPass(ada, "after"))
	})
}

// Streams of one group that break together, and the one that then tells that the
// subscriptions are lost, are one misfortune, not four.
func TestAServerRestartSoonAfterACutIsOverWithinSeconds(t *testing.T) {
	streaming(t, func(s *stage) {
		newcomer := notifier.Mailbox("newcomer@contoso.test") // comes on a second stream
		must(t, s.org.AddMailbox(string(newcomer), exchange.MailboxOptions{Server: "ex01"}))
		s.watcher.Add(newcomer, time.Now())
		s.pass(20 * time.Second)
		s.org.CutStreams("")
		s.pass(20 * time.Second)
		must(t, s.org.RestartServer("ex01"))
		id := s.mail(ada, "during the restart")
		s.pass(6 * time.Second)
		for _, m := range []notifier.Mailbox{ada, newcomer} {
			if st := s.state(m); st != watch.Streaming {
				t.Errorf("%s is %s 6 s after the restart", m, st)
			}
		}
		s.mustHandle(id)
	})
}

// mailAndPass delivers a mail and gives it time to be noticed.
func (s *stage) mailAndPass(to notifier.Mailbox, subject string) notifier.ItemID {
	id := s.mail(to, subject)
	s.pass(10 * time.Second)
	return id
}

func TestAMovedMailboxIsFollowed(t *testing.T) {
	streaming(t, func(s *stage) {
		before, _ := s.watcher.Explain(ada)
		must(t, s.org.Move(string(ada), "ex02", 2*time.Minute))
		s.pass(30 * time.Minute)
		id := s.mailAndPass(ada, "on the new server")
		after, _ := s.watcher.Explain(ada)
		if after.Group == before.Group {
			t.Errorf("still in group %s after the move", after.Group)
		}
		s.mustHandle(id, s.mailAndPass(ben, "the one that stayed"))
	})
}

func TestASilentStreamIsDead(t *testing.T) {
	streaming(t, func(s *stage) {
		s.net.Silence("mail.contoso.test:443")
		id := s.mail(ada, "into the silence")
		s.pass(3 * time.Minute)
		s.net.Heal("mail.contoso.test:443")
		s.pass(10 * time.Minute)
		s.mustHandle(id)
	})
}

func TestAnOrderlyEndNeedsNoComparison(t *testing.T) {
	streaming(t, func(s *stage) {
		find := s.count("FindItem")
		for i := range 6 {
			s.pass(15 * time.Minute)
			s.mailAndPass(ada, fmt.Sprint("mail ", i))
		}
		if got := len(s.handled()); got != 6 {
			t.Errorf("%d of 6 mails noticed", got)
		}
		if got := s.count("GetStreamingEvents"); got < 4 {
			t.Errorf("only %d streams in 90 minutes", got)
		}
		if got := s.count("FindItem"); got != find {
			t.Errorf("%d comparisons after orderly ends", got-find)
		}
	})
}

// count counts EWS requests of an operation.
func (s *stage) count(operation string) int {
	n := 0
	for _, e := range s.journal.After(0) {
		if e.Server == "ews" && e.Kind == "request" && e.Operation == operation {
			n++
		}
	}
	return n
}

func TestMailWhileTheWatcherIsDownIsFoundAtTheNextStart(t *testing.T) {
	streaming(t, func(s *stage) {
		first := s.mailAndPass(ada, "before")
		s.end()
		var ids []notifier.ItemID
		for i := range 60 { // more than one page
			ids = append(ids, s.mail(ada, fmt.Sprint("down ", i)))
			s.pass(time.Minute)
		}
		s.start(watch.Options{})
		s.watcher.Add(ada, time.Now().Add(-24*time.Hour))
		s.pass(time.Minute)
		s.mustHandle(append(ids, first)...)
	})
}

func TestTheBookmarkWaitsForTheConsequences(t *testing.T) {
	streaming(t, func(s *stage) {
		s.failing(errors.New("the queue is full"))
		id := s.mail(ada, "cannot be queued")
		s.pass(time.Minute)
		if b, err := s.marks.Get(t.Context(), ada); err != nil || b.HasItem(id) {
			t.Fatalf("the bookmark knows the item although nothing of it is durable: %v", err)
		}
		if st, _ := s.watcher.Explain(ada); st.Pending != 1 || st.LastError == "" {
			t.Errorf("status does not tell: %+v", st)
		}
		s.failing(nil)
		s.pass(10 * time.Minute)
		s.mustHandle(id)
		if b, _ := s.marks.Get(t.Context(), ada); !b.HasItem(id) {
			t.Error("the bookmark has not moved")
		}
	})
}

func TestAnOldRowOfFailuresDoesNotCountAgainstALaterOne(t *testing.T) {
	streaming(t, func(s *stage) {
		failures := 9 // one less than moves the mailbox
		s.hooked(func(q request) (*http.Response, error) {
			if q.operation == "FindItem" && q.mailbox == string(ada) && failures > 0 {
				failures--
				return faulty(q, "ErrorMailboxStoreUnavailable"), nil
			}
			return nil, nil
		})
		s.org.CutStreams("")
		s.pass(time.Hour)
		subscribed := s.count("Subscribe")
		failures = 1
		s.org.CutStreams("")
		s.pass(time.Hour)
		if n := s.count("Subscribe") - subscribed; failures != 0 || n != 0 {
			t.Errorf("%d new subscriptions after a single failure", n)
		}
	})
}

func TestNewMailDuringAGapDoesNotHideTheOldOnes(t *testing.T) {
	streaming(t, func(s *stage) {
		s.end()
		old := s.mail(ada, "missed, longer ago than an audit looks back")
		s.pass(notifier.BookmarkLookBack + time.Hour)
		// The comparison fails for a while; live mail comes through the stream.
		f, err := s.faults.Add(fault.Fault{Name: "ews.error", Scope: fault.Scope{Mailbox: string(ada)}, Args: map[string]string{"code": "ErrorServerBusy", "operation": "FindItem"}})
		must(t, err)
		s.start(watch.Options{})
		s.watcher.Add(ada, time.Now().Add(-24*time.Hour))
		s.pass(20 * time.Second)
		live := s.mailAndPass(ada, "live")
		s.end() // whatever was written down now is what the next start knows
		s.faults.Remove(f.ID)
		s.start(watch.Options{})
		s.watcher.Add(ada, time.Now().Add(-24*time.Hour))
		s.pass(time.Hour)
		got := s.handled()
		if len(got[old]) == 0 {
			t.Error("the missed mail was never noticed")
		}
		if len(got[live]) == 0 {
			t.Error("the live mail was never noticed")
		}
	})
}

func TestTheAuditFindsWhatTheStreamLost(t *testing.T) {
	streaming(t, func(s *stage) {
		_, err := s.faults.Add(fault.Fault{Name: "ews.stream.lose-event", Scope: fault.Scope{Mailbox: string(ada)}, Count: 1})
		must(t, err)
		id := s.mailAndPass(ada, "lost without a trace")
		if len(s.handled()) != 0 {
			t.Fatal("the fault did not strike")
		}
		s.pass(5 * time.Hour)
		s.mustHandle(id)
		if got := s.handled()[id]; len(got) == 0 || got[0] != notifier.FromAudit || s.watcher.Stats().AuditFinds != 1 {
			t.Errorf("found by %v, %d finds counted", s.handled()[id], s.watcher.Stats().AuditFinds)
		}
	})
}

func TestTheAuditFindsWhatTheStreamLostAlthoughNewerMailWasDealtWith(t *testing.T) {
	streaming(t, func(s *stage) {
		_, err := s.faults.Add(fault.Fault{Name: "ews.stream.lose-event", Scope: fault.Scope{Mailbox: string(ada)}, Count: 1})
		must(t, err)
		id := s.mailAndPass(ada, "lost without a trace")
		ids := []notifier.ItemID{id}
		for range 5 {
			s.pass(time.Hour)
			ids = append(ids, s.mailAndPass(ada, "and told"))
		}
		s.mustHandle(ids...)
		if n := s.watcher.Stats().AuditFinds; n != 1 {
			t.Errorf("%d finds counted", n)
		}
	})
}

func TestAMailThatNoStreamToldOfAndThatWasReadMeanwhileIsDealtWithAllTheSame(t *testing.T) {
	streaming(t, func(s *stage) {
		_, err := s.faults.Add(fault.Fault{Name: "ews.stream.lose-event", Scope: fault.Scope{Mailbox: string(ada)}, Count: 1})
		must(t, err)
		id := s.mailAndPass(ada, "lost, and read at the desk")
		must(t, s.org.MarkRead(string(ada), string(id)))
		ids := []notifier.ItemID{id}
		for range 5 {
			s.pass(time.Hour)
			ids = append(ids, s.mailAndPass(ada, "and told"))
		}
		s.mustHandle(ids...) // its receipt is due
		if n := s.watcher.Stats().AuditFinds; n != 0 {
			t.Errorf("%d finds counted: it may as well have been moved in", n)
		}
	})
}

func TestARemovedMailboxIsUnsubscribedAndForgotten(t *testing.T) {
	streaming(t, func(s *stage) {
		s.watcher.Remove(ada)
		s.pass(time.Minute)
		s.mail(ada, "nobody listens")
		id := s.mailAndPass(ben, "somebody does")
		s.mustHandle(id)
		if s.count("Unsubscribe") != 1 {
			t.Errorf("%d Unsubscribe requests, want 1", s.count("Unsubscribe"))
		}
		if _, err := s.marks.Get(t.Context(), ada); err == nil {
			t.Error("the bookmark is still there")
		}
	})
}

func TestAGroupWhoseAnchorHasMovedAwayFindsItsServerAgain(t *testing.T) {
	streaming(t, func(s *stage) {
		must(t, s.org.Move(string(ada), "ex02", 0)) // ada is the group's anchor
		s.mailAndPass(ada, "elsewhere")
		s.pass(10 * time.Minute)
		must(t, s.org.RestartServer("ex01")) // and with the subscriptions goes the cookie
		ids := []notifier.ItemID{s.mail(ben, "left behind")}
		s.pass(time.Minute)
		ids = append(ids, s.mailAndPass(ben, "heard again"))
		for _, id := range ids {
			if len(s.handled()[id]) != 1 {
				st, _ := s.watcher.Explain(ben)
				t.Errorf("not handled: %+v", st)
			}
		}
	})
}

func TestANewcomerIsServedBesideAGroupThatHasMovedAsAWhole(t *testing.T) {
	databases := []exchange.Database{{Name: "db01", Server: "ex01"}, {Name: "db02", Server: "ex02"}, {Name: "db03", Server: "ex01"}}
	const carol notifier.Mailbox = "carol@contoso.test"
	inBubbleWith(t, exchange.Options{Databases: databases}, watch.Options{}, func(s *stage) {
		must(t, s.org.AddMailbox(string(carol), exchange.MailboxOptions{Server: "db03"}))
		must(t, errors.Join(s.org.Move(string(ada), "db03", 0), s.org.Move(string(ben), "db01", 0)))
		s.watcher.Add(carol, time.Now()) // the group's anchor
		s.pass(time.Second)
		s.watcher.Add(ben, time.Now())
		s.pass(10 * time.Second)
		s.watcher.Remove(carol)
		_, err := s.org.FailOverDatabase("db01", "ex02", time.Minute)
		must(t, err)
		s.pass(10 * time.Minute)
		before := s.count("Subscribe")
		s.watcher.Add(ada, time.Now()) // of the server that the group is named by, and is not on any more
		s.pass(10 * time.Minute)
		s.mustHandle(s.mailAndPass(ada, "to the newcomer"), s.mailAndPass(ben, "to who has moved"))
		if s.state(ada) != watch.Streaming || s.state(ben) != watch.Streaming {
			t.Errorf("ada is %s, ben is %s", s.state(ada), s.state(ben))
		}
		if n := s.count("Subscribe") - before; n > 3 {
			t.Errorf("%d subscriptions were asked for", n)
		}
	})
}

func TestGroupsHoldAtMostTwoHundred(t *testing.T) {
	inBubble(t, func(s *stage) {
		const n = 250
		var ids []notifier.ItemID
		for i := range n {
			m := notifier.Mailbox(fmt.Sprintf("m%03d@contoso.test", i))
			must(t, s.org.AddMailbox(string(m), exchange.MailboxOptions{Server: "ex01"}))
			s.watcher.Add(m, time.Now())
		}
		s.pass(2 * time.Minute)
		st := s.watcher.Stats()
		if st.ByState[watch.Streaming] != n || st.Groups != 2 {
			t.Fatalf("%+v", st)
		}
		for i := range n {
			ids = append(ids, s.mail(notifier.Mailbox(fmt.Sprintf("m%03d@contoso.test", i)), "to all"))
		}
		s.pass(time.Minute)
		s.mustHandle(ids...)
	})
}

func TestAMailboxThatDoesNotExistWaitsAndDisturbsNobody(t *testing.T) {
	inBubble(t, func(s *stage) {
		s.watcher.Add("nobody@contoso.test", time.Now())
		s.watcher.Add(ada, time.Now())
		s.pass(10 * time.Second)
		st, _ := s.watcher.Explain("nobody@contoso.test")
		if st.State != watch.Waiting || time.Until(st.NextTry) < 5*time.Minute || st.LastError == "" {
			t.Errorf("%+v", st)
		}
		s.mustHandle(s.mailAndPass(ada, "hello"))
		must(t, s.org.AddMailbox("nobody@contoso.test", exchange.MailboxOptions{Server: "ex01"}))
		s.pass(time.Hour)
		if s.state("nobody@contoso.test") != watch.Streaming {
			t.Error("not watched although it exists by now")
		}
	})
}

func TestAListenerWithoutTheRightToImpersonateIsToldAndHealsLater(t *testing.T) {
	inBubble(t, func(s *stage) {
		s.org.AddAccount(iisauth.Account{User: "svc", NetBIOS: "CONTOSO", DNSDomain: "contoso.test", Password: "pw"})
		s.watcher.Add(ada, time.Now())
		s.pass(10 * time.Second)
		st, _ := s.watcher.Explain(ada)
		if st.State != watch.Waiting || st.LastError == "" || time.Until(st.NextTry) < 5*time.Minute {
			t.Errorf("%+v", st)
		}
		id := s.mail(ada, "meanwhile")
		s.org.AddAccount(iisauth.Account{User: "svc", NetBIOS: "CONTOSO", DNSDomain: "contoso.test", Password: "pw", Impersonation: true})
		s.pass(time.Hour)
		s.mustHandle(id)
	})
}

func TestAWrongListenerPasswordNamesTheAccountAndHealsWhenItIsRight(t *testing.T) {
	inBubble(t, func(s *stage) {
		s.org.AddAccount(iisauth.Account{User: "svc", NetBIOS: "CONTOSO", DNSDomain: "contoso.test", Password: "changed", Impersonation: true})
		s.watcher.Add(ada, time.Now())
		s.pass(10 * time.Second)
		st, _ := s.watcher.Explain(ada)
		if st.State != watch.Waiting || st.LastError == "" {
			t.Errorf("%+v", st)
		}
		id := s.mail(ada, "meanwhile")
		s.org.AddAccount(iisauth.Account{User: "svc", NetBIOS: "CONTOSO", DNSDomain: "contoso.test", Password: "pw", Impersonation: true})
		s.pass(2 * time.Hour)
		s.mustHandle(id)
	})
}

func TestBusyServersAreWaitedFor(t *testing.T) {
	inBubble(t, func(s *stage) {
		_, err := s.faults.Add(fault.Fault{Name: "ews.busy", For: fault.Duration(10 * time.Minute), Args: map[string]string{"ms": "60000"}})
		must(t, err)
		s.watcher.Add(ada, time.Now())
		id := s.mail(ada, "early")
		s.pass(9 * time.Minute)
		if n := s.count("Subscribe"); n > 15 {
			t.Errorf("%d Subscribe requests against a busy server in 9 minutes", n)
		}
		s.pass(30 * time.Minute)
		s.mustHandle(id)
	})
}

func TestAStormOfCutsAndLossesLosesNothing(t *testing.T) {
	streaming(t, func(s *stage) {
		var ids []notifier.ItemID
		for i := range 200 {
			switch i % 7 {
			case 0:
				s.org.CutStreams("")
			case 3:
				s.org.LoseSubscriptions(string(ben))
			case 5:
				s.net.Cut("mail.contoso.test:443")
			}
			ids = append(ids, s.mail([]notifier.Mailbox{ada, ben}[i%2], fmt.Sprint("storm ", i)))
			s.pass(time.Duration(1+i%40) * time.Second)
		}
		s.pass(30 * time.Minute)
		s.mustHandle(ids...)
	})
}

func TestComparisonsOfOneMailboxTakeTurnsAndTheClockGoesOn(t *testing.T) {
	inBubbleWith(t, exchange.Options{}, watch.Options{AuditEvery: 10 * time.Minute}, func(s *stage) {
		s.watcher.Add(ada, time.Now())
		s.pass(10 * time.Second)
		_, err := s.faults.Add(fault.Fault{Name: "ews.slow", Probability: 0.5, Args: map[string]string{"delay": "40s"}})
		must(t, err)
		for range 200 { // an audit is under way when one of the gaps opens
			s.org.CutStreams("")
			s.pass(time.Minute)
		}
		s.faults.Clear()
		s.mailAndPass(ada, "afterwards")
		s.pass(10 * time.Minute)
		if st := s.state(ada); st != watch.Streaming {
			t.Errorf("state %v", st)
		}
	})
}
