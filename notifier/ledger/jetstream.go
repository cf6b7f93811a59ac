package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"mailbell/notifier"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Sealer is what the ledger needs of package seal.
type Sealer interface {
	Name(value string) string
	Seal(content []byte, place string) []byte
	Open(sealed []byte, place string) ([]byte, error)
}

// StreamDefault is the stream of the receipts, and the first token of its
// subjects.
const StreamDefault = "receipts"

// Limits of the JetStream implementation.
const (
	// BytesMaxDefault bounds the stream: three million receipts of 700 bytes.
	BytesMaxDefault = 2 << 30
	// messageBytesMax bounds one receipt as stored: the item ID of 512 bytes, the
	// mailbox, the provider's reason.
	messageBytesMax = 8 << 10
	// appendBatchMax bounds the publishes of one Append that are not acknowledged
	// yet.
	appendBatchMax = 256
	// stallWait bounds the wait for room among the publishes of all Appends.
	stallWait = 10 * time.Second
	// readBatchMax bounds the receipts asked for at once.
	readBatchMax = 500
	// readerLifetime is when the server forgets a reader that was not removed.
	readerLifetime = time.Minute
)

var errIncomplete = errors.New("the server did not give all receipts in time")

// JetStreamOptions describe the stream.
type JetStreamOptions struct {
	Stream   string        // "": StreamDefault
	Sealer   Sealer        // required
	Replicas int           // 0: 1
	Age      time.Duration // how long receipts are kept; 0: AgeDefault
	BytesMax int64         // of the stream on disk; 0: BytesMaxDefault. Beyond, the oldest go.
	Logger   *slog.Logger  // nil: discard
}

// JetStream is a Store in a stream with limits: a receipt is a message on the
// subject <stream>.<name of the mailbox>.<name of the device>, sealed for that
// subject.
//
// Reading goes forward through the receipts of the device or mailbox and keeps
// the last ones, because a stream can be filtered but not read backwards. It
// costs one short-lived consumer and the transfer of all receipts kept: at most
// KeptMax for a device (a few milliseconds inside the process) and KeptMax for
// each device of a mailbox. Only those returned are opened.
type JetStream struct {
	js     jetstream.JetStream
	stream jetstream.Stream
	name   string
	sealer Sealer
	log    *slog.Logger
}

var _ Store = (*JetStream)(nil)

// NewJetStream opens the stream, which is made or brought to the options as
// needed.
func NewJetStream(ctx context.Context, js jetstream.JetStream, o JetStreamOptions) (*JetStream, error) {
	if o.Sealer == nil {
		return nil, errors.New("ledger: Sealer is missing")
	}
	if o.Stream == "" {
		o.Stream = StreamDefault
	}
	if o.Age <= 0 {
		o.Age = AgeDefault
	}
	if o.BytesMax <= 0 {
		o.BytesMax = BytesMaxDefault
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	stream, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: o.Stream, Subjects: []string{o.Stream + ".*.*"},
		Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Replicas: max(o.Replicas, 1),
		Discard: jetstream.DiscardOld, MaxAge: o.Age, MaxBytes: o.BytesMax, MaxMsgsPerSubject: KeptMax, MaxMsgSize: messageBytesMax,
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: stream %s: %w", o.Stream, err)
	}
	return &JetStream{js: js, stream: stream, name: o.Stream, sealer: o.Sealer, log: o.Logger}, nil
}

