package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailbell/fakes/fault"
	"mailbell/fakes/journal"
)

// alone makes the test's temporary directories its own, and fails it when one
// is left.
func alone(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir) // Windows
	t.Cleanup(func() {
		left, err := os.ReadDir(dir)
		if err != nil {
			t.Error(err)
		}
		for _, e := range left {
			t.Errorf("left behind: %s", e.Name())
		}
	})
}

func TestTheStoryIsToldOnce(t *testing.T) {
	for _, version := range []string{"2019", "2010sp2", "online"} {
		t.Run(version, func(t *testing.T) {
			alone(t)
			var out, errs bytes.Buffer
			code := run(t.Context(), []string{"--once", "--patience", patience.String(), "--exchange", version, "--seed", "42"}, &out, &errs)
			if code != exitOK {
				t.Fatalf("exit %d\n%s%s", code, errs.String(), out.String())
			}
			for _, want := range []string{"36 of 36 pushes accepted", "character by character", "subscribed to taro@contoso.test", "p50"} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("the story does not say %q", want)
				}
			}
			if t.Failed() || testing.Verbose() {
				t.Log("\n" + out.String())
			}
		})
	}
}

func TestAStoryWithoutPatienceFailsAndLeavesNothing(t *testing.T) {
	alone(t)
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"--once", "--patience", "30ms"}, &out, &errs); code != exitFailed {
		t.Errorf("exit %d\n%s%s", code, errs.String(), out.String())
	}
}

func TestAnOccupiedAddressIsNamedWithTheFix(t *testing.T) {
	alone(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, flag := range []string{"--addr", "--smtp"} {
		args := []string{"--addr", "127.0.0.1:0", flag, l.Addr().String()}
		var out, errs bytes.Buffer
		if code := run(t.Context(), args, &out, &errs); code != exitFailed {
			t.Errorf("%s: exit %d", flag, code)
		}
		for _, want := range []string{l.Addr().String(), flag + " 127.0.0.1:0"} {
			if !strings.Contains(errs.String(), want) {
				t.Errorf("%s: says %q; want %q in it", flag, errs.String(), want)
			}
		}
	}
}

func TestWrongUsageIsNamed(t *testing.T) {
	for _, args := range [][]string{{"--profile", "angry"}, {"--exchange", "5.5"}, {"--nonsense"}, {"elsewhere"}} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), args, &out, &errs); code != exitUsage || !strings.Contains(errs.String(), "--help") {
			t.Errorf("%v: exit %d, %s", args, code, errs.String())
		}
	}
}

