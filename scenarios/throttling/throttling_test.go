package throttling

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"mailbell/fakes/exchange"
	"mailbell/fakes/fault"
	"mailbell/notifier"
	"mailbell/notifier/app"
	"mailbell/notifier/watch"
	"mailbell/scenarios/world"
)

// roundTrip is how long a request takes in the stories of this file: the wire
// there and back.
const roundTrip = 50 * time.Millisecond

// requests counts the answered requests of an operation since an entry.
func requests(w *world.World, operation string, since uint64) int {
	n := 0
	for _, e := range w.Journal.After(since) {
		if e.Server == "ews" && e.Kind == "request" && e.Operation == operation {
			n++
		}
	}
	return n
}

var _ = Describe("From a cold start", func() {
	for _, v := range []exchange.Version{exchange.V2010SP2, exchange.V2013, exchange.V2019, exchange.VOnline} {
		It(fmt.Sprintf("on Exchange %s, the plan holds: in its time, with its requests, and none is refused", v), func() {
			world.Bubble(func() {
				accounts := max((dayMailboxes+perAccount-1)/perAccount, 1)
				w := world.New(world.Options{Version: v, Mailboxes: dayMailboxes, Listeners: accounts, Latency: roundTrip / 2, Quiet: true})
				defer w.Close()
				plan, err := watch.MakePlan(watch.PlanOptions{Mailboxes: dayMailboxes, Exchange: string(v), Groups: 2, Accounts: accounts, Latency: roundTrip})
				Expect(err).NotTo(HaveOccurred())
				Expect(plan.Problems).To(BeEmpty())

				// The devices register before the notifier watches.
				w.Crowd()
				w.AwaitStreaming()
				w.StopNotifier()
				w.Organisation.LoseSubscriptions("")
				w.ForgetBookmarks()
				begin := w.Journal.Last()
				began := time.Now()
				w.StartNotifier()
				w.AwaitStreaming()
				cold := time.Since(began)
				asked := map[string]int{}
				for _, op := range []string{"Subscribe", "GetStreamingEvents", "FindItem"} {
					asked[op] = requests(w, op, begin)
				}
				Expect(w.Organisation.Budgets(0).Violations).To(BeZero())

				begin, began = w.Journal.Last(), time.Now()
				w.Organisation.CutStreams("")
				w.Wait(time.Second) // until somebody has noticed
				w.AwaitStreaming()
				healed := time.Since(began)
				Expect(w.Organisation.Budgets(0).Violations).To(BeZero())
				AddReportEntry("cold start", fmt.Sprintf("Exchange %s, %d mailboxes, %d accounts, %v a request: all streaming after %v, planned %v (%.2f); %d Subscribe, %d GetStreamingEvents, %d FindItem, planned %d, %d, %d; "+
					"with all streams cut at once: all compared and streaming again after %v with %d GetStreamingEvents, %d FindItem; refused 0",
					v, dayMailboxes, accounts, roundTrip, cold.Round(time.Millisecond), plan.StartUp, float64(cold)/float64(plan.StartUp), asked["Subscribe"], asked["GetStreamingEvents"], asked["FindItem"],
					plan.Subscribes, plan.Openings, plan.Comparisons, healed.Round(time.Millisecond), requests(w, "GetStreamingEvents", begin), requests(w, "FindItem", begin)))
				Expect(asked["Subscribe"]).To(Equal(plan.Subscribes))
				Expect(asked["GetStreamingEvents"]).To(BeNumerically("<=", 3*plan.Openings))
				Expect(asked["FindItem"]).To(And(BeNumerically(">=", plan.Comparisons), BeNumerically("<=", 2*plan.Comparisons)))
				// Handshakes and the gathering of newcomers are not in the plan.
				Expect(cold).To(BeNumerically("<=", 2*plan.StartUp+5*time.Second))
			})
		})
	}
})

var _ = Describe("A day without mail", func() {
	It("costs what keeps the streams, and little else", func() {
		world.Bubble(func() {
			var wire wire
			w := world.New(world.Options{Mailboxes: dayMailboxes, Listeners: 2, Quiet: true, Change: func(o *app.Options) { wire.tap(&o.Network) }})
			defer w.Close()
			w.Crowd()
			w.AwaitStreaming()
			begin, bytes := w.Journal.Last(), wire.bytes.Load()
			for range 24 {
				w.Wait(time.Hour)
				for n := range dayMailboxes {
					s, _ := w.App.Watcher().Explain(notifier.Mailbox(fmt.Sprintf("user%05d@%s", n+1, w.Domain())))
					Expect(time.Since(s.Compared)).To(BeNumerically("<", watch.AuditEveryMax), "an audit that comes later finds nothing")
				}
			}
			count := map[string]int{}
			for _, e := range w.Journal.After(begin) {
				if (e.Server == "ews" || e.Server == "autodiscover") && e.Kind == "request" {
					count[e.Operation]++
				}
			}
			perMailbox := func(n int) float64 { return float64(n) / float64(dayMailboxes) }
			AddReportEntry("a day without mail", fmt.Sprintf("%d mailboxes: %.0f bytes on the wire to Exchange for each, handshakes included; requests for each: %.1f comparisons (FindItem), %.2f openings of streams, %.2f others",
				dayMailboxes, float64(wire.bytes.Load()-bytes)/float64(dayMailboxes), perMailbox(count["FindItem"]), perMailbox(count["GetStreamingEvents"]),
				perMailbox(count["Subscribe"]+count["GetItem"]+count["GetFolder"]+count["GetUserSettings"])))
			Expect(count["Subscribe"] + count["Unsubscribe"] + count["GetItem"] + count["GetFolder"] + count["GetUserSettings"]).To(BeZero())
			Expect(perMailbox(count["FindItem"])).To(BeNumerically("~", 6, 1), "each is audited every four hours")
			Expect(count["GetStreamingEvents"]).To(BeNumerically("<=", 24*60/25*w.Organisation.State().Streams+10))
		})
	})
})

