package fakeapns

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mailbell/fakes/testtool"
)

// TestH2loadPushesOverAThousandStreams has a client of another HTTP/2 library
// (nghttp2) find the limit of one stream, then the raised one, and fill it.
//
// Checklist push 4, 5, 8, 11, 30.
func TestH2loadPushesOverAThousandStreams(t *testing.T) {
	const pushes = 20_000
	h := onLoopback(t, Options{})
	body := filepath.Join(t.TempDir(), "body.json")
	if err := os.WriteFile(body, []byte(`{"aps":{"alert":{"title":"Ada","body":"`+strings.Repeat("x", 200)+`"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, testtool.H2load.Path(t, "a thousand streams of another HTTP/2 library"), "-n", "20000", "-c", "1", "-m", "1000", "-d", body,
		"-H", "apns-topic: "+testTopic, "-H", "apns-push-type: alert", "-H", "authorization: "+h.bearer(time.Now()),
		"https://"+h.Addr().String()+"/3/device/"+testToken).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	counts := regexp.MustCompile(`requests: (\d+) total, (\d+) started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout`).FindSubmatch(out)
	if counts == nil || string(counts[4]) != "20000" || string(counts[5]) != "0" || string(counts[6]) != "0" || string(counts[7]) != "0" {
		t.Errorf("h2load says:\n%s", out)
	}
	s := h.Stats()
	if s.Accepted != pushes || s.Rejected+s.Refused != 0 || s.Connections != 1 || s.ProviderTokens != 1 {
		t.Errorf("%+v", s)
	}
	if s.StreamsMost < 100 {
		t.Errorf("at most %d streams at one time: the raised limit was not used", s.StreamsMost)
	}
}
