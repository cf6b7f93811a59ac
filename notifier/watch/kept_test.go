package watch_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"mailbell/fakes/exchange"
	"mailbell/notifier"
	"mailbell/notifier/autodiscover"
	"mailbell/notifier/watch"
)

// again ends the watcher and starts another with the same bookmarks; between
// the two, something happens.
func (s *stage) again(o watch.Options, between func()) {
	s.end()
	between()
	s.start(o)
	s.watcher.Add(ada, time.Now().Add(-24*time.Hour))
	s.watcher.Add(ben, time.Now().Add(-24*time.Hour))
}

func TestARestartGoesOnWithTheSubscriptionsOfBefore(t *testing.T) {
	streaming(t, func(s *stage) {
		discoveries := 0
		o := watch.Options{Discover: func(ctx context.Context, a []string) []autodiscover.Result {
			discoveries++
			return s.discover(ctx, a)
		}}
		var ids []notifier.ItemID
		for i := range 25 { // more than Exchange Online would let a mailbox have
			s.again(o, func() {
				ids = append(ids, s.mail(ada, fmt.Sprint("between ", i)))
				s.pass(time.Duration(i) * time.Second)
			})
			s.pass(10 * time.Second)
			ids = append(ids, s.mailAndPass(ben, fmt.Sprint("after ", i)))
		}
		s.mustHandle(ids...)
		if s.count("Subscribe") != 2 || s.count("Unsubscribe") != 0 || discoveries != 0 {
			t.Errorf("%d Subscribe, %d Unsubscribe, %d discoveries", s.count("Subscribe"), s.count("Unsubscribe"), discoveries)
		}
		if n := s.org.State().Subscriptions; n != 2 {
			t.Errorf("%d subscriptions", n)
		}
	})
}

func TestARestartAfterTheServersOwnSubscribesAnewAtOnce(t *testing.T) {
	streaming(t, func(s *stage) {
		var id notifier.ItemID
		s.again(watch.Options{}, func() {
			must(t, s.org.RestartServer("ex01"))
			id = s.mail(ada, "between")
		})
		s.pass(2 * time.Second)
		s.mustHandle(id, s.mailAndPass(ben, "after"))
		if s.state(ada) != watch.Streaming || s.count("Subscribe") != 4 {
			t.Errorf("ada is %s, %d Subscribe", s.state(ada), s.count("Subscribe"))
		}
	})
}

func TestAMailboxThatMovedWhileTheWatcherWasDownIsFound(t *testing.T) {
	streaming(t, func(s *stage) {
		var id notifier.ItemID
		s.again(watch.Options{}, func() {
			must(t, s.org.Move(string(ada), "ex02", 0))
			id = s.mail(ada, "between")
		})
		s.pass(time.Minute)
		s.mustHandle(id, s.mailAndPass(ben, "after"), s.mailAndPass(ada, "after, too"))
		if s.state(ada) != watch.Streaming || s.state(ben) != watch.Streaming {
			t.Errorf("ada is %s, ben is %s", s.state(ada), s.state(ben))
		}
	})
}

func TestASubscriptionOfAnotherAccountIsGivenBack(t *testing.T) {
	streaming(t, func(s *stage) {
		full := watch.Options{Accounts: []watch.Account{
			{Name: "svc", Requests: gate{s, s.pool}, Capacity: 1}, {Name: "other", Requests: gate{s, s.pool}},
		}}
		s.again(full, func() {})
		s.pass(time.Minute)
		s.mustHandle(s.mailAndPass(ada, "one"), s.mailAndPass(ben, "two"))
		if s.count("Subscribe") != 3 || s.count("Unsubscribe") != 1 || s.org.State().Subscriptions != 2 {
			t.Errorf("%d Subscribe, %d Unsubscribe, %d subscriptions", s.count("Subscribe"), s.count("Unsubscribe"), s.org.State().Subscriptions)
		}
	})
}

func TestAThousandMailboxesRestartWithAsManyStreamsAsBefore(t *testing.T) {
	const n = 1000
	inBubbleWith(t, exchange.Options{}, watch.Options{}, func(s *stage) {
		add := func() {
			for i := range n {
				s.watcher.Add(notifier.Mailbox(fmt.Sprintf("user%04d@contoso.test", i)), time.Now())
			}
		}
		for i := range n {
			must(t, s.org.AddMailbox(fmt.Sprintf("user%04d@contoso.test", i), exchange.MailboxOptions{Server: "ex01"}))
		}
		add()
		s.pass(time.Minute)
		groups, subscribed, found := s.watcher.Stats().Groups, s.count("Subscribe"), s.count("FindItem")
		s.end()
		s.start(watch.Options{})
		add()
		s.pass(5 * time.Second)
		st := s.watcher.Stats()
		if st.ByState[watch.Streaming] != n || st.Groups != groups || st.StreamsOpened != uint64(groups) {
			t.Errorf("%+v, %d groups before", st, groups)
		}
		if s.count("Subscribe") != subscribed || s.count("FindItem") != found+n {
			t.Errorf("%d new subscriptions, %d comparisons", s.count("Subscribe")-subscribed, s.count("FindItem")-found)
		}
	})
}