// wire counts the bytes between the notifier and everybody else.
type wire struct{ bytes atomic.Int64 }

func (c *wire) tap(n *app.Network) {
	dial := n.Dial
	n.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &tapped{conn, c}, nil
	}
}

type tapped struct {
	net.Conn
	wire *wire
}

func (t *tapped) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	t.wire.bytes.Add(int64(n))
	return n, err
}

func (t *tapped) Write(b []byte) (int, error) {
	n, err := t.Conn.Write(b)
	t.wire.bytes.Add(int64(n))
	return n, err
}

var _ = Describe("Inside the budgets", func() {
	world.Story("a server that is busy is left alone for as long as it says", world.Options{VirtualOnly: true, Patient: 12 * time.Hour}, func(w *world.World) {
		phone, other := w.Phone("taro"), w.Phone("hanako")
		w.AwaitStreaming()
		const told = 5 * time.Minute
		w.MustAddFault(fault.Fault{Name: "ews.busy", Scope: fault.Scope{Mailbox: phone.Mailbox}, Count: 1, Args: map[string]string{"ms": fmt.Sprint(told.Milliseconds())}})
		begin, began := w.Journal.Last(), time.Now()
		w.Mail(phone.Mailbox, "#while busy")
		w.Mail(other.Mailbox, "#not busy")
		Expect(other.AwaitPush("#not busy").Time.Sub(began)).To(BeNumerically("<", time.Second))
		late := phone.AwaitPush("#while busy").Time.Sub(began)
		Expect(late).To(And(BeNumerically(">=", told), BeNumerically("<", told+time.Minute)))
		refused := 0
		for _, e := range w.Journal.After(begin) {
			if e.Mailbox == phone.Mailbox && e.Fault == "ews.busy" {
				refused++
			}
		}
		Expect(refused).To(BeNumerically("<=", 2), "who comes back early waits longer") // the item and, beside it, the count
	})

	world.Story("a server that ends every stream at once is not asked again at once", world.Options{VirtualOnly: true, Latency: roundTrip / 2}, func(w *world.World) {
		phone := w.Phone("taro")
		w.AwaitStreaming()
		begin := w.Journal.Last()
		cut := w.MustAddFault(fault.Fault{Name: "ews.stream.cut"})
		w.Organisation.CutStreams("")
		w.Mail(phone.Mailbox, "#meanwhile")
		w.Wait(10 * time.Minute)
		Expect(requests(w, "GetStreamingEvents", begin)).To(BeNumerically("~", 20, 10))
		w.Faults.Remove(cut.ID)
		w.AwaitStreaming()
	})

	world.Story("a server that is busy for one mailbox of a group gets no Subscribe of the others meanwhile", world.Options{VirtualOnly: true, Patient: 12 * time.Hour, Mailboxes: 40, Servers: []string{"ex01"}}, func(w *world.World) {
		w.Crowd()
		w.AwaitStreaming()
		const told = 5 * time.Minute
		w.MustAddFault(fault.Fault{Name: "ews.busy", Count: 1, Args: map[string]string{"ms": fmt.Sprint(told.Milliseconds())}})
		begin := w.Journal.Last()
		w.Organisation.LoseSubscriptions("")
		w.Wait(told - time.Second)
		Expect(requests(w, "Subscribe", begin)).To(BeNumerically("<=", 10), "no more than were on their way")
		w.AwaitStreaming()
		w.Mail("user00040@"+w.Domain(), "#after")
	})

	for _, v := range []exchange.Version{exchange.V2010SP2, exchange.V2013, exchange.VOnline} {
		world.Story(fmt.Sprintf("on Exchange %s, no request is one too many although everything breaks again and again", v), world.Options{
			VirtualOnly: true, Patient: 12 * time.Hour, Version: v, Mailboxes: 120, Listeners: 2, Latency: roundTrip / 2, Quiet: true,
		}, func(w *world.World) {
			w.Crowd()
			w.AwaitStreaming()
			for i := range 24 {
				switch i % 4 {
				case 0:
					w.Organisation.CutStreams("")
				case 1:
					w.Organisation.LoseSubscriptions("")
				case 2:
					Expect(w.Organisation.RestartServer("ex01")).To(Succeed())
				case 3:
					Expect(w.Organisation.FailOver("ex02", time.Minute)).To(Succeed())
				}
				for n := range 120 {
					w.Mail(fmt.Sprintf("user%05d@%s", n+1, w.Domain()), fmt.Sprintf("#%d %d", i, n))
				}
				w.Wait(time.Duration(1+i) * 10 * time.Second)
			}
			w.MustHaveKeptThePromise()
			b := w.Organisation.Budgets(0)
			Expect(b.Violations).To(BeZero(), fmt.Sprintf("%+v", b.Accounts))
		})
	}

	world.Story("a hundred restarts leave one subscription in each mailbox", world.Options{VirtualOnly: true, Version: exchange.VOnline}, func(w *world.World) {
		phone, pc := w.Phone("taro"), w.PC("hanako")
		w.AwaitStreaming()
		for i := range 100 {
			w.StopNotifier()
			w.Mail(phone.Mailbox, fmt.Sprintf("#t%02d", i))
			w.StartNotifier()
			w.Mail(pc.Mailbox, fmt.Sprintf("#h%02d", i))
			pc.AwaitPush(fmt.Sprintf("#h%02d", i))
		}
		w.AwaitStreaming()
		Expect(w.Organisation.State().Subscriptions).To(Equal(2))
		Expect(w.Organisation.Budgets(0).Violations).To(BeZero())
	})
})
