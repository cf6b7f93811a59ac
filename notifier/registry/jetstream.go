package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"mailbell/notifier"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Sealer is what the store needs of package seal.
type Sealer interface {
	Name(value string) string
	Seal(content []byte, place string) []byte
	Open(sealed []byte, place string) ([]byte, error)
}

// BucketDefault is the key-value bucket of the registrations.
const BucketDefault = "registrations"

// Limits of the JetStream implementation.
const (
	// valueBytesMax bounds one registration as stored. The largest part is a WNS
	// channel URI, whose length no document bounds; known ones have some hundred
	// bytes.
	valueBytesMax = 16 << 10
	// markerTTL is how long the bucket keeps the mark of a removal. It has to
	// outlive any delay of a watcher that is still connected.
	markerTTL = 24 * time.Hour
	// deleteAttemptsMax bounds the tries to remove a registration that others
	// keep replacing.
	deleteAttemptsMax = 8
)

// JetStreamOptions describe the bucket.
type JetStreamOptions struct {
	Bucket   string       // "": BucketDefault
	Sealer   Sealer       // required
	Replicas int          // 0: 1
	Logger   *slog.Logger // nil: discard
}

// JetStream is a Store in a key-value bucket of history 1: the key is the
// sealer's name of the device, the value is the sealed registration. Reading
// one costs one request, a Watch reads the whole bucket once.
//
// In a cluster Get may be answered by a replica that is a moment behind.
//
// Each Watch runs one goroutine until its ctx ends, the store is closed or the
// connection is lost; Close waits for all of them.
type JetStream struct {
	kv      jetstream.KeyValue
	conn    *nats.Conn
	bucket  string
	sealer  Sealer
	log     *slog.Logger
	mu      sync.Mutex    // orders Watch and Close
	done    chan struct{} // closed with the store
	running sync.WaitGroup
}

var _ Store = (*JetStream)(nil)

// NewJetStream opens the bucket, which is made or brought to the options as
// needed.
func NewJetStream(ctx context.Context, js jetstream.JetStream, o JetStreamOptions) (*JetStream, error) {
	if o.Sealer == nil {
		return nil, errors.New("registry: Sealer is missing")
	}
	if o.Bucket == "" {
		o.Bucket = BucketDefault
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	kv, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: o.Bucket, History: 1, Storage: jetstream.FileStorage, Replicas: max(o.Replicas, 1),
		MaxValueSize: valueBytesMax, LimitMarkerTTL: markerTTL,
	})
	if err != nil {
		return nil, fmt.Errorf("registry: bucket %s: %w", o.Bucket, err)
	}
	return &JetStream{kv: kv, conn: js.Conn(), bucket: o.Bucket, sealer: o.Sealer, log: o.Logger, done: make(chan struct{})}, nil
}

// Put implements Store.
func (s *JetStream) Put(ctx context.Context, r notifier.Registration) (uint64, error) {
	if err := check(r); err != nil {
		return 0, err
	}
	if s.closed() {
		return 0, ErrClosed
	}
	content, err := json.Marshal(r)
	if err != nil {
		return 0, fmt.Errorf("registry: %w", err)
	}
	key := s.sealer.Name(string(r.Device))
	revision, err := s.kv.Put(ctx, key, s.sealer.Seal(content, s.place(key)))
	if err != nil {
		return 0, fmt.Errorf("registry: put: %w", err)
	}
	return revision, nil
}

// Get implements Store.
func (s *JetStream) Get(ctx context.Context, d notifier.DeviceID) (notifier.Registration, uint64, error) {
	if s.closed() {
		return notifier.Registration{}, 0, ErrClosed
	}
	entry, err := s.kv.Get(ctx, s.sealer.Name(string(d)))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return notifier.Registration{}, 0, ErrNotFound
	}
	if err != nil {
		return notifier.Registration{}, 0, fmt.Errorf("registry: get: %w", err)
	}
	r, err := s.open(entry)
	if err != nil {
		return notifier.Registration{}, 0, err
	}
	return r, entry.Revision(), nil
}

