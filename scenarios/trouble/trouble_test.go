package trouble

import (
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"mailbell/fakes"
	"mailbell/fakes/exchange"
	"mailbell/fakes/fault"
	"mailbell/fakes/iisauth"
	"mailbell/notifier"
	"mailbell/notifier/watch"
	"mailbell/scenarios/world"
)

// logged collects what the notifier says.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// listener is the listener account with another password, or without a right.
func listener(w *world.World, password string, mayImpersonate bool) iisauth.Account {
	return iisauth.Account{
		User: fakes.Listener, NetBIOS: fakes.NetBIOS, DNSDomain: w.Domain(), UPN: fakes.Listener + "@" + w.Domain(),
		Password: password, Impersonation: mayImpersonate,
	}
}

// waits says that the mailbox waits, and why.
func waits(w *world.World, mailbox, why string) func() bool {
	return func() bool {
		s, ok := w.App.Watcher().Explain(notifier.Mailbox(mailbox))
		return ok && s.State == watch.Waiting && !s.NextTry.IsZero() && strings.Contains(s.LastError, why)
	}
}

var _ = Describe("A set-up that is wrong", func() {
	said := &logged{}
	world.Story("with a wrong listener password names the account, not the password, and nothing is lost once it is right", world.Options{VirtualOnly: true, Log: said}, func(w *world.World) {
		w.Organisation.AddAccount(listener(w, "changed an hour ago", true))
		phone := w.Phone("taro")
		w.Mail(phone.Mailbox, "#while the password is wrong")
		w.Eventually(waits(w, phone.Mailbox, "listener"))
		Expect(said.String()).To(ContainSubstring("account=listener"))
		Expect(said.String()).NotTo(ContainSubstring(w.ListenerPassword()))
		Expect(w.Judge().Delivered).To(BeZero())
		w.Organisation.AddAccount(listener(w, w.ListenerPassword(), true))
		phone.AwaitPush("#while the password is wrong")
	})

	world.Story("with a password that changes while streams are open loses nothing", world.Options{VirtualOnly: true}, func(w *world.World) {
		phone := w.Phone("taro")
		w.AwaitStreaming()
		w.Organisation.AddAccount(listener(w, "changed just now", true))
		w.Organisation.CutStreams("")
		for range 20 {
			w.Mail(phone.Mailbox, "#during")
			w.Wait(time.Minute)
		}
		w.Organisation.AddAccount(listener(w, w.ListenerPassword(), true))
		w.MustHaveKeptThePromise()
	})

	world.Story("with a mailbox that does not exist says so, serves the others, and hears of it when it is there", world.Options{VirtualOnly: true, Patient: 12 * time.Hour}, func(w *world.World) {
		phone, ghost := w.Phone("taro"), w.Phone("ghost")
		w.AwaitStreaming()
		Expect(w.Organisation.RemoveMailbox(ghost.Mailbox)).To(Succeed())
		w.Eventually(waits(w, ghost.Mailbox, "no such mailbox"))
		w.Mail(phone.Mailbox, "#for taro")
		phone.AwaitPush("#for taro")
		Expect(w.Organisation.AddMailbox(ghost.Mailbox, exchange.MailboxOptions{})).To(Succeed())
		w.Mail(ghost.Mailbox, "#for ghost")
		ghost.AwaitPush("#for ghost")
	})

	world.Story("with a listener that may not impersonate one mailbox serves the others, and loses nothing once it may", world.Options{VirtualOnly: true, Patient: 12 * time.Hour}, func(w *world.World) {
		phone, pc := w.Phone("taro"), w.PC("hanako")
		denied := w.MustAddFault(fault.Fault{Name: "ews.denied", Scope: fault.Scope{Mailbox: phone.Mailbox}})
		w.Mail(phone.Mailbox, "#denied")
		w.Mail(pc.Mailbox, "#allowed")
		pc.AwaitPush("#allowed")
		w.Eventually(waits(w, phone.Mailbox, "ErrorImpersonateUserDenied"))
		Expect(w.Faults.Remove(denied.ID)).To(BeTrue())
		phone.AwaitPush("#denied")
	})

	world.Story("with servers that answer with pages, loops and half documents loses nothing when they are mended", world.Options{VirtualOnly: true, Patient: 12 * time.Hour}, func(w *world.World) {
		phone, pc := w.Phone("taro"), w.PC("hanako")
		for _, name := range []string{"autodiscover.large", "autodiscover.cut-xml", "autodiscover.500", "ews.302", "ews.html500", "ews.stream.cutmid"} {
			w.MustAddFault(fault.Fault{Name: name, Count: 5})
		}
		for i := range 10 {
			w.Mail(phone.Mailbox, "#t"+string(rune('a'+i)))
			w.Mail(pc.Mailbox, "#h"+string(rune('a'+i)))
			w.Wait(time.Minute)
		}
		w.MustHaveKeptThePromise()
	})
})

var _ = Describe("The log, at its finest,", func() {
	said := &logged{}
	world.Story("holds no subject, sender, text, password, device token, channel or access token, whatever goes wrong", world.Options{VirtualOnly: true, Log: said}, func(w *world.World) {
		phone, dead, pc, lost := w.Phone("taro"), w.Phone("taro"), w.PC("taro"), w.PC("hanako")
		w.AwaitStreaming()
		w.Mail(phone.Mailbox, "#Confidential figures")
		phone.AwaitPush("#Confidential figures")
		dead.Retire()
		lost.Retire()
		w.WNS.RevokeTokens()
		w.Organisation.CutStreams("")
		for _, name := range []string{"apns.reset", "apns.503", "apns.html", "wns.500", "wns.reset", "wns.token-html", "ews.503", "ews.401", "ews.html500", "ews.stream.cutmid", "iis.reset-type3"} {
			w.MustAddFault(fault.Fault{Name: name, Count: 2})
		}
		for i := range 10 {
			w.Mail(phone.Mailbox, "#Confidential figures "+string(rune('a'+i)))
			w.Mail(lost.Mailbox, "#Confidential figures "+string(rune('a'+i)))
			w.Wait(10 * time.Second)
		}
		w.Organisation.AddAccount(listener(w, "changed just now", true))
		w.Organisation.CutStreams("")
		w.Wait(time.Minute)
		w.Organisation.AddAccount(listener(w, w.ListenerPassword(), true))
		w.MustHaveKeptThePromise()

		text := said.String()
		Expect(len(text)).To(BeNumerically(">", 5000), "the log was not heard")
		for what, secret := range map[string]string{
			"a subject": "Confidential", "a sender": "Ada Example", "a sender's address": "ada@fabrikam.test", "a text": "Body of",
			"the listener's password": w.ListenerPassword(), "the WNS secret": w.WNSSecret(),
			"a device token": phone.APNs.Token, "a dead device's token": dead.APNs.Token,
			"a channel": pc.WNS.Channel, "a dead channel": lost.WNS.Channel,
			"a bearer token": "eyJ", "a credential": "Bearer ", "an NTLM message": "TlRMTVNTUAA",
		} {
			Expect(strings.Contains(text, secret)).To(BeFalse(), "the log shows %s: %q", what, secret)
		}
	})
})
