package delivery

import (
	. "github.com/onsi/ginkgo/v2"

	"mailbell/fakes/exchange"
	"mailbell/scenarios/world"
)

var _ = Describe("Every supported version of Exchange", func() {
	for _, v := range []exchange.Version{exchange.V2010SP2, exchange.V2013, exchange.V2016, exchange.V2019, exchange.VSE, exchange.VOnline} {
		world.Story("delivers: "+string(v), world.Options{Version: v}, func(w *world.World) {
			phone, pc := w.Phone("taro"), w.PC("hanako")
			w.AwaitStreaming()
			w.Mail(phone.Mailbox, "#1")
			w.Mail(pc.Mailbox, "#2")
			phone.AwaitPush("#1")
			pc.AwaitPush("#2")
		})
	}
})
