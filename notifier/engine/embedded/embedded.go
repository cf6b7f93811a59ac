// Package embedded runs a NATS server with JetStream inside the process: no
// port, no signal handlers, one directory of files.
//
// Connections to it are made in memory ([Server.Connect]). What a publish was
// acknowledged for has been written to the operating system, so it survives
// the death of the process at any moment; when it is on the disk itself
// depends on the sync options. Close ends the server and waits for it.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Limits and defaults.
const (
	DiskMaxDefault   = 8 << 30  // bytes of files
	memoryMax        = 64 << 20 // bytes of streams in memory: there are none, but consumers may be
	payloadMax       = 4 << 20  // bytes of one message: a bookmark of BookmarkSeenMax items with the longest IDs is 1.3 MB
	startTimeout     = 30 * time.Second
	SyncEveryDefault = 2 * time.Second
)

// Options describe a server.
type Options struct {
	Dir        string        // holds the files; has to exist
	SyncEvery  time.Duration // between two fsyncs of what was written; 0: SyncEveryDefault
	SyncAlways bool          // fsync before every acknowledgement
	DiskMax    int64         // bytes; 0: DiskMaxDefault
	Logger     *slog.Logger  // nil: discard
}

// Server is a running server.
type Server struct {
	server *server.Server
	log    *slog.Logger
}

// Start runs a server and returns when it is ready and everything in the
// directory has been recovered. Recovering the files of a
// million messages takes seconds.
func Start(o Options) (*Server, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.SyncEvery <= 0 {
		o.SyncEvery = SyncEveryDefault
	}
	if o.DiskMax <= 0 {
		o.DiskMax = DiskMaxDefault
	}
	ns, err := server.NewServer(&server.Options{
		ServerName: "mailbell",
		DontListen: true,
		NoSigs:     true,
		MaxPayload: payloadMax,

		JetStream:              true,
		StoreDir:               o.Dir,
		SyncInterval:           o.SyncEvery,
		SyncAlways:             o.SyncAlways,
		JetStreamMaxMemory:     memoryMax,
		JetStreamMaxStore:      o.DiskMax,
		DisableJetStreamBanner: true,
	})
	if err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	log := &bridge{log: o.Logger}
	ns.SetLoggerV2(log, false, false, false)
	ns.Start() // returns at once: there is no accept loop
	s := &Server{server: ns, log: o.Logger}
	if err := s.started(log); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// started says what went wrong with the start.
func (s *Server) started(log *bridge) error {
	if err := log.fatalError(); err != nil {
		return fmt.Errorf("embedded: %w", err)
	}
	if !s.server.ReadyForConnections(startTimeout) {
		return fmt.Errorf("embedded: not ready within %v", startTimeout)
	}
	return s.Healthy()
}

// Connect makes a connection inside the process. It is the caller's to close,
// before the server.
func (s *Server) Connect() (*nats.Conn, error) {
	nc, err := nats.Connect("", nats.InProcessServer(s.server), nats.NoReconnect(), nats.Name("mailbell"),
		nats.ErrorHandler(LogErrors(s.log)))
	if err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	return nc, nil
}

// Healthy says what keeps the server from storing: a stream that could not be
// recovered, or a write that failed. The latter is for good: the stream accepts
// nothing until the server is started anew. It reads a few directories.
func (s *Server) Healthy() error {
	if h := s.server.Healthz(nil); h.Error != "" {
		return errors.New("embedded: " + h.Error)
	}
	return nil
}

// Close ends the server and waits until its files are closed.
func (s *Server) Close() {
	s.server.Shutdown()
	s.server.WaitForShutdown()
}

// LogErrors is the handler of what goes wrong on a connection outside a call.
// It tells the error and no subject.
func LogErrors(log *slog.Logger) nats.ErrHandler {
	return func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if errors.Is(err, context.Canceled) {
			return
		}
		log.Warn("engine: connection", "error", err)
	}
}
