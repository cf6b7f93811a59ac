// Package engine is where everything durable lives: the registry, the queue,
// the bookmarks and the ledger, in NATS JetStream.
//
// By default the engine is embedded: a NATS server inside the process, without
// a port, over one directory of files. The directory is locked, so that a
// second process is told instead of spoiling it. With a URL the same stores
// live in an external server or cluster, which several hosts can share.
//
// # What is promised
//
// What a store acknowledged survives the death of the process at any moment,
// kill -9 included: it has been handed to the operating system. Whether it
// also survives the loss of power is the choice of [SyncMode].
//
// After a restart of the embedded engine, pushes that were given out or waited
// for a retry are due at once, and their attempts count from 1. What the dedupe
// window knew of pushes already acknowledged is forgotten: when their mail is
// raised once more, they are sent once more, with the same ID.
//
// Content is encrypted with the key given, and the names of mailboxes and
// devices in keys and subjects are replaced by derived ones (package seal). A
// key check value in the bucket "mailbell" tells at the next Open whether the
// key is the same. What is visible without the key: how many there are of each
// thing, their sizes, times and providers, and which belong to the same
// mailbox or device.
//
// # What happens on failure
//
// Open says what is wrong with the directory, the server or the key. A write
// that the disk refuses, because it is full or fails, ends the storing of that
// store for good: from then on its methods fail (after 10 s, because the server
// gives no answer), [Engine.Healthy] says why at once, and the process is to be
// restarted with the disk repaired. Nothing acknowledged is lost by that. A
// store that is merely full of what may be in it (Options.DiskMax) says so in
// its own error and takes again when there is room.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"mailbell/notifier/bookmark"
	"mailbell/notifier/engine/dirlock"
	"mailbell/notifier/engine/embedded"
	"mailbell/notifier/ledger"
	"mailbell/notifier/queue"
	"mailbell/notifier/registry"
	"mailbell/notifier/seal"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The errors of Open and Healthy, for errors.Is.
var (
	ErrLocked     = errors.New("engine: the directory is in use")
	ErrWrongKey   = errors.New("engine: the store was written with another key")
	ErrNotStoring = errors.New("engine: not storing any more")
	ErrClosed     = errors.New("engine: closed")
)

// Engine gives out the stores. It is safe for concurrent use. It runs the
// goroutines of the NATS server and client; Close waits for them.
type Engine struct {
	log    *slog.Logger
	lock   *dirlock.Lock    // nil: external
	server *embedded.Server // nil: external
	conn   *nats.Conn
	js     jetstream.JetStream
	ended  chan struct{} // closed when the connection is

	registry  *registry.JetStream
	queue     *queue.JetStream
	bookmarks *bookmark.JetStream
	ledger    *ledger.JetStream

	closing sync.Once
	closed  error
}

// Open starts the embedded engine or connects to the external one, checks the
// key and opens the stores. ctx bounds the opening only.
func Open(ctx context.Context, o Options) (_ *Engine, err error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	o.setDefaults()
	sealer, err := seal.New(o.Key)
	if err != nil {
		return nil, fmt.Errorf("engine: Key: %w", err)
	}
	e := &Engine{log: o.Logger, ended: make(chan struct{})}
	defer func() {
		if err != nil {
			e.abandon()
		}
	}()
	if o.URL == "" {
		err = e.startEmbedded(o)
	} else {
		err = e.connectExternal(o)
	}
	if err != nil {
		return nil, err
	}
	if e.js, err = jetstream.New(e.conn, jetstream.WithDefaultTimeout(requestTimeout), jetstream.WithPublishAsyncTimeout(publishTimeout)); err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	if err := checkKey(ctx, e.js, sealer, o); err != nil {
		return nil, err
	}
	if err := e.openStores(ctx, sealer, o); err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	return e, nil
}

func (e *Engine) startEmbedded(o Options) error {
	lock, err := openDir(o.Dir)
	if err != nil {
		return err
	}
	e.lock = lock
	e.server, err = embedded.Start(embedded.Options{
		Dir: o.Dir, SyncEvery: SyncEvery, SyncAlways: o.Sync == Always, DiskMax: o.DiskMax, Logger: o.Logger,
	})
	if err != nil {
		return fmt.Errorf("engine: directory %s: %w", o.Dir, err)
	}
	e.conn, err = e.server.Connect()
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	e.conn.SetClosedHandler(func(*nats.Conn) { close(e.ended) })
	return nil
}

