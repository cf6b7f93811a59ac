package network

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// greet accepts one connection, says hello on it and closes it.
func greet(t *testing.T, ln net.Listener, hello string) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := ln.Accept()
		if err != nil {
			return
		}
		_, _ = io.WriteString(c, hello)
		_ = c.Close()
	}()
	t.Cleanup(func() { <-done })
	t.Cleanup(func() { _ = ln.Close() })
}

func heard(t *testing.T, l *Loopback, addr string) string {
	t.Helper()
	c, err := l.Dial(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func listen(t *testing.T, l *Loopback, host string) net.Listener {
	t.Helper()
	ln, err := l.Listen(host)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func TestDialReachesTheListenerOfTheName(t *testing.T) {
	l := NewLoopback()
	greet(t, listen(t, l, "mail.contoso.test:443"), "mail")
	if got := heard(t, l, "MAIL.contoso.test.:443"); got != "mail" {
		t.Errorf("heard %q", got)
	}
}

func TestExactHostWinsOverWildcard(t *testing.T) {
	l := NewLoopback()
	greet(t, listen(t, l, "*.notify.windows.com:443"), "any")
	greet(t, listen(t, l, "db5p.notify.windows.com:443"), "db5p")
	if got := heard(t, l, "db5p.notify.windows.com:443"); got != "db5p" {
		t.Errorf("heard %q", got)
	}
	if got := heard(t, l, "am3p.notify.windows.com:443"); got != "any" {
		t.Errorf("heard %q", got)
	}
}

func TestUnknownNamesAreRefusedByName(t *testing.T) {
	l := NewLoopback()
	defer listen(t, l, "*.notify.windows.com:443").Close()
	for _, addr := range []string{"api.push.apple.com:443", "notify.windows.com:443", "a.b.notify.windows.com:443", "db5p.notify.windows.com:80", "127.0.0.1:80", "[::1]:443"} {
		_, err := l.Dial(t.Context(), "tcp", addr)
		var op *net.OpError
		if !errors.Is(err, ErrUnknownHost) || !errors.As(err, &op) || !strings.Contains(err.Error(), addr) {
			t.Errorf("%s: %v, want ErrUnknownHost with the name", addr, err)
		}
	}
	if _, err := l.Dial(t.Context(), "tcp", "no-port"); err == nil {
		t.Error("an address without a port is dialled")
	}
}

func TestClosedListenerRefusesAndComesBackOnItsPort(t *testing.T) {
	l := NewLoopback()
	ln := listen(t, l, "mail.contoso.test:443")
	port := l.Hosts()["mail.contoso.test:443"]
	if _, err := l.Listen("mail.contoso.test:443"); !errors.Is(err, ErrHostTaken) {
		t.Errorf("second listen: %v, want ErrHostTaken", err)
	}
	_ = ln.Close()
	if _, err := l.Dial(t.Context(), "tcp", "mail.contoso.test:443"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: %v, want ECONNREFUSED", err)
	}
	greet(t, listen(t, l, "mail.contoso.test:443"), "back")
	if again := l.Hosts()["mail.contoso.test:443"]; again != port {
		t.Errorf("came back at %s, was at %s", again, port)
	}
	if got := heard(t, l, "mail.contoso.test:443"); got != "back" {
		t.Errorf("heard %q", got)
	}
}

func TestHostsNamesEveryHostWithALoopbackAddress(t *testing.T) {
	l := NewLoopback()
	defer l.Close()
	listen(t, l, "*.notify.windows.com:443")
	ln, err := l.ListenAt("api.push.apple.com:443", ":0")
	if err != nil {
		t.Fatal(err)
	}
	greet(t, ln, "apns")
	hosts := l.Hosts()
	for _, name := range []string{"*.notify.windows.com:443", "api.push.apple.com:443"} {
		if !strings.HasPrefix(hosts[name], "127.0.0.1:") {
			t.Errorf("%s is at %q", name, hosts[name])
		}
	}
	if got := heard(t, l, "api.push.apple.com:443"); got != "apns" {
		t.Errorf("heard %q", got)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	l := NewLoopback()
	ln := listen(t, l, "mail.contoso.test:443")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept: %v", err)
	}
	if _, err := l.Dial(context.Background(), "tcp", "mail.contoso.test:443"); err == nil {
		t.Error("dial works after Close")
	}
	if _, err := l.Listen("other.test:443"); err == nil {
		t.Error("listen works after Close")
	}
}
