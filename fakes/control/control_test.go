package control_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"mailbell/fakes"
)

// world starts fakes and returns the URL of their control API.
func world(t testing.TB) (*fakes.World, string) {
	t.Helper()
	w, err := fakes.Start(fakes.Options{Mailboxes: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w, w.Ready("").Control
}

func ask(t testing.TB, method, url, body string, header map[string]string) (int, http.Header, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(text)
}

func TestWhatIsWrongIsRefusedWithTheFieldAndTheFix(t *testing.T) {
	_, base := world(t)
	for _, c := range []struct {
		name, method, path, body string
		header                   map[string]string
		status                   int
		says                     string
	}{
		{"no such call", "GET", "/nothing", "", nil, 404, "GET / lists them"},
		{"another method", "PUT", "/faults", "", nil, 405, "GET and POST and DELETE"},
		{"a web site", "POST", "/reset", "", map[string]string{"Origin": "http://evil.example"}, 403, "another web site"},
		{"two objects", "POST", "/mail", `{}{}`, nil, 400, "something follows"},
		{"half an object", "POST", "/mail", `{"to":`, nil, 400, "body:"},
		{"an unknown parameter", "GET", "/journal?since=1", "", nil, 400, "since"},
		{"no number", "GET", "/journal?after=x", "", nil, 400, "after"},
		{"no limit", "GET", "/journal?limit=0", "", nil, 400, "1 to 10000"},
		{"no duration", "GET", "/journal?wait=soon", "", nil, 400, "such as 30s"},
		{"no event ID", "GET", "/journal", "", map[string]string{"Accept": "text/event-stream", "Last-Event-ID": "x"}, 400, "Last-Event-ID"},
		{"no device", "POST", "/devices/retire", `{}`, nil, 400, "address"},
		{"an unknown device", "POST", "/devices/online", `{"address":"ab"}`, nil, 404, "address"},
		{"a token that is none", "POST", "/devices/apns", `{"token":"xyz"}`, nil, 400, "token"},
		{"an environment", "POST", "/devices/apns", `{"environment":"moon"}`, nil, 400, "production or development"},
		{"a verb", "POST", "/push/apns/explode", `{}`, nil, 404, "apns goaway"},
		{"a service", "POST", "/push/fcm/cut", `{}`, nil, 404, "wns throttle"},
		{"an error code", "POST", "/push/apns/reset-next", `{"code":"OOPS"}`, nil, 400, "code"},
		{"a close", "POST", "/push/apns/goaway", `{"close":"later"}`, nil, 400, "after answers"},
		{"a reason", "POST", "/push/apns/refuse", `{"reason":"Mood"}`, nil, 400, "reason"},
		{"a count", "POST", "/push/apns/drop-after", `{"count":-1}`, nil, 400, "count"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, _, text := ask(t, c.method, base+c.path, c.body, c.header)
			var answer struct{ Error string }
			if err := json.Unmarshal([]byte(text), &answer); err != nil || status != c.status || !strings.Contains(answer.Error, c.says) {
				t.Errorf("answered %d %s; want %d with %q", status, text, c.status, c.says)
			}
		})
	}
}

func TestEveryPushVerbDoesSomething(t *testing.T) {
	_, base := world(t)
	status, _, text := ask(t, "POST", base+"/push/apns/none", "", nil)
	if status != 404 {
		t.Fatal(text)
	}
	_, list, _ := strings.Cut(text, "there are ")
	verbs := strings.Split(strings.TrimRight(list, "\"}\n"), ", ")
	if len(verbs) < 10 {
		t.Fatalf("verbs %q", verbs)
	}
	for _, v := range verbs {
		service, verb, _ := strings.Cut(v, " ")
		body := map[string]string{"remove-key": `{"key":"` + fakes.KeyID + `"}`, "max-streams": `{"count":7}`}[verb]
		if status, _, text := ask(t, "POST", base+"/push/"+service+"/"+verb, body, nil); status != 200 {
			t.Errorf("%s: %d %s", v, status, text)
		}
	}
	if status, _, text := ask(t, "POST", base+"/reset", "", nil); status != 200 {
		t.Errorf("reset: %d %s", status, text)
	}
}

// events reads server-sent events until it has n that are named.
func events(t *testing.T, url, lastID string, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if kind := resp.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Fatalf("content type %q", kind)
	}
	var out []string
	lines := bufio.NewReader(resp.Body)
	for name := ""; len(out) < n; {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("after %q: %v", out, err)
		}
		if value, ok := strings.CutPrefix(line, "event: "); ok {
			name = strings.TrimSpace(value)
		}
		if value, ok := strings.CutPrefix(line, "data: "); ok {
			out = append(out, name+" "+value)
		}
	}
	return out
}

