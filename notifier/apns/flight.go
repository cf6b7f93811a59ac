package apns

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sideshow/apns2"
)

// errDeadline is the cause of a context that ended by the push deadline.
var errDeadline = errors.New("apns: no answer within the push deadline")

// signError is a provider token that could not be made.
type signError struct{ error }

func (e *signError) Unwrap() error { return e.error }

// flightKey leads from a request's context to its flight: the transport hands
// its connection pool nothing but the request.
type flightKey struct{}

// flight is one push on its way through one lane. One goroutine uses it, and
// the deadline's timer.
type flight struct {
	request *Request
	cancel  context.CancelCauseFunc
	timer   *time.Timer
	expired atomic.Bool

	conn       *conn  // whose stream it holds; nil when it holds none
	last       *conn  // that it was sent on last
	sends      int    // how often it was sent
	bearer     string // provider token it was sent with
	answer     answer
	answeredBy *conn
}

// startDeadline runs from the first sending: time in the queue is the queue's
// matter.
func (f *flight) startDeadline(d time.Duration) {
	f.last = f.conn
	if f.timer == nil {
		f.timer = time.AfterFunc(d, func() {
			f.expired.Store(true)
			f.cancel(errDeadline)
		})
	}
}

func (f *flight) failure() outcome {
	if f.expired.Load() {
		return unanswered
	}
	return cut
}

// push sends r over the lane, the transport's own repeats included.
// A nil error means that f.answer holds Apple's answer.
func (l *lane) push(caller context.Context, r *Request) (*flight, error) {
	ctx, cancel := context.WithCancelCause(caller)
	defer cancel(nil)
	f := &flight{request: r, cancel: cancel}
	ctx = context.WithValue(ctx, flightKey{}, f)
	_, err := l.api.PushWithContext(ctx, &apns2.Notification{
		ApnsID:      r.ID,
		CollapseID:  r.CollapseID,
		DeviceToken: r.Token,
		Topic:       r.Topic,
		Expiration:  r.Expiration,
		Priority:    r.Priority,
		PushType:    apns2.EPushType(r.PushType),
		Payload:     emptyPayload, // RoundTrip sends the real one
	})
	if f.timer != nil {
		f.timer.Stop()
	}
	if f.answeredBy != nil {
		return f, nil
	}
	switch {
	case err == nil:
		err = errLost // not reached: without an answer apns2 has an error
	case f.expired.Load():
		err = errDeadline
	case caller.Err() != nil:
		err = caller.Err()
	case f.last != nil:
		f.last.lastWords()
		l.mu.Lock()
		because := f.last.lostBecause()
		l.mu.Unlock()
		if because != nil {
			err = because
		}
	}
	return f, redact(err, r.Token)
}

var emptyPayload = []byte("{}")

// redact takes the URL, which holds the device token, out of an error.
func redact(err error, token string) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if err != nil && strings.Contains(err.Error(), token) {
		return errors.New(strings.ReplaceAll(err.Error(), token, "<device token>"))
	}
	return err
}
