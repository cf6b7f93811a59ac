package embedded

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What the server does with these settings cannot be seen without pulling the
// plug; that they arrive can.
func TestSyncSettingsArrive(t *testing.T) {
	for name, c := range map[string]struct {
		options Options
		every   time.Duration
		always  bool
	}{
		"by default": {Options{}, SyncEveryDefault, false},
		"interval":   {Options{SyncEvery: time.Second}, time.Second, false},
		"always":     {Options{SyncAlways: true}, SyncEveryDefault, true},
	} {
		t.Run(name, func(t *testing.T) {
			c.options.Dir = t.TempDir()
			s, err := Start(c.options)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			got := s.server.JetStreamConfig()
			if got.SyncInterval != c.every || got.SyncAlways != c.always {
				t.Errorf("every %v, always %v", got.SyncInterval, got.SyncAlways)
			}
			if got.MaxStore != DiskMaxDefault || got.MaxMemory != memoryMax {
				t.Errorf("limits %d, %d", got.MaxStore, got.MaxMemory)
			}
			if a := s.server.Addr(); a != nil {
				t.Errorf("it listens on %v", a)
			}
		})
	}
}

func TestWhatTheServerCallsFatalIsAnError(t *testing.T) {
	s, err := Start(Options{Dir: "/dev/null"})
	if err == nil {
		s.Close()
		t.Fatal("a directory that is none is taken")
	}
	if !strings.Contains(err.Error(), "JetStream") {
		t.Errorf("Start: %v", err)
	}
}

func TestCloseEndsWhatIsConnected(t *testing.T) {
	s, err := Start(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	nc, err := s.Connect()
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.AccountInfo(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Healthy(); err != nil {
		t.Error(err)
	}
	closed := make(chan struct{})
	nc.SetClosedHandler(func(*nats.Conn) { close(closed) })
	s.Close()
	<-closed
}
