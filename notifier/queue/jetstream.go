package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"mailbell/notifier"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Sealer is what the queue needs of package seal.
type Sealer interface {
	Name(value string) string
	Seal(content []byte, place string) []byte
	Open(sealed []byte, place string) ([]byte, error)
}

// StreamDefault is the stream of the pushes, and the first token of its
// subjects.
const StreamDefault = "pushes"

// Limits of the JetStream implementation.
const (
	// messageBytesMax bounds one push as stored: the payload in base64, the
	// identifiers (an item ID of 512 bytes, a mailbox of 254), the envelope.
	messageBytesMax = 16 << 10
	// BytesMaxDefault bounds the stream: a million pushes of 4 KiB.
	BytesMaxDefault = 4 << 30
	// putBatchMax bounds the publishes of one Put that are not acknowledged yet.
	putBatchMax = 256
	// stallWait bounds the wait for room among the publishes of all Puts.
	stallWait = 10 * time.Second
	// ackPendingMax bounds the pushes of one provider that are given out or wait
	// for a retry; new ones are held back beyond. It has to hold what piles up
	// while a provider refuses everything.
	ackPendingMax = 50_000
	// pullMax bounds one waiting request; the server forgets it afterwards.
	pullMax = 30 * time.Second
	// keeperEvery is how many pushes are put between two keepers, far fewer than a
	// block of the stream holds (4 MiB, some 2,000 pushes): until its next keeper a new
	// block may empty.
	keeperEvery = 64
	// Waits after a failed request.
	takeRetryMin = 50 * time.Millisecond
	takeRetryMax = 5 * time.Second
)

// JetStreamOptions describe the stream and its consumers.
type JetStreamOptions struct {
	Options
	Stream   string // "": StreamDefault
	Sealer   Sealer // required
	Replicas int    // 0: 1
	BytesMax int64  // of the stream on disk; 0: BytesMaxDefault
	// Recreate makes the consumers anew, so that what was given out or waiting
	// for a retry when the process died is due at once instead of after its wait.
	// Attempts count from 1 again. Only for a queue that no other process uses.
	Recreate bool
	Logger   *slog.Logger // nil: discard
}

// JetStream is a Queue in a work-queue stream: a push is a message on the
// subject <stream>.<provider>.<name of the device>, sealed for that subject,
// and its message ID is the push ID. Each provider has one durable pull
// consumer, which all instances share.
//
// What the dedupe window knows of pushes that were acknowledged is lost when
// the server restarts: a push put again after that goes out again, with the
// same ID.
//
// The stream always has one message more, the keeper, on the subject <stream>.keeper,
// which no consumer takes. When the last message of its newest block goes, the server
// removes the block's file and makes another; without a keeper in the block that
// would happen to a queue that is nearly empty with every single push.
//
// Put publishes without waiting in between and then waits for all
// acknowledgements. Take costs one request while there is work and two or
// three when it has to wait. Purge costs one request a provider; Depth one.
type JetStream struct {
	js        jetstream.JetStream
	stream    jetstream.Stream
	consumers map[notifier.Provider]jetstream.Consumer
	options   JetStreamOptions
	name      string
	sealer    Sealer
	log       *slog.Logger
	puts      atomic.Uint64
	keeper    atomic.Uint64 // sequence number of this process's keeper; 0: there is none
}

var _ Queue = (*JetStream)(nil)

// NewJetStream opens the stream and its consumers, which are made or brought
// to the options as needed.
func NewJetStream(ctx context.Context, js jetstream.JetStream, o JetStreamOptions) (*JetStream, error) {
	if o.Sealer == nil {
		return nil, errors.New("queue: Sealer is missing")
	}
	if o.Stream == "" {
		o.Stream = StreamDefault
	}
	if o.BytesMax <= 0 {
		o.BytesMax = BytesMaxDefault
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Options = o.Options.withDefaults()

	stream, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: o.Stream, Subjects: []string{o.Stream + ".>"},
		Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage, Replicas: max(o.Replicas, 1),
		Discard: jetstream.DiscardNew, MaxMsgs: int64(o.PushesMax) + 1, MaxBytes: o.BytesMax, MaxMsgSize: messageBytesMax,
		Duplicates: o.DedupeWindow,
	})
	if err != nil {
		return nil, fmt.Errorf("queue: stream %s: %w", o.Stream, err)
	}
	q := &JetStream{
		js: js, stream: stream, options: o, name: o.Stream, sealer: o.Sealer, log: o.Logger,
		consumers: make(map[notifier.Provider]jetstream.Consumer, len(providers)),
	}
	for _, p := range providers {
		if o.Recreate {
			if err := stream.DeleteConsumer(ctx, consumerName(p)); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
				return nil, fmt.Errorf("queue: consumer %s: %w", consumerName(p), err)
			}
		}
		if q.consumers[p], err = q.openConsumer(ctx, p); err != nil {
			return nil, err
		}
	}
	q.keep(ctx)
	if err := stream.Purge(ctx, jetstream.WithPurgeSubject(q.keeperSubject()), jetstream.WithPurgeKeep(1)); err != nil {
		return nil, fmt.Errorf("queue: keepers of former processes: %w", err)
	}
	return q, nil
}

