package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
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

	"mailbell/fakes/testtool"
)

// patience bounds what a test waits for on a busy machine.
const patience = 2 * time.Minute

// open starts the browser and returns a context of one tab in it. Complaints
// of the page fail the test when it ends.
func openTab(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(testtool.Browser(t, "the page was not looked at")), chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("no-sandbox", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-gpu", true),
		chromedp.WSURLReadTimeout(time.Minute),
	)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
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
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning {
				complain(fmt.Sprintf("console: %s", e.Args[0].Value))
			}
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

// screenshot keeps a picture of the page in the repository's scratch folder.
func screenshot(t *testing.T, ctx context.Context, name string, width, height int64) {
	t.Helper()
	var picture []byte
	if err := chromedp.Run(ctx,
		emulation.SetDeviceMetricsOverride(width, height, 1, width < 600),
		chromedp.FullScreenshot(&picture, 100),
	); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("..", "..", ".scratch", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, picture, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestAMailSentByTheFormLightsUpThePhone(t *testing.T) {
	tab := openTab(t)
	address := startPage(t)
	const subject = "Grüße aus 東京 🗼 <b>&amp;"
	note := `//article[@id="device-taro-iphone"]//div[contains(@class,"note")]`
	var shown, width string
	if err := chromedp.Run(tab,
		emulation.SetDeviceMetricsOverride(1280, 900, 1, false),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}}),
		chromedp.Navigate("http://"+address),
		chromedp.WaitVisible(`//span[@id="notifier" and contains(@class,"good")]`),
		chromedp.WaitVisible(`//span[@id="streams" and contains(@class,"good")]`),
		chromedp.WaitVisible(`#device-taro-iphone`, chromedp.ByQuery),
		chromedp.SetValue(`select[name=to]`, "taro@contoso.test", chromedp.ByQuery),
		chromedp.SetValue(`input[name=subject]`, subject, chromedp.ByQuery),
		chromedp.Click(`button.primary`, chromedp.ByQuery),
		chromedp.WaitVisible(note),
		chromedp.Text(note, &shown),
		chromedp.WaitVisible(`//li[contains(@class,"path")]//li[contains(@class,"push")]`),
		chromedp.Click(`#everyone`, chromedp.ByQuery),
		chromedp.WaitVisible(`#device-claire-pc .note`, chromedp.ByQuery),
		chromedp.WaitVisible(`#device-ada-pc .note`, chromedp.ByQuery),
		chromedp.WaitVisible(`#device-ben-iphone .note`, chromedp.ByQuery),
	); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(shown, subject) || !strings.Contains(shown, "Ada Example") {
		t.Errorf("the phone shows %q; sender and %q were mailed", shown, subject)
	}
	screenshot(t, tab, "lab.png", 1280, 900)
	screenshot(t, tab, "lab-phone.png", 390, 844)
	if err := chromedp.Run(tab, chromedp.Evaluate(`String(document.documentElement.scrollWidth)`, &width)); err != nil {
		t.Fatal(err)
	}
	if width != "390" {
		t.Errorf("at 390 pixels the page is %s wide: it has to be moved sideways", width)
	}
}

// startPage serves the page of a new lab until the test ends and returns its
// address.
func startPage(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	said := newNotice()
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"--addr", "127.0.0.1:0", "--smtp", "127.0.0.1:0"}, said, said)
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-done; code != exitOK {
			t.Errorf("the lab ended with %d: %s", code, said)
		}
	})
	select {
	case <-said.ready:
	case code := <-done:
		done <- code
		t.Fatalf("the lab ended with %d: %s", code, said)
	case <-time.After(patience):
		t.Fatalf("the lab did not start: %s", said)
	}
	for word := range strings.FieldsSeq(said.String()) {
		if u, err := url.Parse(word); err == nil && u.Scheme == "http" {
			return u.Host
		}
	}
	t.Fatalf("the lab names no page: %s", said)
	return ""
}

// notice is what a lab says; ready is closed when it serves.
type notice struct {
	mu    sync.Mutex
	text  strings.Builder
	once  sync.Once
	ready chan struct{}
}

func newNotice() *notice { return &notice{ready: make(chan struct{})} }

func (n *notice) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.text.Write(b)
	if strings.Contains(n.text.String(), "Ctrl-C") {
		n.once.Do(func() { close(n.ready) })
	}
	return len(b), nil
}

func (n *notice) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.String()
}
