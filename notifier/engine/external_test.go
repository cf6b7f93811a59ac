package engine_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"time"

	"mailbell/fakes/testcert"
	"mailbell/notifier"
	"mailbell/notifier/engine"
	"mailbell/notifier/queue/queuetest"
	"mailbell/notifier/registry"
	"mailbell/notifier/registry/registrytest"

	"github.com/nats-io/nats-server/v2/server"
)

// startServer starts a NATS server that listens on this host: on a free port,
// or on the one given.
func startServer(t *testing.T, dir string, port int, config *tls.Config) *server.Server {
	t.Helper()
	if port == 0 {
		port = -1
	}
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true, JetStream: true, StoreDir: dir,
		JetStreamMaxStore: 16 << 30, JetStreamMaxMemory: 64 << 20, TLSConfig: config, TLS: config != nil, TLSTimeout: patience.Seconds(),
	})
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	if !s.ReadyForConnections(patience) {
		t.Fatal("the server does not start")
	}
	t.Cleanup(func() { stopServer(s) })
	return s
}

func stopServer(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

func TestTwoEnginesShareAnExternalServerOverTLS(t *testing.T) {
	authority, err := testcert.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := authority.Server("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	s := startServer(t, t.TempDir(), 0, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	url := "tls://" + s.Addr().String()
	if _, err := engine.Open(t.Context(), engine.Options{URL: url, Key: key(1)}); err == nil {
		t.Error("a certificate of an unknown authority is taken")
	}

	options := engine.Options{URL: url, TLS: &tls.Config{RootCAs: authority.Pool(), MinVersion: tls.VersionTLS12}}
	a, b := open(t, options), open(t, options)
	ctx := t.Context()
	push := queuetest.Push("phone", notifier.APNs, 1)
	if err := errors.Join(a.Queue().Put(ctx, push), b.Queue().Put(ctx, push)); err != nil {
		t.Fatal(err)
	}
	ds, err := b.Queue().Take(ctx, notifier.APNs, 10)
	if err != nil || len(ds) != 1 {
		t.Fatalf("took %d, %v", len(ds), err)
	}
	if err := ds[0].Ack(ctx); err != nil {
		t.Fatal(err)
	}
	if n, err := a.Queue().Depth(ctx); err != nil || n != 0 {
		t.Errorf("depth %d, %v", n, err)
	}

	options.Key = key(2)
	if _, err := engine.Open(ctx, options); !errors.Is(err, engine.ErrWrongKey) {
		t.Errorf("another key: %v, want ErrWrongKey", err)
	}
}

func TestTheViewIsRightAgainAfterTheServerWasAway(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, dir, 0, nil)
	url, port := "nats://"+s.Addr().String(), s.Addr().(*net.TCPAddr).Port
	e := open(t, engine.Options{URL: url})
	ctx, cancel := context.WithCancel(t.Context())
	for n := range 3 {
		if _, err := e.Registry().Put(ctx, registrytest.Registration(n)); err != nil {
			t.Fatal(err)
		}
	}
	changed := make(chan notifier.Mailbox, 100)
	v := registry.NewView(e.Registry(), nil)
	v.OnChange(func(m notifier.Mailbox, _ []notifier.Registration) { changed <- m })
	running := make(chan error)
	go func() { running <- v.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-running; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	}()
	<-v.Synced()
	for len(changed) > 0 {
		<-changed
	}

	stopServer(s)
	for e.Healthy() == nil {
		<-time.After(time.Millisecond)
	}
	startServer(t, dir, port, nil)
	other := open(t, engine.Options{URL: url})
	if err := other.Registry().Delete(ctx, registrytest.Registration(2).Device, 0); err != nil {
		t.Fatal(err)
	}
	select {
	case m := <-changed:
		if m != registrytest.Registration(2).Mailbox {
			t.Errorf("%s is told to have changed", m)
		}
	case <-time.After(patience):
		t.Fatal("the removal does not arrive")
	}
	if devices, _ := v.Len(); devices != 2 {
		t.Errorf("%d devices, want 2", devices)
	}
}
