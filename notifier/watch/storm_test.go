package watch_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"mailbell/fakes/fault"
	"mailbell/notifier"
	"mailbell/notifier/watch"
)

// hourlyMax is the most requests about one mailbox in an hour of trouble: a
// stream every 20 seconds (reopenMax with its jitter), and a comparison after
// each.
const hourlyMax = 2 * 3600 / 20

// codes are those of the table of reactions (EWS reference "ResponseCode").
var codes = []string{
	"ErrorSchemaValidation", "ErrorInvalidRequest", "ErrorInvalidServerVersion", "ErrorImpersonateUserDenied", "ErrorImpersonationFailed",
	"ErrorNonPrimarySmtpAddress", "ErrorNonExistentMailbox", "ErrorAccountDisabled", "ErrorAccessDenied", "ErrorServerBusy",
	"ErrorExceededConnectionCount", "ErrorExceededSubscriptionCount", "ErrorInvalidSubscriptionRequest", "ErrorSubscriptionAccessDenied",
	"ErrorSubscriptionNotFound", "ErrorInvalidSubscription", "ErrorExpiredSubscription", "ErrorSubscriptionUnsubsribed", "ErrorReadEventsFailed",
	"ErrorMissedNotificationEvents", "ErrorNewEventStreamConnectionOpened", "ErrorMailboxMoveInProgress", "ErrorMailboxStoreUnavailable",
	"ErrorConnectionFailed", "ErrorProxyRequestNotAllowed", "ErrorTooManyObjectsOpened", "ErrorInternalServerTransientError", "ErrorTimeoutExpired",
	"ErrorInternalServerError", "ErrorBatchProcessingStopped", "ErrorItemNotFound", "ErrorInvalidSyncStateData", "ErrorFolderNotFound", "ErrorNobodyKnowsThisOne",
}

// requestsOf counts the requests about a mailbox that reach the hook.
func (s *stage) counting(of notifier.Mailbox, answer hook) *int {
	n := new(int)
	s.hooked(func(q request) (*http.Response, error) {
		if q.mailbox == string(of) {
			s.mu.Lock()
			*n++
			s.mu.Unlock()
		}
		return answer(q)
	})
	return n
}

func TestNoErrorMakesAStorm(t *testing.T) {
	if testing.Short() {
		t.Skip("go test -short was asked for, and this plays ten hours for each of some forty codes and four operations")
	}
	for _, operation := range []string{"Subscribe", "GetStreamingEvents", "FindItem", "GetItem"} {
		for _, code := range codes {
			for form, add := range map[string]func(*stage) hook{
				"as a fault": func(*stage) hook {
					return func(q request) (*http.Response, error) {
						if q.operation == operation {
							return faulty(q, code), nil
						}
						return nil, nil
					}
				},
				"as a message": func(s *stage) hook {
					_, err := s.faults.Add(fault.Fault{Name: "ews.error", Args: map[string]string{"code": code, "operation": operation}})
					must(t, err)
					return func(request) (*http.Response, error) { return nil, nil }
				},
			} {
				t.Run(operation+" "+code+" "+form, func(t *testing.T) {
					t.Parallel()
					inBubble(t, func(s *stage) {
						n := s.counting(ada, add(s))
						s.watcher.Add(ada, time.Now())
						id := s.mail(ada, "early")
						s.pass(time.Hour)
						s.mu.Lock()
						sum := *n
						s.mu.Unlock()
						if sum > hourlyMax {
							t.Errorf("%d requests in an hour", sum)
						}
						// It heals when the trouble is over.
						s.hooked(nil)
						s.faults.Clear()
						s.pass(9 * time.Hour)
						if s.state(ada) != watch.Streaming {
							t.Errorf("ada is %s", s.state(ada))
						}
						if len(s.handled()[id]) == 0 {
							t.Error("the mail was never handled")
						}
					})
				})
			}
		}
	}
}

func TestTransportTroubleMakesNoStorm(t *testing.T) {
	for name, h := range map[string]hook{
		"refused": func(request) (*http.Response, error) { return nil, errRefused },
		"503":     func(q request) (*http.Response, error) { return answer(q, 503, "busy"), nil },
		"403":     func(q request) (*http.Response, error) { return answer(q, 403, "no"), nil },
		"404":     func(q request) (*http.Response, error) { return answer(q, 404, "no"), nil },
		"a page":  func(q request) (*http.Response, error) { return answer(q, 200, "<html></html>"), nil },
	} {
		for _, operation := range []string{"", "Subscribe", "GetStreamingEvents", "FindItem", "GetItem"} {
			t.Run(name+" "+operation, func(t *testing.T) {
				t.Parallel()
				streaming(t, func(s *stage) {
					n := s.counting(ada, func(q request) (*http.Response, error) {
						if operation == "" || operation == q.operation {
							return h(q)
						}
						return nil, nil
					})
					s.org.LoseSubscriptions("")
					s.org.CutStreams("")
					id := s.mail(ada, "in trouble")
					s.pass(time.Hour)
					s.mu.Lock()
					sum := *n
					s.mu.Unlock()
					if sum > hourlyMax {
						t.Errorf("%d requests in an hour", sum)
					}
					s.hooked(nil)
					s.pass(9 * time.Hour)
					s.mustHandle(id)
				})
			})
		}
	}
}

