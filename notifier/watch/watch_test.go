package watch_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"mailbell/fakes/exchange"
	"mailbell/fakes/fakeews"
	"mailbell/fakes/fault"
	"mailbell/fakes/iisauth"
	"mailbell/fakes/journal"
	"mailbell/fakes/memnet"
	"mailbell/fakes/testcert"
	"mailbell/notifier"
	"mailbell/notifier/autodiscover"
	"mailbell/notifier/bookmark"
	"mailbell/notifier/httpauth"
	"mailbell/notifier/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	ada = notifier.Mailbox("ada@contoso.test")
	ben = notifier.Mailbox("ben@contoso.test")
)

// stage is an Exchange organisation and a watcher on it, in one bubble.
type stage struct {
	t       *testing.T
	org     *exchange.Organisation
	faults  *fault.Set
	journal *journal.Journal
	net     *memnet.Network
	pool    *httpauth.Pool
	server  *http.Server
	marks   *bookmark.Memory

	watcher *watch.Watcher
	stop    context.CancelFunc
	ended   chan error

	mu     sync.Mutex
	busy   map[notifier.Mailbox]bool // in Handle now
	events []notifier.Event
	fail   error // what Handle answers, nil for success
	hook   hook  // sees every request first; nil: none
	// received is when Handle says that a mail was received; nil: when it was.
	received func(notifier.Message) time.Time
	poison   []notifier.ItemID // given up, in order
}

// inBubble sets the stage, has the story told, and clears it.
func inBubble(t *testing.T, tell func(*stage)) {
	inBubbleWith(t, exchange.Options{}, watch.Options{}, tell)
}

func inBubbleWith(t *testing.T, org exchange.Options, o watch.Options, tell func(*stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{t: t, faults: fault.New(1), journal: journal.New(), net: memnet.New(memnet.Options{Seed: 1}), marks: bookmark.NewMemory(), busy: map[notifier.Mailbox]bool{}}
		s.serve(org)
		s.start(o)
		tell(s)
		s.end()
		s.pool.Close()
		s.server.Close()
		s.marks.Close()
		time.Sleep(2 * time.Minute) // until the server has noticed that nobody listens
		synctest.Wait()
	})
}

func (s *stage) serve(o exchange.Options) {
	o.Servers, o.Journal = []string{"ex01", "ex02"}, s.journal
	org, err := exchange.New(o)
	must(s.t, err)
	s.org = org
	org.AddAccount(iisauth.Account{User: "svc", NetBIOS: "CONTOSO", DNSDomain: "contoso.test", Password: "pw", Impersonation: true})
	for _, m := range []notifier.Mailbox{ada, ben} {
		must(s.t, org.AddMailbox(string(m), exchange.MailboxOptions{Server: "ex01"}))
	}
	ca, err := testcert.NewAuthority()
	must(s.t, err)
	cert, err := ca.Server("mail.contoso.test")
	must(s.t, err)
	site := iisauth.New(iisauth.Options{Directory: org, Certificate: cert, Journal: s.journal, Faults: s.faults})
	handler, err := fakeews.New(fakeews.Options{Organisation: org, Profile: fault.Calm, Faults: s.faults, Journal: s.journal})
	must(s.t, err)
	l, err := s.net.Listen("mail.contoso.test:443")
	must(s.t, err)
	s.server = &http.Server{Handler: site.Handler(handler), ConnContext: site.ConnContext}
	go s.server.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}}))
	s.pool, err = httpauth.NewPool(httpauth.Options{
		Account: "svc", Credentials: httpauth.NTLM{User: `CONTOSO\svc`, Password: "pw"}, TLS: &tls.Config{RootCAs: ca.Pool()}, Dial: s.net.Dial, SlotsMax: 16,
	})
	must(s.t, err)
}

