package storm

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"mailbell/fakes/exchange"
	"mailbell/fakes/iisauth"
	"mailbell/fakes/journal"
	"mailbell/fakes/memnet"
	"mailbell/notifier/app"
	"mailbell/notifier/httpauth"
	"mailbell/scenarios/world"
)

// ConvergeMax is how long after everything is mended nothing may be missing any
// more. What Exchange has refused for good is asked about again after 15 minutes,
// then after 30, an hour, and so on, and an audit comes every 4 hours.
const ConvergeMax = 10 * time.Hour

// seeds to be played: a few of the many that have been.
func seeds() []int64 { return seedsOf("MAILBELL_STORM_SEEDS", "1-8") }

// seedsOf reads the seeds that the environment names.
func seedsOf(name, otherwise string) (list []int64) {
	text := os.Getenv(name)
	if text == "" {
		text = otherwise
	}
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		from, to, ranged := strings.Cut(part, "-")
		first, err := strconv.ParseInt(from, 10, 64)
		last := first
		if err == nil && ranged {
			last, err = strconv.ParseInt(to, 10, 64)
		}
		if err != nil {
			panic(name + ": want numbers and ranges, such as 7 or 1-1000: " + text)
		}
		for s := first; s <= last; s++ {
			list = append(list, s)
		}
	}
	return list
}

var _ = Describe("A storm", func() {
	for _, seed := range seeds() {
		It(fmt.Sprintf("of seed %d: nothing is lost, and nothing wrong is said", seed), Label("virtual"), func() {
			p := Draw(seed)
			AddReportEntry("plan", p.String(), ReportEntryVisibilityFailureOrVerbose)
			began := time.Now()
			world.Bubble(func() { play(p) })
			AddReportEntry("wall clock", time.Since(began).Round(time.Millisecond).String(), ReportEntryVisibilityFailureOrVerbose)
		})
	}
})

// play plays a storm and returns its journal.
func play(p Plan) []journal.Entry {
	var log bytes.Buffer
	o := world.Options{
		Version: p.Version, Profile: p.Profile, Seed: p.Seed, Mailboxes: p.Mailboxes, Listeners: p.Listeners, Latency: p.Latency, Line: p.Line,
		Patient: ConvergeMax, Log: &log, Secluded: true,
		Change: func(o *app.Options) {
			o.Exchange.CatchUp = p.CatchUp
			for i := range o.Exchange.Accounts { // as from a file
				a := &o.Exchange.Accounts[i]
				a.Reread = func() (httpauth.Credentials, error) { return a.Credentials, nil }
			}
		},
	}
	for i := range p.Servers {
		o.Servers = append(o.Servers, fmt.Sprintf("ex%02d", i+1))
	}
	w := world.New(o)
	defer w.Close()
	s := &storm{w: w, p: p}
	end := w.Reading()
	w.Crowd()
	// How long registering took depends on keys and certificates, which no seed
	// decides; what follows does not.
	w.Wait(time.Until(time.Now().Truncate(time.Hour).Add(time.Hour)))

	var events []world.Event
	for _, b := range p.Blows {
		mend := func() {}
		events = append(events, world.Event{At: b.At, Do: func() { mend = s.strike(b) }})
		if b.For > 0 {
			events = append(events, world.Event{At: b.At + b.For, Do: func() { mend() }})
		}
	}
	world.Sort(events)
	w.Play(world.Traffic(p.Seed, p.Mailboxes, p.Mails, p.Span), events)

	s.mendAll()
	r := w.Settle(end(), ConvergeMax)
	irregular, refused := w.App.Watcher().Stats().Irregular, s.overBudget()
	if !r.OK() || irregular != 0 || refused != 0 {
		w.Trail(r)
		Fail(fmt.Sprintf("%d transitions that are none, %d requests over a budget; %s", irregular, refused, s.folder(r, log.Bytes())))
	}
	Expect(r.Expected).To(BeNumerically(">", 0))
	if os.Getenv("MAILBELL_STORM_KEEP") != "" {
		s.folder(r, log.Bytes())
	}
	AddReportEntry("oracle", r.String(), ReportEntryVisibilityFailureOrVerbose)
	return w.Journal.After(0)
}

// storm strikes and mends.
type storm struct {
	w *world.World
	p Plan
}

func (s *storm) server(n int) string { return s.w.Organisation.Servers()[n%s.p.Servers] }

func (s *storm) mailbox(n int) string {
	return fmt.Sprintf("user%05d@%s", n%s.p.Mailboxes+1, s.w.Domain())
}

func (s *storm) account(n int) string { return s.w.ListenerUsers()[n%s.p.Listeners] }

func (s *storm) change(n int, how func(*iisauth.Account, bool)) (mend func()) {
	user := s.account(n)
	set := func(bad bool) {
		Expect(s.w.Organisation.ChangeAccount(user, func(a *iisauth.Account) { how(a, bad) })).To(Succeed())
	}
	set(true)
	return func() { set(false) }
}