// Append implements Store. It publishes without waiting in between and then
// waits for all acknowledgements.
func (s *JetStream) Append(ctx context.Context, receipts ...notifier.Receipt) error {
	for _, r := range receipts {
		if err := check(r); err != nil {
			return err
		}
	}
	for batch := range slices.Chunk(receipts, appendBatchMax) {
		if err := s.appendBatch(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

func (s *JetStream) appendBatch(ctx context.Context, receipts []notifier.Receipt) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	acks := make([]jetstream.PubAckFuture, 0, len(receipts))
	for _, r := range receipts {
		content, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
		subject := s.name + "." + s.sealer.Name(string(r.Mailbox)) + "." + s.sealer.Name(string(r.Device))
		ack, err := s.js.PublishAsync(subject, s.sealer.Seal(content, subject), jetstream.WithStallWait(stallWait))
		if err != nil {
			return fmt.Errorf("ledger: append: %w", closed(s.js.Conn(), err))
		}
		acks = append(acks, ack)
	}
	for _, ack := range acks {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			return fmt.Errorf("ledger: append: %w", closed(s.js.Conn(), err))
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Device implements Store.
func (s *JetStream) Device(ctx context.Context, d notifier.DeviceID, limit int) ([]notifier.Receipt, error) {
	return s.read(ctx, s.name+".*."+s.sealer.Name(string(d)), readBound(limit))
}

// Mailbox implements Store.
func (s *JetStream) Mailbox(ctx context.Context, m notifier.Mailbox, limit int) ([]notifier.Receipt, error) {
	return s.read(ctx, s.name+"."+s.sealer.Name(string(m))+".*", readBound(limit))
}

// read returns the last receipts of a filter, newest first. One that cannot be
// opened is logged and left out.
func (s *JetStream) read(ctx context.Context, filter string, limit int) ([]notifier.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	last, err := s.last(ctx, filter, limit)
	if err != nil {
		return nil, fmt.Errorf("ledger: read: %w", closed(s.js.Conn(), err))
	}
	receipts := make([]notifier.Receipt, 0, len(last))
	for _, msg := range slices.Backward(last) {
		r, err := s.open(msg)
		if err != nil {
			s.log.Error("ledger: receipt left out", "error", err)
			continue
		}
		receipts = append(receipts, r)
	}
	return receipts, nil
}

// last reads all messages of a filter and keeps the last ones, oldest first.
func (s *JetStream) last(ctx context.Context, filter string, limit int) ([]jetstream.Msg, error) {
	reader, err := s.stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		FilterSubject: filter, AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverAllPolicy,
		MemoryStorage: true, InactiveThreshold: readerLifetime, Replicas: 1,
	})
	if err != nil {
		return nil, err
	}
	info := reader.CachedInfo()
	defer func() {
		// The answer does not depend on it, and the server forgets the reader
		// by itself in the end.
		_ = s.stream.DeleteConsumer(context.WithoutCancel(ctx), info.Name)
	}()

	var last []jetstream.Msg
	for left := info.NumPending; left > 0; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		batch, err := reader.FetchNoWait(int(min(left, readBatchMax)))
		if err != nil {
			return nil, err
		}
		got := uint64(0)
		for msg := range batch.Messages() {
			got++
			last = append(last, msg)
			if len(last) >= 2*limit { // trim now and then, not for every message
				last = slices.Delete(last, 0, len(last)-limit)
			}
		}
		if err := batch.Error(); err != nil {
			return nil, err
		}
		if got == 0 {
			// Either the rest was removed by a limit meanwhile, or the server
			// did not answer in time.
			info, err := reader.Info(ctx)
			if err != nil {
				return nil, err
			}
			if info.NumPending > 0 {
				return nil, errIncomplete
			}
			break
		}
		left -= min(got, left)
	}
	return last[max(len(last)-limit, 0):], nil
}

func (s *JetStream) open(msg jetstream.Msg) (notifier.Receipt, error) {
	var r notifier.Receipt
	content, err := s.sealer.Open(msg.Data(), msg.Subject())
	if err != nil {
		return r, fmt.Errorf("stored receipt: %w", err)
	}
	if err := json.Unmarshal(content, &r); err != nil {
		return notifier.Receipt{}, errors.New("stored receipt is not one")
	}
	return r, nil
}

// closed names the end of the connection as the end of the ledger.
func closed(nc *nats.Conn, err error) error {
	if nc.IsClosed() || nc.IsDraining() {
		return ErrClosed
	}
	return err
}
