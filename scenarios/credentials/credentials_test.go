package credentials

import (
	"fmt"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"mailbell/fakes"
	"mailbell/fakes/exchange"
	"mailbell/fakes/fakeentra"
	"mailbell/fakes/iisauth"
	"mailbell/notifier"
	"mailbell/notifier/app"
	"mailbell/notifier/httpauth"
	"mailbell/scenarios/world"
)

// passwordFile is what the notifier reads of an account again and again.
type passwordFile struct {
	mu       sync.Mutex
	password string
	broken   bool
}

func (f *passwordFile) write(password string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.password, f.broken = password, password == ""
}

// of has the first listener account's credentials come from the file.
func (f *passwordFile) of(o *app.Options) {
	a := &o.Exchange.Accounts[0]
	first := a.Credentials.(httpauth.NTLM)
	a.Reread = func() (httpauth.Credentials, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.broken {
			return nil, fmt.Errorf("the file is being written")
		}
		if f.password == "" {
			return first, nil
		}
		return httpauth.NTLM{User: first.User, Password: httpauth.Secret(f.password)}, nil
	}
}

// change changes a listener account.
func change(w *world.World, user string, how func(*iisauth.Account)) {
	GinkgoHelper()
	Expect(w.Organisation.ChangeAccount(user, how)).To(Succeed())
}

// refusedLogons counts wrong passwords shown since an entry of the journal.
func refusedLogons(w *world.World, since uint64) int {
	n := 0
	for _, e := range w.Journal.After(since) {
		if e.Server == "iis" && e.Kind == "auth" && e.Status == 401 && e.Account != "" {
			n++
		}
	}
	return n
}

// account of a mailbox, as the watcher has placed it.
func account(w *world.World, mailbox string) string {
	GinkgoHelper()
	s, ok := w.App.Watcher().Explain(notifier.Mailbox(mailbox))
	Expect(ok).To(BeTrue())
	return s.Account
}

const virtual = 12 * time.Hour

var _ = Describe("Nothing is lost", func() {
	file := &passwordFile{}
	world.Story("when the password changes in the directory, and ten minutes later in its file: no restart, and no lock-out", world.Options{VirtualOnly: true, Patient: virtual, Change: file.of}, func(w *world.World) {
		phone := w.Phone("taro")
		w.AwaitStreaming()
		before := w.Journal.Last()
		change(w, fakes.Listener, func(a *iisauth.Account) { a.Password = "the new one" })
		w.Organisation.CutStreams("")
		for i := range 10 {
			w.Mail(phone.Mailbox, fmt.Sprintf("#%d", i))
			w.Wait(time.Minute)
		}
		// Five wrong passwords within half an hour lock an account in many directories.
		Expect(refusedLogons(w, before)).To(BeNumerically("<=", 4))
		file.write("the new one")
		written := time.Now()
		pushed := phone.AwaitPush("#9")
		Expect(pushed.Time.Sub(written)).To(BeNumerically("<", app.RereadEvery+5*time.Second))
	})

	torn := &passwordFile{}
	world.Story("when the password's file cannot be read for a while", world.Options{VirtualOnly: true, Patient: virtual, Change: torn.of}, func(w *world.World) {
		phone := w.Phone("taro")
		w.AwaitStreaming()
		torn.write("")
		w.Organisation.CutStreams("")
		w.Mail(phone.Mailbox, "#with the password of before")
		phone.AwaitPush("#with the password of before")
	})

	world.Story("when an account is locked: the other takes its mailboxes within two minutes, and it is used again later", world.Options{VirtualOnly: true, Patient: virtual, Listeners: 2}, func(w *world.World) {
		phone, pc := w.Phone("taro"), w.PC("hanako")
		w.AwaitStreaming()
		first, second := account(w, phone.Mailbox), account(w, pc.Mailbox)
		Expect(first).NotTo(Equal(second), "mailboxes are spread over the accounts")
		user := w.ListenerUsers()[1]
		owner := phone
		if strings.HasSuffix(second, "-2") {
			owner = pc
		}
		change(w, user, func(a *iisauth.Account) { a.Locked = true })
		w.Organisation.CutStreams("")
		w.Mail(owner.Mailbox, "#while locked")
		locked := time.Now()
		Expect(owner.AwaitPush("#while locked").Time.Sub(locked)).To(BeNumerically("<", 2*time.Minute))
		Expect(account(w, phone.Mailbox)).To(Equal(account(w, pc.Mailbox)))
		w.Wait(time.Hour)
		change(w, user, func(a *iisauth.Account) { a.Locked = false })
		w.Wait(time.Hour)
		third := w.Phone("jiro")
		w.AwaitStreaming()
		Expect(account(w, third.Mailbox)).To(HaveSuffix("-2"), "the account that was locked has the fewest mailboxes")
	})

	world.Story("when every account is locked for twenty minutes", world.Options{VirtualOnly: true, Patient: virtual, Listeners: 2}, func(w *world.World) {
		phone, pc := w.Phone("taro"), w.PC("hanako")
		w.AwaitStreaming()
		for _, user := range w.ListenerUsers() {
			change(w, user, func(a *iisauth.Account) { a.Locked = true })
		}
		w.Organisation.CutStreams("")
		for i := range 20 {
			w.Mail(phone.Mailbox, fmt.Sprintf("#t%d", i))
			w.Mail(pc.Mailbox, fmt.Sprintf("#h%d", i))
			w.Wait(time.Minute)
		}
		for _, user := range w.ListenerUsers() {
			change(w, user, func(a *iisauth.Account) { a.Locked = false })
		}
		w.MustHaveKeptThePromise()
	})

	world.Story("when a password expires and is renewed", world.Options{VirtualOnly: true, Patient: virtual}, func(w *world.World) {
		phone := w.Phone("taro")
		w.AwaitStreaming()
		change(w, fakes.Listener, func(a *iisauth.Account) { a.Expired = true })
		w.Organisation.CutStreams("")
		w.Mail(phone.Mailbox, "#expired")
		w.Wait(40 * time.Minute)
		change(w, fakes.Listener, func(a *iisauth.Account) { a.Expired = false })
		phone.AwaitPush("#expired")
	})

	world.Story("when the right to impersonate is taken away and given back", world.Options{VirtualOnly: true, Patient: virtual}, func(w *world.World) {
		phone := w.Phone("taro")
		w.AwaitStreaming()
		change(w, fakes.Listener, func(a *iisauth.Account) { a.Impersonation = false })
		w.Organisation.CutStreams("")
		w.Organisation.LoseSubscriptions("")
		w.Mail(phone.Mailbox, "#without the right")
		w.Wait(time.Hour)
		Expect(phone.Pushes("#")).To(BeZero())
		change(w, fakes.Listener, func(a *iisauth.Account) { a.Impersonation = true })
		phone.AwaitPush("#without the right")
	})

	world.Story("when the application's secret of Exchange Online is replaced and the old one refused", world.Options{VirtualOnly: true, Patient: virtual, Version: exchange.VOnline}, func(w *world.World) {
		phone := w.Phone("taro")
		w.AwaitStreaming()
		w.Entra.RemoveApp(fakes.ClientID) // as with a secret that has expired: no new token
		for i := range 30 {
			w.Mail(phone.Mailbox, fmt.Sprintf("#%02d", i))
			w.Wait(10 * time.Minute)
		}
		w.Entra.PutApp(fakeentra.App{ClientID: fakes.ClientID, Tenant: fakes.Tenant, Secret: w.AppSecret()})
		w.MustHaveKeptThePromise()
	})
})
