package memnet

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/nettest"

	"mailbell/fakes/network"
	"mailbell/fakes/testcert"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const host = "mail.contoso.test:443"

// pair dials a listener of n and returns both ends.
func pair(tb testing.TB, n *Network) (client, server net.Conn) {
	tb.Helper()
	ln, err := n.Listen(host)
	if err != nil {
		tb.Fatal(err)
	}
	client, err = n.Dial(tb.Context(), "tcp", host)
	if err != nil {
		tb.Fatal(err)
	}
	server, err = ln.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	return client, server
}

func TestConnectionsBehaveAsNettestAsks(t *testing.T) {
	for name, options := range map[string]Options{
		"instant":    {},
		"small":      {BufferBytes: 7},
		"slow":       {Latency: 50 * time.Microsecond, Jitter: 50 * time.Microsecond, Seed: 1},
		"fragmented": {FragmentMax: 5, Seed: 2},
		"narrow":     {Bandwidth: 100 << 20},
		"lossy":      {StallOneIn: 10, Stall: 50 * time.Microsecond, Seed: 3},
	} {
		t.Run(name, func(t *testing.T) {
			nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
				n := New(options)
				c1, c2 := pair(t, n)
				return c1, c2, func() { _ = n.Close() }, nil
			})
		})
	}
}

func TestBytesTakeTheLatencyAndADialTakesTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{Latency: 20 * time.Millisecond})
		start := time.Now()
		client, server := pair(t, n)
		if took := time.Since(start); took != 40*time.Millisecond {
			t.Errorf("dial took %v, want 40ms", took)
		}
		start = time.Now()
		if _, err := client.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("write took %v, want 0", took)
		}
		b := make([]byte, 10)
		if k, err := server.Read(b); err != nil || string(b[:k]) != "hello" {
			t.Errorf("read %q, %v", b[:k], err)
		}
		if took := time.Since(start); took != 20*time.Millisecond {
			t.Errorf("bytes took %v, want 20ms", took)
		}
		_ = client.Close()
		if _, err := server.Read(b); err != io.EOF {
			t.Errorf("read after close: %v, want EOF", err)
		}
		if took := time.Since(start); took != 40*time.Millisecond {
			t.Errorf("EOF came after %v, want 40ms", took)
		}
		_ = n.Close()
	})
}

func TestJitterNeverReordersAndFollowsTheSeed(t *testing.T) {
	run := func(seed int64) (arrivals []time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			n := New(Options{Seed: seed, Latency: 10 * time.Millisecond, Jitter: 30 * time.Millisecond})
			defer n.Close()
			client, server := pair(t, n)
			start := time.Now()
			for i := range 50 {
				if _, err := client.Write([]byte{byte(i)}); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 50 {
				var b [1]byte
				if _, err := io.ReadFull(server, b[:]); err != nil || b[0] != byte(i) {
					t.Fatalf("byte %d is %d, %v", i, b[0], err)
				}
				arrivals = append(arrivals, time.Since(start))
			}
		})
		return arrivals
	}
	a, b, c := run(1), run(1), run(2)
	if fmt.Sprint(a) != fmt.Sprint(b) {
		t.Error("one seed gave two results")
	}
	if fmt.Sprint(a) == fmt.Sprint(c) {
		t.Error("two seeds gave one result")
	}
}

func TestBytesTakeTurnsOnANarrowLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{Bandwidth: 1000, Latency: 10 * time.Millisecond})
		defer n.Close()
		client, server := pair(t, n)
		start := time.Now()
		for range 3 {
			if _, err := client.Write(make([]byte, 500)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 3 {
			if _, err := io.ReadFull(server, make([]byte, 500)); err != nil {
				t.Fatal(err)
			}
			if took, want := time.Since(start), time.Duration(i+1)*500*time.Millisecond+10*time.Millisecond; took != want {
				t.Errorf("%d bytes took %v, want %v", 500*(i+1), took, want)
			}
		}
	})
}

func TestWhatIsLostIsLateAndHoldsUpWhatFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{StallOneIn: 3, Seed: 4})
		defer n.Close()
		client, server := pair(t, n)
		start, stalled := time.Now(), 0
		for i := range 100 {
			before := time.Since(start)
			if _, err := client.Write([]byte{byte(i)}); err != nil {
				t.Fatal(err)
			}
			var b [1]byte
			if _, err := io.ReadFull(server, b[:]); err != nil || b[0] != byte(i) {
				t.Fatalf("read %d, %v; want %d", b[0], err, i)
			}
			switch took := time.Since(start) - before; took {
			case 0:
			case StallDefault:
				stalled++
			default:
				t.Errorf("byte %d took %v", i, took)
			}
		}
		if stalled < 20 || stalled > 50 {
			t.Errorf("%d of 100 writes were late, want about a third", stalled)
		}
	})
}

func TestSilenceMayBeOneWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{})
		defer n.Close()
		client, server := pair(t, n)
		n.SilenceWay(host, Up)
		_, _ = client.Write([]byte("up"))
		_, _ = server.Write([]byte("down"))
		b := make([]byte, 4)
		if _, err := io.ReadFull(client, b); err != nil || string(b) != "down" {
			t.Errorf("read %q, %v", b, err)
		}
		_ = server.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := server.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read against the silence: %v, want the deadline", err)
		}
	})
}

func TestMisfortunesMayMeetOneOfThoseWhoDialAHost(t *testing.T) {
	n := New(Options{})
	defer n.Close()
	ln, err := n.Listen(host)
	if err != nil {
		t.Fatal(err)
	}
	dial := func(who string) net.Conn {
		c, err := n.As(who).Dial(t.Context(), "tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ln.Accept(); err != nil {
			t.Fatal(err)
		}
		return c
	}
	a, b := dial("a"), dial("b")
	if cut := n.Cut("a>" + host); cut != 1 {
		t.Errorf("cut %d connections, want 1", cut)
	}
	if _, err := a.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the one that was cut: %v", err)
	}
	if _, err := b.Write([]byte("x")); err != nil {
		t.Errorf("the other: %v", err)
	}
	n.Partition("a>"+host, Refuse)
	if _, err := n.As("a").Dial(t.Context(), "tcp", host); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("behind the partition: %v", err)
	}
	_ = dial("b")
	n.Heal("a>" + host)
	_ = dial("a")
}

func TestWritesBlockWhenTheFarSideDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{BufferBytes: 100})
		defer n.Close()
		client, server := pair(t, n)
		wrote := make(chan int)
		go func() {
			k, _ := client.Write(make([]byte, 150))
			wrote <- k
		}()
		synctest.Wait()
		select {
		case k := <-wrote:
			t.Fatalf("write of %d bytes returned, the buffer holds 100", k)
		default:
		}
		if _, err := io.ReadFull(server, make([]byte, 50)); err != nil {
			t.Fatal(err)
		}
		if k := <-wrote; k != 150 {
			t.Errorf("wrote %d", k)
		}
	})
}

func TestDeadlineEndsAWaitingReadOnTheFakeClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{})
		defer n.Close()
		client, _ := pair(t, n)
		start := time.Now()
		_ = client.SetReadDeadline(start.Add(time.Hour))
		_, err := client.Read(make([]byte, 1))
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(start); took != time.Hour {
			t.Errorf("took %v", took)
		}
	})
}

func TestCutResetsBothEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{})
		defer n.Close()
		client, server := pair(t, n)
		errs := make(chan error, 2)
		for _, c := range []net.Conn{client, server} {
			go func() {
				_, err := c.Read(make([]byte, 1))
				errs <- err
			}()
		}
		synctest.Wait()
		if cut := n.Cut("other.test:443"); cut != 0 {
			t.Errorf("cut %d connections of another host", cut)
		}
		if cut := n.Cut(host); cut != 1 {
			t.Errorf("cut %d connections, want 1", cut)
		}
		for range 2 {
			if err := <-errs; !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("read: %v, want ECONNRESET", err)
			}
		}
		if _, err := client.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("write: %v, want ECONNRESET", err)
		}
		if left := n.Conns(""); left != 0 {
			t.Errorf("%d connections left", left)
		}
	})
}

func TestCloseAfterLingerZeroResetsTheFarSide(t *testing.T) {
	n := New(Options{})
	defer n.Close()
	client, server := pair(t, n)
	_, _ = client.Write([]byte("lost"))
	_ = client.(interface{ SetLinger(int) error }).SetLinger(0)
	_ = client.Close()
	if _, err := server.Read(make([]byte, 10)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read: %v, want ECONNRESET", err)
	}
	if _, err := client.Read(make([]byte, 10)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read of own end: %v, want net.ErrClosed", err)
	}
}

func TestHalfCloseLeavesTheOtherDirectionOpen(t *testing.T) {
	n := New(Options{})
	defer n.Close()
	client, server := pair(t, n)
	_ = client.(interface{ CloseWrite() error }).CloseWrite()
	if _, err := server.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read: %v, want EOF", err)
	}
	if _, err := server.Write([]byte("still")); err != nil {
		t.Error(err)
	}
	b := make([]byte, 5)
	if _, err := io.ReadFull(client, b); err != nil || string(b) != "still" {
		t.Errorf("read %q, %v", b, err)
	}
	if _, err := client.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write: %v, want EPIPE", err)
	}
}

func TestSilenceHoldsWhatWasSentUntilHealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{})
		defer n.Close()
		client, server := pair(t, n)
		n.Silence(host)
		_, _ = server.Write([]byte("held"))
		_ = client.SetReadDeadline(time.Now().Add(10 * time.Minute))
		if _, err := client.Read(make([]byte, 4)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read in silence: %v, want the deadline", err)
		}
		_ = client.SetReadDeadline(time.Time{})
		n.Heal(host)
		b := make([]byte, 4)
		if _, err := io.ReadFull(client, b); err != nil || string(b) != "held" {
			t.Errorf("read %q, %v", b, err)
		}
	})
}

func TestPartitionKeepsDialsAwayUntilHealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{})
		defer n.Close()
		_, _ = pair(t, n)
		n.Partition(host, Refuse)
		if _, err := n.Dial(t.Context(), "tcp", host); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dial: %v, want ECONNREFUSED", err)
		}
		n.Partition(host, Hang)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := n.Dial(ctx, "tcp", host); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dial: %v, want the context's end", err)
		}
		start := time.Now()
		go func() {
			time.Sleep(time.Hour)
			n.Heal(host)
		}()
		if _, err := n.Dial(t.Context(), "tcp", host); err != nil || time.Since(start) != time.Hour {
			t.Errorf("dial after %v: %v", time.Since(start), err)
		}
	})
}

func TestDialKnowsListenersWildcardsAndStrangers(t *testing.T) {
	n := New(Options{})
	defer n.Close()
	ln, err := n.Listen("*.notify.windows.com:443")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Listen("*.Notify.Windows.com:443"); !errors.Is(err, network.ErrHostTaken) {
		t.Errorf("second listen: %v", err)
	}
	if _, err := n.Dial(t.Context(), "tcp", "DB5P.notify.windows.com:443"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"a.b.notify.windows.com:443", "notify.windows.com:443", "db5p.notify.windows.com:80"} {
		if _, err := n.Dial(t.Context(), "tcp", name); !errors.Is(err, network.ErrUnknownHost) {
			t.Errorf("dial %s: %v, want ErrUnknownHost", name, err)
		}
	}
	_ = ln.Close()
	if _, err := n.Dial(t.Context(), "tcp", "db5p.notify.windows.com:443"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial a closed listener: %v, want ECONNREFUSED", err)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept: %v", err)
	}
}

// TestHTTPWorksInABubble runs a chunked stream over TLS, with both versions of
// HTTP, on a clock that only moves when everybody waits.
func TestHTTPWorksInABubble(t *testing.T) {
	authority, err := testcert.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := authority.Server("mail.contoso.test")
	if err != nil {
		t.Fatal(err)
	}
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("http2 %v", http2), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := New(Options{Latency: 5 * time.Millisecond, Jitter: 5 * time.Millisecond, Seed: 7, FragmentMax: 700})
				ln, err := n.Listen(host)
				if err != nil {
					t.Fatal(err)
				}
				protocols := new(http.Protocols)
				protocols.SetHTTP1(!http2)
				protocols.SetHTTP2(http2)
				server := &http.Server{
					Protocols: protocols,
					TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
					Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						body, _ := io.ReadAll(r.Body)
						for i := range 5 {
							fmt.Fprintf(w, "%d %s %d bytes\n", i, r.Proto, len(body))
							w.(http.Flusher).Flush()
							time.Sleep(time.Minute)
						}
					}),
				}
				served := make(chan error, 1)
				go func() { served <- server.ServeTLS(ln, "", "") }()
				transport := &http.Transport{
					Protocols:       protocols,
					DialContext:     n.Dial,
					TLSClientConfig: &tls.Config{RootCAs: authority.Pool()},
				}
				req, _ := http.NewRequestWithContext(t.Context(), "POST", "https://mail.contoso.test/EWS", bytes.NewReader(make([]byte, 200_000)))
				resp, err := transport.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				lines := bufio.NewScanner(resp.Body)
				want := "HTTP/1.1"
				if http2 {
					want = "HTTP/2.0"
				}
				start := time.Now()
				for i := 0; lines.Scan(); i++ {
					if got := lines.Text(); got != fmt.Sprintf("%d %s 200000 bytes", i, want) {
						t.Errorf("line %q", got)
					}
					if at := time.Since(start).Round(time.Minute); at != time.Duration(i)*time.Minute {
						t.Errorf("line %d came after %v", i, at)
					}
				}
				if lines.Err() != nil {
					t.Error(lines.Err())
				}
				_ = resp.Body.Close()
				transport.CloseIdleConnections()
				_ = server.Close()
				<-served
				_ = n.Close()
			})
		})
	}
}

func BenchmarkPingPong(b *testing.B) {
	n := New(Options{})
	defer n.Close()
	client, server := pair(b, n)
	go func() { _, _ = io.Copy(server, server) }()
	buf := make([]byte, 512)
	for b.Loop() {
		if _, err := client.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(client, buf); err != nil {
			b.Fatal(err)
		}
	}
}
