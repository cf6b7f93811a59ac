package watch_test

import (
	"errors"
	"fmt"
	"math/rand"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"mailbell/fakes/exchange"
	"mailbell/fakes/fault"
	"mailbell/notifier"
	"mailbell/notifier/watch"
)

var bySync = watch.Options{CatchUp: watch.BySync}

// syncing sets a stage with ada and ben on a stream and their Inboxes walked.
func syncing(t *testing.T, tell func(*stage)) {
	t.Helper()
	inBubbleWith(t, exchange.Options{}, bySync, func(s *stage) {
		s.watcher.Add(ada, time.Now())
		s.watcher.Add(ben, time.Now())
		s.pass(10 * time.Second)
		s.mustKnowAState(ada)
		tell(s)
	})
}

// restart ends the watcher and, when down has told what happens meanwhile,
// starts another one with the stored bookmarks.
func (s *stage) restart(down func()) {
	s.end()
	down()
	s.start(bySync)
	s.watcher.Add(ada, time.Now().Add(-24*time.Hour))
}

func (s *stage) mark(m notifier.Mailbox) notifier.Bookmark {
	s.t.Helper()
	b, err := s.marks.Get(s.t.Context(), m)
	must(s.t, err)
	return b
}

func (s *stage) mustKnowAState(m notifier.Mailbox) {
	s.t.Helper()
	if b := s.mark(m); b.Sync == nil || !b.Sync.Walked || b.Sync.State == "" {
		s.t.Errorf("no state of %s is known: %+v", m, b.Sync)
	}
}

// filed puts a mail into a folder that nobody watches.
func (s *stage) filed(to notifier.Mailbox, subject, folder string) string {
	s.t.Helper()
	id, err := s.org.CreateItem(string(to), folder, []byte("From: x@fabrikam.test\r\nSubject: "+subject+"\r\n\r\nhello\r\n"))
	must(s.t, err)
	return id
}

func (s *stage) moveIn(to notifier.Mailbox, id string) notifier.ItemID {
	s.t.Helper()
	moved, err := s.org.MoveItem(string(to), id, exchange.Inbox)
	must(s.t, err)
	return notifier.ItemID(moved)
}

func TestNothingIsLostAcrossGapsWithSync(t *testing.T) {
	syncing(t, func(s *stage) {
		var ids []notifier.ItemID
		for i := range 120 {
			switch i % 9 {
			case 0:
				s.org.CutStreams("")
			case 3:
				s.org.LoseSubscriptions(string(ben))
			case 5:
				s.net.Cut("mail.contoso.test:443")
			case 7:
				if i%2 == 0 {
					must(t, s.org.Move(string(ada), []string{"ex01", "ex02"}[i/9%2], time.Minute))
				}
			}
			ids = append(ids, s.mail([]notifier.Mailbox{ada, ben}[i%2], fmt.Sprint("storm ", i)))
			s.pass(time.Duration(1+i%40) * 3 * time.Second)
		}
		s.pass(30 * time.Minute)
		s.mustHandle(ids...)
		s.mustKnowAState(ada)
	})
}

func TestAMailMovedIntoTheInboxDuringAGapIsAnnounced(t *testing.T) {
	for way, o := range map[watch.CatchUp]watch.Options{watch.BySync: bySync, watch.ByReceived: {}} {
		t.Run(string(way), func(t *testing.T) {
			inBubbleWith(t, exchange.Options{}, o, func(s *stage) {
				junk := s.filed(ada, "taken for junk", exchange.JunkEmail)
				s.pass(notifier.BookmarkLookBack + time.Hour)
				s.watcher.Add(ada, time.Now().Add(-notifier.BookmarkLookBack-2*time.Hour))
				s.pass(time.Minute)
				ids := []notifier.ItemID{s.mailAndPass(ada, "raises the floor")}
				s.end()
				moved := s.moveIn(ada, junk)
				s.start(o)
				s.watcher.Add(ada, time.Now().Add(-24*time.Hour))
				s.pass(time.Minute)
				if way == watch.BySync { // by received time it is too old: that is the difference
					ids = append(ids, moved)
				}
				s.mustHandle(ids...)
				s.pass(13 * time.Hour) // and no sweep announces it again
				s.mustHandle(ids...)
				if n := s.watcher.Stats().AuditFinds; n != 0 {
					t.Errorf("%d finds of the audit", n)
				}
			})
		})
	}
}

