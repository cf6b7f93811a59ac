package ews

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// How a stream ends, besides io.EOF, refusals and bad answers. After each of
// them events may be lost: the server takes what it has written for delivered.
var (
	// ErrStreamCut: the stream ended before it said that it would.
	ErrStreamCut = errors.New("ews: stream cut")
	// ErrStreamSilent: nothing came for SilenceMax, not even a heartbeat.
	ErrStreamSilent = errors.New("ews: stream silent")
	// ErrStreamClosed: Close was called.
	ErrStreamClosed = errors.New("ews: stream closed")
)

// Stream is an open GetStreamingEvents. Next is for one goroutine at a time;
// Close is for any.
type Stream struct {
	ctx    context.Context // of the request: its cause is why the stream was ended from this side
	cancel context.CancelCauseFunc
	resp   *http.Response
	body   *watchedBody
	scan   *scanner
	known  map[string]SubscriptionID

	queue  []StreamMessage // of the envelope read last
	next   int             // in queue: the next to be handed out
	closed bool            // Closed was read
	begun  bool            // an envelope was read
	err    error           // how it ended

	closing sync.Once
}

func newStream(ctx context.Context, cancel context.CancelCauseFunc, resp *http.Response, q StreamRequest) *Stream {
	st := &Stream{ctx: ctx, cancel: cancel, resp: resp, known: make(map[string]SubscriptionID, len(q.Subscriptions))}
	for _, id := range q.Subscriptions {
		st.known[string(id)] = id
	}
	st.body = watchBody(resp.Body, q.SilenceMax, func() { cancel(ErrStreamSilent) })
	st.scan = scanStream(st.body, EnvelopeSizeMax)
	return st
}

// Next waits for the next message. Messages are handed out as soon as their
// envelope is whole. At the end it returns
//
//   - io.EOF after a message that said Closed,
//   - ErrStreamCut, perhaps with what the connection said, when it ended
//     otherwise,
//   - ErrStreamSilent when no byte came for SilenceMax while Next waited,
//   - ErrStreamClosed after Close, or the cause that the context ended with,
//   - a *ResponseError for a SOAP fault, an *HTTPError for a page, a
//     *SyntaxError for other nonsense,
//
// and the same from then on.
func (st *Stream) Next() (StreamMessage, error) {
	for st.next == len(st.queue) {
		if st.err == nil {
			clear(st.queue)
			st.queue, st.next = st.queue[:0], 0
			st.err = st.read()
		}
		if st.err != nil {
			st.queue, st.next = nil, 0 // of half an envelope nothing counts
			st.release(st.err)
			return StreamMessage{}, st.err
		}
	}
	m := st.queue[st.next]
	st.next++
	return m, nil
}

// Close ends the stream, also under a Next that waits. The server notices at
// its next write only; the subscriptions live on.
func (st *Stream) Close() error {
	st.release(ErrStreamClosed)
	return nil
}

// release frees the connection. The context goes first: that unblocks a read in
// every transport.
func (st *Stream) release(why error) {
	st.closing.Do(func() {
		if why != io.EOF { // else the connection can be used again
			st.cancel(why)
		}
		_ = st.resp.Body.Close()
		st.cancel(why)
	})
}

// read reads one envelope into the queue, which is empty.
func (st *Stream) read() error {
	fault, _ := envelope(st.scan, opStream+"Response", func(s *scanner) {
		st.queue = append(st.queue, readStreamMessage(s, st.known))
	})
	if err := st.scan.err; err != nil {
		return st.ending(err)
	}
	if fault != nil {
		fault.Operation, fault.HTTPStatus = opStream, st.resp.StatusCode
		return fault
	}
	st.begun = true
	for _, m := range st.queue {
		if m.Status == Closed {
			st.closed = true
			st.body.silenceMax = min(st.body.silenceMax, closedGraceMax)
		}
	}
	return nil
}

// ending is what an error of reading means.
func (st *Stream) ending(err error) error {
	cause := context.Cause(st.ctx)
	switch {
	case cause == ErrStreamClosed:
		return ErrStreamClosed
	case st.closed && (cause == nil || cause == ErrStreamSilent):
		return io.EOF // it ended as announced; how the connection ended is no matter
	case cause == ErrStreamSilent:
		return ErrStreamSilent
	case cause != nil:
		return fmt.Errorf("ews: %s: %w", opStream, cause)
	case err == io.EOF:
		return ErrStreamCut
	}
	if _, ok := errors.AsType[*SyntaxError](err); ok {
		if !st.begun && (looksHTML(st.scan.buf) || strings.HasPrefix(st.resp.Header.Get("Content-Type"), "text/html")) {
			return newHTTPError(opStream, st.resp, true)
		}
		return syntaxError(opStream, err)
	}
	return fmt.Errorf("%w: %w", ErrStreamCut, err)
}

// watchedBody is a body whose reads may not take longer than silenceMax.
// Between reads no time counts: a reader that is busy is not a server that is
// silent.
type watchedBody struct {
	body       io.Reader
	silenceMax time.Duration
	watchdog   *time.Timer
}

func watchBody(body io.Reader, silenceMax time.Duration, silent func()) *watchedBody {
	w := &watchedBody{body: body, silenceMax: silenceMax, watchdog: time.AfterFunc(silenceMax, silent)}
	w.watchdog.Stop()
	return w
}

func (w *watchedBody) Read(p []byte) (int, error) {
	w.watchdog.Reset(w.silenceMax)
	n, err := w.body.Read(p)
	w.watchdog.Stop()
	return n, err
}