// overBudget is how many requests were over a budget that they could have known of.
func (s *storm) overBudget() int {
	used := s.w.Organisation.Budgets(0)
	n := used.Violations
	if s.p.leavesGhosts() {
		for _, a := range used.Accounts {
			n -= a.Refused[s.w.Organisation.Behaviour().StreamPolicy]
		}
	}
	return n
}

// strike does what the blow says and returns what mends it.
func (s *storm) strike(b Blow) (mend func()) {
	w, nothing := s.w, func() {}
	w.Note("blow", b.What)
	if strings.HasPrefix(b.What, "fault ") {
		f := faults[b.Whom]
		if f.Probability == 0 {
			f.Probability = 1
		}
		id := w.MustAddFault(f).ID
		return func() { w.Faults.Remove(id) }
	}
	if how, ok := strings.CutPrefix(b.What, "network "); ok {
		return s.network(how, b.host())
	}
	switch b.What {
	case "cut streams":
		w.Organisation.CutStreams("")
	case "lose subscriptions":
		w.Organisation.LoseSubscriptions([]string{"", s.mailbox(b.Whom), s.server(b.Whom)}[b.Whom%3])
	case "restart server":
		Expect(w.Organisation.RestartServer(s.server(b.Whom))).To(Succeed())
	case "fail over":
		Expect(w.Organisation.FailOver(s.server(b.Whom), b.For)).To(Succeed())
	case "move mailbox":
		_ = w.Organisation.Move(s.mailbox(b.Whom), s.server(b.Whom/7), b.For) // it may be there, or on its way
	case "lock account":
		if s.p.Version != exchange.VOnline {
			return s.change(b.Whom, func(a *iisauth.Account, bad bool) { a.Locked = bad })
		}
	case "no impersonation":
		return s.change(b.Whom, func(a *iisauth.Account, bad bool) { a.Impersonation = !bad })
	case "disable mailbox":
		m := s.mailbox(b.Whom)
		Expect(w.Organisation.SetMailboxDisabled(m, true)).To(Succeed())
		return func() { Expect(w.Organisation.SetMailboxDisabled(m, false)).To(Succeed()) }
	case "kill":
		w.KillNotifier()
		return s.start
	case "stop":
		w.StopNotifier()
		return s.start
	case "apns outage":
		w.APNs.Outage(true)
		return func() { w.APNs.Outage(false) }
	case "apns connections cut":
		w.APNs.CutConnections()
	case "wns tokens revoked":
		w.WNS.RevokeTokens()
	case "read elsewhere":
		s.read(s.mailbox(b.Whom))
	case "burst":
		for i := range 30 {
			w.TryMail(s.mailbox(b.Whom), fmt.Sprintf("#burst %d %d", b.Whom, i))
		}
	default:
		Fail("no such blow: " + b.What)
	}
	return nothing
}

// network has a misfortune of the network meet the notifier.
func (s *storm) network(how, host string) (mend func()) {
	n, link := s.w.Memnet(), world.NotifierTo(host)
	switch how {
	case "cut":
		n.Cut(world.NotifierTo(""))
	case "silence":
		n.Silence(link)
	case "silence up":
		n.SilenceWay(link, memnet.Up)
	case "silence down":
		n.SilenceWay(link, memnet.Down)
	case "partition":
		n.Partition(link, memnet.Hang)
	case "partition refusing":
		n.Partition(link, memnet.Refuse)
	default:
		Fail("no such misfortune: " + how)
	}
	return func() { n.Heal(link) }
}

func (s *storm) start() {
	if s.w.App == nil {
		s.w.StartNotifier()
	}
}

// read marks everything in a mailbox read, as its owner would.
func (s *storm) read(mailbox string) {
	page, err := s.w.Organisation.Find(mailbox, exchange.FindQuery{Folder: exchange.FolderRef{Distinguished: "inbox"}, Max: 50})
	if err != nil {
		return // it is away
	}
	for _, it := range page.Items {
		Expect(s.w.Organisation.MarkRead(mailbox, it.ID)).To(Succeed())
	}
}

// mendAll ends whatever is still wrong.
func (s *storm) mendAll() {
	s.w.Note("mended", "everything")
	s.w.Faults.Clear()
	s.w.Memnet().Heal("")
	s.w.APNs.Outage(false)
	for n := range s.p.Listeners {
		Expect(s.w.Organisation.ChangeAccount(s.account(n), func(a *iisauth.Account) { a.Locked, a.Impersonation = false, true })).To(Succeed())
	}
	for n := range s.p.Mailboxes {
		Expect(s.w.Organisation.SetMailboxDisabled(s.mailbox(n), false)).To(Succeed())
	}
	s.start()
}