func TestWhatIsMovedInIsAnnouncedOnlyWhenItIsNews(t *testing.T) {
	syncing(t, func(s *stage) {
		read, young, old := s.filed(ada, "read", exchange.JunkEmail), s.filed(ada, "of last month", exchange.JunkEmail), s.filed(ada, "older than a month", exchange.JunkEmail)
		must(t, s.org.MarkRead(string(ada), read))
		draft, err := s.org.CreateItem(string(ada), exchange.Drafts, []byte("Subject: draft\r\n\r\nhello\r\n"))
		must(t, err)
		must(t, s.org.MarkUnread(string(ada), draft))
		var ids []notifier.ItemID
		s.restart(func() { s.pass(29 * 24 * time.Hour) })
		s.pass(time.Minute)
		ids = append(ids, s.mailAndPass(ada, "raises the floor"))
		s.restart(func() {
			ids = append(ids, s.moveIn(ada, young))
			s.moveIn(ada, read)
			s.moveIn(ada, draft)
		})
		s.pass(time.Minute)
		s.mustHandle(ids...)
		s.restart(func() { s.pass(2 * 24 * time.Hour) })
		s.pass(time.Minute)
		ids = append(ids, s.mailAndPass(ada, "raises the floor"))
		s.restart(func() { s.moveIn(ada, old) })
		s.pass(time.Minute)
		s.mustHandle(ids...)
	})
}

func TestTheFirstSyncOfAFullInboxAnnouncesNothingOld(t *testing.T) {
	inBubbleWith(t, exchange.Options{}, bySync, func(s *stage) {
		for i := range 1200 {
			s.mail(ada, fmt.Sprint("old ", i))
		}
		s.pass(24 * time.Hour)
		since := time.Now()
		id := s.mail(ada, "new")
		s.watcher.Add(ada, since)
		s.pass(time.Minute)
		s.mustHandle(id)
		s.mustKnowAState(ada)
		if n := s.count("SyncFolderItems"); n != 3 {
			t.Errorf("%d requests for 1201 items, want 3 pages", n)
		}
		s.pass(9 * time.Hour) // two sweeps of one request each
		if n := s.count("SyncFolderItems"); n > 5 {
			t.Errorf("%d requests for sweeps, want 1 each", n-3)
		}
		if n := s.count("FindItem"); n != 1 {
			t.Errorf("%d comparisons by received time, want the first only", n)
		}
	})
}

func TestMailDuringTheFirstWalkIsAnnouncedOnce(t *testing.T) {
	inBubbleWith(t, exchange.Options{}, bySync, func(s *stage) {
		for i := range 1600 {
			s.mail(ada, fmt.Sprint("old ", i))
		}
		s.pass(24 * time.Hour)
		var ids []notifier.ItemID
		s.hooked(func(q request) (*http.Response, error) {
			if q.operation == "SyncFolderItems" {
				s.org.CutStreams("")
				id := s.mail(ada, fmt.Sprint("during page ", len(ids)))
				s.mu.Lock()
				ids = append(ids, id)
				s.mu.Unlock()
			}
			return nil, nil
		})
		s.watcher.Add(ada, time.Now())
		s.pass(time.Minute)
		s.hooked(nil)
		s.pass(5 * time.Hour)
		s.mustHandle(ids...)
		s.mustKnowAState(ada)
	})
}

