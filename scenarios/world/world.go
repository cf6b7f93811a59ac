// Package world is the stage of the scenarios: the simulated servers, one
// notifier, and the devices of the people in the story.
//
// A story is told once and runs twice: in virtual time, inside a bubble, over a
// network in memory and with the stores in memory; and in real time, over
// loopback sockets and with the durable engine. Its verbs wait; a story never
// sleeps for a guess. When it ends, the oracle judges the journal.
package world

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"mailbell/fakes"
	"mailbell/fakes/control"
	"mailbell/fakes/exchange"
	"mailbell/fakes/fakedevice"
	"mailbell/fakes/fault"
	"mailbell/fakes/iisauth"
	"mailbell/fakes/journal"
	"mailbell/fakes/memnet"
	"mailbell/notifier"
	"mailbell/notifier/api"
	"mailbell/notifier/apns"
	"mailbell/notifier/app"
	"mailbell/notifier/bookmark"
	"mailbell/notifier/compose"
	"mailbell/notifier/engine"
	"mailbell/notifier/httpauth"
	"mailbell/notifier/ledger"
	"mailbell/notifier/queue"
	"mailbell/notifier/registry"
	"mailbell/notifier/watch"
	"mailbell/notifier/wns"
	"mailbell/scenarios/oracle"
)

// host is where the registration service lives in the world.
const host = "mailbell.contoso.test:8443"

// Options set a stage. The zero value has one approved domain, calm servers and
// nobody in it.
type Options struct {
	Real      bool // real time, loopback and the durable engine
	Version   exchange.Version
	Profile   fault.Profile
	Seed      int64
	Servers   []string            // of Exchange; nil: two
	Mailboxes int                 // user00001@… onwards, for Crowd
	Listeners int                 // listener accounts; 0: one
	CPU       *exchange.CPUBudget // of requests to Exchange; nil: it is free
	Policy    *compose.Policy     // nil: everybody is served and sees everything
	Change    func(*app.Options)  // last word on the notifier's options; nil: none
	Log       io.Writer           // gets the notifier's log at its finest, too; nil: nobody
	Quiet     bool                // errors only in the notifier's log
	Latency   time.Duration       // of the virtual network, one way
	Line      memnet.Options      // whatever else is the matter with it
	Secluded  bool                // the notifier's log goes to Log alone
	// VirtualOnly leaves the telling in real time out: it would take too long.
	VirtualOnly bool
	Patient     time.Duration // how long a verb waits; 0: 30 minutes virtual, 30 seconds real
}

// World is the stage of one story.
type World struct {
	*fakes.World
	Ctx       context.Context // ends when the story must have ended
	App       *app.App
	Authority *fakedevice.Authority

	opt     Options
	stores  *app.Stores
	dir     string
	cancel  context.CancelFunc
	phones  *http.Client // of the devices
	life    *life        // of the notifier
	devices []*Device
	people  map[string]bool
	patient time.Duration

	afterNotifier []func() error // what its options hold, to be closed when it has stopped
}

// Story tells one story in both kinds of time.
func Story(text string, o Options, tell func(*World)) {
	GinkgoHelper()
	play := func(o Options) {
		GinkgoHelper()
		w := New(o)
		defer w.Close()
		tell(w)
		w.MustHaveKeptThePromise()
	}
	It(text, Label("virtual"), func() { Bubble(func() { play(o) }) })
	if !o.VirtualOnly {
		It(text+" (real time)", Label("real"), func() {
			o := o
			o.Real = true
			play(o)
		})
	}
}

