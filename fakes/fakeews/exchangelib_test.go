package fakeews_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"mailbell/fakes"
	"mailbell/fakes/exchange"
	"mailbell/fakes/fakeautodiscover"
	"mailbell/fakes/fault"
	"mailbell/fakes/iisauth"
	"mailbell/fakes/testtool"
)

// Checklist ours 1-6.
func TestExchangelibReceivesMailOfSeveralMailboxes(t *testing.T) {
	python := testtool.Python(t, "no stranger's client tried the fake")
	for _, how := range []string{"ntlm", "basic", "probe", "autodiscover"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			exchangelib(t, python, how)
		})
	}
}

// scriptMax is far more than the script takes on a busy machine.
const scriptMax = 2 * time.Minute

// exchangelib runs the script against a world of its own.
func exchangelib(t *testing.T, python, how string) {
	w, err := fakes.Start(fakes.Options{
		Profile: fault.Real, Seed: 1, Named: []string{"ada", "bob"},
		Servers: []string{"ex01"}, // one group: this client keeps one cookie for all its mailboxes
		Schemes: []string{iisauth.SchemeNegotiate, iisauth.SchemeNTLM, iisauth.SchemeBasic},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}()
	dir := t.TempDir()
	if err := w.WriteFiles(dir); err != nil {
		t.Fatal(err)
	}
	ready := w.Ready(dir)
	task := map[string]any{
		"how": how, "ews": strings.Replace(ready.EWS, "127.0.0.1", "localhost", 1), "autodiscover": "https://autodiscover.contoso.test/autodiscover/autodiscover.svc",
		"user": ready.Listener.User, "password": ready.Listener.Password, "mailboxes": []string{"ada@contoso.test", "bob@contoso.test"},
	}
	env := append(os.Environ(), "REQUESTS_CA_BUNDLE="+ready.CAFile, "TMPDIR="+dir, "NO_PROXY=localhost", "no_proxy=localhost")
	if how == "autodiscover" {
		env = append(env, "HTTPS_PROXY="+ready.Proxy, "https_proxy="+ready.Proxy, "HTTP_PROXY="+ready.Proxy, "http_proxy="+ready.Proxy)
		task["dns"] = names(t, w, "mail.contoso.test", "autodiscover.contoso.test")
	}
	input, err := json.Marshal(task)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), scriptMax)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-W", "error", "testdata/exchangelib_stream.py")
	cmd.Env, cmd.Stdin = env, bytes.NewReader(input)
	cmd.WaitDelay = 10 * time.Second
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said[lines.Text()] = true
		if lines.Text() == "streaming" {
			for _, a := range []string{"ada@contoso.test", "bob@contoso.test"} {
				raw := "From: Eve <eve@example.org>\r\nSubject: Größe 🎉\r\n\r\nBody."
				if _, err := w.Organisation.Deliver(exchange.Envelope{From: "eve@example.org", To: []string{a}, Raw: []byte(raw)}); err != nil {
					t.Error(err)
				}
			}
		}
	}
	if err := cmd.Wait(); err != nil || complaints.Len() > 0 {
		t.Fatalf("%v; it said %v\n%s", err, said, tail(complaints.String()))
	}
	want := []string{
		"version 15.2.1544.11", "inbox Inbox 0", "streaming",
		"mail ada@contoso.test Größe 🎉 eve@example.org False", "mail bob@contoso.test Größe 🎉 eve@example.org False",
		"sync 1 create Größe 🎉", "again 0", "refused ErrorSubscriptionNotFound", "refused ErrorInvalidSubscription",
	}
	if how == "autodiscover" {
		want = append(want, "told ada@contoso.test", "told InvalidUser", "auth NTLM", "endpoint https://mail.contoso.test/EWS/Exchange.asmx")
	} else {
		want = append(want, "refused ErrorNonExistentMailbox", "endpoint "+task["ews"].(string))
	}
	for _, line := range want {
		if !said[line] {
			t.Errorf("it did not say %q but %v", line, said)
		}
	}
	for _, e := range w.Journal.After(0) {
		if e.Kind == "violation" {
			t.Errorf("violation %s: %+v", e.Reason, e)
		}
	}
	if how == "autodiscover" {
		discovered(t, w)
	}
}

// discovered looks at how the client found its way: names, then the probe for
// schemes, then its question, all at one host.
func discovered(t *testing.T, w *fakes.World) {
	t.Helper()
	var questions []string
	asked := map[string]int{}
	for _, e := range w.Journal.After(0) {
		switch {
		case e.Server == "dns":
			questions = append(questions, e.Operation+" "+e.Detail["name"]+" "+e.Reason)
		case e.Server == "autodiscover" && e.Kind == "request":
			asked[cmp.Or(e.Detail["addresses"], e.Mailbox)]++
			if e.Account != fakes.Listener || e.Detail["host"] != "autodiscover.contoso.test" || e.Detail["scheme"] != "https" {
				t.Errorf("asked by %s at %s: %+v", e.Account, e.Detail["host"], e)
			}
		}
	}
	if len(questions) < 2 || questions[0] != "A contoso.test NXDOMAIN" || strings.TrimSpace(questions[1]) != "A autodiscover.contoso.test" {
		t.Errorf("names looked up %q", questions)
	}
	if asked["ada@contoso.test"] == 0 || asked["bob@contoso.test"] == 0 {
		t.Errorf("asked for %v", asked)
	}
}

// names serves the names of hosts by DNS and returns the port.
func names(t *testing.T, w *fakes.World, hosts ...string) int {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	zone := fakeautodiscover.Zone{A: map[string][]netip.Addr{}}
	for _, h := range hosts {
		zone.A[h] = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	}
	served := make(chan error, 1)
	go func() { served <- fakeautodiscover.DNS{Zone: zone, Journal: w.Journal}.Serve(conn) }()
	t.Cleanup(func() {
		if err := errors.Join(conn.Close(), <-served); err != nil {
			t.Error(err)
		}
	})
	return conn.LocalAddr().(*net.UDPAddr).Port
}

// tail is the end of a long text.
func tail(s string) string {
	const most = 3000
	return strings.ToValidUTF8(s[max(0, len(s)-most):], "")
}