func TestErrorsInTheStreamMakeNoStorm(t *testing.T) {
	for _, code := range codes {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			streaming(t, func(s *stage) {
				_, err := s.faults.Add(fault.Fault{Name: "ews.stream.error", Scope: fault.Scope{Mailbox: string(ada)}, Args: map[string]string{"code": code}})
				must(t, err)
				n := s.counting(ada, func(request) (*http.Response, error) { return nil, nil })
				var ids []notifier.ItemID
				for i := range 360 { // a mail every 10 s, and each is answered with the error
					ids = append(ids, s.mail(ada, fmt.Sprint("mail ", i)))
					s.pass(10 * time.Second)
				}
				s.mu.Lock()
				sum := *n
				s.mu.Unlock()
				// Each mail may cost two requests of its own.
				if sum > hourlyMax+2*len(ids) {
					t.Errorf("%d requests in an hour", sum)
				}
				s.faults.Clear()
				s.pass(9 * time.Hour)
				s.mustHandle(ids...)
			})
		})
	}
}

func TestStreamsThatNeverLastMakeNoStorm(t *testing.T) {
	for _, life := range []time.Duration{time.Second, 6 * time.Second, 30 * time.Second} {
		t.Run(life.String(), func(t *testing.T) {
			streaming(t, func(s *stage) {
				n := s.counting(ada, func(request) (*http.Response, error) { return nil, nil })
				for range int(time.Hour / life) {
					s.org.CutStreams("")
					s.pass(life)
				}
				s.mu.Lock()
				defer s.mu.Unlock()
				if *n > hourlyMax {
					t.Errorf("%d requests in an hour", *n)
				}
			})
		})
	}
}

func TestAComparisonThatKeepsFailingIsRepeatedByOneTimer(t *testing.T) {
	streaming(t, func(s *stage) {
		finds := 0
		s.hooked(func(q request) (*http.Response, error) {
			if q.operation == "FindItem" && q.mailbox == string(ada) {
				s.mu.Lock()
				finds++
				s.mu.Unlock()
				return faulty(q, "ErrorServerBusy"), nil
			}
			return nil, nil
		})
		var last int
		for range 12 {
			s.mu.Lock()
			last, finds = finds, 0
			s.mu.Unlock()
			for range 6 {
				s.org.CutStreams("")
				s.pass(10 * time.Minute)
			}
		}
		if last > 40 {
			t.Errorf("%d comparisons in the last of 12 hours", last)
		}
	})
}

func TestRunEndsSoonInEveryState(t *testing.T) {
	for name, trouble := range map[string]func(*stage){
		"streaming":         func(*stage) {},
		"silent server":     func(s *stage) { s.net.Silence("mail.contoso.test:443"); s.pass(time.Second) },
		"silent, reopening": func(s *stage) { s.net.Silence("mail.contoso.test:443"); s.pass(3 * time.Minute) },
		"silent, subscribing": func(s *stage) {
			s.org.LoseSubscriptions("")
			s.net.Silence("mail.contoso.test:443")
			s.pass(time.Second)
		},
		"between two retries":   func(s *stage) { s.failing(errors.New("no")); s.mail(ada, "x"); s.pass(time.Minute) },
		"in the middle of mail": func(s *stage) { s.mail(ada, "x"); s.mail(ben, "x") },
		"after a cut":           func(s *stage) { s.org.CutStreams("") },
	} {
		t.Run(name, func(t *testing.T) {
			streaming(t, func(s *stage) {
				trouble(s)
				began := time.Now()
				s.end()
				if took := time.Since(began); took > 12*time.Second {
					t.Errorf("Run took %v to end", took)
				}
				s.net.Heal("mail.contoso.test:443")
				s.failing(nil)
				s.start(watch.Options{})
			})
		})
	}
}

func TestStartingAndStoppingAtAnyMomentLosesNothing(t *testing.T) {
	inBubble(t, func(s *stage) {
		since := time.Now()
		var ids []notifier.ItemID
		for i := range 50 {
			s.end()
			s.start(watch.Options{})
			s.watcher.Add(ada, since)
			s.watcher.Add(ben, since)
			s.pass(time.Duration(i*i%97) * 7 * time.Millisecond)
			ids = append(ids, s.mail(ada, fmt.Sprint("a ", i)), s.mail(ben, fmt.Sprint("b ", i)))
			s.pass(time.Duration(i*37%89) * 5 * time.Millisecond)
		}
		s.pass(10 * time.Minute)
		got := s.handled()
		for i, id := range ids {
			if len(got[id]) == 0 {
				t.Errorf("mail %d was never handled", i)
			}
		}
	})
}

func TestMailboxesThatComeAndGoLeaveNothingBehind(t *testing.T) {
	streaming(t, func(s *stage) {
		for i := range 60 {
			s.watcher.Remove(ada)
			s.pass(time.Duration(i%7) * 3 * time.Millisecond)
			s.watcher.Add(ada, time.Now())
			s.pass(time.Duration(i%11) * 40 * time.Millisecond)
		}
		s.pass(time.Minute)
		if s.state(ada) != watch.Streaming {
			t.Errorf("ada is %s", s.state(ada))
		}
		s.mustHandle(s.mailAndPass(ada, "after all that"))
		s.watcher.Remove(ada)
		s.watcher.Remove(ben)
		s.pass(time.Minute)
		if st := s.watcher.Stats(); st.Groups != 0 || st.Mailboxes != 0 {
			t.Errorf("%+v", st)
		}
	})
}
