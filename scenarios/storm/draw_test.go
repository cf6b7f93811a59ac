package storm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"mailbell/fakes/exchange"
	"mailbell/fakes/fault"
	"mailbell/fakes/memnet"
	"mailbell/notifier/watch"
)

// Plan is everything about a storm that its seed decides.
type Plan struct {
	Seed      int64
	Version   exchange.Version
	Profile   fault.Profile
	Servers   int
	Mailboxes int
	Listeners int
	Mails     int // of each mailbox
	Span      time.Duration
	Latency   time.Duration // one way
	Line      memnet.Options
	CatchUp   watch.CatchUp
	Blows     []Blow
}

// Blow is something that goes wrong for a time.
type Blow struct {
	At   time.Duration
	For  time.Duration // until it is mended; 0: a moment
	What string
	Whom int // server, mailbox, account or host, by what
}

// kinds are the blows there are, and how long they last at most.
var kinds = map[string]time.Duration{
	"cut streams": 0, "lose subscriptions": 0, "restart server": 0, "fail over": 20 * time.Minute, "move mailbox": 30 * time.Minute,
	"lock account": 40 * time.Minute, "no impersonation": 30 * time.Minute, "disable mailbox": 30 * time.Minute,
	"kill": 20 * time.Minute, "stop": 20 * time.Minute,
	"apns outage": 20 * time.Minute, "wns tokens revoked": 0, "apns connections cut": 0,
	"network cut": 0, "read elsewhere": 0, "burst": 0,
}

// misfortunes are the blows of the network, each for one host.
var misfortunes = []string{"silence", "silence up", "silence down", "partition", "partition refusing"}

// faults are those of the fakes that a storm lets loose, with what they need.
var faults = []fault.Fault{
	{Name: "ews.503", Probability: 0.5},
	{Name: "ews.busy", Probability: 0.3},
	{Name: "ews.html500", Probability: 0.5},
	{Name: "ews.302", Probability: 0.3},
	{Name: "ews.401", Probability: 0.3},
	{Name: "ews.slow", Probability: 0.5},
	{Name: "ews.denied", Probability: 0.2},
	{Name: "ews.nocookie"},
	{Name: "ews.error", Probability: 0.5, Args: map[string]string{"code": "ErrorInternalServerTransientError"}},
	{Name: "ews.error", Probability: 0.5, Args: map[string]string{"code": "ErrorMailboxStoreUnavailable"}},
	{Name: "ews.error", Probability: 0.5, Args: map[string]string{"code": "ErrorMailboxMoveInProgress"}},
	{Name: "ews.error", Probability: 0.3, Args: map[string]string{"code": "ErrorTooManyObjectsOpened"}},
	{Name: "ews.error", Probability: 0.3, Args: map[string]string{"code": "ErrorAccessDenied"}},
	{Name: "ews.subscription.lost", Probability: 0.2},
	{Name: "ews.stream.cut", Probability: 0.3},
	{Name: "ews.stream.cutmid", Probability: 0.3},
	{Name: "ews.stream.silent", Probability: 0.2},
	{Name: "ews.stream.duplicate", Probability: 0.5},
	{Name: "ews.stream.late", Probability: 0.5},
	{Name: "ews.stream.mute", Probability: 0.5},
	{Name: "ews.stream.lose-event", Probability: 0.1},
	{Name: "ews.stream.error", Probability: 0.2, Args: map[string]string{"code": "ErrorReadEventsFailed"}},
	{Name: "ews.stream.error", Probability: 0.2, Args: map[string]string{"code": "ErrorMissedNotificationEvents"}},
	{Name: "autodiscover.503", Probability: 0.5},
	{Name: "autodiscover.500", Probability: 0.5},
	{Name: "autodiscover.cut-xml", Probability: 0.5},
	{Name: "autodiscover.truncated", Probability: 0.5},
	{Name: "autodiscover.busy", Probability: 0.5},
	{Name: "iis.401", Probability: 0.2},
	{Name: "iis.reset-type1", Probability: 0.3},
	{Name: "iis.reset-type3", Probability: 0.3},
	{Name: "iis.close-challenge", Probability: 0.3},
	{Name: "apns.503", Probability: 0.2},
	{Name: "apns.429", Probability: 0.2},
	{Name: "apns.reset", Probability: 0.3},
	{Name: "apns.goaway", Probability: 0.3},
	{Name: "apns.lost-answer", Probability: 0.3},
	{Name: "apns.half-answer", Probability: 0.3},
	{Name: "apns.slow", Probability: 0.3},
	{Name: "apns.refuse-stream", Probability: 0.3},
	{Name: "apns.html", Probability: 0.3},
	{Name: "apns.refuse-connection", Probability: 0.5},
	{Name: "apns.deaf", Probability: 0.1},
	{Name: "wns.500", Probability: 0.3},
	{Name: "wns.503", Probability: 0.3},
	{Name: "wns.429", Probability: 0.1},
	{Name: "wns.reset", Probability: 0.3},
	{Name: "wns.lost-answer", Probability: 0.3},
	{Name: "wns.slow", Probability: 0.3},
	{Name: "wns.channelthrottled", Probability: 0.1},
	{Name: "wns.token-503", Probability: 0.5},
	{Name: "wns.token-html", Probability: 0.5},
	{Name: "entra.503", Probability: 0.5},
	{Name: "entra.500", Probability: 0.5},
}

