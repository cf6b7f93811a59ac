package registration

import (
	"errors"
	"net/http"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"mailbell/fakes/fakedevice"
	"mailbell/notifier/compose"
	"mailbell/scenarios/world"
)

// refusal is the problem that a registration met.
func refusal(err error) *fakedevice.Error {
	GinkgoHelper()
	var e *fakedevice.Error
	Expect(errors.As(err, &e)).To(BeTrue(), "not refused: %v", err)
	return e
}

var _ = Describe("A device", func() {
	world.Story("hears of mail from the moment it is registered", world.Options{}, func(w *world.World) {
		phone := w.NewPhone("taro")
		w.Mail(phone.Mailbox, "#before")
		w.Wait(world.WholeMinute)
		phone.MustRegister()
		w.Mail(phone.Mailbox, "#after") // long before the subscription stands
		phone.AwaitPush("#after")
		Expect(phone.Pushes("#before")).To(BeZero())
	})

	world.Story("that is wiped hears nothing more, what was queued for it included", world.Options{VirtualOnly: true}, func(w *world.World) {
		phone, other := w.Phone("taro"), w.Phone("taro")
		w.AwaitStreaming()
		w.APNs.Outage(true)
		w.Mail(phone.Mailbox, "#queued")
		w.AwaitRefused(phone)
		Expect(w.Queued()).To(Equal(2))
		phone.MustWipe()
		Expect(w.Queued()).To(Equal(1), "what a wiped device was to be shown does not stay on the disk")
		w.APNs.Outage(false)
		other.AwaitPush("#queued")
		w.Mail(phone.Mailbox, "#later")
		other.AwaitPush("#later")
		Expect(phone.Pushes("#")).To(BeZero())
	})

	world.Story("that changes its address is reached at the new one", world.Options{}, func(w *world.World) {
		phone := w.Phone("taro")
		w.AwaitStreaming()
		w.Mail(phone.Mailbox, "#1")
		phone.AwaitPush("#1")
		phone.NewToken()
		phone.MustRegister()
		w.Mail(phone.Mailbox, "#2")
		phone.AwaitPush("#2")
	})

	world.Story("may be one of several of its user, and each hears everything", world.Options{}, func(w *world.World) {
		devices := []*world.Device{w.Phone("taro"), w.Phone("taro"), w.PC("taro"), w.PC("taro")}
		w.AwaitStreaming()
		w.Mail(devices[0].Mailbox, "#all")
		for _, d := range devices {
			d.AwaitPush("#all")
		}
	})

	world.Story("is refused for somebody else's mailbox", world.Options{}, func(w *world.World) {
		phone := w.NewPhone("taro")
		victim := w.Person("hanako")
		err := phone.RegisterFor(w.Ctx, victim)
		Expect(refusal(err).Status).To(Equal(http.StatusForbidden))
	})

	world.Story("is refused when its user is not approved, and served when policy changes", world.Options{
		Policy: &compose.Policy{Rules: []compose.Rule{{Mailbox: "hanako@contoso.test", Approved: true}}},
	}, func(w *world.World) {
		Expect(refusal(w.NewPhone("taro").Register(w.Ctx)).Status).To(Equal(http.StatusForbidden))
		phone := w.Phone("hanako")
		w.AwaitStreaming()
		w.Mail(phone.Mailbox, "#ok")
		phone.AwaitPush("#ok")
	})

	world.Story("is refused with a bad push address, and told which field", world.Options{}, func(w *world.World) {
		short := w.NewPhone("taro")
		short.APNs.Token = "abc"
		e := refusal(short.Register(w.Ctx))
		Expect(e.Status).To(BeNumerically("~", 411, 11)) // 400 or 422
		Expect(e.Errors).NotTo(BeEmpty())
		Expect(e.Errors[0].Field).To(ContainSubstring("token"))

		stray := w.NewPC("taro")
		stray.WNS.Channel = "https://notify.windows.com.evil.example/?token=x"
		e = refusal(stray.Register(w.Ctx))
		Expect(e.Errors).NotTo(BeEmpty())
		Expect(e.Errors[0].Field).To(ContainSubstring("channel"))
	})

	world.Story("is the twentieth of its mailbox at most", world.Options{}, func(w *world.World) {
		for range 20 {
			w.Phone("taro")
		}
		e := refusal(w.NewPhone("taro").Register(w.Ctx))
		Expect(e.Status).To(Equal(http.StatusConflict))
		Expect(strings.ToLower(e.Detail)).To(ContainSubstring("20"))
	})

	world.Story("asks what became of its mails", world.Options{}, func(w *world.World) {
		phone := w.Phone("taro")
		w.AwaitStreaming()
		item := w.Mail(phone.Mailbox, "#1")
		phone.AwaitPush("#1")
		w.Eventually(func() bool { o, ok := phone.Outcome(item); return ok && o.Verdict == "delivered" && o.Status == 200 })
	})
})
