package client_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"mailbell/fakes"
	"mailbell/fakes/client"
)

// The process that Start starts is this test binary, when it is told so.
const asFakes = "MAILBELL_TEST_FAKES"

func TestMain(m *testing.M) {
	switch os.Getenv(asFakes) {
	case "serve":
		w, err := fakes.Start(fakes.Options{Mailboxes: 2})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Stdout.Write(w.Ready("").JSON())
		select {} // until SIGTERM
	case "fail":
		fmt.Fprintln(os.Stderr, "no room")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// dial starts a world within the process and connects to it over HTTP.
func dial(t *testing.T) (*client.World, context.Context) {
	t.Helper()
	inside, err := fakes.Start(fakes.Options{Mailboxes: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inside.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	w, err := client.Dial(ctx, inside.Ready("").Control)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w, ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// push sends a push as an independent program would.
func push(t *testing.T, ctx context.Context, w *client.World, device, text string) int {
	t.Helper()
	file, err := w.ProviderKey(ctx)
	must(t, err)
	block, _ := pem.Decode(file)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	must(t, err)
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": w.Ready().Push.TeamID, "iat": time.Now().Unix()})
	token.Header["kid"] = w.Ready().Push.KeyID
	bearer, err := token.SignedString(key.(*ecdsa.PrivateKey))
	must(t, err)
	body, err := json.Marshal(map[string]any{"aps": map[string]string{"alert": text}})
	must(t, err)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://api.push.apple.com/3/device/"+device, strings.NewReader(string(body)))
	must(t, err)
	r.Header.Set("authorization", "bearer "+bearer)
	r.Header.Set("apns-topic", w.Ready().Push.Topic)
	r.Header.Set("apns-push-type", "alert")
	c := w.HTTPClient(true)
	defer c.CloseIdleConnections()
	resp, err := c.Do(r)
	must(t, err)
	defer resp.Body.Close()
	return resp.StatusCode
}

func TestAPushByARealNameIsAwaited(t *testing.T) {
	w, ctx := dial(t)
	device, err := w.NewIPhone(ctx, client.IPhone{})
	must(t, err)
	if status := push(t, ctx, w, device, `<b>"lunch?"</b>`); status != 200 {
		t.Fatalf("answered %d", status)
	}
	e, err := w.AwaitPush(ctx, device, `<b>"lunch?"</b>`)
	must(t, err)
	if !e.Accepted() || e.Server != "apns" {
		t.Errorf("awaited %v", e)
	}
	shown, err := w.Shown(ctx, device)
	must(t, err)
	if !strings.Contains(string(shown), "lunch?") {
		t.Errorf("the device shows %s", shown)
	}
	if _, err := w.DialContext(ctx, "tcp", "example.com:443"); err == nil {
		t.Error("a name outside of the world was dialled")
	}
}

func TestDevicesCanBeAwayAndDie(t *testing.T) {
	w, ctx := dial(t)
	device, err := w.NewIPhone(ctx, client.IPhone{Token: strings.Repeat("ab", 32)})
	must(t, err)
	must(t, w.SetOnline(ctx, device, false))
	if status := push(t, ctx, w, device, "away"); status != 200 {
		t.Errorf("away: %d", status)
	}
	shown, err := w.Shown(ctx, device)
	must(t, err)
	if !strings.Contains(string(shown), `"stored"`) {
		t.Errorf("away: %s", shown)
	}
	must(t, w.Retire(ctx, device, client.Retirement{Reason: "ExpiredToken", At: time.Now().Add(-time.Hour)}))
	if status := push(t, ctx, w, device, "dead"); status != 410 {
		t.Errorf("dead: %d", status)
	}
	must(t, w.Push(ctx, "apns", "outage", nil))
	if status := push(t, ctx, w, device, "outage"); status != 503 {
		t.Errorf("outage: %d", status)
	}
	channel, err := w.NewChannel(ctx)
	must(t, err)
	must(t, w.Retire(ctx, channel, client.Retirement{Reason: "revoked"}))
	for _, call := range []func() error{
		func() error { return w.SetOnline(ctx, channel, true) },
		func() error { return w.Retire(ctx, "nobody", client.Retirement{}) },
		func() error { return w.Push(ctx, "apns", "explode", nil) },
	} {
		var refused *client.Error
		if err := call(); !errors.As(err, &refused) || refused.Status != 404 || refused.Reason == "" {
			t.Errorf("want 404 with a reason, got %v", err)
		}
	}
}

func TestResetTakesEverythingBackWhileTheServersGoOn(t *testing.T) {
	w, ctx := dial(t)
	first := w.Ready().Mailboxes[0]
	before, err := w.State(ctx)
	must(t, err)
	_, err = w.Mail(ctx, client.Mail{To: []string{first}, From: "ada@fabrikam.test", Subject: "old"})
	must(t, err)
	device, err := w.NewIPhone(ctx, client.IPhone{})
	must(t, err)
	f, err := w.AddFault(ctx, client.Fault{Name: "ews.busy", Count: 3, Args: map[string]string{"ms": "100"}})
	must(t, err)
	_, err = w.AddFault(ctx, client.Fault{Name: "wns.503", For: client.Duration(time.Minute)})
	must(t, err)
	must(t, w.ClearFaults(ctx, f.ID))
	list, err := w.Faults(ctx)
	must(t, err)
	if len(list) != 1 || list[0].Name != "wns.503" {
		t.Errorf("faults in force: %+v", list)
	}
	must(t, w.Move(ctx, first, "ex02", time.Hour))
	must(t, w.Reset(ctx))

	after, err := w.State(ctx)
	must(t, err)
	if len(after.Faults) != 0 || after.Organisation.Servers[0].Mailboxes != before.Organisation.Servers[0].Mailboxes || strings.Contains(string(after.Inside), first) {
		t.Errorf("state before %+v, after %+v", before, after)
	}
	if _, err := w.Shown(ctx, device); err == nil {
		t.Error("a device is left")
	}
	p, err := w.Journal(ctx, client.Query{})
	must(t, err)
	if len(p.Entries) != 0 || p.Gap == nil || p.Gap.Why != "reset" {
		t.Errorf("journal after the reset: %+v", p)
	}
	mark, err := w.Mark(ctx)
	must(t, err)
	_, err = w.Mail(ctx, client.Mail{To: []string{first, "nobody@contoso.test"}, From: "ada@fabrikam.test", Subject: "new"})
	must(t, err)
	e, err := w.Await(ctx, client.Query{After: mark, Kind: "mail", Mailbox: first}, nil)
	must(t, err)
	if e.Detail["subject"] != "new" {
		t.Errorf("after the reset came %v", e)
	}
	must(t, w.ClearFaults(ctx))
}

func TestTheJournalIsFollowedFilteredAndAwaited(t *testing.T) {
	w, ctx := dial(t)
	to := w.Ready().Mailboxes
	for _, subject := range []string{"one", "two", "three"} {
		_, err := w.Mail(ctx, client.Mail{To: to, From: "ada@fabrikam.test", Subject: subject})
		must(t, err)
	}
	list, err := w.AwaitAll(ctx, client.Query{Mailbox: to[1]}, 2, func(e client.Entry) bool { return e.Detail["subject"] != "two" })
	must(t, err)
	if list[0].Detail["subject"] != "one" || list[1].Detail["subject"] != "three" {
		t.Errorf("%v", list)
	}
	enough := errors.New("enough")
	var seen []string
	err = w.Follow(ctx, client.Query{Kind: "mail", Mailbox: to[2]}, func(e client.Entry) error {
		seen = append(seen, e.Detail["subject"])
		if len(seen) == 3 {
			return enough
		}
		return nil
	}, func(g client.Gap) { t.Errorf("a gap: %v", &g) })
	if !errors.Is(err, enough) || strings.Join(seen, " ") != "one two three" {
		t.Errorf("%v, %v", seen, err)
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := w.Await(short, client.Query{}, func(client.Entry) bool { return false }); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "exchange mail") {
		t.Errorf("awaited in vain: %v", err)
	}
	var described struct{ Calls []struct{ Path string } }
	must(t, w.Do(ctx, http.MethodGet, "/", nil, &described))
	if len(described.Calls) < 15 {
		t.Errorf("%d calls are described", len(described.Calls))
	}
}

func TestAProcessIsStartedAndEnded(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	path, err := os.Executable()
	must(t, err)
	w, err := client.Start(ctx, client.Command{Path: path, Env: []string{asFakes + "=serve"}})
	must(t, err)
	text, err := json.Marshal(w.Ready())
	must(t, err)
	file := filepath.Join(t.TempDir(), "ready.json")
	must(t, os.WriteFile(file, text, 0o600))
	again, err := client.DialFile(ctx, file)
	must(t, err)
	must(t, again.Close())
	_ = w.Close() // this fake of the fakes does not end in order
	if _, err := client.Dial(ctx, w.Ready().Control); err == nil {
		t.Error("the process is still there")
	}
	if _, err := client.Start(ctx, client.Command{Path: path, Env: []string{asFakes + "=fail"}}); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("a process that fails at once: %v", err)
	}
}

// A test of a mail notifier: it is pointed at the fakes, a mail is sent, and
// what the fake APNs accepted for the device decides.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	path, err := os.Executable() // a real test starts: fakes --profile calm
	if err != nil {
		panic(err)
	}
	world, err := client.Start(ctx, client.Command{Path: path, Env: []string{asFakes + "=serve"}})
	if err != nil {
		panic(err)
	}
	defer world.Close()
	mailbox := world.Ready().Mailboxes[0]
	if _, err := world.Mail(ctx, client.Mail{To: []string{mailbox}, From: "Ada <ada@fabrikam.test>", Subject: "lunch?"}); err != nil {
		panic(err)
	}
	mail, err := world.Await(ctx, client.Query{Kind: "mail", Mailbox: mailbox}, nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(mail.Mailbox, mail.Detail["subject"])
	// Output: user00001@contoso.test lunch?
}
