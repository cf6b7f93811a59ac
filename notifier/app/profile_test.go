package app

import (
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

// gzip begins what a profile is written in.
const gzip = "\x1f\x8b"

func TestProfilesAreGivenOneAtATimeAndStoppingWaitsForNone(t *testing.T) {
	p := &profiles{over: make(chan struct{})}
	mux := http.NewServeMux()
	p.handle(mux)
	srv := httptest.NewServer(mux)
	defer srv.Close()
	get := func(what string) (status int, text string) {
		resp, err := srv.Client().Get(srv.URL + "/debug/pprof/" + what)
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		return resp.StatusCode, string(body)
	}
	for _, what := range []string{"heap", "goroutine", "profile?seconds=1"} {
		if status, text := get(what); status != http.StatusOK || !strings.HasPrefix(text, gzip) {
			t.Errorf("%s: %d, %d bytes", what, status, len(text))
		}
	}
	for _, seconds := range []string{"0", "301", "soon"} {
		if status, text := get("profile?seconds=" + seconds); status != http.StatusBadRequest || !strings.Contains(text, "1 to 300 is allowed") {
			t.Errorf("%s seconds: %d %s", seconds, status, text)
		}
	}

	long := make(chan string)
	go func() {
		_, text := get("profile?seconds=300")
		long <- text
	}()
	for !p.busy.Load() {
		runtime.Gosched()
	}
	if status, _ := get("profile?seconds=1"); status != http.StatusConflict {
		t.Errorf("a second one at a time: %d", status)
	}
	close(p.over)
	if text := <-long; !strings.HasPrefix(text, gzip) {
		t.Errorf("what there was of it has %d bytes", len(text))
	}
}
