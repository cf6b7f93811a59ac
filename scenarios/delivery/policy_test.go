package delivery

import (
	"encoding/json"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"mailbell/fakes/control"
	"mailbell/notifier"
	"mailbell/notifier/compose"
	"mailbell/scenarios/world"
)

func rules(r ...compose.Rule) *compose.Policy { return &compose.Policy{Rules: r} }

var _ = Describe("Policy", func() {
	world.Story("hides sender and subject where it says so, in the reader's language", world.Options{
		Policy: rules(compose.Rule{Mailbox: "*", Approved: true, Show: compose.ShowNothing}),
	}, func(w *world.World) {
		phone, pc := w.NewPhone("taro"), w.NewPC("taro")
		phone.Locale, pc.Locale = "ja-JP", "de-DE"
		phone.MustRegister()
		pc.MustRegister()
		w.AwaitStreaming()
		item := w.Mail(phone.Mailbox, "Secret figures")
		for _, d := range []*world.Device{phone, pc} {
			e := d.AwaitPush("mailbox")
			Expect(string(e.Body)).NotTo(ContainSubstring("Secret figures"))
			Expect(string(e.Body)).NotTo(ContainSubstring("Ada"))
		}
		Expect(item).NotTo(BeEmpty())
		var payload struct {
			APS struct{ Alert struct{ Title, Body string } } `json:"aps"`
		}
		Expect(json.Unmarshal(phone.AwaitPush("mailbox").Body, &payload)).To(Succeed())
		Expect(payload.APS.Alert.Title + payload.APS.Alert.Body).To(MatchRegexp(`[\p{Hiragana}\p{Katakana}\p{Han}]`))
	})

	world.Story("lets only important mail through where it says so, and a receipt tells of the rest", world.Options{
		Policy: rules(compose.Rule{Mailbox: "*", Approved: true, ImportantOnly: true}),
	}, func(w *world.World) {
		phone := w.Phone("taro")
		w.AwaitStreaming()
		dull := w.Mail(phone.Mailbox, "#dull")
		w.Letter(control.Letter{To: []string{phone.Mailbox}, Raw: "From: Ada <ada@fabrikam.test>\r\nSubject: #urgent\r\nImportance: high\r\nX-Priority: 1\r\n\r\nnow\r\n"})
		phone.AwaitPush("#urgent")
		w.MustHaveKeptThePromise()
		Expect(phone.Pushes("#dull")).To(BeZero())
		outcome, ok := phone.Outcome(dull)
		Expect(ok).To(BeTrue())
		Expect(outcome.Reason).To(Equal(notifier.ReasonPolicy))
	})

	world.Story("does not announce what was read elsewhere before anybody could look", world.Options{}, func(w *world.World) {
		phone := w.Phone("taro")
		w.AwaitStreaming()
		w.StopNotifier()
		read, unread := w.Mail(phone.Mailbox, "#read"), w.Mail(phone.Mailbox, "#unread")
		Expect(w.Organisation.MarkRead(phone.Mailbox, read)).To(Succeed())
		gone := w.Mail(phone.Mailbox, "#deleted")
		Expect(w.Organisation.Delete(phone.Mailbox, gone)).To(Succeed())
		w.StartNotifier()
		phone.AwaitPush("#unread")
		w.Eventually(func() bool { _, known := phone.Outcome(read); return known })
		Expect(phone.Pushes("#read")).To(BeZero())
		outcome, _ := phone.Outcome(read)
		Expect(outcome.Reason).To(Equal(notifier.ReasonAlreadyRead))
		Expect(unread).NotTo(BeEmpty())
		// A mail deleted before anybody looked is in no mailbox: nothing is due.
		w.Forgive(gone)
	})
})
