package moves

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"mailbell/fakes/exchange"
	"mailbell/notifier"
	"mailbell/notifier/app"
	"mailbell/notifier/watch"
	"mailbell/scenarios/world"
)

var hours = world.Options{VirtualOnly: true, Patient: 12 * time.Hour}

func with(change func(*world.Options)) world.Options {
	o := hours
	change(&o)
	return o
}

// elsewhere is a server that the mailbox is not on.
func elsewhere(w *world.World, mailbox string) string {
	GinkgoHelper()
	s, ok := w.Organisation.Settings(mailbox)
	Expect(ok).To(BeTrue())
	for _, name := range w.Organisation.Servers() {
		if name != s.Server {
			return name
		}
	}
	Fail("there is one server only")
	return ""
}

func group(w *world.World, mailbox string) string {
	GinkgoHelper()
	s, ok := w.App.Watcher().Explain(notifier.Mailbox(mailbox))
	Expect(ok).To(BeTrue())
	return s.Group
}

var _ = Describe("Nothing is lost", func() {
	for _, took := range []time.Duration{0, 30 * time.Second, 10 * time.Minute, 3 * time.Hour} {
		world.Story(fmt.Sprintf("when a mailbox moves, which takes %v, with mail before, during and after", took), hours, func(w *world.World) {
			phone, other := w.Phone("taro"), w.Phone("hanako")
			w.AwaitStreaming()
			w.Mail(phone.Mailbox, "#before")
			Expect(w.Organisation.Move(phone.Mailbox, elsewhere(w, phone.Mailbox), took)).To(Succeed())
			for i := range 10 {
				w.Mail(phone.Mailbox, fmt.Sprintf("#during %d", i))
				w.Mail(other.Mailbox, fmt.Sprintf("#not moving %d", i))
				w.Wait(took/10 + time.Second)
			}
			w.Mail(phone.Mailbox, "#after")
			phone.AwaitPush("#after")
			w.AwaitStreaming()
			w.Mail(phone.Mailbox, "#heard at once")
			phone.AwaitPush("#heard at once")
		})
	}

	world.Story("when a mailbox moves to and fro", with(func(o *world.Options) { o.Servers = []string{"ex01", "ex02", "ex03"} }), func(w *world.World) {
		phone := w.Phone("taro")
		w.AwaitStreaming()
		for i := range 12 {
			Expect(w.Organisation.Move(phone.Mailbox, elsewhere(w, phone.Mailbox), time.Duration(i)*10*time.Second)).To(Succeed())
			w.Mail(phone.Mailbox, fmt.Sprintf("#a%d", i))
			w.Wait(time.Duration(i*i) * time.Minute)
			w.Mail(phone.Mailbox, fmt.Sprintf("#b%d", i))
		}
	})

	world.Story("when the group's first mailbox moves away and then its server restarts", hours, func(w *world.World) {
		var phones []*world.Device
		for i := range 8 {
			phones = append(phones, w.Phone(fmt.Sprintf("user%d", i)))
		}
		w.AwaitStreaming()
		for _, p := range phones[:4] {
			Expect(w.Organisation.Move(p.Mailbox, elsewhere(w, p.Mailbox), time.Minute)).To(Succeed())
			w.Wait(20 * time.Minute)
		}
		for _, s := range w.Organisation.Servers() {
			Expect(w.Organisation.RestartServer(s)).To(Succeed())
		}
		for _, p := range phones {
			w.Mail(p.Mailbox, "#after the restart")
		}
		for _, p := range phones {
			p.AwaitPush("#after the restart")
		}
	})

	world.Story("when a database fails over and back", with(func(o *world.Options) { o.Mailboxes = 40 }), func(w *world.World) {
		w.Crowd()
		w.AwaitStreaming()
		for i := range 6 {
			for _, db := range w.Organisation.Databases() {
				_, err := w.Organisation.FailOverDatabase(db, "", time.Duration(i)*20*time.Second)
				Expect(err).NotTo(HaveOccurred())
				for n := range 40 {
					w.Mail(fmt.Sprintf("user%05d@%s", n+1, w.Domain()), fmt.Sprintf("#%s %d %d", db, i, n))
				}
				w.Wait(7 * time.Minute)
			}
		}
		w.MustHaveKeptThePromise()
	})

	for name, restart := range map[string]bool{"is renamed": false, "is renamed and the notifier restarts": true} {
		world.Story("when a mailbox "+name+": its old address goes on to lead to it", hours, func(w *world.World) {
			phone := w.Phone("taro")
			w.AwaitStreaming()
			Expect(w.Organisation.RenameMailbox(phone.Mailbox, "taro.yamada@"+w.Domain())).To(Succeed())
			if restart {
				w.StopNotifier()
				w.StartNotifier()
			}
			w.Organisation.LoseSubscriptions("")
			w.Mail("taro.yamada@"+w.Domain(), "#to the new name")
			phone.AwaitPush("#to the new name")
		})
	}

	world.Story("when a mailbox is disabled for a day", with(func(o *world.Options) { o.Patient = 48 * time.Hour }), func(w *world.World) {
		phone, other := w.Phone("taro"), w.Phone("hanako")
		w.AwaitStreaming()
		Expect(w.Organisation.SetMailboxDisabled(phone.Mailbox, true)).To(Succeed())
		w.Organisation.LoseSubscriptions("")
		for i := range 24 {
			w.Mail(other.Mailbox, fmt.Sprintf("#%d", i))
			w.Wait(time.Hour)
		}
		Expect(w.Organisation.SetMailboxDisabled(phone.Mailbox, false)).To(Succeed())
		w.Mail(phone.Mailbox, "#enabled again")
		phone.AwaitPush("#enabled again")
	})

	world.Story("when mailboxes move while the notifier is down", with(func(o *world.Options) { o.Mailboxes = 40 }), func(w *world.World) {
		w.Crowd()
		w.AwaitStreaming()
		w.StopNotifier()
		for n := range 40 {
			address := fmt.Sprintf("user%05d@%s", n+1, w.Domain())
			if n%3 == 0 {
				Expect(w.Organisation.Move(address, elsewhere(w, address), 0)).To(Succeed())
			}
			w.Mail(address, fmt.Sprintf("#%d", n))
		}
		w.StartNotifier()
		w.MustHaveKeptThePromise()
		w.AwaitStreaming()
	})

	world.Story("when one more mailbox comes: the others stay where they are", with(func(o *world.Options) { o.Mailboxes = 300 }), func(w *world.World) {
		w.Crowd()
		w.AwaitStreaming()
		before := map[string]string{}
		for n := range 300 {
			address := fmt.Sprintf("user%05d@%s", n+1, w.Domain())
			before[address] = group(w, address)
		}
		phone := w.Phone("newcomer")
		w.AwaitStreaming()
		w.Mail(phone.Mailbox, "#welcome")
		phone.AwaitPush("#welcome")
		for address, g := range before {
			Expect(group(w, address)).To(Equal(g))
		}
	})

	world.Story("when an instance watches one server only: a mailbox that moves to it is heard, and what is elsewhere is left alone", with(func(o *world.Options) {
		o.Patient = 48 * time.Hour
		o.Change = func(a *app.Options) {
			a.Exchange.Servers, a.Exchange.Only = []string{"ex01-site"}, []string{"*@contoso.test"}
		}
	}), func(w *world.World) {
		here, there := w.Phone("taro"), w.Phone("hanako")
		for _, p := range []*world.Device{here, there} {
			server := "ex01"
			if p == there {
				server = "ex02"
			}
			Expect(w.Organisation.Move(p.Mailbox, server, 0)).To(Succeed())
		}
		w.Mail(here.Mailbox, "#here")
		here.AwaitPush("#here")
		w.Mail(there.Mailbox, "#there")
		w.Wait(time.Hour)
		Expect(there.Pushes("#")).To(BeZero())
		x, err := w.App.Explain(w.Ctx, notifier.Mailbox(there.Mailbox))
		Expect(err).NotTo(HaveOccurred())
		Expect(x.Watch.LastError).To(ContainSubstring("not on a server that this instance watches"))
		Expect(w.Organisation.Move(there.Mailbox, "ex01", 0)).To(Succeed())
		there.AwaitPush("#there")
	})

	world.Story("with exact catch-up, when a mailbox moves: its sync state goes with it", with(func(o *world.Options) {
		o.Change = func(a *app.Options) { a.Exchange.CatchUp = watch.BySync }
		o.Version = exchange.V2016
	}), func(w *world.World) {
		phone := w.Phone("taro")
		w.AwaitStreaming()
		for i := range 5 {
			Expect(w.Organisation.Move(phone.Mailbox, elsewhere(w, phone.Mailbox), time.Minute)).To(Succeed())
			w.Mail(phone.Mailbox, fmt.Sprintf("#%d", i))
			w.Wait(time.Hour)
		}
	})
})