func TestAStateLostOrDamagedIsHealedAndLosesNothing(t *testing.T) {
	for name, damage := range map[string]func(*stage, *notifier.Bookmark){
		"damaged":   func(_ *stage, b *notifier.Bookmark) { b.Sync.State = "AAAA" + b.Sync.State },
		"lost":      func(_ *stage, b *notifier.Bookmark) { b.Sync = nil },
		"of ben":    func(s *stage, b *notifier.Bookmark) { b.Sync.State = s.mark(ben).Sync.State },
		"enormous":  func(_ *stage, b *notifier.Bookmark) { b.Sync.State = strings.Repeat("A", notifier.BookmarkStateMax+1) },
		"forgotten": func(_ *stage, b *notifier.Bookmark) { b.Sync = &notifier.SyncMark{} },
	} {
		t.Run(name, func(t *testing.T) {
			syncing(t, func(s *stage) {
				ids := []notifier.ItemID{s.mailAndPass(ada, "before")}
				s.restart(func() {
					b := s.mark(ada)
					damage(s, &b)
					must(t, s.marks.Put(t.Context(), b))
					ids = append(ids, s.mail(ada, "in the gap"))
					s.pass(time.Hour)
				})
				s.pass(time.Minute)
				s.mustHandle(ids...)
				s.mustKnowAState(ada)
				junk := s.filed(ada, "x", exchange.JunkEmail)
				s.pass(time.Hour)
				ids = append(ids, s.mailAndPass(ada, "raises the floor"))
				s.restart(func() { ids = append(ids, s.moveIn(ada, junk)) })
				s.pass(time.Minute)
				s.mustHandle(ids...)
			})
		})
	}
}

func TestAMailboxWhoseStateIsTooLongIsComparedByReceivedTime(t *testing.T) {
	syncing(t, func(s *stage) {
		state := regexp.MustCompile(`<m:SyncState>`)
		long := `<m:SyncState>` + strings.Repeat("A", notifier.BookmarkStateMax)
		syncs := 0
		s.hooked(func(q request) (*http.Response, error) {
			if q.operation != "SyncFolderItems" || q.mailbox != string(ada) {
				return nil, nil
			}
			syncs++
			return answer(q, 200, state.ReplaceAllString(noChanges("A", true), long)), nil
		})
		var ids []notifier.ItemID
		for i := range 24 {
			s.org.CutStreams("")
			ids = append(ids, s.mail(ada, fmt.Sprint("mail ", i)))
			s.pass(time.Hour)
		}
		s.mustHandle(ids...)
		if syncs > 12 {
			t.Errorf("%d times in a day a state was asked for that nobody can keep", syncs)
		}
	})
}

// noChanges is an answer to SyncFolderItems.
func noChanges(state string, last bool) string {
	return `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><m:SyncFolderItemsResponse xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"><m:ResponseMessages>` +
		`<m:SyncFolderItemsResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode><m:SyncState>` + state + `</m:SyncState><m:IncludesLastItemInRange>` + fmt.Sprint(last) +
		`</m:IncludesLastItemInRange><m:Changes/></m:SyncFolderItemsResponseMessage></m:ResponseMessages></m:SyncFolderItemsResponse></s:Body></s:Envelope>`
}

func TestAServerThatNeverSaysLastMakesNoStormAndLosesNothing(t *testing.T) {
	for name, grows := range map[string]bool{"same state": false, "another state each time": true} {
		t.Run(name, func(t *testing.T) {
			syncing(t, func(s *stage) {
				syncs := 0
				s.hooked(func(q request) (*http.Response, error) {
					if q.operation != "SyncFolderItems" || q.mailbox != string(ada) {
						return nil, nil
					}
					state := "AAAA"
					if syncs++; grows {
						state = fmt.Sprint("state ", syncs)
					}
					return answer(q, 200, noChanges(state, false)), nil
				})
				var ids []notifier.ItemID
				for i := range 6 {
					s.org.CutStreams("")
					ids = append(ids, s.mail(ada, fmt.Sprint("mail ", i)))
					s.pass(10 * time.Minute)
				}
				if syncs > 40*60 {
					t.Errorf("%d requests in an hour", syncs)
				}
				s.hooked(nil)
				s.pass(12 * time.Hour)
				s.mustHandle(ids...)
			})
		})
	}
}

