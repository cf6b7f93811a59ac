package fakeews

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"mailbell/fakes/exchange"
	"mailbell/fakes/iisauth"
)

// pythonWithExchangelib finds Debian's Python with exchangelib in it.
func pythonWithExchangelib(t *testing.T) string {
	t.Helper()
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.CommandContext(t.Context(), python, "-c", "import exchangelib").Run() == nil {
			return python
		}
	}
	t.Skip("exchangelib is not installed (Debian: python3-exchangelib)")
	return ""
}

func TestExchangelibReceivesMailOfSeveralMailboxes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds of real time")
	}
	python := pythonWithExchangelib(t)
	for _, scheme := range []string{"ntlm", "basic", "probe"} {
		t.Run(scheme, func(t *testing.T) {
			org, err := exchange.New(exchange.Options{})
			if err != nil {
				t.Fatal(err)
			}
			addresses := []string{ada, bob}
			for _, a := range addresses {
				if err := org.AddMailbox(a, exchange.MailboxOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			const password = "Passw0rd!"
			org.AddAccount(iisauth.Account{User: svc, NetBIOS: "CONTOSO", DNSDomain: "contoso.test", Password: password, Impersonation: true})
			fake, err := New(Options{Organisation: org})
			if err != nil {
				t.Fatal(err)
			}
			auth := iisauth.New(iisauth.Options{Directory: org, Schemes: []string{iisauth.SchemeNegotiate, iisauth.SchemeNTLM, iisauth.SchemeBasic}})
			server := httptest.NewUnstartedServer(auth.Handler(fake))
			server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return auth.ConnContext(ctx, c) }
			server.Start()
			defer server.Close()
			defer func() {
				server.CloseClientConnections()
				if err := fake.Close(); err != nil {
					t.Error(err)
				}
				http.DefaultTransport.(*http.Transport).CloseIdleConnections()
			}()

			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, python, append([]string{"testdata/exchangelib_stream.py", server.URL + "/EWS/Exchange.asmx", `CONTOSO\` + svc, password, scheme}, addresses...)...)
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
					for _, a := range addresses {
						deliverTo(t, org, a)
					}
				}
			}
			if err := cmd.Wait(); err != nil {
				t.Fatalf("%v\n%s", err, tail(complaints.String()))
			}
			for _, line := range []string{
				"version 15.2.1544.11", "inbox 0", "streaming",
				"mail ada@contoso.test Größe 🎉 eve@example.org False", "mail bob@contoso.test Größe 🎉 eve@example.org False",
				"sync 1 Größe 🎉", "refused ErrorInvalidSubscription",
			} {
				if !said[line] {
					t.Errorf("it did not say %q but %v", line, said)
				}
			}
		})
	}
}

func deliverTo(t *testing.T, org *exchange.Organisation, address string) {
	t.Helper()
	raw := "From: Eve <eve@example.org>\r\nSubject: Größe 🎉\r\n\r\nBody."
	if _, err := org.Deliver(exchange.Envelope{To: []string{address}, Raw: []byte(raw)}); err != nil {
		t.Error(err)
	}
}

// tail is the end of a long text.
func tail(s string) string {
	const most = 3000
	return strings.ToValidUTF8(s[max(0, len(s)-most):], "")
}
