package control_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"mailbell/fakes/exchange"
	"mailbell/fakes/testtool"
)

// openTab starts the browser. What the page complains of fails the test.
func openTab(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(testtool.Browser(t, "the page of the fakes was not looked at")), chromedp.UserDataDir(t.TempDir()), chromedp.Flag("no-sandbox", true), chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-background-networking", true), chromedp.WSURLReadTimeout(time.Minute))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(stop)
	ctx, shut := chromedp.NewContext(ctx)
	t.Cleanup(func() {
		end, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		if err := chromedp.Cancel(end); err != nil && !errors.Is(err, context.Canceled) {
			t.Logf("close the browser: %v", err)
		}
		shut()
	})
	var mu sync.Mutex
	var complaints []string
	complain := func(s string) { mu.Lock(); defer mu.Unlock(); complaints = append(complaints, s) }
	chromedp.ListenTarget(ctx, func(e any) {
		switch e := e.(type) {
		case *runtime.EventExceptionThrown:
			complain(e.ExceptionDetails.Error())
		case *log.EventEntryAdded:
			complain(e.Entry.Text + " " + e.Entry.URL)
		}
	})
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range complaints {
			t.Errorf("the page complains: %s", c)
		}
	})
	if err := chromedp.Run(ctx, log.Enable(), runtime.Enable()); err != nil {
		t.Fatal(err)
	}
	return ctx
}

func TestThePageShowsTheWorldLive(t *testing.T) {
	tab := openTab(t)
	w, base := world(t)
	first := w.Organisation.Mailboxes()[0]
	sub, refused := w.Organisation.Subscribe(exchange.SubscribeRequest{Account: "svc-mailbell", Mailbox: first, Server: "ex01", Folders: []exchange.FolderRef{{Distinguished: exchange.Inbox}}, Kinds: []exchange.EventKind{exchange.NewMailEvent}})
	if refused != nil {
		t.Fatal(refused)
	}
	stream, notices, refused := w.Organisation.OpenStream(exchange.StreamRequest{Server: "ex01", Account: "svc-mailbell", Charge: exchange.MailboxCharge(first), Subscriptions: []string{sub}})
	if refused != nil || len(notices) > 0 {
		t.Fatal(refused, notices)
	}
	defer stream.Close()
	call := func(path, body string) {
		if status, _, text := ask(t, "POST", base+path, body, nil); status != 200 {
			t.Fatalf("%s: %d %s", path, status, text)
		}
	}
	const subject = "Grüße aus 東京 🗼 <b>&amp;"
	shot := func(name string, width, height int64, scheme string) chromedp.ActionFunc {
		return func(ctx context.Context) error {
			var picture []byte
			if err := chromedp.Run(ctx,
				emulation.SetDeviceMetricsOverride(width, height, 1, width < 600),
				emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
				chromedp.FullScreenshot(&picture, 100)); err != nil {
				return err
			}
			path := filepath.Join("..", "..", ".scratch", name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			return os.WriteFile(path, picture, 0o644)
		}
	}
	if err := chromedp.Run(tab, chromedp.Navigate(base), chromedp.WaitVisible(`//span[@id="live" and contains(@class,"good")]`)); err != nil {
		t.Fatal(err)
	}
	call("/mail", fmt.Sprintf(`{"to":[%q],"from":"Ada <ada@fabrikam.test>","subject":%q,"body":"x"}`, first, subject))
	call("/faults", `{"name":"apns.503","probability":0.2,"for":"10m"}`)
	call("/mailboxes/"+w.Organisation.Mailboxes()[1]+"/move", `{"server":"ex01","took":"10m"}`)
	call("/push/apns/latency", `{"delay":"5ms"}`)
	var row, shown, width, moves string
	if err := chromedp.Run(tab,
		chromedp.WaitVisible(`#journal li.mail`, chromedp.ByQuery),
		chromedp.Text(`#journal li.mail`, &row, chromedp.ByQuery),
		chromedp.WaitVisible(`//ul[@id="faults"]/li[contains(.,"apns.503")]`),
		chromedp.WaitVisible(`//ul[@id="moves"]/li[contains(.,"user00002")]`),
		chromedp.WaitVisible(`//ul[@id="streams"]/li[contains(.,"user00001")]`),
		chromedp.Text(`#moves`, &moves, chromedp.ByQuery),
		shot("fakes.png", 1280, 900, "light"), shot("fakes-dark.png", 1280, 900, "dark"), shot("fakes-phone.png", 390, 844, "light"),
		chromedp.Evaluate(`String(document.documentElement.scrollWidth)`, &width),
		chromedp.SendKeys(`#filter`, "東京 -fault", chromedp.ByQuery),
		chromedp.WaitNotPresent(`#journal li.fault`, chromedp.ByQuery),
		chromedp.Text(`#shown`, &shown, chromedp.ByQuery),
		chromedp.Click(`#faults button`, chromedp.ByQuery),
		chromedp.WaitVisible(`//ul[@id="faults"]/li[contains(.,"none")]`),
	); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(row, subject) {
		t.Errorf("the journal shows %q; %q was mailed", row, subject)
	}
	if !strings.HasPrefix(shown, "1 of ") {
		t.Errorf("filtered by the subject, the journal shows %s", shown)
	}
	if width != "390" {
		t.Errorf("at 390 pixels the page is %s wide: it has to be moved sideways", width)
	}
	call("/reset", "")
	if err := chromedp.Run(tab, chromedp.WaitNotPresent(`#journal li.mail`, chromedp.ByQuery),
		chromedp.Navigate(base+"/page/calls.html"), chromedp.WaitVisible(`//dt[contains(.,"/mail")]`), shot("fakes-calls.png", 1280, 900, "light")); err != nil {
		t.Fatal(err)
	}
	if n := len(w.Faults.List()); n != 0 {
		t.Errorf("%d faults are left after End was pressed", n)
	}
}