func TestTheEventStreamIsFilteredAndGoesOnWhereItWas(t *testing.T) {
	w, base := world(t)
	mail := func(to, subject string) {
		status, _, text := ask(t, "POST", base+"/mail", fmt.Sprintf(`{"to":[%q],"from":"a@b.test","subject":%q}`, to, subject), nil)
		if status != 200 {
			t.Fatal(text)
		}
	}
	first, second := w.Organisation.Mailboxes()[0], w.Organisation.Mailboxes()[1]
	mail(first, "one")
	mail(second, "two")
	mail(first, "three")
	got := events(t, base+"/journal?kind=mail,move&mailbox="+first, "", 2)
	if !strings.Contains(got[0], `"one"`) || !strings.Contains(got[1], `"three"`) {
		t.Errorf("filtered: %q", got)
	}
	var e struct{ Seq uint64 }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(got[0], "entry ")), &e); err != nil {
		t.Fatal(err)
	}
	if got := events(t, base+"/journal", fmt.Sprint(e.Seq), 1); !strings.Contains(got[0], `"two"`) {
		t.Errorf("resumed: %q", got)
	}
	ask(t, "POST", base+"/reset", "", nil)
	mail(first, "four")
	if got := events(t, base+"/journal", fmt.Sprint(e.Seq), 2); !strings.HasPrefix(got[0], "gap ") || !strings.Contains(got[0], "reset") || !strings.Contains(got[1], `"four"`) {
		t.Errorf("after a reset: %q", got)
	}
	if got := events(t, base+"/journal", "999999", 3); !strings.Contains(got[0], "restart") || !strings.Contains(got[2], `"four"`) {
		t.Errorf("after a restart: %q", got)
	}
}

func TestWhoFollowsTheJournalIsToldOfAReset(t *testing.T) {
	_, base := world(t)
	done := make(chan []string, 1)
	go func() { done <- events(t, base+"/journal", "", 2) }()
	for {
		ask(t, "POST", base+"/mail", `{"to":["user00001@contoso.test"],"from":"a@b.test","subject":"x"}`, nil)
		ask(t, "POST", base+"/reset", "", nil)
		select {
		case got := <-done:
			if !strings.Contains(strings.Join(got, " "), "reset") {
				t.Errorf("told %q", got)
			}
			return
		case <-t.Context().Done():
			t.Fatal("no event came")
		default:
		}
	}
}

func TestPeopleGetAPageAndScriptsGetJSON(t *testing.T) {
	_, base := world(t)
	_, h, text := ask(t, "GET", base+"/", "", map[string]string{"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"})
	if !strings.HasPrefix(h.Get("Content-Type"), "text/html") || !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'self'") {
		t.Errorf("for people: %v %.80s", h, text)
	}
	for _, accept := range []string{"", "*/*", "application/json"} {
		if _, h, text := ask(t, "GET", base+"/", "", map[string]string{"Accept": accept}); h.Get("Content-Type") != "application/json" || !json.Valid([]byte(text)) {
			t.Errorf("for scripts that accept %q: %v", accept, h)
		}
	}
	for _, file := range []string{"style.css", "fakes.js", "calls.html", "calls.js"} {
		if status, _, text := ask(t, "GET", base+"/page/"+file, "", nil); status != 200 || strings.Contains(text, "https://") {
			t.Errorf("%s: %d, or it needs the network", file, status)
		}
	}
}

func FuzzControlAPI(f *testing.F) {
	for _, seed := range [][3]string{
		{"POST", "/mail", `{"to":["user00001@contoso.test"],"from":"a@b.test","raw":"Subject: x\r\n\r\ny"}`},
		{"POST", "/faults", `{"name":"ews.busy","for":"1s","scope":{"mailbox":"x"},"args":{"ms":"1"}}`},
		{"POST", "/push/apns/goaway", `{"last":"0","close":"never","code":"7"}`},
		{"POST", "/devices/apns", `{"token":"ab"}`},
		{"POST", "/devices/retire", `{"address":"https://x","at":"2026-01-01T00:00:00Z"}`},
		{"POST", "/mailboxes/user00001@contoso.test/move", `{"server":"ex02","took":"1s"}`},
		{"POST", "/reset", ``},
		{"GET", "/journal?after=1&limit=2&device=%00", ``},
		{"DELETE", "/faults?id=f1", ``},
	} {
		f.Add(seed[0], seed[1], []byte(seed[2]))
	}
	w, err := fakes.Start(fakes.Options{Mailboxes: 2})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = w.Close() })
	base := w.Ready("").Control
	f.Fuzz(func(t *testing.T, method, path string, body []byte) {
		if strings.Contains(path, "wait") || !strings.HasPrefix(path, "/") {
			return // waiting is allowed
		}
		r, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(string(body)))
		if err != nil {
			return // no request
		}
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			if strings.Contains(err.Error(), "EOF") || strings.Contains(err.Error(), "reset") {
				t.Fatalf("%s %s: the handler panicked: %v", method, path, err)
			}
			return // net/http refuses to send it
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode >= 500 {
			t.Fatalf("%s %q %q: %d %s, %v", method, path, body, resp.StatusCode, text, err)
		}
		if resp.StatusCode >= 400 && resp.Header.Get("Content-Type") == "application/json" && !strings.Contains(string(text), `"error"`) {
			t.Fatalf("%s %q: %d without a reason: %s", method, path, resp.StatusCode, text)
		}
	})
}
