package fakesmtp

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"mailbell/fakes/exchange"
)

// FuzzSession says anything to the server. Whatever comes, it greets, answers
// in lines that begin with a status, and ends when the client does.
func FuzzSession(f *testing.F) {
	for _, seed := range []string{
		"", "QUIT\r\n", "EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<ada@contoso.test>\r\nDATA\r\nSubject: x\r\n\r\ny\r\n.\r\nQUIT\r\n",
		"DATA\r\n.\r\n", "EHLO x\nMAIL FROM:<\x00>\n", "EHLO x\r\nMAIL FROM:<a@b.test> SIZE=99999999999\r\n", "RCPT TO:<" + string(bytes.Repeat([]byte("a"), 3000)) + ">\r\n",
		"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<ada@contoso.test>\r\nDATA\r\nContent-Type: multipart/mixed; boundary=\r\n\r\n--\r\n.\r\n",
	} {
		f.Add([]byte(seed))
	}
	org, err := exchange.New(exchange.Options{})
	if err != nil {
		f.Fatal(err)
	}
	if err := org.AddMailbox("ada@contoso.test", exchange.MailboxOptions{}); err != nil {
		f.Fatal(err)
	}
	server, err := New(Options{Organisation: org})
	if err != nil {
		f.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	f.Cleanup(func() {
		if err := errors.Join(server.Close(), <-served); err != nil {
			f.Error(err)
		}
	})
	f.Fuzz(func(t *testing.T, session []byte) {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		answers := make(chan []byte, 1)
		go func() {
			text, err := io.ReadAll(c)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the session does not end")
			}
			answers <- text
		}()
		if _, err := c.Write(session); err == nil { // it may hang up before the end
			_ = c.(*net.TCPConn).CloseWrite()
		} else if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
			t.Fatal(err)
		}
		for line := range bytes.Lines(<-answers) {
			if len(line) < 4 || line[0] < '2' || line[0] > '5' || (line[3] != ' ' && line[3] != '-') {
				t.Errorf("it answers %q", line)
			}
		}
	})
}