// New sets a stage. The notifier runs when it returns.
func New(o Options) *World {
	GinkgoHelper()
	w := &World{opt: o, people: map[string]bool{}, patient: o.Patient}
	if w.patient == 0 {
		w.patient = 30 * time.Minute
		if o.Real {
			w.patient = 30 * time.Second
		}
	}
	w.Ctx, w.cancel = context.WithTimeout(context.Background(), 100*24*time.Hour)
	f := fakes.Options{Version: o.Version, Profile: o.Profile, Seed: o.Seed, Servers: o.Servers, Mailboxes: o.Mailboxes, Listeners: o.Listeners, CPU: o.CPU}
	if o.Version == exchange.VOnline {
		f.Schemes = []string{iisauth.SchemeBearer}
	}
	if !o.Real {
		line := o.Line
		line.Seed, line.Latency = o.Seed, o.Latency
		f.Network = memnet.New(line)
	}
	var err error
	w.World, err = fakes.Start(f)
	Expect(err).NotTo(HaveOccurred())
	w.Authority, err = fakedevice.NewAuthority()
	Expect(err).NotTo(HaveOccurred())
	if o.Real {
		w.dir, err = os.MkdirTemp("", "mailbell-world-")
		Expect(err).NotTo(HaveOccurred())
	} else {
		w.stores = &app.Stores{Registry: registry.NewMemory(), Queue: queue.NewMemory(queue.MemoryOptions{}), Bookmarks: bookmark.NewMemory(), Ledger: ledger.NewMemory()}
	}
	w.phones = w.client()
	w.StartNotifier()
	return w
}

// Close clears the stage.
func (w *World) Close() {
	GinkgoHelper()
	w.StopNotifier()
	Expect(w.World.Close()).To(Succeed())
	w.cancel()
	if w.dir != "" {
		Expect(os.RemoveAll(w.dir)).To(Succeed())
	}
}

// StartNotifier brings up the notifier, with what its stores remember.
func (w *World) StartNotifier() {
	GinkgoHelper()
	w.life = newLife()
	a, err := app.New(w.options())
	Expect(err).NotTo(HaveOccurred())
	Expect(a.Start(w.Ctx)).To(Succeed())
	w.App = a
}

// StopNotifier ends it in good order.
func (w *World) StopNotifier() {
	GinkgoHelper()
	if w.App == nil {
		return
	}
	ctx, cancel := context.WithTimeout(w.Ctx, time.Minute)
	defer cancel()
	Expect(w.App.Stop(ctx)).To(Succeed())
	w.App = nil
	w.phones.CloseIdleConnections()
	for _, end := range w.afterNotifier {
		Expect(end()).To(Succeed())
	}
	w.afterNotifier = nil
}

// KillNotifier ends it as kill -9 does. Its stores have what they had at that
// moment.
func (w *World) KillNotifier() {
	GinkgoHelper()
	if w.App == nil {
		return
	}
	w.life.kill()
	ctx, cancel := context.WithCancel(w.Ctx)
	cancel()
	_ = w.App.Stop(ctx) // it complains of its disk
	w.App = nil
	w.phones.CloseIdleConnections()
	for _, end := range w.afterNotifier {
		Expect(end()).To(Succeed())
	}
	w.afterNotifier = nil
}