func (q *JetStream) keeperSubject() string { return q.name + ".keeper" }

// keep puts a keeper into the newest block, and takes away the one before. A queue
// without one is slower, so that a failure is not the caller's.
func (q *JetStream) keep(ctx context.Context) {
	ack, err := q.js.Publish(ctx, q.keeperSubject(), nil)
	if err != nil {
		q.log.Debug("queue: keeper", "error", err)
		return
	}
	if before := q.keeper.Swap(ack.Sequence); before != 0 {
		if err := q.stream.DeleteMsg(ctx, before); err != nil { // another process has purged it
			q.log.Debug("queue: keeper", "error", err)
		}
	}
}

// openConsumer makes the consumer of a provider where it is missing. One that
// does not outlive the process keeps its state in memory, which spares a write
// for every delivery.
func (q *JetStream) openConsumer(ctx context.Context, p notifier.Provider) (jetstream.Consumer, error) {
	consumer, err := q.stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: consumerName(p), FilterSubject: q.name + "." + string(p) + ".*",
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: q.options.AckWait, MaxAckPending: ackPendingMax, MaxDeliver: -1,
		MemoryStorage: q.options.Recreate,
	})
	if err != nil {
		return nil, fmt.Errorf("queue: consumer %s: %w", consumerName(p), err)
	}
	return consumer, nil
}

func consumerName(p notifier.Provider) string { return "deliver-" + string(p) }