func TestTheStateWaitsForTheConsequences(t *testing.T) {
	syncing(t, func(s *stage) {
		before := s.mark(ada).Sync.State
		s.failing(errors.New("the queue is full"))
		var junk []string
		for i := range 5 {
			junk = append(junk, s.filed(ada, fmt.Sprint("mail ", i), exchange.JunkEmail))
		}
		var ids []notifier.ItemID
		s.restart(func() {
			for _, id := range junk {
				ids = append(ids, s.moveIn(ada, id))
			}
			ids = append(ids, s.mail(ada, "in the gap"))
			s.pass(time.Hour)
		})
		s.pass(2 * time.Minute)
		if s.count("SyncFolderItems") == 0 || s.mark(ada).Sync.State != before {
			t.Fatal("the state has moved although nothing of its changes is durable")
		}
		// As if the process were killed: another one begins with what is stored.
		s.restart(func() { s.failing(nil) })
		s.pass(2 * time.Minute)
		s.mustHandle(ids...)
		if s.mark(ada).Sync.State == before {
			t.Error("the state has not moved")
		}
	})
}

func TestACrashBeforeTheStateIsStoredRepeatsButNeverLoses(t *testing.T) {
	syncing(t, func(s *stage) {
		junk := s.filed(ada, "taken for junk", exchange.JunkEmail)
		s.pass(time.Hour)
		ids := []notifier.ItemID{s.mailAndPass(ada, "raises the floor")}
		stored := s.mark(ada)
		var moved, fresh notifier.ItemID
		s.restart(func() { moved, fresh = s.moveIn(ada, junk), s.mail(ada, "in the gap") })
		s.pass(time.Minute)
		s.mustHandle(append(ids, moved, fresh)...)
		s.restart(func() { must(t, s.marks.Put(t.Context(), stored)) }) // of the last start nothing was written
		s.pass(time.Minute)
		got := s.handled()
		for name, c := range map[string]struct {
			id   notifier.ItemID
			want int
		}{"moved in": {moved, 2}, "in the gap": {fresh, 2}, "known before": {ids[0], 1}} {
			if n := len(got[c.id]); n != c.want {
				t.Errorf("%s: handled %d times, want %d", name, n, c.want)
			}
		}
	})
}

func TestTenThousandMailsInTheGapArePagedAndBounded(t *testing.T) {
	syncing(t, func(s *stage) {
		const n = 10_000
		s.end()
		ids := make([]notifier.ItemID, n)
		for i := range ids {
			ids[i] = s.mail(ada, fmt.Sprint("down ", i))
		}
		s.org.LoseSubscriptions("") // its queue would tell of the first, and of so many that the state is given up
		s.pass(time.Hour)
		before, most := s.count("SyncFolderItems"), 0
		s.hooked(func(q request) (*http.Response, error) {
			if q.operation == "SyncFolderItems" && q.mailbox == string(ada) {
				st, _ := s.watcher.Explain(ada)
				most = max(most, st.Pending)
			}
			return nil, nil
		})
		s.start(bySync)
		s.watcher.Add(ada, time.Now().Add(-24*time.Hour))
		for range 30 {
			s.pass(10 * time.Second)
			st, _ := s.watcher.Explain(ada)
			most = max(most, st.Pending)
		}
		s.pass(30 * time.Minute)
		s.mustHandle(ids...)
		if most > 512 { // one page
			t.Errorf("%d changes waited at once", most)
		}
		if pages := s.count("SyncFolderItems") - before; pages < n/512 || pages > n/512+3 {
			t.Errorf("%d pages", pages)
		}
		if b := s.mark(ada); len(b.Seen) > notifier.BookmarkSeenMax || len(b.Sync.Known) > 250 || !b.Sync.Walked {
			t.Errorf("the bookmark remembers %d and %d items, walked %v", len(b.Seen), len(b.Sync.Known), b.Sync.Walked)
		}
		if s.state(ada) != watch.Streaming {
			t.Errorf("ada is %s", s.state(ada))
		}
	})
}

