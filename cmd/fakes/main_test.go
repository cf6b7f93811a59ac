package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"mailbell/fakes"
	"mailbell/fakes/testtool"
)

// started runs the program until the test ends and returns what it told.
func started(t *testing.T, args ...string) fakes.Ready {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	file := filepath.Join(t.TempDir(), "ready.json")
	var stdout, stderr bytes.Buffer
	done := make(chan int, 1)
	go func() { done <- run(ctx, append(args, "--ready-file", file), &stdout, &stderr) }()
	t.Cleanup(func() {
		stop()
		if code := <-done; code != 0 {
			t.Errorf("ended with %d: %s", code, stderr.String())
		}
		var told map[string]any
		if err := json.Unmarshal(stdout.Bytes(), &told); err != nil {
			t.Errorf("standard output is not one JSON object: %v", err)
		}
	})
	for tick := time.NewTicker(5 * time.Millisecond); ; {
		select {
		case code := <-done:
			done <- code
			t.Fatalf("ended with %d: %s", code, stderr.String())
		case <-tick.C:
		}
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		tick.Stop()
		var r fakes.Ready
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
}

// curl runs curl, or skips loudly where there is none.
func curl(t *testing.T, args ...string) (status, body string) {
	t.Helper()
	out, err := exec.Command(testtool.Curl.Path(t, "the fakes were not tried by an independent client"), append([]string{"-sS", "--max-time", "20", "-w", "\n%{http_code} %{http_version}"}, args...)...).Output()
	if err != nil {
		t.Fatalf("curl: %v", err)
	}
	at := bytes.LastIndexByte(out, '\n')
	return string(out[at+1:]), string(out[:at])
}

const getFolder = `<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages" xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"><s:Header><t:RequestServerVersion Version="Exchange2013_SP1"/><t:ExchangeImpersonation><t:ConnectingSID><t:SmtpAddress>user00001@contoso.test</t:SmtpAddress></t:ConnectingSID></t:ExchangeImpersonation></s:Header><s:Body><m:GetFolder><m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape><m:FolderIds><t:DistinguishedFolderId Id="inbox"/></m:FolderIds></m:GetFolder></s:Body></s:Envelope>`

func TestCurlGetsAnEWSAnswerWithTheRightPasswordOnly(t *testing.T) {
	r := started(t, "--profile", "calm")
	ask := func(password string) (string, string) {
		return curl(t, "--cacert", r.CAFile, "--ntlm", "-u", r.Listener.User+":"+password, "-H", "Content-Type: text/xml; charset=utf-8", "--data-binary", getFolder, strings.Replace(r.EWS, "127.0.0.1", "localhost", 1))
	}
	if status, body := ask(r.Listener.Password); status != "200 1.1" || !strings.Contains(body, "<m:ResponseCode>NoError</m:ResponseCode>") {
		t.Errorf("right password: %s %s", status, body)
	}
	if status, _ := ask("wrong"); status != "401 1.1" {
		t.Errorf("wrong password: %s", status)
	}
}

func TestEveryListenerAccountMayReadAndEveryMailboxIsListed(t *testing.T) {
	r := started(t, "--profile", "calm", "--listeners", "3", "--mailboxes", "12")
	if len(r.Listeners) != 3 || r.Listeners[0] != r.Listener {
		t.Fatalf("listeners %v", r.Listeners)
	}
	var list struct{ Mailboxes []string }
	resp, err := http.Get(r.Control + "/mailboxes")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil || len(list.Mailboxes) != 12 {
		t.Errorf("%d mailboxes, %v", len(list.Mailboxes), err)
	}
	for _, l := range r.Listeners {
		if status, _ := curl(t, "--cacert", r.CAFile, "--ntlm", "-u", l.User+":"+l.Password, "-H", "Content-Type: text/xml; charset=utf-8", "--data-binary", getFolder, strings.Replace(r.EWS, "127.0.0.1", "localhost", 1)); status != "200 1.1" {
			t.Errorf("%s: %s", l.User, status)
		}
	}
}

func TestCurlPostsAPushOverHTTP2(t *testing.T) {
	r := started(t, "--profile", "calm")
	var device struct{ Token string }
	post(t, r.Control+"/devices/apns", `{}`, &device)
	text, err := os.ReadFile(r.Push.APNsKeyFile)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": r.Push.TeamID, "iat": time.Now().Unix()})
	token.Header["kid"] = r.Push.KeyID
	bearer, err := token.SignedString(key.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	url := strings.Replace(r.APNs, "127.0.0.1", "localhost", 1) + "/3/device/" + device.Token
	push := func(args ...string) (string, string) {
		return curl(t, append([]string{"--http2", "--cacert", r.CAFile, "-H", "apns-topic: " + r.Push.Topic, "-H", "apns-push-type: alert", "-d", `{"aps":{"alert":"hello"}}`, url}, args...)...)
	}
	if status, body := push("-H", "authorization: bearer "+bearer); status != "200 2" {
		t.Errorf("%s %s", status, body)
	}
	if status, body := push(); status != "403 2" || !strings.Contains(body, "MissingProviderToken") {
		t.Errorf("without a token: %s %s", status, body)
	}
}

// post makes a call of the control API.
func post(t *testing.T, url, body string, into any) int {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return resp.StatusCode
}

func TestMailComesInBySMTPAndByTheControlAPI(t *testing.T) {
	r := started(t, "--profile", "calm", "--mailboxes", "3")
	if err := smtp.SendMail(r.SMTP, nil, "ada@fabrikam.test", []string{r.Mailboxes[0]}, []byte("From: Ada <ada@fabrikam.test>\r\nSubject: by SMTP\r\n\r\nx\r\n")); err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	if code := post(t, r.Control+"/mail", `{"to":["`+r.Mailboxes[1]+`"],"from":"Ada <ada@fabrikam.test>","subject":"by API","body":"x"}`, &answer); code != http.StatusOK {
		t.Fatalf("%d %v", code, answer)
	}
	resp, err := http.Get(r.Control + "/journal?wait=5s")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	for _, want := range []string{`"by SMTP"`, `"by API"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the journal does not tell of %s", want)
		}
	}
}

func TestTheControlAPIDescribesItselfAndRefusesNonsense(t *testing.T) {
	r := started(t, "--profile", "calm", "--mailboxes", "1")
	var described struct {
		Calls []struct{ Method, Path, Does string }
	}
	resp, err := http.Get(r.Control + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&described); err != nil || len(described.Calls) < 10 {
		t.Fatalf("%d calls described, %v", len(described.Calls), err)
	}
	for _, bad := range []struct{ path, body, says string }{
		{"/mail", `{"to":[]}`, "to:"},
		{"/mail", `{"tto":["x"]}`, "unknown field"},
		{"/mail", `{"to":["x@contoso.test"],"from":"nonsense"}`, "from:"},
		{"/faults", `{"name":""}`, "name"},
		{"/faults", `{"name":"ews.busy","probability":2}`, "probability"},
		{"/mailboxes/nobody@contoso.test/move", `{"server":"ex01"}`, ""},
		{"/nothing", `{}`, "no such call"},
	} {
		var answer struct{ Error string }
		if code := post(t, r.Control+bad.path, bad.body, &answer); code/100 != 4 || !strings.Contains(answer.Error, bad.says) || answer.Error == "" {
			t.Errorf("%s %s: %d %q", bad.path, bad.body, code, answer.Error)
		}
	}
}

func TestWrongUsageIsToldApartFromFailure(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"--help"}, 0},
		{[]string{"--version"}, 0},
		{[]string{"--profile", "nice"}, 2},
		{[]string{"--exchange", "5.5"}, 2},
		{[]string{"--mailboxes=-1"}, 2},
		{[]string{"--nonsense"}, 2},
		{[]string{"--at", "ewss=127.0.0.1:0"}, 2},
		{[]string{"--at", "ews=8443"}, 2},
		{[]string{"--listen", "here"}, 2},
		{[]string{"--advertise", "fakes:80"}, 2},
		{[]string{"--servers", "ex01,ex01"}, 2},
		{[]string{"--servers", "ex01.contoso.test"}, 2},
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), c.args, &out, &errs); code != c.code {
			t.Errorf("%v: %d, want %d: %s", c.args, code, c.code, errs.String())
		}
	}
}

func TestTheMailboxServersAreThoseNamed(t *testing.T) {
	r := started(t, "--profile", "calm", "--servers", "left,right,third")
	resp, err := http.Get(r.Control + "/state")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var state struct {
		Organisation struct{ Servers []struct{ Name string } }
	}
	if err := json.NewDecoder(resp.Body).Decode(&state); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range state.Organisation.Servers {
		names = append(names, s.Name)
	}
	if strings.Join(names, " ") != "left right third" {
		t.Errorf("%q", names)
	}
}

func TestAnOccupiedPortIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"--at", "control=" + l.Addr().String()}, &out, &errs); code != 1 || !strings.Contains(errs.String(), l.Addr().String()) || !strings.Contains(errs.String(), "control") || !strings.Contains(errs.String(), "--at") {
		t.Errorf("%d: %s", code, errs.String())
	}
}
