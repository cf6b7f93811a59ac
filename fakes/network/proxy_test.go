package network

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

func TestAProxyLeadsToRealNamesAndNowhereElse(t *testing.T) {
	l := NewLoopback()
	greet(t, listen(t, l, "api.push.apple.com:443"), "apns")
	var refused error
	p := NewProxy(l, func(err error) { refused = err })
	srv := &http.Server{Handler: p}
	at := listen(t, l, "proxy.contoso.test:3128")
	var serving sync.WaitGroup
	serving.Go(func() { _ = srv.Serve(at) })
	ask := func(text string) string {
		c, err := net.Dial("tcp", at.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		return string(answer)
	}
	if got := ask("CONNECT api.push.apple.com:443 HTTP/1.1\r\nHost: api.push.apple.com:443\r\n\r\n"); got != "HTTP/1.1 200 OK\r\n\r\napns" {
		t.Errorf("%q", got)
	}
	if got := ask("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 502") || !errors.Is(refused, ErrUnknownHost) {
		t.Errorf("%q, told %v", got, refused)
	}
	if got := ask("GET / HTTP/1.1\r\nHost: api.push.apple.com\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 405") {
		t.Errorf("%q", got)
	}
	if err := errors.Join(srv.Close(), p.Close()); err != nil {
		t.Error(err)
	}
	serving.Wait()
}

func TestWhatIsSentTogetherWithAConnectArrivesAndClosingTheProxyCutsIt(t *testing.T) {
	l := NewLoopback()
	echo := listen(t, l, "mail.contoso.test:443")
	var serving sync.WaitGroup
	serving.Go(func() {
		c, err := echo.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.Copy(c, c)
	})
	p := NewProxy(l, func(err error) { t.Error(err) })
	srv := &http.Server{Handler: p}
	at := listen(t, l, "proxy.contoso.test:3128")
	serving.Go(func() { _ = srv.Serve(at) })
	c, err := net.Dial("tcp", at.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const answer = "HTTP/1.1 200 OK\r\n\r\nahead"
	if _, err := io.WriteString(c, "CONNECT mail.contoso.test:443 HTTP/1.1\r\nHost: mail.contoso.test:443\r\n\r\nahead"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(answer))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != answer {
		t.Errorf("%q, %v", got, err)
	}
	if err := errors.Join(srv.Close(), p.Close()); err != nil {
		t.Error(err)
	}
	if _, err := c.Read(got); err == nil {
		t.Error("the connection outlives the proxy")
	}
	echo.Close()
	serving.Wait()
}