func TestABusyMailboxMovesItsStateOn(t *testing.T) {
	syncing(t, func(s *stage) {
		var ids []notifier.ItemID
		for i := range 1500 {
			ids = append(ids, s.mail(ada, fmt.Sprint("mail ", i)))
			s.pass(5 * time.Second)
			if n := len(s.mark(ada).Sync.Known); n > 400 {
				t.Fatalf("the bookmark remembers %d items", n)
			}
		}
		s.pass(13 * time.Hour)
		s.mustHandle(ids...)
		if n := s.watcher.Stats().AuditFinds; n != 0 {
			t.Errorf("%d finds of the audit", n)
		}
	})
}

func TestSyncThatFailsForLongHoldsNothingUp(t *testing.T) {
	for _, code := range []string{"ErrorInternalServerError", "ErrorServerBusy", "ErrorAccessDenied", "ErrorNobodyKnowsThisOne", "ErrorInvalidSyncStateData"} {
		t.Run(code, func(t *testing.T) {
			syncing(t, func(s *stage) {
				junk := s.filed(ada, "taken for junk", exchange.JunkEmail)
				s.pass(notifier.BookmarkLookBack + time.Hour)
				ids := []notifier.ItemID{s.mailAndPass(ada, "raises the floor")}
				n := s.counting(ada, func(q request) (*http.Response, error) {
					if q.operation == "SyncFolderItems" {
						return faulty(q, code), nil
					}
					return nil, nil
				})
				moved := s.moveIn(ada, junk)
				for i := range 6 {
					s.org.CutStreams("")
					ids = append(ids, s.mail(ada, fmt.Sprint("mail ", i)))
					s.pass(10 * time.Minute)
				}
				s.mu.Lock()
				if *n > hourlyMax {
					t.Errorf("%d requests in an hour", *n)
				}
				s.mu.Unlock()
				if s.state(ada) != watch.Streaming {
					t.Errorf("ada is %s", s.state(ada))
				}
				s.mustHandle(ids...)
				s.hooked(nil)
				s.pass(9 * time.Hour)
				s.mustKnowAState(ada)
				if code != "ErrorInvalidSyncStateData" { // the state has stayed, and tells what was missed
					ids = append(ids, moved)
				}
				s.mustHandle(ids...)
			})
		})
	}
}

func TestNoErrorOfSyncMakesAStorm(t *testing.T) {
	if testing.Short() {
		t.Skip("go test -short was asked for, and this plays an hour for each of some forty codes")
	}
	for _, code := range codes {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			inBubbleWith(t, exchange.Options{}, bySync, func(s *stage) {
				n := s.counting(ada, func(q request) (*http.Response, error) {
					if q.operation == "SyncFolderItems" {
						return faulty(q, code), nil
					}
					return nil, nil
				})
				s.watcher.Add(ada, time.Now())
				ids := []notifier.ItemID{s.mail(ada, "early")}
				s.pass(time.Hour)
				s.mu.Lock()
				if *n > hourlyMax {
					t.Errorf("%d requests in an hour", *n)
				}
				s.mu.Unlock()
				s.hooked(nil)
				s.pass(9 * time.Hour)
				s.mustHandle(append(ids, s.mailAndPass(ada, "late"))...)
				s.mustKnowAState(ada)
			})
		})
	}
}

