package throttling

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"mailbell/fakes/exchange"
	"mailbell/fakes/fault"
	"mailbell/fakes/iisauth"
	"mailbell/scenarios/oracle"
	"mailbell/scenarios/world"
)

// The size of a day; make day sets that of the reference product.
var (
	dayMailboxes = number("MAILBELL_DAY_MAILBOXES", 60)
	dayMails     = number("MAILBELL_DAY_MAILS", 8) // of one mailbox
	dayVersions  = strings.Fields(env("MAILBELL_DAY_EXCHANGE", "2013 online"))
	dayProfile   = fault.Profile(env("MAILBELL_DAY_PROFILE", string(fault.Hostile)))
	daySeed      = int64(number("MAILBELL_DAY_SEED", 1))
)

// perAccount is the sizing rule of the reference product.
const perAccount = 1250

func env(name, def string) string {
	if s := os.Getenv(name); s != "" {
		return s
	}
	return def
}

func number(name string, def int) int {
	n, err := strconv.Atoi(env(name, strconv.Itoa(def)))
	if err != nil || n < 1 {
		panic(name + ": want a number of at least 1")
	}
	return n
}

// putOffMax is how long after the last mail the last push may be under way: APNs
// asks for 15 minutes of waiting with each 503, and hostile servers give some twice.
const putOffMax = 2 * time.Hour

// trouble is a time in which something is out of order.
type trouble struct{ from, to time.Duration }

var _ = Describe("A day of 24 hours inside the default budgets, with fail-overs and a locked account", func() {
	for _, v := range dayVersions {
		It("on Exchange "+v, func() {
			began := time.Now()
			world.Bubble(func() { day(exchange.Version(v)) })
			AddReportEntry("wall clock", time.Since(began).Round(time.Second).String())
		})
	}
})

func day(v exchange.Version) {
	o := world.Options{
		Version: v, Profile: dayProfile, Seed: daySeed, Servers: []string{"ex01", "ex02", "ex03", "ex04"},
		Mailboxes: dayMailboxes, Listeners: (dayMailboxes + perAccount - 1) / perAccount,
		Quiet: dayMailboxes > 1000,
	}
	if v != exchange.V2010SP2 {
		o.CPU = &exchange.CPUBudget{}
	}
	if o.Listeners < 2 {
		o.Listeners = 2 // one is going to be locked
	}
	w := world.New(o)
	defer w.Close()
	end := w.Reading()
	began := time.Now()
	w.Crowd()
	w.AwaitStreaming()
	cold := time.Since(began)
	w.Wait(time.Minute)
	first := w.Organisation.Budgets(0).Violations
	w.Organisation.ForgetViolations()

	troubles := []trouble{{5 * time.Hour, 0}, {11 * time.Hour, 0}, {19 * time.Hour, 0}, {14 * time.Hour, 0}}
	var events []world.Event
	for i := range 3 {
		t := &troubles[i]
		t.to = t.from + 2*time.Minute
		events = append(events, world.Event{At: t.from, Do: func() {
			Expect(w.Organisation.FailOver(w.Organisation.Servers()[i], 2*time.Minute)).To(Succeed())
		}})
	}
	if v != exchange.VOnline { // an application has no password to be locked for
		t := &troubles[3]
		t.to = t.from + time.Hour
		user := w.ListenerUsers()[1]
		lock := func(on bool) func() {
			return func() {
				Expect(w.Organisation.ChangeAccount(user, func(a *iisauth.Account) { a.Locked = on })).To(Succeed())
			}
		}
		events = append(events, world.Event{At: t.from, Do: lock(true)}, world.Event{At: t.to, Do: lock(false)})
	}
	world.Sort(events)

	begin := time.Now()
	plan := world.Traffic(daySeed, dayMailboxes, dayMails, 24*time.Hour)
	w.Play(plan, events)
	w.Wait(10 * time.Minute)
	used := w.Organisation.Budgets(0)
	stats := w.App.Watcher().Stats()
	requests := w.Organisation.State()
	r := w.Settle(end(), putOffMax)

	healthy, after := split(r.Latencies, begin, troubles)
	AddReportEntry("day", fmt.Sprintf("Exchange %s, %s, seed %d: %d mailboxes, %d mails: %s\n"+
		"  all streaming after %v; refused for budgets in the first minute %d, later %d; audit finds %d; streams opened %d, broken %d, open now %d\n"+
		"  latency healthy %s; during trouble and ten minutes after %s; heap %d MiB",
		v, dayProfile, daySeed, dayMailboxes, len(plan), r, cold.Round(100*time.Millisecond), first, used.Violations, stats.AuditFinds, stats.StreamsOpened, stats.StreamsBroken, requests.Streams,
		quantiles(healthy), quantiles(after), heapMiB()))
	w.Trail(r)
	Expect(r.OK()).To(BeTrue(), r.String)
	Expect(r.Delivered).To(Equal(len(plan)))
	Expect(used.Violations).To(BeZero(), fmt.Sprintf("%+v", used.Accounts))
}

func split(list []oracle.Latency, begin time.Time, troubles []trouble) (healthy, after []time.Duration) {
	for _, l := range list {
		at := l.Arrived.Sub(begin)
		if slices.ContainsFunc(troubles, func(t trouble) bool { return t.to > 0 && at >= t.from && at < t.to+10*time.Minute }) {
			after = append(after, l.Took)
		} else {
			healthy = append(healthy, l.Took)
		}
	}
	return healthy, after
}

func quantiles(list []time.Duration) string {
	if len(list) == 0 {
		return "none"
	}
	slices.Sort(list)
	at := func(q float64) time.Duration {
		return list[int(q*float64(len(list)-1))].Round(time.Millisecond)
	}
	return fmt.Sprintf("(%d) p50 %v, p99 %v, p99.9 %v, max %v", len(list), at(.5), at(.99), at(.999), at(1))
}

func heapMiB() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc >> 20
}