// openLab opens a lab until the test ends.
func openLab(t *testing.T) *lab {
	t.Helper()
	alone(t)
	l, err := open(t.Context(), options{Profile: fault.Calm, AnySMTP: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// awaitPush waits until a device was pushed a text.
func awaitPush(t *testing.T, l *lab, id, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, d := range l.Devices {
		if d.ID == id {
			if _, err := l.World.Journal.Await(ctx, 0, func(e journal.Entry) bool {
				return e.Kind == "push" && e.Device == d.Address() && accepted(e) && strings.Contains(string(e.Body), text)
			}); err != nil {
				t.Fatalf("%s never reached %s: %v", text, id, err)
			}
		}
	}
}

func mailTaro(t *testing.T, l *lab, subject string) {
	t.Helper()
	raw := "From: ada@fabrikam.test\r\nSubject: " + subject + "\r\n\r\nx\r\n"
	if err := send(t.Context(), l.SMTP(), "ada@fabrikam.test", []string{"taro@contoso.test"}, []byte(raw)); err != nil {
		t.Fatal(err)
	}
}

func TestMailThatArrivesWhileTheNotifierIsDeadIsAnnouncedAfterItsStart(t *testing.T) {
	l := openLab(t)
	mailTaro(t, l, "before")
	awaitPush(t, l, "taro-iphone", "before")
	if err := l.Notifier.Kill(); err != nil {
		t.Fatal(err)
	}
	if s := l.Notifier.Status(); s != statusKilled {
		t.Errorf("status %q", s)
	}
	if err := l.Notifier.Kill(); err == nil {
		t.Error("killed twice")
	}
	mailTaro(t, l, "meanwhile")
	if err := l.Notifier.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Notifier.Start(t.Context()); err == nil {
		t.Error("started twice")
	}
	awaitPush(t, l, "taro-iphone", "meanwhile")
	awaitPush(t, l, "taro-pc", "meanwhile")
}

func TestTheNotifiersOwnEndIsNoticed(t *testing.T) {
	l := openLab(t)
	changed := make(chan string, 1)
	l.Notifier.changed = func() { changed <- l.Notifier.Status() }
	l.Notifier.mu.Lock()
	victim := l.Notifier.child.cmd.Process
	l.Notifier.mu.Unlock()
	if err := victim.Kill(); err != nil { // not by the lab
		t.Fatal(err)
	}
	select {
	case s := <-changed:
		if !strings.HasPrefix(s, "ended: ") {
			t.Errorf("status %q", s)
		}
	case <-time.After(patience):
		t.Fatal("nobody noticed")
	}
}

func TestANotifierThatCannotStartSaysWhy(t *testing.T) {
	l := openLab(t)
	if err := l.Notifier.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(l.Dir, configFile), []byte("nonsense: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := l.Notifier.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("start: %v; want the log's end in it", err)
	}
}

func TestANotifierWhoseLabIsGoneEndsAndCleansUp(t *testing.T) {
	l := openLab(t)
	if err := l.Notifier.Stop(); err != nil { // its configuration and stores are good, and now free
		t.Fatal(err)
	}
	if _, err := os.Stat(l.Dir); !os.IsNotExist(err) {
		t.Errorf("the directory is still there: %v", err)
	}
	if err := l.Notifier.Start(t.Context()); err == nil {
		t.Error("it starts although the lab ends")
	}
	if err := l.Notifier.Stop(); err != nil {
		t.Errorf("stopped twice: %v", err)
	}
}

func TestAPanicEndsTheLabInGoodOrder(t *testing.T) {
	g := newGroup(t.Context())
	ended := false
	g.Go(func(ctx context.Context) error { <-ctx.Done(); ended = true; return nil })
	g.Go(func(context.Context) error { panic("oops") })
	if err := g.Wait(); err == nil || !strings.Contains(err.Error(), "oops") || !ended {
		t.Errorf("wait: %v; the other part ended: %v", err, ended)
	}
}

// TestEveryButtonWorks presses them all, as the page does, and wants the mail
// that is sent under each of them to arrive.
func TestEveryButtonWorks(t *testing.T) {
	alone(t)
	address := startPage(t)
	press := func(path string, body any) {
		t.Helper()
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Post("http://"+address+path, "application/json", bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var answer struct{ Said, Error string }
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK || answer.Said == "" {
			t.Fatalf("%v: %d %+v, %v", body, resp.StatusCode, answer, err)
		}
	}
	events := listenTo(t, address)
	mail := func(subject string) {
		t.Helper()
		press("/mail", map[string]any{"to": []string{"taro@contoso.test"}, "from": "Ada <ada@fabrikam.test>", "subject": subject, "body": "x"})
	}
	arrives := func(subject string) {
		t.Helper()
		events.await(t, "push", `"device":"taro-iphone"`, fmt.Sprintf("%q", subject))
	}
	for _, what := range []string{"cut", "move", "restart"} {
		press("/do", map[string]string{"what": what})
		mail("after " + what)
		arrives("after " + what)
	}
	press("/do", map[string]string{"what": "outage"})
	events.await(t, "state", `"outage":true`)
	mail("in the outage")
	events.await(t, "hop", `"kind":"bad"`, "503")
	press("/do", map[string]string{"what": "heal"})
	arrives("in the outage")
	press("/do", map[string]string{"what": "kill"})
	events.await(t, "state", `"notifier":"killed"`)
	mail("to the dead")
	press("/do", map[string]string{"what": "start"})
	events.await(t, "state", `"notifier":"running"`, `"p50":`)
	arrives("to the dead")
}

// stream is what a page hears.
type stream struct{ frames chan string }

func listenTo(t *testing.T, address string) *stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{}}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{make(chan string, 10_000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(s.frames)
		var kept []byte
		buffer := make([]byte, 4096)
		for {
			n, err := resp.Body.Read(buffer)
			kept = append(kept, buffer[:n]...)
			for {
				f, rest, found := bytes.Cut(kept, []byte("\n\n"))
				if !found {
					break
				}
				s.frames <- string(f)
				kept = rest
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		resp.Body.Close()
		<-done
		http.DefaultClient.CloseIdleConnections()
	})
	return s
}

// await reads until an event of the name has all the texts in it.
func (s *stream) await(t *testing.T, name string, texts ...string) {
	t.Helper()
next:
	for f := range s.frames {
		for _, text := range append(texts, "event: "+name+"\n") {
			if !strings.Contains(f, text) {
				continue next
			}
		}
		return
	}
	t.Fatalf("no %s event with %q", name, texts)
}

// TestALabThatIsKilledLeavesNothing starts a lab as a process, kills it with
// its page open, and waits for the notifier to clean up.
func TestALabThatIsKilledLeavesNothing(t *testing.T) {
	alone(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	said := newNotice()
	cmd := exec.Command(program, "--addr", "127.0.0.1:0", "--smtp", "127.0.0.1:0")
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-said.ready:
	case <-time.After(patience):
		t.Errorf("the lab did not start: %s", said)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed: an error by design
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for {
		left, err := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "*"))
		if err != nil {
			t.Fatal(err)
		}
		if len(left) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("left behind: %v", left)
		}
	}
}
