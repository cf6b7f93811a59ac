package app_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"mailbell/fakes"
	"mailbell/fakes/exchange"
	"mailbell/fakes/fakedevice"
	"mailbell/fakes/memnet"
	"mailbell/notifier"
	"mailbell/notifier/api"
	"mailbell/notifier/apns"
	"mailbell/notifier/app"
	"mailbell/notifier/bookmark"
	"mailbell/notifier/compose"
	"mailbell/notifier/httpauth"
	"mailbell/notifier/ledger"
	"mailbell/notifier/queue"
	"mailbell/notifier/registry"
	"mailbell/notifier/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is the simulated world around the instances of one test.
type stage struct {
	t *testing.T
	*fakes.World
	authority *fakedevice.Authority
	ctx       context.Context
}

// inBubble sets the stage in virtual time.
func inBubble(t *testing.T, tell func(*stage)) {
	t.Helper()
	inBubbleWith(t, fakes.Options{Named: []string{"ada", "ben"}}, tell)
}

func inBubbleWith(t *testing.T, o fakes.Options, tell func(*stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o.Network, o.Seed = memnet.New(memnet.Options{Seed: 1}), 1
		w, err := fakes.Start(o)
		must(t, err)
		authority, err := fakedevice.NewAuthority()
		must(t, err)
		ctx, cancel := context.WithTimeout(context.Background(), 100*24*time.Hour)
		tell(&stage{t, w, authority, ctx})
		must(t, w.Close())
		cancel()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func memory() *app.Stores {
	return &app.Stores{Registry: registry.NewMemory(), Queue: queue.NewMemory(queue.MemoryOptions{}), Bookmarks: bookmark.NewMemory(), Ledger: ledger.NewMemory()}
}

// options are those of an instance whose web service listens at host.
func (s *stage) options(host string, stores *app.Stores) app.Options {
	s.t.Helper()
	key, err := apns.LoadKey(s.ProviderKeyPEM(), fakes.KeyID, fakes.TeamID)
	must(s.t, err)
	trusted, err := api.ParseTrustedKey(s.authority.PublicKeyPEM())
	must(s.t, err)
	name, _, _ := strings.Cut(host, ":")
	cert, err := s.World.Authority.Server(name)
	must(s.t, err)
	return app.Options{
		Stores: stores,
		Network: app.Network{
			Dial:   s.Dial,
			Listen: func(_, addr string) (net.Listener, error) { return s.Network.Listen(addr) },
			LookupSRV: func(_ context.Context, _, _, name string) (string, []*net.SRV, error) {
				return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
			},
			RootCAs: s.World.Authority.Pool(),
		},
		Exchange: app.Exchange{Accounts: []app.ListenerAccount{{
			Name: "listener", Credentials: httpauth.NTLM{User: s.ListenerUser(), Password: httpauth.Secret(s.ListenerPassword())},
		}}},
		Policy: compose.Policy{Rules: []compose.Rule{{Mailbox: "*", Approved: true, Preview: true}}},
		APNs:   []app.APNs{{Environment: notifier.Production, Key: key}},
		API:    app.API{Listen: host, TLS: &cert, Keys: []api.TrustedKey{trusted}},
	}
}

func (s *stage) app(o app.Options) *app.App {
	s.t.Helper()
	a, err := app.New(o)
	must(s.t, err)
	return a
}

// phone registers a phone of somebody with the instance at host.
func (s *stage) phone(name, host string) {
	s.t.Helper()
	token := fmt.Sprintf("%x", sha256.Sum256([]byte(name)))
	s.APNs.AddDevice(token, fakes.Topic)
	d := &fakedevice.Device{
		ID: "phone-of-" + name, Mailbox: name + "@" + s.Domain(), Locale: "en",
		APNs:    &fakedevice.APNs{Token: token, Topic: fakes.Topic, Environment: "production"},
		Service: "https://" + host, Authority: s.authority, Journal: s.Journal,
		Client: &http.Client{Timeout: time.Minute, Transport: &http.Transport{
			DialContext: s.Dial, TLSClientConfig: &tls.Config{RootCAs: s.World.Authority.Pool()}, DisableKeepAlives: true,
		}},
	}
	must(s.t, d.Register(s.ctx))
}

func (s *stage) mail(name, subject string) string {
	s.t.Helper()
	got, err := s.Organisation.Deliver(exchange.Envelope{
		From: "x@fabrikam.test", To: []string{name + "@" + s.Domain()},
		Raw: fmt.Appendf(nil, "From: X <x@fabrikam.test>\r\nSubject: %s\r\n\r\nhello\r\n", subject),
	})
	must(s.t, err)
	must(s.t, got[0].Err)
	return got[0].Item
}

// accepted counts the pushes about an item that APNs accepted.
func (s *stage) accepted(item string) int {
	n := 0
	for _, e := range s.Journal.After(0) {
		if e.Server == "apns" && e.Kind == "push" && e.Status == 200 && strings.Contains(string(e.Body), item) {
			n++
		}
	}
	return n
}

func TestAnInstanceStartsStopsAndStartsAgainAtAnyMoment(t *testing.T) {
	inBubble(t, func(s *stage) {
		const host = "mailbell.contoso.test:8443"
		a := s.app(s.options(host, memory()))
		must(t, a.Start(s.ctx))
		s.phone("ada", host)
		var items []string
		for i := range 50 {
			time.Sleep(time.Duration(i*i%97) * 9 * time.Millisecond)
			items = append(items, s.mail("ada", fmt.Sprint("mail ", i)))
			time.Sleep(time.Duration(i*37%89) * time.Millisecond)
			began := time.Now()
			must(t, a.Stop(s.ctx))
			if took := time.Since(began); took > 15*time.Second {
				t.Fatalf("stop %d took %v", i, took)
			}
			if a.Addr() != nil || a.Watcher() != nil {
				t.Fatal("a stopped instance shows parts")
			}
			must(t, a.Start(s.ctx))
		}
		time.Sleep(10 * time.Minute)
		for i, item := range items {
			if s.accepted(item) == 0 {
				t.Errorf("mail %d was never pushed", i)
			}
		}
		must(t, a.Stop(s.ctx))
		must(t, a.Stop(s.ctx))
	})
}

func TestTwoInstancesInOneProcessKnowNothingOfEachOther(t *testing.T) {
	inBubble(t, func(s *stage) {
		hosts := map[string]string{"ada": "one.contoso.test:8443", "ben": "two.contoso.test:8443"}
		apps := map[string]*app.App{}
		for name, host := range hosts {
			apps[name] = s.app(s.options(host, memory()))
			must(t, apps[name].Start(s.ctx))
			s.phone(name, host)
		}
		time.Sleep(time.Minute)
		for name, a := range apps {
			if n := a.Watcher().Stats().Mailboxes; n != 1 {
				t.Errorf("%s's instance watches %d mailboxes", name, n)
			}
		}
		first := s.mail("ada", "one")
		must(t, apps["ben"].Stop(s.ctx))
		second := s.mail("ada", "two")
		time.Sleep(time.Minute)
		for _, item := range []string{first, second} {
			if n := s.accepted(item); n != 1 {
				t.Errorf("pushed %d times", n)
			}
		}
		must(t, apps["ada"].Stop(s.ctx))
	})
}

func TestStoppingWithoutTimeLeavesNothingRunning(t *testing.T) {
	inBubble(t, func(s *stage) {
		const host = "mailbell.contoso.test:8443"
		a := s.app(s.options(host, memory()))
		must(t, a.Start(s.ctx))
		s.phone("ada", host)
		time.Sleep(time.Minute)
		late, cancel := context.WithCancel(s.ctx)
		cancel()
		if err := a.Stop(late); err != nil {
			t.Errorf("nothing was in flight, and yet: %v", err)
		}
		must(t, a.Start(s.ctx))
		item := s.mail("ada", "after that")
		time.Sleep(time.Minute)
		if s.accepted(item) != 1 {
			t.Error("not pushed")
		}
		must(t, a.Stop(s.ctx))
	})
}

func TestAFailedStartLeavesNothing(t *testing.T) {
	inBubble(t, func(s *stage) {
		const host = "mailbell.contoso.test:8443"
		taken, err := s.Network.Listen(host)
		must(t, err)
		a := s.app(s.options(host, memory()))
		err = a.Start(s.ctx)
		if err == nil || !strings.Contains(err.Error(), "API.Listen") {
			t.Fatalf("started on an occupied address: %v", err)
		}
		if a.Watcher() != nil || a.Addr() != nil {
			t.Error("an instance that did not start shows parts")
		}
		must(t, a.Stop(s.ctx))
		must(t, taken.Close())
		must(t, a.Start(s.ctx))
		must(t, a.Stop(s.ctx))
	})
}

func TestAStartThatNeverEndsCanBeGivenUp(t *testing.T) {
	inBubble(t, func(s *stage) {
		stores := memory()
		stores.Registry.(*registry.Memory).Close() // no registration will ever be read
		a := s.app(s.options("mailbell.contoso.test:8443", stores))
		ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
		defer cancel()
		started := make(chan error, 1)
		go func() { started <- a.Start(ctx) }()
		time.Sleep(time.Second)
		if a.Addr() != nil || a.Watcher() != nil { // and they do not wait for the start
			t.Error("parts before the start")
		}
		if err := <-started; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
}

func TestRunEndsWithItsContextWithAFailureAndWithAStop(t *testing.T) {
	inBubble(t, func(s *stage) {
		listeners := make(chan net.Listener, 3) // one for each run
		o := s.options("mailbell.contoso.test:8443", memory())
		listen := o.Network.Listen
		o.Network.Listen = func(network, addr string) (net.Listener, error) {
			l, err := listen(network, addr)
			listeners <- l
			return l, err
		}
		a := s.app(o)
		run := func(ctx context.Context) chan error {
			ended := make(chan error, 1)
			go func() { ended <- a.Run(ctx) }()
			time.Sleep(time.Second)
			return ended
		}
		ctx, cancel := context.WithCancel(s.ctx)
		ended := run(ctx)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("an orderly end: %v", err)
		}
		<-listeners
		ended = run(s.ctx)
		must(t, (<-listeners).Close())
		if err := <-ended; err == nil || !strings.Contains(err.Error(), "web service") {
			t.Errorf("a failed part: %v", err)
		}
		ended = run(s.ctx)
		must(t, a.Stop(s.ctx))
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("stopped by somebody else: %v", err)
			}
		case <-time.After(time.Minute):
			t.Fatal("Run goes on although the instance was stopped")
		}
	})
}

func TestMailboxesThatHaveNoServerInCommonAreAllHeard(t *testing.T) {
	const n = 60
	var servers []string
	for i := range n {
		servers = append(servers, fmt.Sprintf("ex%02d", i+1))
	}
	inBubbleWith(t, fakes.Options{Servers: servers}, func(s *stage) {
		const host = "mailbell.contoso.test:8443"
		a := s.app(s.options(host, memory()))
		must(t, a.Start(s.ctx))
		for _, server := range servers {
			must(t, s.Organisation.AddMailbox("on-"+server+"@"+s.Domain(), exchange.MailboxOptions{Server: server}))
			s.phone("on-"+server, host)
		}
		time.Sleep(5 * time.Minute)
		if st := a.Watcher().Stats(); st.ByState[watch.Streaming] != n || st.Groups != n {
			t.Errorf("%+v", st)
		}
		must(t, a.Stop(s.ctx))
	})
}