// start runs a watcher with the stage's bookmarks.
func (s *stage) start(o watch.Options) {
	if o.Accounts == nil {
		o.Accounts = []watch.Account{{Name: "svc", Requests: gate{s, s.pool}}}
	}
	o.Bookmarks = s.marks
	o.Handle = s.handle
	if o.Discover == nil {
		o.Discover = s.discover
	}
	w, err := watch.New(o)
	must(s.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	s.watcher, s.stop, s.ended = w, cancel, make(chan error, 1)
	go func() { s.ended <- w.Run(ctx) }()
}

// discover is Autodiscover's part.
func (s *stage) discover(_ context.Context, addresses []string) []autodiscover.Result {
	out := make([]autodiscover.Result, len(addresses))
	for i, a := range addresses {
		out[i].Address = a
		set, ok := s.org.Settings(a)
		if !ok {
			out[i].Err = autodiscover.ErrNoSuchMailbox
			continue
		}
		out[i].Settings = autodiscover.Settings{Address: set.Address, EWSURL: set.EWSURL, Grouping: set.Grouping, Schemas: set.Schemas}
	}
	return out
}

func (s *stage) end() {
	if n := s.watcher.Stats().Irregular; n != 0 {
		s.t.Errorf("%d transitions that are none", n)
	}
	s.stop()
	if err := <-s.ended; !errors.Is(err, context.Canceled) {
		s.t.Errorf("Run ended with %v", err)
	}
}

// handle is the rest of the path: it remembers the events and, as the real one
// does, knows the received time of what it read.
func (s *stage) handle(ctx context.Context, m notifier.Mailbox, events []notifier.Event) ([]notifier.SeenItem, error) {
	s.mu.Lock()
	if s.busy[m] {
		s.t.Errorf("%s is handled twice at the same time", m)
	}
	s.busy[m] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.busy, m)
		s.mu.Unlock()
	}()
	time.Sleep(5 * time.Millisecond) // as long as a real one takes
	ids := make([]notifier.ItemID, len(events))
	for i, e := range events {
		ids[i] = e.Item
	}
	r, err := s.watcher.Read(ctx, m, ids)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return nil, s.fail
	}
	s.events = append(s.events, events...)
	var seen []notifier.SeenItem
	for _, msg := range r.Messages {
		at := msg.Received
		if s.received != nil {
			at = s.received(msg)
		}
		seen = append(seen, notifier.SeenItem{Item: msg.Item, Received: at})
	}
	for _, id := range append(r.Gone, r.Poison...) {
		seen = append(seen, notifier.SeenItem{Item: id})
	}
	s.poison = append(s.poison, r.Poison...)
	return seen, nil
}

func (s *stage) failing(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// handled lists the items handled so far, by source.
func (s *stage) handled() map[notifier.ItemID][]notifier.Source {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[notifier.ItemID][]notifier.Source{}
	for _, e := range s.events {
		out[e.Item] = append(out[e.Item], e.Source)
	}
	return out
}

func (s *stage) mail(to notifier.Mailbox, subject string) notifier.ItemID {
	s.t.Helper()
	got, err := s.org.Deliver(exchange.Envelope{From: "x@fabrikam.test", To: []string{string(to)}, Raw: fmt.Appendf(nil, "From: X <x@fabrikam.test>\r\nSubject: %s\r\n\r\nhello\r\n", subject)})
	must(s.t, err)
	must(s.t, got[0].Err)
	return notifier.ItemID(got[0].Item)
}

// pass lets virtual time go by.
func (s *stage) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (s *stage) state(m notifier.Mailbox) watch.State {
	st, _ := s.watcher.Explain(m)
	return st.State
}

// mustHandle checks that exactly these items were handled, each once.
func (s *stage) mustHandle(items ...notifier.ItemID) {
	s.t.Helper()
	got := s.handled()
	for _, id := range items {
		if n := len(got[id]); n != 1 {
			s.t.Errorf("item …%s was handled %d times", id[max(0, len(id)-8):], n)
		}
	}
	if len(got) != len(items) {
		s.t.Errorf("%d items handled, want %d", len(got), len(items))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestNewMailIsToldByTheStream(t *testing.T) {
	inBubble(t, func(s *stage) {
		s.watcher.Add(ada, time.Now())
		s.pass(5 * time.Second)
		if s.state(ada) != watch.Streaming {
			st, _ := s.watcher.Explain(ada)
			t.Fatalf("not streaming: %+v", st)
		}
		id := s.mail(ada, "hello")
		s.pass(time.Second)
		s.mustHandle(id)
		if src := s.handled()[id]; len(src) > 0 && src[0] != notifier.FromStream {
			t.Errorf("noticed by %v", src)
		}
	})
}

func TestMailBeforeTheSubscriptionIsFoundByComparing(t *testing.T) {
	inBubble(t, func(s *stage) {
		old := s.mail(ada, "before the registration")
		s.pass(time.Minute)
		since := time.Now()
		id := s.mail(ada, "after the registration, before the subscription")
		s.watcher.Add(ada, since)
		s.pass(5 * time.Second)
		s.mustHandle(id)
		if len(s.handled()[old]) > 0 {
			t.Error("mail from before the registration was announced")
		}
	})
}

func TestMailDuringACutStreamIsFoundAfterwards(t *testing.T) {
	inBubble(t, func(s *stage) {
		s.watcher.Add(ada, time.Now())
		s.watcher.Add(ben, time.Now())
		s.pass(5 * time.Second)
		var ids []notifier.ItemID
		for i := range 10 {
			s.org.CutStreams("")
			ids = append(ids, s.mail(ada, fmt.Sprint("cut ", i)), s.mail(ben, fmt.Sprint("cut ", i)))
			s.pass(3 * time.Second)
		}
		s.pass(time.Minute)
		s.mustHandle(ids...)
	})
}

func TestABurstIsHandledByOneWorkerAtATime(t *testing.T) {
	inBubble(t, func(s *stage) {
		s.watcher.Add(ada, time.Now())
		s.pass(5 * time.Second)
		var ids []notifier.ItemID
		for i := range 120 {
			ids = append(ids, s.mail(ada, fmt.Sprint("burst ", i)))
			s.pass(time.Millisecond)
		}
		s.pass(time.Minute)
		s.mustHandle(ids...)
	})
}