// Draw makes the plan of a seed.
func Draw(seed int64) Plan {
	r := rand.New(rand.NewPCG(uint64(seed), 0x5707a))
	pick := func(n int) int { return r.IntN(n) }
	p := Plan{
		Seed:      seed,
		Version:   []exchange.Version{exchange.V2010SP2, exchange.V2013, exchange.V2016, exchange.V2019, exchange.VSE, exchange.VOnline}[pick(6)],
		Profile:   []fault.Profile{fault.Calm, fault.Real, fault.Hostile}[pick(3)],
		Servers:   1 + pick(4),
		Mailboxes: 2 + pick(25),
		Listeners: 1 + pick(3),
		Mails:     3 + pick(15),
		Span:      time.Duration(1+pick(5)) * time.Hour,
		Latency:   time.Duration(pick(80)) * time.Millisecond,
		CatchUp:   []watch.CatchUp{watch.ByReceived, watch.BySync}[pick(2)],
	}
	names := make([]string, 0, len(kinds))
	for name := range kinds {
		names = append(names, name)
	}
	slices.Sort(names) // the seed decides, not the map
	for range 3 + pick(18) {
		b := Blow{At: time.Duration(r.Float64() * float64(p.Span)), Whom: pick(1 << 20)}
		if pick(2) == 0 {
			i := pick(len(faults))
			b.What, b.Whom, b.For = "fault "+faults[i].Name, i, time.Duration(1+pick(40))*time.Minute
		} else {
			b.What = names[pick(len(names))]
			if most := kinds[b.What]; most > 0 {
				b.For = time.Duration(1 + r.Int64N(int64(most)))
			}
		}
		p.Blows = append(p.Blows, b)
	}
	p.drawNetwork(r)
	slices.SortStableFunc(p.Blows, func(a, b Blow) int { return int(a.At - b.At) })
	return p
}

// drawNetwork adds a bad line and misfortunes: single ones, and now and then all
// hosts falling silent one by one, and coming back in another order.
func (p *Plan) drawNetwork(r *rand.Rand) {
	if r.IntN(3) == 0 {
		p.Line.Jitter = time.Duration(r.IntN(200)) * time.Millisecond
		p.Line.StallOneIn = 5 + r.IntN(200)
	}
	if r.IntN(4) == 0 {
		p.Line.Bandwidth = 20_000 + r.IntN(1_000_000)
	}
	if r.IntN(4) == 0 {
		p.Line.FragmentMax = 100 + r.IntN(2000)
	}
	const longest = 20 * time.Minute
	for range r.IntN(4) {
		p.Blows = append(p.Blows, Blow{
			At: time.Duration(r.Float64() * float64(p.Span)), For: time.Duration(1 + r.Int64N(int64(longest))),
			What: "network " + misfortunes[r.IntN(len(misfortunes))], Whom: r.IntN(1 << 20),
		})
	}
	if r.IntN(4) == 0 {
		begin := time.Duration(r.Float64() * float64(p.Span))
		for host := range hosts {
			at := begin + time.Duration(r.Int64N(int64(longest)))
			p.Blows = append(p.Blows, Blow{At: at, For: begin + 2*longest - at - time.Duration(r.Int64N(int64(longest))), What: "network partition", Whom: host})
		}
	}
}

// mail is where Exchange is.
const mail = "mail.contoso.test:443"

// hosts are those that the notifier dials.
var hosts = []string{mail, "autodiscover.contoso.test:443", "api.push.apple.com:443", "login.live.com:443", "*.notify.windows.com:443", "login.microsoftonline.com:443"}

// host is whom a misfortune of the network meets.
func (b Blow) host() string { return hosts[b.Whom%len(hosts)] }

// leavesGhosts says whether Exchange goes on counting streams that nobody reads any
// more: a server that writes nothing, or whose words do not arrive, does not notice
// that its client has gone. Nobody can keep within a number of streams of which he
// does not know how many there are.
func (p Plan) leavesGhosts() bool {
	return slices.ContainsFunc(p.Blows, func(b Blow) bool {
		return b.What == "fault ews.stream.silent" || strings.HasPrefix(b.What, "network ") && b.For > 0 && b.host() == mail
	})
}

// String is the plan in a few lines.
func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: Exchange %s, %s, %d servers, %d mailboxes, %d listeners, %d mails each in %v, latency %v, jitter %v, one write in %d late, %d bytes/s, fragments of %d, catch-up %s, %d blows",
		p.Seed, p.Version, p.Profile, p.Servers, p.Mailboxes, p.Listeners, p.Mails, p.Span, p.Latency, p.Line.Jitter, p.Line.StallOneIn, p.Line.Bandwidth, p.Line.FragmentMax, p.CatchUp, len(p.Blows))
	for _, w := range p.Blows {
		what := w.What
		if strings.HasPrefix(what, "network ") && w.For > 0 {
			what += " to " + w.host()
		}
		fmt.Fprintf(&b, "\n  %8v %-58s for %v", w.At.Round(time.Second), what, w.For.Round(time.Second))
	}
	return b.String()
}
