package watch_test

import (
	"fmt"
	"testing"
	"time"

	"mailbell/fakes/exchange"
	"mailbell/notifier"
	"mailbell/notifier/watch"
)

// A group has one stream for most of its members and one for newcomers; every
// reopening of the second costs a comparison of each mailbox on it.
func TestNewcomersDoNotReopenAStreamEach(t *testing.T) {
	inBubble(t, func(s *stage) {
		const newcomers = 100
		var names []notifier.Mailbox
		var ids []notifier.ItemID
		for i := range newcomers {
			m := notifier.Mailbox(fmt.Sprintf("new%03d@contoso.test", i))
			must(t, s.org.AddMailbox(string(m), exchange.MailboxOptions{Server: "ex01"}))
			s.watcher.Add(m, time.Now())
			names = append(names, m)
			s.pass(100 * time.Millisecond)
			ids = append(ids, s.mail(m, "at once"))
		}
		s.pass(10 * time.Second)
		for _, m := range names {
			if got := s.state(m); got != watch.Streaming {
				t.Fatalf("%s is %s", m, got)
			}
		}
		s.mustHandle(ids...)
		st := s.watcher.Stats()
		if st.StreamsOpened > 15 { // each of the two streams every two seconds
			t.Errorf("%d streams were opened for newcomers of ten seconds", st.StreamsOpened)
		}
		if st.StreamsBroken > 0 {
			t.Errorf("%d streams that the watcher itself closed are counted as broken", st.StreamsBroken)
		}
	})
}