// Delete implements Store.
func (s *JetStream) Delete(ctx context.Context, d notifier.DeviceID, revision uint64) error {
	if s.closed() {
		return ErrClosed
	}
	key := s.sealer.Name(string(d))
	for range deleteAttemptsMax {
		entry, err := s.kv.Get(ctx, key)
		switch {
		case errors.Is(err, jetstream.ErrKeyNotFound):
			return ErrNotFound
		case err != nil:
			return fmt.Errorf("registry: delete: %w", err)
		case revision != 0 && revision != entry.Revision():
			return ErrChanged
		}
		err = s.kv.Purge(ctx, key, jetstream.LastRevision(entry.Revision()), jetstream.PurgeTTL(markerTTL))
		if err == nil {
			return nil
		}
		if !errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
			return fmt.Errorf("registry: delete: %w", err)
		}
	}
	return ErrChanged
}

// Watch implements Store. It ends when the connection is lost, because what
// happened meanwhile may not be told afterwards. A value that cannot be opened
// is logged and left out.
func (s *JetStream) Watch(ctx context.Context) (<-chan Change, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	wctx, cancel := context.WithCancel(ctx)
	lost := s.conn.StatusChanged(nats.RECONNECTING, nats.CLOSED)
	watcher, err := s.kv.WatchAll(wctx)
	if err != nil {
		s.conn.RemoveStatusListener(lost)
		cancel()
		s.running.Done()
		return nil, fmt.Errorf("registry: watch: %w", err)
	}
	out := make(chan Change)
	go func() {
		defer s.running.Done()
		defer close(out)
		defer s.conn.RemoveStatusListener(lost)
		defer drain(watcher)
		defer cancel()
		s.feed(wctx, watcher, lost, out)
	}()
	return out, nil
}

// begin counts a Watch, unless the store is closed.
func (s *JetStream) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed() {
		return ErrClosed
	}
	s.running.Add(1)
	return nil
}

// Close ends every Watch and makes the store unusable; the connection stays.
// It may be called more than once.
func (s *JetStream) Close() error {
	s.mu.Lock()
	if !s.closed() {
		close(s.done)
	}
	s.mu.Unlock()
	s.running.Wait()
	return nil
}

func (s *JetStream) closed() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// feed sends what the watcher tells until ctx ends, the store closes or the
// connection is lost.
func (s *JetStream) feed(ctx context.Context, watcher jetstream.KeyWatcher, lost <-chan nats.Status, out chan<- Change) {
	// A removal carries the key, which does not tell the device.
	devices := make(map[string]notifier.DeviceID)
	for {
		var change Change
		select {
		case entry, ok := <-watcher.Updates():
			if !ok {
				return
			}
			if change, ok = s.change(entry, devices); !ok {
				continue
			}
		case <-lost:
			return
		case <-s.done:
			return
		case <-ctx.Done():
			return
		}
		select {
		case out <- change:
		case <-lost:
			return
		case <-s.done:
			return
		case <-ctx.Done():
			return
		}
	}
}

// change translates an entry; nil is the library's mark that all present
// values have been told.
func (s *JetStream) change(entry jetstream.KeyValueEntry, devices map[string]notifier.DeviceID) (Change, bool) {
	switch {
	case entry == nil:
		return Change{Kind: Synced}, true
	case entry.Operation() != jetstream.KeyValuePut:
		d, told := devices[entry.Key()]
		delete(devices, entry.Key())
		return Change{Kind: Deleted, Registration: notifier.Registration{Device: d}, Revision: entry.Revision()}, told
	}
	r, err := s.open(entry)
	if err != nil {
		s.log.Error("registry: registration left out", "key", entry.Key(), "error", err)
		return Change{}, false
	}
	devices[entry.Key()] = r.Device
	return Change{Kind: Put, Registration: r, Revision: entry.Revision()}, true
}

func (s *JetStream) open(entry jetstream.KeyValueEntry) (notifier.Registration, error) {
	var r notifier.Registration
	content, err := s.sealer.Open(entry.Value(), s.place(entry.Key()))
	if err != nil {
		return r, fmt.Errorf("registry: stored registration: %w", err)
	}
	if err := json.Unmarshal(content, &r); err != nil {
		return notifier.Registration{}, errors.New("registry: stored registration is not one")
	}
	return r, nil
}

// place is what a value is sealed for.
func (s *JetStream) place(key string) string { return s.bucket + "." + key }

// drain ends a watcher and reads what it still has, because it blocks for ever
// on a reader that left.
func drain(w jetstream.KeyWatcher) {
	_ = w.Stop() // an error means that it ended already
	for range w.Updates() {
	}
}
