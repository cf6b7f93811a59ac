package world

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"mailbell/fakes/exchange"
	"mailbell/fakes/journal"
	"mailbell/fakes/memnet"
	"mailbell/notifier"
	"mailbell/notifier/bookmark"
	"mailbell/scenarios/oracle"
)

// enrolParallel is how many devices of a large crowd register at once; those of a
// small one come in order, so that a seed repeats it.
const (
	enrolParallel = 16
	smallCrowd    = 100
)

// Crowd gives every mailbox of Options.Mailboxes one device, every fourth a PC,
// and registers them.
func (w *World) Crowd() {
	GinkgoHelper()
	parallel := enrolParallel
	if w.opt.Mailboxes <= smallCrowd {
		parallel = 1
	}
	work := make(chan *Device)
	errs := make(chan error, parallel)
	var wg sync.WaitGroup
	for range parallel {
		wg.Go(func() {
			var failed error
			for d := range work {
				if err := d.Register(w.Ctx); err != nil && failed == nil {
					failed = fmt.Errorf("%s: %w", d.ID, err)
				}
			}
			errs <- failed
		})
	}
	for i := range w.opt.Mailboxes {
		name := fmt.Sprintf("user%05d", i+1)
		w.people[name+"@"+w.Domain()] = true
		d := w.newDevice(name, i%4 == 3)
		work <- d
	}
	close(work)
	wg.Wait()
	for range parallel {
		Expect(<-errs).NotTo(HaveOccurred())
	}
}

func (w *World) newDevice(name string, pc bool) *Device {
	if pc {
		return w.NewPC(name)
	}
	return w.NewPhone(name)
}

// Arrival is one planned mail.
type Arrival struct {
	At      time.Duration // from the beginning
	Mailbox int           // from 1 on
}

// Traffic plans perMailbox mails for each mailbox within a span, more by day
// than by night: the sum of a constant and a bell around the middle. Mails come
// at whole seconds: what comes in the same one is under way together.
func Traffic(seed int64, mailboxes, perMailbox int, span time.Duration) []Arrival {
	draw := rand.New(rand.NewPCG(uint64(seed), 0x9e3779b97f4a7c15))
	list := make([]Arrival, 0, mailboxes*perMailbox)
	for m := range mailboxes {
		for range perMailbox {
			x := draw.Float64()
			if draw.Float64() < 0.8 { // of four draws the mean: nearly a bell
				x = (x + draw.Float64() + draw.Float64() + draw.Float64()) / 4
			}
			list = append(list, Arrival{time.Duration(x * float64(span)).Truncate(time.Second), m + 1})
		}
	}
	slices.SortStableFunc(list, func(a, b Arrival) int { return int(a.At - b.At) })
	return list
}

// Play delivers the mails of a plan at their times, and does what else is
// planned. It returns when the last has been delivered.
func (w *World) Play(plan []Arrival, events []Event) {
	GinkgoHelper()
	began := time.Now()
	for i, a := range plan {
		for len(events) > 0 && events[0].At <= a.At {
			pause(time.Until(began.Add(events[0].At)))
			events[0].Do()
			events = events[1:]
		}
		if d := time.Until(began.Add(a.At)); d > 0 {
			pause(d)
		}
		w.TryMail(fmt.Sprintf("user%05d@%s", a.Mailbox, w.Domain()), fmt.Sprintf("#%d", i))
	}
	for _, e := range events {
		pause(time.Until(began.Add(e.At)))
		e.Do()
	}
}

// TryMail delivers a mail to a mailbox, unless that is not there to take it.
func (w *World) TryMail(to, subject string) {
	GinkgoHelper()
	raw := fmt.Appendf(nil, "From: Ada Example <ada@fabrikam.test>\r\nTo: %s\r\nSubject: %s\r\n\r\nBody of %s\r\n", to, subject, subject)
	_, err := w.Organisation.Deliver(exchange.Envelope{From: "ada@fabrikam.test", To: []string{to}, Raw: raw})
	Expect(err).NotTo(HaveOccurred())
}

// Note writes something into the journal that no server tells of.
func (w *World) Note(kind, text string) {
	w.Journal.Append(journal.Entry{Server: "story", Kind: kind, Detail: map[string]string{"text": text}})
}

