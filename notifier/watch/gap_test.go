package watch_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailbell/fakes/exchange"
	"mailbell/fakes/fault"
	"mailbell/notifier"
	"mailbell/notifier/autodiscover"
	"mailbell/notifier/httpauth"
	"mailbell/notifier/watch"
)

func TestAComparisonBeforeTheSubscriptionCoversNothing(t *testing.T) {
	streaming(t, func(s *stage) {
		// The first comparison after the cut fails and is repeated; meanwhile the
		// subscription is lost, and making another one takes long.
		var finds, subscribed atomic.Int32
		s.hooked(func(q request) (*http.Response, error) {
			switch {
			case q.mailbox != string(ada):
			case q.operation == "FindItem" && finds.Add(1) <= 3:
				return faulty(q, "ErrorTimeoutExpired"), nil
			case q.operation == "Subscribe" && subscribed.Add(1) == 1:
				time.Sleep(30 * time.Second)
			}
			return nil, nil
		})
		s.org.CutStreams("")
		s.pass(2500 * time.Millisecond)
		s.org.LoseSubscriptions(string(ada))
		var ids []notifier.ItemID
		for i := range 60 {
			ids = append(ids, s.mail(ada, fmt.Sprint("mail ", i)))
			s.pass(time.Second)
		}
		s.pass(time.Hour)
		s.mustHandle(ids...)
	})
}

func TestRemovalsWhileComparingHideNothing(t *testing.T) {
	for name, removed := range map[string]int{"a few": 10, "a whole page": 50, "more than is left": 75} {
		t.Run(name, func(t *testing.T) {
			streaming(t, func(s *stage) {
				s.end()
				var ids []notifier.ItemID
				for i := range 120 {
					ids = append(ids, s.mail(ada, fmt.Sprint("down ", i)))
					s.pass(time.Minute)
				}
				pages := 0
				s.hooked(func(q request) (*http.Response, error) {
					if q.operation == "FindItem" && q.mailbox == string(ada) {
						if pages++; pages == 2 {
							for _, id := range ids[len(ids)-removed:] {
								must(t, s.org.Delete(string(ada), string(id)))
							}
						}
					}
					return nil, nil
				})
				s.start(watch.Options{})
				s.watcher.Add(ada, time.Now().Add(-24*time.Hour))
				s.pass(10 * time.Minute)
				got := s.handled()
				for i, id := range ids[:len(ids)-removed] {
					if len(got[id]) != 1 {
						t.Errorf("mail %d was handled %d times", i, len(got[id]))
					}
				}
			})
		})
	}
}

func TestAMailFromTheFutureHidesNoOther(t *testing.T) {
	streaming(t, func(s *stage) {
		s.received = func(m notifier.Message) time.Time {
			if m.Subject == "from the future" {
				return m.Received.Add(30 * 24 * time.Hour)
			}
			return m.Received
		}
		ids := []notifier.ItemID{s.mailAndPass(ada, "from the future")}
		s.end()
		ids = append(ids, s.mailAndPass(ada, "while nobody listens"))
		s.start(watch.Options{})
		s.watcher.Add(ada, time.Now().Add(-24*time.Hour))
		s.pass(time.Minute)
		s.mustHandle(ids...)
	})
}

func TestAMailboxThatMovedIsNotDisturbedByItsFormerStream(t *testing.T) {
	streaming(t, func(s *stage) {
		must(t, s.org.Move(string(ada), "ex02", time.Minute))
		s.mailAndPass(ada, "makes the stream tell")
		s.pass(10 * time.Minute)
		if s.state(ada) != watch.Streaming {
			t.Fatalf("ada is %s", s.state(ada))
		}
		s.org.CutStreams("ex01")
		s.pass(time.Minute)
		if s.state(ada) != watch.Streaming {
			t.Errorf("ada is %s although her own stream is well", s.state(ada))
		}
	})
}

