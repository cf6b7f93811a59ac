package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// post asks a page without a lab: what is refused never reaches it.
func post(t *testing.T, path, kind, body string, header map[string]string) *httptest.ResponseRecorder {
	t.Helper()
	p := &page{hub: newHub()}
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8626"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	p.handler(true).ServeHTTP(w, r)
	return w
}

func TestBadRequestsAreRefusedWithTheReason(t *testing.T) {
	const kind = "application/json"
	for _, c := range []struct {
		name             string
		path, kind, body string
		header           map[string]string
		status           int
		says             string
	}{
		{"another site", "/do", kind, `{"what":"kill"}`, map[string]string{"Origin": "http://evil.example"}, 403, "another site"},
		{"another site by fetch metadata", "/mail", kind, `{}`, map[string]string{"Sec-Fetch-Site": "cross-site"}, 403, "another site"},
		{"another port of this machine", "/do", kind, `{"what":"kill"}`, map[string]string{"Origin": "http://127.0.0.1:9999"}, 403, "another site"},
		{"a frame without origin", "/do", kind, `{"what":"kill"}`, map[string]string{"Origin": "null"}, 403, "another site"},
		{"a form", "/do", "application/x-www-form-urlencoded", `what=kill`, nil, 415, "application/json"},
		{"text", "/do", "text/plain", `{"what":"kill"}`, nil, 415, "application/json"},
		{"no JSON", "/do", kind, `kill`, nil, 400, "one JSON object"},
		{"half an object", "/do", kind, `{"what":`, nil, 400, "one JSON object"},
		{"two objects", "/do", kind, `{"what":"kill"}{}`, nil, 400, "something follows"},
		{"an unknown field", "/do", kind, `{"when":"now"}`, nil, 400, "when"},
		{"an unknown action", "/do", kind, `{"what":"explode"}`, nil, 400, "cut, move, restart, outage, heal, kill and start"},
		{"no action", "/do", kind, `{}`, nil, 400, "not known"},
		{"too much", "/mail", kind, `{"body":"` + strings.Repeat("x", requestMax) + `"}`, nil, 413, "bytes"},
		{"no recipient", "/mail", kind, `{"from":"ada@fabrikam.test"}`, nil, 400, "to:"},
		{"no sender", "/mail", kind, `{"to":["taro@contoso.test"]}`, nil, 400, "from:"},
		{"many recipients", "/mail", kind, `{"from":"a@b.test","to":["a@b.test"` + strings.Repeat(`,"a@b.test"`, recipientsMax) + `]}`, nil, 400, "at most"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := post(t, c.path, c.kind, c.body, c.header)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) || !strings.Contains(w.Body.String(), `"error":`) {
				t.Errorf("answered %d %s; want %d with %q", w.Code, w.Body, c.status, c.says)
			}
		})
	}
}

func TestEveryActionOfThePageIsKnown(t *testing.T) {
	text, err := assets.ReadFile("page/index.html")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, attribute := range []string{`data-do="`, `data-toggle="`} {
		for _, rest := range strings.Split(string(text), attribute)[1:] {
			what, _, _ := strings.Cut(rest, `"`)
			named[what] = true
			if actions[what] == nil {
				t.Errorf("the page has a button for %q", what)
			}
		}
	}
	for what := range actions {
		if !named[what] {
			t.Errorf("the page has no button for %q", what)
		}
	}
}

func TestTheLabAnswersToNamesOfThisMachineOnly(t *testing.T) {
	p := &page{hub: newHub()}
	for host, status := range map[string]int{
		"localhost:8626": 200, "127.0.0.1:8626": 200, "[::1]:8626": 200, "LOCALHOST": 200,
		"evil.example:8626": 421, "127.0.0.1.evil.example": 421, "192.168.1.4:8626": 421,
	} {
		r := httptest.NewRequest(http.MethodGet, "http://"+host+"/", nil)
		w := httptest.NewRecorder()
		p.handler(true).ServeHTTP(w, r)
		if w.Code != status {
			t.Errorf("%s: answered %d; want %d", host, w.Code, status)
		}
		if !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'self'") {
			t.Errorf("%s: no content security policy", host)
		}
	}
}

func TestThePageNeedsNothingFromElsewhere(t *testing.T) {
	p := &page{hub: newHub()}
	for _, path := range []string{"/", "/lab.js", "/style.css"} {
		w := httptest.NewRecorder()
		p.handler(true).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil))
		if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "//cdn") || strings.Contains(w.Body.String(), "https://") {
			t.Errorf("%s: %d, or it links elsewhere", path, w.Code)
		}
	}
}

func TestEventsReplayThePastAndGoOn(t *testing.T) {
	p := &page{hub: newHub()}
	p.hub.Publish(mailEvent{Item: "before"})
	srv := httptest.NewServer(p.handler(true))
	defer srv.Close()
	defer p.hub.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	read := func(lastID string) *bufio.Reader {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+"/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Last-Event-ID", lastID)
		resp, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		if kind := resp.Header.Get("Content-Type"); kind != "text/event-stream" {
			t.Fatalf("content type %q", kind)
		}
		return bufio.NewReader(resp.Body)
	}
	find := func(r *bufio.Reader, want string) {
		t.Helper()
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatalf("%q did not come: %v", want, err)
			}
			if strings.Contains(line, want) {
				return
			}
		}
	}
	first := read("")
	find(first, "event: reset")
	find(first, "before")
	p.hub.Publish(mailEvent{Item: "after"})
	find(first, "after")

	again := read(p.hub.id(1))
	line, err := again.ReadString('\n')
	if err != nil || line != "id: "+p.hub.id(2)+"\n" {
		t.Errorf("a page that knows the first event is told %q, %v", line, err)
	}
	p.hub.Close()
	if _, err := io.Copy(io.Discard, first); err != nil {
		t.Errorf("the stream ends with %v", err)
	}
}