func (w *World) options() app.Options {
	GinkgoHelper()
	key, err := apns.LoadKey(w.ProviderKeyPEM(), fakes.KeyID, fakes.TeamID)
	Expect(err).NotTo(HaveOccurred())
	trusted, err := api.ParseTrustedKey(w.Authority.PublicKeyPEM())
	Expect(err).NotTo(HaveOccurred())
	cert, err := w.World.Authority.Server("mailbell.contoso.test")
	Expect(err).NotTo(HaveOccurred())
	policy := w.opt.Policy
	if policy == nil {
		policy = &compose.Policy{Rules: []compose.Rule{{Mailbox: "*", Approved: true, Preview: true}}}
	}
	level := slog.LevelDebug
	if w.opt.Quiet {
		level = slog.LevelError
	}
	o := app.Options{
		Stores: w.stores,
		Network: app.Network{
			Dial:      w.life.dial(w.dialNotifier()),
			Listen:    func(_, addr string) (net.Listener, error) { return w.Network.Listen(addr) },
			LookupSRV: noSRV,
			RootCAs:   w.World.Authority.Pool(),
		},
		Exchange: w.exchange(),
		Policy:   *policy,
		APNs: []app.APNs{
			{Environment: notifier.Production, Key: key},
			{Environment: notifier.Development, Key: key},
		},
		WNS: []wns.App{{Name: fakes.WNSApp, Kind: wns.PartnerCenter, PackageSID: fakes.PackageSID, Secret: w.WNSSecret()}},
		// The oracle asks for receipts far more often than a device may.
		API:    app.API{Listen: host, TLS: &cert, Keys: []api.TrustedKey{trusted}, Limits: api.Limits{RatePerSecond: 1e6, RateBurst: 1e6}},
		Logger: slog.New(slog.NewTextHandler(w.log(), &slog.HandlerOptions{Level: level})),
	}
	if w.stores != nil {
		o.Stores = w.life.disk.between(w.stores)
	}
	if w.dir != "" {
		o.Engine = engine.Options{Dir: w.dir, Key: []byte("0123456789abcdef0123456789abcdef")}
	}
	if w.opt.Change != nil {
		w.opt.Change(&o)
	}
	return o
}

// notifierEnd is the notifier's end of a virtual network.
const notifierEnd = "notifier"

// dialNotifier is how the notifier connects.
func (w *World) dialNotifier() dialFunc {
	if n, ok := w.Network.(*memnet.Network); ok {
		return n.As(notifierEnd).Dial
	}
	return w.Dial
}

// exchange is how the notifier reaches Exchange: by password on premises, by
// token Online.
func (w *World) exchange() app.Exchange {
	GinkgoHelper()
	var list []app.ListenerAccount
	if w.opt.Version != exchange.VOnline {
		for i, user := range w.ListenerUsers() {
			name := "listener"
			if i > 0 {
				name = fmt.Sprint("listener-", i+1)
			}
			list = append(list, app.ListenerAccount{Name: name, Credentials: httpauth.NTLM{User: user, Password: httpauth.Secret(w.ListenerPassword())}})
		}
		return app.Exchange{Accounts: list}
	}
	client := w.client()
	tokens, err := httpauth.NewTokenSource(httpauth.TokenOptions{
		Tenant: fakes.Tenant, ClientID: fakes.ClientID, Secret: httpauth.Secret(w.AppSecret()), HTTPClient: client,
	})
	Expect(err).NotTo(HaveOccurred())
	w.afterNotifier = append(w.afterNotifier, tokens.Close, func() error { client.CloseIdleConnections(); return nil })
	for i := range w.ListenerUsers() {
		list = append(list, app.ListenerAccount{Name: fmt.Sprint("application-", i+1), Credentials: httpauth.Bearer{Tokens: tokens}})
	}
	return app.Exchange{
		Accounts: list,
		// Tokens go to hosts of Office 365 and to those named here.
		RedirectHosts: []string{"autodiscover." + w.Domain(), "mail." + w.Domain()},
	}
}

// log is where the notifier's log goes: a failing spec shows it.
func (w *World) log() io.Writer {
	switch {
	case w.opt.Log == nil:
		return GinkgoWriter
	case w.opt.Secluded:
		return w.opt.Log
	}
	return io.MultiWriter(GinkgoWriter, w.opt.Log)
}

func noSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	return "", nil, &net.DNSError{Err: "no such host", Name: "_" + service + "._" + proto + "." + name, IsNotFound: true}
}

// client reaches the world's servers as a device does.
func (w *World) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: w.Dial, TLSClientConfig: &tls.Config{RootCAs: w.World.Authority.Pool()}, MaxIdleConnsPerHost: enrolParallel}, Timeout: time.Minute}
}