// connectExternal connects to a server that has to be there now; later it is
// waited for however long it is away. Errors show no URL.
func (e *Engine) connectExternal(o Options) error {
	options := []nats.Option{
		nats.Name("mailbell"), nats.Timeout(connectTimeout), nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait),
		nats.ErrorHandler(embedded.LogErrors(o.Logger)),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // nil: we ended it
				o.Logger.Warn("engine: connection lost", "error", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { o.Logger.Info("engine: connected again") }),
		nats.ClosedHandler(func(*nats.Conn) { close(e.ended) }),
	}
	if o.TLS != nil {
		options = append(options, nats.Secure(o.TLS))
	}
	conn, err := nats.Connect(o.URL, options...)
	if err != nil {
		return fmt.Errorf("engine: the server at URL cannot be reached: %w", err)
	}
	e.conn = conn
	return nil
}

func (e *Engine) openStores(ctx context.Context, sealer *seal.Sealer, o Options) (err error) {
	own := e.server != nil
	e.registry, err = registry.NewJetStream(ctx, e.js, registry.JetStreamOptions{Sealer: sealer, Replicas: o.Replicas, Logger: o.Logger})
	if err != nil {
		return err
	}
	e.bookmarks, err = bookmark.NewJetStream(ctx, e.js, bookmark.JetStreamOptions{Sealer: sealer, Replicas: o.Replicas, Logger: o.Logger})
	if err != nil {
		return err
	}
	q := queue.JetStreamOptions{
		Options: queue.Options{DedupeWindow: o.DedupeWindow, AckWait: o.AckWait},
		Sealer:  sealer, Replicas: o.Replicas, Recreate: own, Logger: o.Logger,
	}
	l := ledger.JetStreamOptions{Sealer: sealer, Replicas: o.Replicas, Age: o.LedgerAge, Logger: o.Logger}
	if own {
		q.BytesMax, l.BytesMax = o.DiskMax/queueShare, o.DiskMax/ledgerShare
	}
	if e.queue, err = queue.NewJetStream(ctx, e.js, q); err != nil {
		return err
	}
	e.ledger, err = ledger.NewJetStream(ctx, e.js, l)
	return err
}

// Registry is the store of registrations.
func (e *Engine) Registry() registry.Store { return e.registry }

// Queue is the queue of pushes.
func (e *Engine) Queue() queue.Queue { return e.queue }

// Bookmarks is the store of bookmarks.
func (e *Engine) Bookmarks() bookmark.Store { return e.bookmarks }

// Ledger is the store of receipts.
func (e *Engine) Ledger() ledger.Store { return e.ledger }

// Healthy says whether the stores can work at this moment: nil, or ErrClosed,
// or ErrNotStoring with what to do about it.
func (e *Engine) Healthy() error {
	switch {
	case e.conn.IsClosed():
		return ErrClosed
	case !e.conn.IsConnected():
		return fmt.Errorf("%w: the connection to the server is lost; it is being tried again", ErrNotStoring)
	case e.server == nil:
		return nil
	}
	if err := e.server.Healthy(); err != nil {
		return fmt.Errorf("%w: the disk is full or fails: make room or repair it, then restart: %w", ErrNotStoring, err)
	}
	return nil
}

// Close ends every Watch, lets what was published be sent, ends the
// connection and the embedded server, and gives the directory back. ctx bounds
// the polite part; the rest is done in any case. Later calls wait for the
// first and return what it returned.
func (e *Engine) Close(ctx context.Context) error {
	e.closing.Do(func() { e.closed = e.close(ctx) })
	return e.closed
}

// close takes down what is there, the last thing started first.
func (e *Engine) close(ctx context.Context) error {
	var errs []error
	if e.registry != nil {
		errs = append(errs, e.registry.Close())
	}
	if e.conn != nil {
		errs = append(errs, e.endConnection(ctx))
	}
	if e.server != nil {
		e.server.Close()
	}
	if e.lock != nil {
		errs = append(errs, e.lock.Release())
	}
	return errors.Join(errs...)
}

func (e *Engine) endConnection(ctx context.Context) error {
	err := e.conn.Drain()
	if err == nil {
		select {
		case <-e.ended:
			return nil
		case <-ctx.Done():
			err = fmt.Errorf("engine: close: %w", ctx.Err())
		}
	} else if errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrConnectionReconnecting) {
		err = nil // there is nothing to drain
	}
	e.conn.Close()
	<-e.ended
	return err
}

// abandon takes down what a failed Open had started.
func (e *Engine) abandon() {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	if err := e.Close(ctx); err != nil {
		e.log.Warn("engine: close after a failed open", "error", err)
	}
}
