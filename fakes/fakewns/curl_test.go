package fakewns_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mailbell/fakes/fakewns"
	"mailbell/fakes/network"
	"mailbell/fakes/testtool"
)

// curl shares no code with the fake: it shows that the fake is right on the
// wire and not only towards Go.
func TestCurlFetchesATokenAndPushes(t *testing.T) {
	curl := testtool.Curl.Path(t, "the fake was not tried by a foreign client")
	s := overTCP(t, fakewns.Options{}).login()
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, s.roots.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	where := s.net.(*network.Loopback).Hosts()
	run := func(args ...string) string {
		t.Helper()
		all := append([]string{"--silent", "--show-error", "--http1.1", "--cacert", ca, "--max-time", "20", "--write-out", "%{http_code}"}, args...)
		out, err := exec.CommandContext(t.Context(), curl, all...).CombinedOutput()
		if err != nil {
			t.Fatalf("curl: %v: %s", err, out)
		}
		return string(out)
	}
	to := func(host, listener string) string {
		addr := where[listener]
		if _, _, err := net.SplitHostPort(addr); err != nil {
			t.Fatalf("%s is at %q: %v", listener, addr, err)
		}
		return host + ":443:" + addr
	}
	got := run("--connect-to", to("login.live.com", "login.live.com:443"), "--data-urlencode", "client_id="+sid, "--data-urlencode", "client_secret="+secret,
		"--data", "grant_type=client_credentials&scope=notify.windows.com", "https://login.live.com/accesstoken.srf")
	if !strings.HasSuffix(got, "200") || !strings.Contains(got, `"token_type":"bearer"`) {
		t.Errorf("token: %.60s…", got)
	}
	uri := s.NewChannel("mail")
	host, _, _ := strings.Cut(strings.TrimPrefix(uri, "https://"), "/")
	push := []string{"--connect-to", to(host, "*.notify.windows.com:443"), "--include", "--header", "Content-Type: text/xml", "--header", "X-WNS-Type: wns/toast", "--data-binary", toast}
	got = run(append(push, "--header", "Authorization: Bearer "+s.token, uri)...)
	if !strings.HasSuffix(got, "200") || !strings.Contains(got, "X-WNS-NOTIFICATIONSTATUS: received\r\n") || len(s.state(uri).Toasts) != 1 {
		t.Errorf("push: %s", got)
	}
	if got = run(append(push, uri)...); !strings.HasSuffix(got, "401") {
		t.Errorf("push without a token: %s", got)
	}
}