// Person makes sure that somebody has a mailbox and returns its address.
func (w *World) Person(name string) string {
	GinkgoHelper()
	address := name + "@" + w.Domain()
	if !w.people[address] {
		Expect(w.Organisation.AddMailbox(address, exchange.MailboxOptions{})).To(Succeed())
		w.people[address] = true
	}
	return address
}

// Mail delivers a mail with a subject to a mailbox, by way of transport.
func (w *World) Mail(to, subject string) string {
	GinkgoHelper()
	return w.Letter(control.Letter{To: []string{to}, From: "Ada Example <ada@fabrikam.test>", Subject: subject, Body: "Body of " + subject})
}

// Letter delivers any letter to its first recipient and returns the item's ID.
func (w *World) Letter(l control.Letter) string {
	GinkgoHelper()
	from, raw, err := l.Message()
	Expect(err).NotTo(HaveOccurred())
	got, err := w.Organisation.Deliver(exchange.Envelope{From: from, To: l.To, Raw: raw})
	Expect(err).NotTo(HaveOccurred())
	Expect(got).NotTo(BeEmpty())
	Expect(got[0].Err).NotTo(HaveOccurred())
	return got[0].Item
}

// Await waits for a journal entry from the beginning of the story on.
func (w *World) Await(what string, match func(journal.Entry) bool) journal.Entry {
	GinkgoHelper()
	ctx, cancel := context.WithTimeout(w.Ctx, w.patient)
	defer cancel()
	e, err := w.Journal.Await(ctx, 0, match)
	if err != nil {
		Fail(fmt.Sprintf("awaited in vain for %s: %s", what, w.scene()))
	}
	return e
}

// sceneMax bounds what a scene shows.
const sceneMax = 10_000

// scene says how things stand, for a failure.
func (w *World) scene() string {
	s := fmt.Sprintf("journal has %d entries", w.Journal.Last())
	if w.App != nil && w.App.Watcher() != nil {
		s += fmt.Sprintf("; watcher %+v", w.App.Watcher().Stats())
		for _, d := range w.devices {
			if len(s) > sceneMax {
				return s + "\n  …"
			}
			if x, err := w.App.Explain(w.Ctx, notifier.Mailbox(d.Mailbox)); err == nil && x.Watch != nil && x.Watch.State != watch.Streaming {
				s += fmt.Sprintf("\n  %+v", *x.Watch)
			}
		}
	}
	return s
}

// AwaitStreaming waits until every mailbox with a device is on a stream and
// compared.
func (w *World) AwaitStreaming() {
	GinkgoHelper()
	deadline := time.Now().Add(w.patient)
	for {
		s := w.App.Watcher().Stats()
		if s.Mailboxes > 0 && s.ByState["streaming"] == s.Mailboxes {
			return
		}
		if time.Now().After(deadline) {
			Fail("not every mailbox is on a stream: " + w.scene())
		}
		pause(10 * time.Millisecond)
	}
}

// pause gives way for a moment while a condition is polled.
func pause(d time.Duration) {
	t := time.NewTimer(d)
	<-t.C
}

// Judge has the oracle judge the story so far.
func (w *World) Judge() oracle.Report {
	GinkgoHelper()
	for _, d := range w.devices {
		d.showReceipts()
	}
	return oracle.Judge(w.Journal.After(0))
}

// MustHaveKeptThePromise waits until nothing is outstanding, then has the
// oracle judge the whole story.
func (w *World) MustHaveKeptThePromise() {
	GinkgoHelper()
	deadline, wait := time.Now().Add(w.patient), 10*time.Millisecond
	for {
		r := w.Judge()
		if r.Count("lost") == 0 || time.Now().After(deadline) {
			AddReportEntry("oracle", r.String(), ReportEntryVisibilityFailureOrVerbose)
			w.Trail(r)
			Expect(r.OK()).To(BeTrue(), r.String)
			return
		}
		pause(wait)
		wait = min(2*wait, w.patient/100) // a judgement reads the whole journal
	}
}