func TestAMailboxIsInOneGroupHoweverManyThingsGoWrongAtOnce(t *testing.T) {
	slow := time.Duration(0)
	var s *stage
	o := watch.Options{Discover: func(ctx context.Context, addresses []string) []autodiscover.Result {
		time.Sleep(slow)
		return s.discover(ctx, addresses)
	}}
	inBubbleWith(t, exchange.Options{}, o, func(st *stage) {
		s = st
		s.watcher.Add(ada, time.Now())
		s.pass(10 * time.Second)
		slow = 20 * time.Second
		// A comparison is under way when the stream tells that the mailbox has to
		// be discovered; it then fails in a way that says the same.
		first := true
		s.hooked(func(q request) (*http.Response, error) {
			if q.operation == "FindItem" && first {
				first = false
				_, err := s.faults.Add(fault.Fault{Name: "ews.stream.error", Scope: fault.Scope{Mailbox: string(ada)}, Count: 1, Args: map[string]string{"code": "ErrorMailboxMoveInProgress"}})
				must(t, err)
				s.mail(ada, "makes the stream tell")
				time.Sleep(40 * time.Second) // until discovery is under way
				return faulty(q, "ErrorFolderNotFound"), nil
			}
			return nil, nil
		})
		s.org.CutStreams("")
		s.pass(20 * time.Minute)
		if s.state(ada) != watch.Streaming {
			t.Errorf("ada is %s", s.state(ada))
		}
		s.mailAndPass(ada, "afterwards")
		if got := s.handled(); len(got) != 2 {
			t.Errorf("%d mails handled, want 2", len(got))
		}
		s.watcher.Remove(ada)
		s.pass(2 * time.Minute)
		if n := s.watcher.Stats().Groups; n != 0 {
			t.Errorf("%d groups are left of an empty watch", n)
		}
	})
}

func TestMoreEventsThanAreKeptAreComparedOnce(t *testing.T) {
	streaming(t, func(s *stage) {
		s.failing(errors.New("the queue is full"))
		var ids []notifier.ItemID
		for i := range 2300 {
			ids = append(ids, s.mail(ada, fmt.Sprint("flood ", i)))
			s.pass(100 * time.Millisecond)
		}
		before := s.count("FindItem")
		if before > 300 {
			t.Errorf("%d FindItem requests while nothing could be handled", before)
		}
		s.failing(nil)
		s.pass(20 * time.Minute)
		s.mustHandle(ids...)
		if s.state(ada) != watch.Streaming {
			t.Errorf("ada is %s", s.state(ada))
		}
	})
}

func TestOneUnreadableMailAfterAnotherIsGivenUpTogether(t *testing.T) {
	streaming(t, func(s *stage) {
		s.hooked(func(q request) (*http.Response, error) {
			if q.operation == "GetItem" {
				return failedItems(q, "ErrorInternalServerError"), nil
			}
			return nil, nil
		})
		for i := range 10 {
			s.mail(ada, fmt.Sprint("unreadable ", i))
		}
		s.pass(10 * time.Minute)
		if len(s.poison) != 10 {
			t.Errorf("%d of 10 given up", len(s.poison))
		}
		s.hooked(nil)
		s.pass(13 * time.Hour) // three sweeps
		if n := s.watcher.Stats().AuditFinds; n != 0 {
			t.Errorf("the audit calls %d mails lost that were given up", n)
		}
		if len(s.poison) != 10 {
			t.Errorf("given up %d times", len(s.poison))
		}
	})
}

func TestAServerInTroubleForAMomentMakesNoMailUnreadable(t *testing.T) {
	streaming(t, func(s *stage) {
		s.hooked(func(q request) (*http.Response, error) {
			if q.operation == "GetItem" {
				return failedItems(q, "ErrorInternalServerError"), nil
			}
			return nil, nil
		})
		id := s.mail(ada, "in a bad moment")
		s.pass(20 * time.Second)
		s.hooked(nil)
		s.pass(10 * time.Minute)
		s.mustHandle(id)
		if len(s.poison) != 0 {
			t.Error("the mail was given up")
		}
	})
}

func TestAnUnknownErrorOfOneMailDoesNotHoldUpTheOthers(t *testing.T) {
	streaming(t, func(s *stage) {
		bad := s.mail(ada, "odd")
		s.hooked(func(q request) (*http.Response, error) {
			if q.operation == "GetItem" && strings.Contains(q.body, string(bad)) {
				return failedItems(q, "ErrorSomethingNobodyHasHeardOf"), nil
			}
			return nil, nil
		})
		s.pass(time.Second)
		s.pass(20 * time.Minute)
		id := s.mailAndPass(ada, "ordinary")
		if len(s.handled()[id]) != 1 {
			t.Error("an ordinary mail waits behind an odd one")
		}
	})
}

func TestAnAddressThatAnswersNoMoreIsDiscoveredAnew(t *testing.T) {
	moved := false
	var s *stage
	o := watch.Options{Discover: func(ctx context.Context, addresses []string) []autodiscover.Result {
		out := s.discover(ctx, addresses)
		for i := range out {
			if moved {
				out[i].Settings.EWSURL = strings.Replace(out[i].Settings.EWSURL, "mail.", "new.", 1)
			}
		}
		return out
	}}
	for name, keeps := range map[string]bool{"with its subscriptions": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			moved = false
			inBubbleWith(t, exchange.Options{}, o, func(st *stage) {
				s = st
				s.watcher.Add(ada, time.Now())
				s.watcher.Add(ben, time.Now())
				s.pass(10 * time.Second)
				moved = true
				s.hooked(func(q request) (*http.Response, error) {
					if strings.HasPrefix(q.URL.Host, "mail.") {
						return nil, errRefused
					}
					q.URL.Host = strings.Replace(q.URL.Host, "new.", "mail.", 1)
					return nil, nil
				})
				if !keeps {
					s.org.LoseSubscriptions("")
				}
				s.org.CutStreams("")
				id := s.mail(ada, "on the new address")
				s.pass(30 * time.Minute)
				s.mustHandle(id, s.mailAndPass(ben, "to somebody else"))
			})
		})
	}
}

