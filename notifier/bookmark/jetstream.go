package bookmark

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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

// BucketDefault is the key-value bucket of the bookmarks.
const BucketDefault = "bookmarks"

// Limits of the JetStream implementation.
const (
	// putBatchMax bounds the writes of one Put that are not acknowledged yet.
	putBatchMax = 256
	// stallWait bounds the wait for room among the writes of all Puts.
	stallWait = 10 * time.Second
	// markerTTL is how long the bucket keeps the mark of a removal.
	markerTTL = time.Hour
)

// JetStreamOptions describe the bucket.
type JetStreamOptions struct {
	Bucket   string       // "": BucketDefault
	Sealer   Sealer       // required
	Replicas int          // 0: 1
	Logger   *slog.Logger // nil: discard
}

// JetStream is a Store in a key-value bucket of history 1: the key is the
// sealer's name of the mailbox, the value is the sealed bookmark. Put writes
// without waiting in between and then waits for all acknowledgements; All
// reads the whole bucket once.
//
// A bookmark takes 100 bytes and about 25 for each item in Seen, since IDs of one
// Inbox are alike and compress well: 45 kB for notifier.BookmarkSeenMax items. Were
// all of the greatest length and none alike it would be 1.3 MB, which an external
// server has to accept as a message (max_payload; its default is 1 MB). A SyncMark
// adds its State, which does not compress, and about 20 bytes for each item in Known.
type JetStream struct {
	js     jetstream.JetStream
	kv     jetstream.KeyValue
	bucket string
	sealer Sealer
	log    *slog.Logger
}

var _ Store = (*JetStream)(nil)

// NewJetStream opens the bucket, which is made or brought to the options as
// needed.
func NewJetStream(ctx context.Context, js jetstream.JetStream, o JetStreamOptions) (*JetStream, error) {
	if o.Sealer == nil {
		return nil, errors.New("bookmark: Sealer is missing")
	}
	if o.Bucket == "" {
		o.Bucket = BucketDefault
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	kv, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: o.Bucket, History: 1, Storage: jetstream.FileStorage, Replicas: max(o.Replicas, 1), LimitMarkerTTL: markerTTL,
	})
	if err != nil {
		return nil, fmt.Errorf("bookmark: bucket %s: %w", o.Bucket, err)
	}
	return &JetStream{js: js, kv: kv, bucket: o.Bucket, sealer: o.Sealer, log: o.Logger}, nil
}

// Get implements Store.
func (s *JetStream) Get(ctx context.Context, m notifier.Mailbox) (notifier.Bookmark, error) {
	entry, err := s.kv.Get(ctx, s.sealer.Name(string(m)))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return notifier.Bookmark{}, ErrNotFound
	}
	if err != nil {
		return notifier.Bookmark{}, fmt.Errorf("bookmark: get: %w", closed(s.js.Conn(), err))
	}
	return s.open(entry)
}

// Put implements Store.
func (s *JetStream) Put(ctx context.Context, bookmarks ...notifier.Bookmark) error {
	for _, b := range bookmarks {
		if err := check(b); err != nil {
			return err
		}
	}
	for batch := range slices.Chunk(bookmarks, putBatchMax) {
		if err := s.putBatch(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// putBatch writes to the bucket's stream directly, because the library's Put
// waits for each value. The server stores what one connection publishes in
// order, so of two bookmarks of one mailbox the later holds.
func (s *JetStream) putBatch(ctx context.Context, bookmarks []notifier.Bookmark) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	acks := make([]jetstream.PubAckFuture, 0, len(bookmarks))
	for _, b := range bookmarks {
		content, err := pack(b)
		if err != nil {
			return err
		}
		key := s.sealer.Name(string(b.Mailbox))
		ack, err := s.js.PublishAsync("$KV."+s.bucket+"."+key, s.sealer.Seal(content, s.place(key)), jetstream.WithStallWait(stallWait))
		if err != nil {
			return fmt.Errorf("bookmark: put: %w", closed(s.js.Conn(), err))
		}
		acks = append(acks, ack)
	}
	for _, ack := range acks {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			return fmt.Errorf("bookmark: put: %w", closed(s.js.Conn(), err))
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Delete implements Store.
func (s *JetStream) Delete(ctx context.Context, m notifier.Mailbox) error {
	if err := s.kv.Purge(ctx, s.sealer.Name(string(m)), jetstream.PurgeTTL(markerTTL)); err != nil {
		return fmt.Errorf("bookmark: delete: %w", closed(s.js.Conn(), err))
	}
	return nil
}

// All implements Store. A value that cannot be opened is logged and left out:
// its mailbox begins anew.
func (s *JetStream) All(ctx context.Context) ([]notifier.Bookmark, error) {
	wctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watcher, err := s.kv.WatchAll(wctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fmt.Errorf("bookmark: all: %w", closed(s.js.Conn(), err))
	}
	defer drain(watcher)
	var all []notifier.Bookmark
	for {
		select {
		case entry, ok := <-watcher.Updates():
			switch {
			case !ok && ctx.Err() != nil:
				return nil, ctx.Err()
			case !ok:
				return nil, fmt.Errorf("bookmark: all: %w", ErrClosed)
			case entry == nil:
				return all, nil
			}
			b, err := s.open(entry)
			if err != nil {
				s.log.Error("bookmark: left out", "key", entry.Key(), "error", err)
				continue
			}
			all = append(all, b)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *JetStream) open(entry jetstream.KeyValueEntry) (notifier.Bookmark, error) {
	content, err := s.sealer.Open(entry.Value(), s.place(entry.Key()))
	if err != nil {
		return notifier.Bookmark{}, fmt.Errorf("bookmark: stored bookmark: %w", err)
	}
	return unpack(content)
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

// closed names the end of the connection as the end of the store.
func closed(nc *nats.Conn, err error) error {
	if nc.IsClosed() || nc.IsDraining() {
		return ErrClosed
	}
	return err
}
