package delivery

import (
	"encoding/json"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"mailbell/fakes/control"
	"mailbell/fakes/fault"
	"mailbell/scenarios/world"
)

var _ = Describe("A new mail", func() {
	world.Story("lights up an iPhone and a PC of its reader, with sender and subject", world.Options{}, func(w *world.World) {
		phone, pc := w.Phone("taro"), w.PC("taro")
		w.AwaitStreaming()
		w.Mail(phone.Mailbox, "#1 Figures for March")
		for _, d := range []*world.Device{phone, pc} {
			push := d.AwaitPush("#1 Figures for March")
			Expect(string(push.Body)).To(ContainSubstring("Ada Example"))
		}
	})

	world.Story("reaches its reader's devices and nobody else's", world.Options{}, func(w *world.World) {
		taro, hanako := w.Phone("taro"), w.Phone("hanako")
		w.AwaitStreaming()
		w.Mail(taro.Mailbox, "#1 for Taro")
		w.Mail(hanako.Mailbox, "#2 for Hanako")
		taro.AwaitPush("#1 for Taro")
		hanako.AwaitPush("#2 for Hanako")
		Expect(taro.Pushes("Hanako")).To(BeZero())
		Expect(hanako.Pushes("Taro")).To(BeZero())
	})

	world.Story("carries the unread count as the badge", world.Options{}, func(w *world.World) {
		phone := w.Phone("taro")
		w.AwaitStreaming()
		w.Mail(phone.Mailbox, "#1")
		phone.AwaitPush("#1")
		w.Mail(phone.Mailbox, "#2")
		var payload struct {
			APS struct{ Badge int } `json:"aps"`
		}
		Expect(json.Unmarshal(phone.AwaitPush("#2").Body, &payload)).To(Succeed())
		Expect(payload.APS.Badge).To(Equal(2))
	})

	world.Story("arrives a hundred times in a burst and is announced a hundred times", world.Options{}, func(w *world.World) {
		phone, pc := w.Phone("taro"), w.PC("taro")
		w.AwaitStreaming()
		for i := range 100 {
			w.Mail(phone.Mailbox, "#burst "+string(rune('A'+i%26))+strings.Repeat("x", i/26))
		}
		w.MustHaveKeptThePromise()
		Expect(w.Judge().Delivered).To(Equal(200))
		Expect(pc.Pushes("#burst")).To(BeNumerically(">=", 100))
	})

	for what, letter := range map[string]control.Letter{
		"a Japanese subject in ISO-2022-JP":  {Raw: "From: =?ISO-2022-JP?B?GyRCOzNFRBsoQg==?= <yamada@example.test>\r\nSubject: =?ISO-2022-JP?B?GyRCMnE1RDsxTkEbKEI=?=\r\nContent-Type: text/plain; charset=ISO-2022-JP\r\n\r\n\x1b$B;qNA\x1b(B\r\n"},
		"an emoji subject":                   {From: "Ada <ada@fabrikam.test>", Subject: "🎉 Launch 🚀👩‍👩‍👧", Body: "x"},
		"no subject at all":                  {From: "Ada <ada@fabrikam.test>", Body: "x"},
		"a sender without a name":            {From: "ada@fabrikam.test", Subject: "#plain", Body: "x"},
		"a subject of a thousand characters": {From: "Ada <ada@fabrikam.test>", Subject: "#long " + strings.Repeat("word ", 200), Body: "x"},
		"a subject full of markup":           {From: "Ada <ada@fabrikam.test>", Subject: `#<b>&"'</b>` + strings.Repeat("<&>", 100), Body: "<script>"},
		"a right-to-left subject":            {From: "Ada <ada@fabrikam.test>", Subject: "#مرحبا بالعالم", Body: "x"},
		"broken MIME":                        {Raw: "From: Ada <ada@fabrikam.test>\r\nSubject: =?UTF-8?B?!!!?= #broken\r\nContent-Type: multipart/mixed; boundary=\r\n\r\n--nothing\r\n"},
		"an attachment of ten megabytes":     {Raw: "From: Ada <ada@fabrikam.test>\r\nSubject: #large\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nsee attached\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat(strings.Repeat("QUJD", 19)+"\r\n", 10<<20/78) + "--b--\r\n"},
	} {
		world.Story("with "+what+" is announced", world.Options{}, func(w *world.World) {
			phone := w.Phone("taro")
			w.PC("taro")
			w.AwaitStreaming()
			letter.To = []string{phone.Mailbox}
			w.Letter(letter)
			w.MustHaveKeptThePromise()
			Expect(w.Judge().Delivered).To(Equal(2))
		})
	}

	world.Story("is announced within a second while servers misbehave as real ones do", world.Options{Profile: fault.Real, Seed: 7}, func(w *world.World) {
		phone := w.Phone("taro")
		w.AwaitStreaming()
		for i := range 20 {
			w.Mail(phone.Mailbox, "#"+string(rune('a'+i)))
		}
		w.MustHaveKeptThePromise()
	})

	world.Story("is announced in the end by hostile servers too", world.Options{Profile: fault.Hostile, Seed: 11}, func(w *world.World) {
		phone, pc := w.Phone("taro"), w.PC("hanako")
		w.AwaitStreaming()
		for i := range 20 {
			w.Mail(phone.Mailbox, "#t"+string(rune('a'+i)))
			w.Mail(pc.Mailbox, "#h"+string(rune('a'+i)))
		}
		w.MustHaveKeptThePromise()
	})
})
