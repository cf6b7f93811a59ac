package delivery

import (
	"encoding/json"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"mailbell/fakes/journal"
	"mailbell/notifier"
	"mailbell/notifier/app"
	"mailbell/scenarios/world"
)

// update is what an iPhone gets when mail is read elsewhere.
type update struct {
	APS struct {
		Badge *int
		Alert json.RawMessage
	}
	Mailbell struct {
		Update   bool
		Withdraw []string
	}
}

// updates are those that a phone has got.
func updates(w *world.World, d *world.Device) (list []update) {
	for _, e := range w.Journal.After(0) {
		var u update
		if e.Server == "apns" && e.Kind == "push" && e.Status == 200 && e.Device == d.Address() && json.Unmarshal(e.Body, &u) == nil && u.Mailbell.Update {
			list = append(list, u)
		}
	}
	return list
}

// badges are those that a PC has got, in order.
func badges(w *world.World, d *world.Device) (list []string) {
	for _, e := range w.Journal.After(0) {
		var text string
		if e.Kind == "push" && e.Device == d.Address() && e.Detail["type"] == "wns/badge" && json.Unmarshal(e.Body, &text) == nil {
			list = append(list, text)
		}
	}
	return list
}

var _ = Describe("What is read elsewhere", func() {
	world.Story("is withdrawn from the phone, and the badges are right", world.Options{}, func(w *world.World) {
		phone, pc := w.Phone("taro"), w.PC("taro")
		w.AwaitStreaming()
		first, second, third := w.Mail(phone.Mailbox, "#1"), w.Mail(phone.Mailbox, "#2"), w.Mail(phone.Mailbox, "#3")
		for _, subject := range []string{"#1", "#2", "#3"} {
			phone.AwaitPush(subject)
			pc.AwaitPush(subject)
		}
		Expect(w.Organisation.MarkRead(phone.Mailbox, first)).To(Succeed())
		Expect(w.Organisation.Delete(phone.Mailbox, second)).To(Succeed())
		Expect(w.Organisation.Touch(phone.Mailbox, third)).To(Succeed()) // flagged, and still unread
		w.Await("an update", func(journal.Entry) bool { return len(updates(w, phone)) > 0 })
		u := updates(w, phone)[0]
		Expect(u.APS.Alert).To(BeEmpty())
		Expect(u.APS.Badge).To(HaveValue(Equal(1)))
		var want []string
		for _, item := range []string{first, second} {
			want = append(want, string(notifier.NewNotificationID(notifier.Mailbox(phone.Mailbox), notifier.ItemID(item))))
		}
		Expect(u.Mailbell.Withdraw).To(ConsistOf(want))
		w.Await("the PC's badge", func(journal.Entry) bool {
			list := badges(w, pc)
			return len(list) > 0 && list[len(list)-1] == `<badge value="1"/>`
		})

		Expect(w.Organisation.MarkRead(phone.Mailbox, third)).To(Succeed())
		w.Await("an update to nothing", func(journal.Entry) bool {
			return slices.ContainsFunc(updates(w, phone), func(u update) bool { return u.APS.Badge != nil && *u.APS.Badge == 0 })
		})
		list, err := phone.Notifications(w.Ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(list).To(HaveLen(3), "updates leave no receipts")
	})

	world.Story("is nothing while mail only arrives, which brings its count along", world.Options{VirtualOnly: true}, func(w *world.World) {
		phone := w.Phone("taro")
		w.AwaitStreaming()
		for range 5 {
			w.Mail(phone.Mailbox, "#new")
			w.Wait(7 * time.Second)
		}
		w.Wait(time.Minute)
		Expect(updates(w, phone)).To(BeEmpty())
	})

	world.Story("costs nothing where it is switched off", world.Options{VirtualOnly: true, Change: func(o *app.Options) { o.Exchange.NoElsewhere = true }}, func(w *world.World) {
		phone := w.Phone("taro")
		w.AwaitStreaming()
		item := w.Mail(phone.Mailbox, "#1")
		phone.AwaitPush("#1")
		Expect(w.Organisation.MarkRead(phone.Mailbox, item)).To(Succeed())
		w.Wait(time.Minute)
		Expect(updates(w, phone)).To(BeEmpty())
		for _, e := range w.Journal.After(0) {
			if e.Kind == "notification" {
				Expect(e.Detail["event"]).To(Equal("NewMailEvent"))
			}
		}
	})

	world.Story("while the mailbox's owner reads a hundred mails is told in a few updates", world.Options{VirtualOnly: true}, func(w *world.World) {
		phone := w.Phone("taro")
		w.AwaitStreaming()
		var items []string
		for range 100 {
			items = append(items, w.Mail(phone.Mailbox, "#many"))
			w.Wait(time.Second)
		}
		w.MustHaveKeptThePromise()
		for _, item := range items {
			Expect(w.Organisation.MarkRead(phone.Mailbox, item)).To(Succeed())
			w.Wait(100 * time.Millisecond)
		}
		w.Wait(time.Minute)
		list := updates(w, phone)
		Expect(len(list)).To(BeNumerically("<=", 8))
		Expect(list[len(list)-1].APS.Badge).To(HaveValue(Equal(0)))
	})
})
