package recovery

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"mailbell/fakes/exchange"
	"mailbell/fakes/fault"
	"mailbell/notifier/app"
	"mailbell/notifier/watch"
	"mailbell/scenarios/world"
)

// minutes runs a story in virtual time only: it takes too long otherwise.
var minutes = world.Options{VirtualOnly: true}

// bySync compares Inboxes exactly.
var (
	bySync        = world.Options{Change: func(o *app.Options) { o.Exchange.CatchUp = watch.BySync }}
	bySyncMinutes = world.Options{Change: bySync.Change, VirtualOnly: true}
)

var _ = Describe("Nothing is lost", func() {
	world.Story("when streams are cut", world.Options{}, func(w *world.World) {
		phone, pc := w.Phone("taro"), w.PC("hanako")
		w.AwaitStreaming()
		for i := range 3 { // each reopening waits twice as long
			w.Organisation.CutStreams("")
			w.Mail(phone.Mailbox, fmt.Sprintf("#t%d", i))
			w.Mail(pc.Mailbox, fmt.Sprintf("#h%d", i))
			phone.AwaitPush(fmt.Sprintf("#t%d", i))
			pc.AwaitPush(fmt.Sprintf("#h%d", i))
		}
	})

	world.Story("when a stream breaks in the middle of a notification: the mail is looked for at once", world.Options{}, func(w *world.World) {
		phone := w.Phone("taro")
		w.AwaitStreaming()
		w.MustAddFault(fault.Fault{Name: "ews.stream.cutmid", Count: 1})
		w.Mail(phone.Mailbox, "#half told")
		phone.AwaitPush("#half told")
	})

	world.Story("when a subscription is lost", world.Options{}, func(w *world.World) {
		phone := w.Phone("taro")
		w.AwaitStreaming()
		w.Organisation.LoseSubscriptions(phone.Mailbox)
		w.Mail(phone.Mailbox, "#1")
		phone.AwaitPush("#1")
		w.AwaitStreaming()
		w.Mail(phone.Mailbox, "#2")
		phone.AwaitPush("#2")
	})

	world.Story("when a mailbox moves to another server", minutes, func(w *world.World) {
		phone := w.Phone("taro")
		w.AwaitStreaming()
		settings, _ := w.Organisation.Settings(phone.Mailbox)
		to := "ex01"
		if settings.Server == to {
			to = "ex02"
		}
		Expect(w.Organisation.Move(phone.Mailbox, to, time.Minute)).To(Succeed())
		w.Mail(phone.Mailbox, "#during the move")
		phone.AwaitPush("#during the move")
		w.AwaitStreaming()
		w.Mail(phone.Mailbox, "#after the move")
		phone.AwaitPush("#after the move")
	})

	world.Story("when an Exchange server restarts", minutes, func(w *world.World) {
		phone, pc := w.Phone("taro"), w.PC("hanako")
		w.AwaitStreaming()
		for _, s := range w.Organisation.Servers() {
			Expect(w.Organisation.RestartServer(s)).To(Succeed())
		}
		w.Mail(phone.Mailbox, "#1")
		w.Mail(pc.Mailbox, "#2")
		phone.AwaitPush("#1")
		pc.AwaitPush("#2")
	})

	world.Story("when the notifier is stopped and started", world.Options{}, func(w *world.World) {
		phone := w.Phone("taro")
		w.AwaitStreaming()
		w.StopNotifier()
		for i := range 30 {
			w.Mail(phone.Mailbox, fmt.Sprintf("#%02d", i))
		}
		w.StartNotifier()
		w.MustHaveKeptThePromise()
	})

	for name, o := range map[string]world.Options{"": minutes, ", with exact catch-up": bySyncMinutes} {
		world.Story("when ten thousand mails come while the notifier is down: one push tells of them"+name, o, func(w *world.World) {
			phone, pc := w.Phone("taro"), w.PC("taro")
			w.AwaitStreaming()
			w.Mail(phone.Mailbox, "#before")
			phone.AwaitPush("#before")
			w.StopNotifier()
			w.Organisation.LoseSubscriptions("")
			for i := range 10_000 {
				w.Mail(phone.Mailbox, fmt.Sprintf("#flood %d", i))
			}
			w.Wait(time.Hour)
			begin := w.Journal.Last()
			w.StartNotifier()
			phone.AwaitPush("Many new messages")
			pc.AwaitPush("Many new messages")
			w.Mail(phone.Mailbox, "#after")
			phone.AwaitPush("#after")
			w.Wait(9 * time.Hour) // and no audit brings it up again
			Expect(phone.Pushes("Many new messages")).To(BeNumerically("<=", 2))
			Expect(phone.Pushes("#flood")).To(BeZero())
			reads := 0
			for _, e := range w.Journal.After(begin) {
				if e.Server == "ews" && e.Operation == "GetItem" {
					reads++
				}
			}
			Expect(reads).To(BeNumerically("<", 10), "nobody looks at ten thousand mails one by one")
			// A device may ask for its latest thousand receipts only.
			for _, f := range w.Judge().Findings {
				Expect(f.Kind).To(Equal("lost"))
				w.Forgive(f.Item)
			}
		})
	}

	world.Story("with exact catch-up, when streams are cut and the notifier is stopped", bySync, func(w *world.World) {
		phone := w.Phone("taro")
		w.AwaitStreaming()
		for i := range 2 {
			w.Organisation.CutStreams("")
			w.Mail(phone.Mailbox, fmt.Sprintf("#c%d", i))
			phone.AwaitPush(fmt.Sprintf("#c%d", i))
		}
		w.StopNotifier()
		for i := range 30 {
			w.Mail(phone.Mailbox, fmt.Sprintf("#%02d", i))
		}
		w.StartNotifier()
		w.MustHaveKeptThePromise()
	})

	world.Story("with exact catch-up, when mail is released from Junk Email while the notifier is stopped", bySyncMinutes, func(w *world.World) {
		phone := w.Phone("taro")
		w.AwaitStreaming()
		Expect(w.Organisation.AddRule(phone.Mailbox, exchange.Rule{SubjectContains: "#held", MoveTo: exchange.JunkEmail})).To(Succeed())
		held := w.Mail(phone.Mailbox, "#held")
		w.Forgive(held)
		w.Wait(time.Hour)
		w.Mail(phone.Mailbox, "#1")
		phone.AwaitPush("#1")
		w.StopNotifier()
		_, err := w.Organisation.MoveItem(phone.Mailbox, held, exchange.Inbox)
		Expect(err).NotTo(HaveOccurred())
		w.StartNotifier()
		phone.AwaitPush("#held")
	})

	world.Story("when APNs is down for ten minutes", minutes, func(w *world.World) {
		phone, pc := w.Phone("taro"), w.PC("taro")
		w.AwaitStreaming()
		w.APNs.Outage(true)
		for i := range 20 {
			w.Mail(phone.Mailbox, fmt.Sprintf("#%02d", i))
			w.Wait(30 * time.Second)
		}
		pc.AwaitPush("#19") // the other provider's lane is not held up
		Expect(phone.Pushes("#")).To(BeZero())
		w.APNs.Outage(false)
		w.MustHaveKeptThePromise()
		Expect(phone.Pushes("#")).To(Equal(20))
	})

	world.Story("when the WNS access tokens are revoked", world.Options{}, func(w *world.World) {
		pc := w.PC("taro")
		w.AwaitStreaming()
		w.Mail(pc.Mailbox, "#1")
		pc.AwaitPush("#1")
		w.WNS.RevokeTokens()
		w.Mail(pc.Mailbox, "#2")
		pc.AwaitPush("#2")
	})

	world.Story("over a day in which provider tokens grow old", minutes, func(w *world.World) {
		phone, pc := w.Phone("taro"), w.PC("taro")
		w.AwaitStreaming()
		for i := range 48 {
			w.Mail(phone.Mailbox, fmt.Sprintf("#%02d", i))
			phone.AwaitPush(fmt.Sprintf("#%02d", i))
			pc.AwaitPush(fmt.Sprintf("#%02d", i))
			w.Wait(30 * time.Minute)
		}
	})

	world.Story("when a device is gone: it is forgotten, the others go on", world.Options{}, func(w *world.World) {
		dead, alive := w.Phone("taro"), w.Phone("taro")
		w.AwaitStreaming()
		dead.Retire()
		w.Mail(alive.Mailbox, "#1")
		alive.AwaitPush("#1")
		w.Eventually(func() bool { return !dead.IsRegistered() })
		w.Mail(alive.Mailbox, "#2")
		alive.AwaitPush("#2")
	})

	world.Story("when everything is cut again and again", minutes, func(w *world.World) {
		phone, pc := w.Phone("taro"), w.PC("hanako")
		w.AwaitStreaming()
		for i := range 60 {
			switch i % 6 {
			case 0:
				w.Organisation.CutStreams("")
			case 2:
				w.APNs.CutConnections()
			case 3:
				w.Organisation.LoseSubscriptions(phone.Mailbox)
			case 5:
				w.MustAddFault(fault.Fault{Name: "ews.503", Count: 3})
				w.MustAddFault(fault.Fault{Name: "wns.500", Count: 1})
			}
			w.Mail(phone.Mailbox, fmt.Sprintf("#t%02d", i))
			w.Mail(pc.Mailbox, fmt.Sprintf("#h%02d", i))
			w.Wait(time.Duration(1+i) * time.Second)
		}
		w.MustHaveKeptThePromise()
	})
})