func TestTheAuditBySyncFindsWhatTheStreamLost(t *testing.T) {
	syncing(t, func(s *stage) {
		_, err := s.faults.Add(fault.Fault{Name: "ews.stream.lose-event", Scope: fault.Scope{Mailbox: string(ada)}, Count: 1})
		must(t, err)
		id := s.mailAndPass(ada, "lost without a trace")
		finds, syncs := s.count("FindItem"), s.count("SyncFolderItems")
		s.pass(5 * time.Hour)
		s.mustHandle(id)
		if s.handled()[id][0] != notifier.FromAudit || s.watcher.Stats().AuditFinds != 1 {
			t.Errorf("found by %v, %d finds counted", s.handled()[id], s.watcher.Stats().AuditFinds)
		}
		if f, y := s.count("FindItem")-finds, s.count("SyncFolderItems")-syncs; f != 0 || y > 4 {
			t.Errorf("the sweep took %d FindItem and %d SyncFolderItems requests", f, y)
		}
	})
}

func TestTurningSyncOffAndOnRepeatsNothing(t *testing.T) {
	syncing(t, func(s *stage) {
		ids := []notifier.ItemID{s.mailAndPass(ada, "with")}
		for _, o := range []watch.Options{{}, bySync} {
			s.end()
			ids = append(ids, s.mail(ada, "down"))
			s.start(o)
			s.watcher.Add(ada, time.Now().Add(-24*time.Hour))
			s.pass(time.Minute)
			for i := range 30 {
				ids = append(ids, s.mailAndPass(ada, fmt.Sprint("up ", i)))
				s.pass(time.Minute)
			}
		}
		s.org.CutStreams("")
		s.pass(time.Hour)
		s.mustHandle(ids...)
	})
}

// TestWhateverHappensEachNewMailIsHandled plays random days: mails come, are
// filed, moved in, read and deleted, while streams break, states are damaged and
// the watcher is killed.
func TestWhateverHappensEachNewMailIsHandled(t *testing.T) {
	for seed := range int64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			syncing(t, func(s *stage) {
				r := rand.New(rand.NewSource(seed))
				var due []notifier.ItemID // has to be handled
				var junk []string
				kills := 0
				for i := range 150 {
					switch r.Intn(12) {
					case 0, 1, 2, 3:
						due = append(due, s.mail(ada, fmt.Sprint("mail ", i)))
					case 4:
						junk = append(junk, s.filed(ada, fmt.Sprint("junk ", i), exchange.JunkEmail))
					case 5:
						if len(junk) > 0 {
							due, junk = append(due, s.moveIn(ada, junk[0])), junk[1:]
						}
					case 6:
						must(t, s.org.Delete(string(ada), string(s.mail(ada, "deleted at once"))))
					case 7:
						s.org.CutStreams("")
					case 8:
						s.org.LoseSubscriptions(string(ada))
					case 9:
						if len(due) > 0 {
							must(t, s.org.Touch(string(ada), string(due[r.Intn(len(due))])))
						}
					case 10:
						kills++
						old := s.mark(ada)
						s.restart(func() {
							if r.Intn(2) == 0 {
								must(t, s.marks.Put(t.Context(), old)) // what was written last is lost
							}
							s.pass(time.Duration(r.Intn(1800)) * time.Second)
						})
					case 11:
						_, err := s.faults.Add(fault.Fault{Name: "ews.error", Count: 1 + r.Intn(3), Args: map[string]string{"code": []string{"ErrorServerBusy", "ErrorInternalServerError", "ErrorTimeoutExpired"}[r.Intn(3)], "operation": "SyncFolderItems"}})
						must(t, err)
					}
					s.pass(time.Duration(r.Intn(600_000)) * time.Millisecond)
				}
				s.faults.Clear()
				s.pass(10 * time.Hour)
				got := s.handled()
				for i, id := range due {
					if n := len(got[id]); n == 0 {
						t.Errorf("mail %d was never handled", i)
					} else if n > 1+kills {
						t.Errorf("mail %d was handled %d times in %d lives", i, n, 1+kills)
					}
				}
				s.mustKnowAState(ada)
			})
		})
	}
}