func TestAChargedMailboxThatIsRefusedLeavesAlone(t *testing.T) {
	streaming(t, func(s *stage) {
		s.hooked(func(q request) (*http.Response, error) {
			if q.mailbox == string(ada) {
				return faulty(q, "ErrorNonExistentMailbox"), nil
			}
			return nil, nil
		})
		before := s.count("Subscribe")
		s.org.CutStreams("")
		s.pass(time.Minute)
		s.mustHandle(s.mailAndPass(ben, "not concerned"))
		if n := s.count("Subscribe") - before; n != 0 {
			t.Errorf("%d subscriptions were made anew", n)
		}
		if s.state(ben) != watch.Streaming {
			t.Errorf("ben is %s", s.state(ben))
		}
	})
}

func TestAServerThatTakesNoNewSchemaIsAskedInAnOlderOne(t *testing.T) {
	var s *stage
	o := watch.Options{Discover: func(ctx context.Context, addresses []string) []autodiscover.Result {
		out := s.discover(ctx, addresses)
		for i := range out {
			out[i].Settings.Schemas = nil
		}
		return out
	}}
	inBubbleWith(t, exchange.Options{Version: exchange.V2010SP2}, o, func(st *stage) {
		s = st
		s.watcher.Add(ada, time.Now())
		id := s.mail(ada, "to an old server")
		s.pass(time.Minute)
		s.mustHandle(id, s.mailAndPass(ada, "another"))
	})
}

func TestMailboxesOfARefusedAccountMoveToAnotherAndTheAccountIsUsedAgain(t *testing.T) {
	inBubble(t, func(s *stage) {
		s.end()
		refused := true
		first := roundTrip(func(r *http.Request) (*http.Response, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if refused {
				return nil, &httpauth.RejectedError{Account: "first", Status: 401, NextTry: time.Now().Add(time.Minute)}
			}
			return s.pool.RoundTrip(r)
		})
		s.start(watch.Options{Accounts: []watch.Account{{Name: "first", Requests: first, Capacity: 1}, {Name: "second", Requests: s.pool, Capacity: 1}}})
		s.watcher.Add(ada, time.Now())
		s.pass(30 * time.Second)
		if st, _ := s.watcher.Explain(ada); st.Account != "second" || st.State != watch.Streaming {
			t.Errorf("%+v", st)
		}
		const cem = notifier.Mailbox("cem@contoso.test")
		must(t, s.org.AddMailbox(string(cem), exchange.MailboxOptions{Server: "ex01"}))
		s.watcher.Add(ben, time.Now()) // no room but on the refused one, so the other stretches
		s.pass(5 * time.Minute)
		if st, _ := s.watcher.Explain(ben); st.Account != "second" || st.State != watch.Streaming {
			t.Errorf("%+v", st)
		}
		s.watcher.Add(cem, time.Now()) // that is too much
		s.pass(30 * time.Second)
		if st, _ := s.watcher.Explain(cem); st.State == watch.Streaming {
			t.Errorf("%+v", st)
		}
		s.mu.Lock()
		refused = false
		s.mu.Unlock()
		s.pass(10 * time.Minute)
		if st, _ := s.watcher.Explain(cem); st.Account != "first" || st.State != watch.Streaming {
			t.Errorf("%+v", st)
		}
	})
}

func TestReadingThroughARefusedAccountMovesTheMailbox(t *testing.T) {
	inBubble(t, func(s *stage) {
		s.end()
		var refused atomic.Bool
		requests := roundTrip(func(r *http.Request) (*http.Response, error) {
			if refused.Load() {
				return nil, &httpauth.RejectedError{Account: "first", Status: 401, NextTry: time.Now().Add(30 * time.Minute)}
			}
			return s.pool.RoundTrip(r)
		})
		s.start(watch.Options{Accounts: []watch.Account{{Name: "first", Requests: requests, Streams: s.pool}, {Name: "second", Requests: s.pool}}})
		s.watcher.Add(ada, time.Now())
		s.pass(30 * time.Second)
		refused.Store(true)
		id := s.mail(ada, "told by a stream that is still open")
		s.pass(5 * time.Minute)
		s.mustHandle(id)
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