// Put implements Queue.
func (q *JetStream) Put(ctx context.Context, pushes ...notifier.Push) error {
	for _, p := range pushes {
		if err := check(p); err != nil {
			return err
		}
	}
	for batch := range slices.Chunk(pushes, putBatchMax) {
		if err := q.putBatch(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

func (q *JetStream) putBatch(ctx context.Context, pushes []notifier.Push) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	acks := make([]jetstream.PubAckFuture, 0, len(pushes))
	for _, p := range pushes {
		content, err := json.Marshal(p)
		if err != nil {
			return fmt.Errorf("queue: %w", err)
		}
		subject := q.subject(p.Provider, p.Device)
		ack, err := q.js.PublishAsync(subject, q.sealer.Seal(content, subject),
			jetstream.WithMsgID(string(p.ID)), jetstream.WithStallWait(stallWait))
		if err != nil {
			return fmt.Errorf("queue: put: %w", closed(q.js.Conn(), err))
		}
		acks = append(acks, ack)
	}
	for _, ack := range acks {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			if full(err) {
				return ErrFull
			}
			return fmt.Errorf("queue: put: %w", closed(q.js.Conn(), err))
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	n := uint64(len(pushes))
	if now := q.puts.Add(n); now/keeperEvery != (now-n)/keeperEvery {
		q.keep(ctx)
	}
	return nil
}

// Take implements Queue. Failures of the way to the server are logged and
// waited out until ctx ends, and a consumer that was removed is made again.
func (q *JetStream) Take(ctx context.Context, p notifier.Provider, max int) ([]Delivery, error) {
	if err := known(p); err != nil {
		return nil, err
	}
	max = takeBound(max)
	retry := takeRetryMin
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		taken, err := q.take(ctx, q.consumers[p], max)
		switch {
		case len(taken) > 0:
			return taken, nil
		case err == nil, ctx.Err() != nil:
			continue
		case errors.Is(closed(q.js.Conn(), err), ErrClosed):
			return nil, ErrClosed
		}
		q.log.Warn("queue: take", "provider", string(p), "again_after", retry, "error", err)
		if err := wait(ctx, time.Now().Add(retry), nil); err != nil {
			return nil, err
		}
		retry = min(2*retry, takeRetryMax)
		if _, err := q.openConsumer(ctx, p); err != nil {
			q.log.Debug("queue: take", "error", err) // the next fetch fails and says so
		}
	}
}

// take fetches what is due at once. When nothing is, it waits for the first
// push and fetches what came with it. It returns nothing after pullMax.
func (q *JetStream) take(ctx context.Context, c jetstream.Consumer, max int) ([]Delivery, error) {
	taken, err := q.fetch(c.FetchNoWait(max))
	if err != nil || len(taken) > 0 {
		return taken, err
	}
	wctx, cancel := context.WithTimeout(ctx, pullMax)
	defer cancel()
	taken, err = q.fetch(c.Fetch(1, jetstream.FetchContext(wctx)))
	if err != nil || len(taken) == 0 || max == 1 {
		return taken, err
	}
	more, err := q.fetch(c.FetchNoWait(max - 1))
	if err != nil {
		q.log.Debug("queue: take", "error", err)
	}
	return append(taken, more...), nil
}

// fetch reads a batch to its end. What arrived is returned even when the batch
// ended with an error.
func (q *JetStream) fetch(batch jetstream.MessageBatch, err error) ([]Delivery, error) {
	if err != nil {
		return nil, err
	}
	var taken []Delivery
	for msg := range batch.Messages() {
		if d := q.open(msg); d != nil {
			taken = append(taken, d)
		}
	}
	return taken, batch.Error()
}

// open makes a Delivery of a message. One that cannot be opened is nil and
// gone: it would come back for ever.
func (q *JetStream) open(msg jetstream.Msg) Delivery {
	d := &jetStreamDelivery{conn: q.js.Conn(), msg: msg}
	meta, err := msg.Metadata()
	if err == nil {
		d.attempt = int(meta.NumDelivered)
		var content []byte
		if content, err = q.sealer.Open(msg.Data(), msg.Subject()); err == nil {
			if json.Unmarshal(content, &d.push) != nil {
				err = errors.New("not a push")
			}
		}
	}
	if err != nil {
		q.log.Error("queue: a stored push is given up", "error", err)
		if err := msg.Term(); err != nil {
			q.log.Warn("queue: give up", "error", err)
		}
		return nil
	}
	return d
}

// Purge implements Queue.
func (q *JetStream) Purge(ctx context.Context, d notifier.DeviceID) error {
	for _, p := range providers {
		if err := q.stream.Purge(ctx, jetstream.WithPurgeSubject(q.subject(p, d))); err != nil {
			return fmt.Errorf("queue: purge: %w", closed(q.js.Conn(), err))
		}
	}
	return nil
}

// Depth implements Queue.
func (q *JetStream) Depth(ctx context.Context) (int, error) {
	info, err := q.stream.Info(ctx, jetstream.WithSubjectFilter(q.keeperSubject()))
	if err != nil {
		return 0, fmt.Errorf("queue: depth: %w", closed(q.js.Conn(), err))
	}
	return int(info.State.Msgs - info.State.Subjects[q.keeperSubject()]), nil
}

func (q *JetStream) subject(p notifier.Provider, d notifier.DeviceID) string {
	return q.name + "." + string(p) + "." + q.sealer.Name(string(d))
}

// jetStreamDelivery is a Delivery.
type jetStreamDelivery struct {
	conn    *nats.Conn
	msg     jetstream.Msg
	push    notifier.Push
	attempt int
}

func (d *jetStreamDelivery) Push() notifier.Push { return d.push }
func (d *jetStreamDelivery) Attempt() int        { return d.attempt }

// Ack waits until the server has removed the push.
func (d *jetStreamDelivery) Ack(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return d.ended("ack", d.msg.DoubleAck(ctx))
}

// Retry and Extend do not wait for the server: when the word is lost, the push
// comes back after AckWait.
func (d *jetStreamDelivery) Retry(ctx context.Context, after time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if after <= 0 {
		return d.ended("retry", d.msg.Nak())
	}
	return d.ended("retry", d.msg.NakWithDelay(after))
}

func (d *jetStreamDelivery) Extend(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return d.ended("extend", d.msg.InProgress())
}

func (d *jetStreamDelivery) ended(what string, err error) error {
	if err == nil || errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
		return nil
	}
	return fmt.Errorf("queue: %s: %w", what, closed(d.conn, err))
}

// full says whether the server refused a message for want of room. It names
// the reason in words only (error code 10077, "stream store failed") where a
// limit of the stream is reached.
func full(err error) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.Description {
	case "maximum messages exceeded", "maximum bytes exceeded":
		return true
	}
	return api.ErrorCode == errCodeInsufficientResources || api.ErrorCode == errCodeStorageExceeded
}

// JetStream error codes of an account that has used up its storage.
const (
	errCodeInsufficientResources jetstream.ErrorCode = 10023
	errCodeStorageExceeded       jetstream.ErrorCode = 10047
)

// closed names the end of the connection as the end of the queue.
func closed(nc *nats.Conn, err error) error {
	if nc.IsClosed() || nc.IsDraining() {
		return ErrClosed
	}
	return err
}