// Memnet is the network of the virtual world.
func (w *World) Memnet() *memnet.Network {
	GinkgoHelper()
	n, ok := w.Network.(*memnet.Network)
	Expect(ok).To(BeTrue(), "the network is not virtual")
	return n
}

// NotifierTo is the link from the notifier to a host, for misfortunes of the
// virtual network; "" is all hosts.
func NotifierTo(host string) string { return notifierEnd + ">" + host }

// Sort puts events in order; those of the same time stay as they are.
func Sort(events []Event) {
	slices.SortStableFunc(events, func(a, b Event) int { return int(a.At - b.At) })
}

// Event is something that happens during a plan.
type Event struct {
	At time.Duration
	Do func()
}

// Reading has an oracle read the journal as it grows, so that a story may be
// longer than the journal holds. End stops it and returns the oracle, with
// everything read.
func (w *World) Reading() (end func() *oracle.Oracle) {
	o := oracle.New()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		defer GinkgoRecover()
		for {
			ended := false
			select {
			case <-stop:
				ended = true
			case <-time.After(time.Minute):
			}
			for {
				list := w.Journal.After(o.Last())
				if len(list) == 0 {
					break
				}
				Expect(list[0].Seq).To(Equal(o.Last()+1), "the journal has dropped entries before they were read")
				o.Read(list)
			}
			if ended {
				return
			}
		}
	}()
	return func() *oracle.Oracle {
		close(stop)
		<-done
		return o
	}
}

// Settle waits until nothing is missing any more, for most at longest, and returns
// the verdict. What a provider has put off is under way still, not lost.
func (w *World) Settle(o *oracle.Oracle, most time.Duration) oracle.Report {
	GinkgoHelper()
	deadline := time.Now().Add(most)
	for wait := most / 8; ; wait = min(2*wait, time.Hour) { // a verdict on a long day takes seconds
		r := w.Verdict(o)
		if r.Count("lost") == 0 || time.Now().After(deadline) {
			return r
		}
		w.Wait(wait)
		o.Read(w.Journal.After(o.Last()))
	}
}

// Verdict is what the oracle says when it has also seen the receipts of the
// devices to which something seems to be lost.
func (w *World) Verdict(o *oracle.Oracle) oracle.Report {
	GinkgoHelper()
	r := o.Report()
	if r.Count("lost") == 0 {
		return r
	}
	byID := map[string]*Device{}
	for _, d := range w.devices {
		byID[d.ID] = d
	}
	for _, f := range r.Findings {
		if d := byID[f.Device]; f.Kind == "lost" && d != nil {
			d.showReceipts()
		}
	}
	o.Read(w.Journal.After(o.Last()))
	return o.Report()
}

// Trail shows what the journal tells of the first mailboxes that something was
// found about, around the time.
func (w *World) Trail(r oracle.Report) {
	const findings, before, after = 3, time.Minute, 30 * time.Minute
	for _, f := range r.Findings[:min(len(r.Findings), findings)] {
		at := w.Journal.After(f.Seq - 1)
		if len(at) == 0 {
			continue
		}
		var b strings.Builder
		for _, e := range w.Journal.After(0) {
			if d := e.Time.Sub(at[0].Time); (e.Mailbox == f.Mailbox || e.Device == at[0].Device && e.Device != "" || e.Item == f.Item) && d > -before && d < after {
				fmt.Fprintf(&b, "%d %s %s %s %s status %d %s fault %q item …%s %v\n", e.Seq, e.Time.Format("15:04:05.000"), e.Server, e.Kind, e.Operation, e.Status, e.Reason, e.Fault, e.Item[max(0, len(e.Item)-12):], e.Detail)
			}
		}
		if w.App != nil {
			if x, err := w.App.Explain(w.Ctx, notifier.Mailbox(f.Mailbox)); err == nil {
				text, _ := json.MarshalIndent(x.Watch, "", " ") // plain values
				b.Write(text)
			}
		}
		AddReportEntry("trail of "+f.String(), b.String(), ReportEntryVisibilityFailureOrVerbose)
	}
}

// ForgetBookmarks has the notifier start as for the first time, with the
// registrations as they are. It must be stopped.
func (w *World) ForgetBookmarks() {
	GinkgoHelper()
	Expect(w.App).To(BeNil())
	w.stores.Bookmarks = bookmark.NewMemory()
}
