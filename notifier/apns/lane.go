//lint:file-ignore SA1019 apns2 speaks through this HTTP/2 transport, and lanes need its connection pool.

package apns

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/sideshow/apns2"
	"golang.org/x/net/http2"
)

// lane is one connection at a time and the queue before it. It is the
// transport's connection pool, so a push that the transport sends again (its
// stream was refused, or lies above the last stream of a GOAWAY) passes
// through the queue once more.
//
// Nothing is done under mu that can wait for the network.
type lane struct {
	shared    *shared
	number    int
	api       *apns2.Client
	transport *http2.Transport

	mu       sync.Mutex
	conn     *conn // nil: none
	dialing  bool
	waiting  list.List // of *waiter, first in first out
	inFlight int       // over all connections, retired ones included
	closed   bool

	failures int       // connections in a row that gave no answer
	hurried  int       // connections in a row with a short life
	dialFrom time.Time // no dial before
	down     error     // why the last connection ended or the last dial failed
	wake     *time.Timer

	open map[*conn]struct{} // every connection not closed yet, retired ones included
	stop context.CancelFunc // ends the dial under way
	work sync.WaitGroup     // dials and closes
}

// waiter is a push in the queue.
type waiter struct {
	ready chan error // buffered; nil: conn is set and a stream reserved
	conn  *conn
}

// downError says that a lane has no connection and may not dial yet.
type downError struct {
	cause error
	wait  time.Duration
}

func (e *downError) Error() string {
	return fmt.Sprintf("%v; next attempt in %s", e.cause, e.wait.Round(time.Second))
}
func (e *downError) Unwrap() error { return e.cause }

// Ends of a wait or of a connection.
var (
	errBusy    = errors.New("apns: no stream became free in time")
	errClosed  = errors.New("apns: the client is closed")
	errSilent  = errors.New("apns: several pushes in a row had no answer")
	errStuck   = errors.New("apns: the connection frees no stream")
	errRefused = errors.New("apns: the stream was refused again and again")
	errLost    = errors.New("apns: the connection was lost")
)

func newLane(s *shared, number int) *lane {
	l := &lane{shared: s, number: number, open: map[*conn]struct{}{}}
	l.transport = &http2.Transport{
		ConnPool:           l,
		DisableCompression: true,
		ReadIdleTimeout:    readIdleTimeout,
		PingTimeout:        pingTimeout,
		WriteByteTimeout:   writeByteTimeout,
	}
	l.api = &apns2.Client{
		Host: s.origin,
		HTTPClient: &http.Client{
			Transport: l,
			// A redirect would take the provider token along.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	return l
}

// GetClientConn lends the lane's connection to the push in the request's
// context, with a stream reserved. It waits in the queue for it.
// It implements [http2.ClientConnPool].
func (l *lane) GetClientConn(req *http.Request, _ string) (*http2.ClientConn, error) {
	f, ok := req.Context().Value(flightKey{}).(*flight)
	if !ok {
		return nil, errors.New("apns: request without a flight")
	}
	again := f.conn != nil
	if again {
		// Sent once and not processed: the transport asks for another try.
		last := f.conn
		l.finish(f, unprocessed)
		l.mu.Lock()
		cause := last.lostBecause()
		l.mu.Unlock()
		if identityRefused(cause) {
			return nil, cause
		}
		if f.sends >= sendsMax {
			return nil, errRefused
		}
	}
	for {
		c, err := l.acquire(req.Context(), again)
		if err != nil {
			return nil, err
		}
		if l.shared.provider != nil {
			l.mu.Lock()
			bearer, err := c.credential(l.shared.provider, time.Now())
			l.mu.Unlock()
			if err != nil {
				l.unreserve(c)
				if errors.Is(err, errTokenSpent) {
					l.replace(c, err)
					again = true
					continue
				}
				return nil, &signError{err}
			}
			f.bearer = bearer
			req.Header.Set("authorization", "bearer "+bearer)
		}
		f.conn = c
		f.sends++
		f.startDeadline(l.shared.pushTimeout)
		return c.cc, nil
	}
}

// MarkDead is told by the transport of a connection's end.
// It implements [http2.ClientConnPool].
func (l *lane) MarkDead(cc *http2.ClientConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil && l.conn.cc == cc {
		l.retire(l.conn, errLost)
		l.admit()
	}
}

// RoundTrip sends one push and reads its whole answer into the flight. To
// apns2 it hands the status and no body, because apns2 loses the status when a
// body is not JSON, cuts the timestamp to seconds and hides the headers.
func (l *lane) RoundTrip(req *http.Request) (*http.Response, error) {
	f, ok := req.Context().Value(flightKey{}).(*flight)
	if !ok {
		return nil, errors.New("apns: request without a flight")
	}
	out := req.WithContext(req.Context()) // its header was made for this push, by apns2
	// apns2 escapes <, > and & in the payload, each into six bytes; the payload
	// goes out as it was given, so that its length is what was checked.
	payload := f.request.Payload
	out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(payload)), nil }
	out.Body, _ = out.GetBody()
	out.ContentLength = int64(len(payload))
	if e := f.request.Expiration; !e.IsZero() && !e.After(time.Unix(0, 0)) {
		out.Header.Set("apns-expiration", "0") // apns2 cannot send it
	}

	resp, err := l.transport.RoundTrip(out)
	if err != nil {
		l.finish(f, f.failure())
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, answerMax))
	_ = resp.Body.Close()
	f.answer = answer{status: resp.StatusCode, id: resp.Header.Get("apns-id"), torn: err != nil}
	f.answer.retryAfter = parseRetryAfter(resp.Header.Get("Retry-After"), time.Now())
	if resp.StatusCode != http.StatusOK && err == nil {
		f.answer.reason, f.answer.timestamp = parseReason(body)
	}
	f.answeredBy = f.conn
	l.finish(f, answered)
	resp.Body = http.NoBody
	return resp, nil
}

// acquire waits for a connection with a free stream and reserves it. Pushes
// are let in in the order of their coming; first puts one before the others,
// because it was let in already.
func (l *lane) acquire(ctx context.Context, first bool) (*conn, error) {
	w := &waiter{ready: make(chan error, 1)}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, errClosed
	}
	var place *list.Element
	if first {
		place = l.waiting.PushFront(w)
	} else {
		place = l.waiting.PushBack(w)
	}
	l.admit()
	l.mu.Unlock()

	select {
	case err := <-w.ready:
		return w.conn, err
	default:
	}
	limit := time.NewTimer(waitMax * l.shared.pushTimeout)
	defer limit.Stop()
	var err error
	select {
	case err := <-w.ready:
		return w.conn, err
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-limit.C:
		err = errBusy
	}
	l.mu.Lock()
	l.waiting.Remove(place)
	l.mu.Unlock()
	select {
	case granted := <-w.ready: // let in at the last moment
		if granted == nil {
			l.unreserve(w.conn)
		}
	default:
	}
	return nil, err
}

// admit lets in from the head of the queue whatever may go now, and sees to it
// that a connection comes when there is none. Called with mu held, after
// everything that may have freed a stream.
func (l *lane) admit() {
	for l.waiting.Len() > 0 && !l.closed {
		c := l.conn
		if c == nil {
			l.dialOrRefuse()
			return
		}
		bound := c.bound(l.shared.streamsMax)
		if c.inFlight > 0 && c.inFlight >= bound {
			return // the end of one of them leads here again
		}
		if bound == 0 || !c.cc.ReserveNewRequest() {
			if l.stalled(c) {
				continue
			}
			return
		}
		c.stalled, c.poll = time.Time{}, 0
		c.inFlight++
		l.inFlight++
		w := l.waiting.Remove(l.waiting.Front()).(*waiter)
		w.conn = c
		w.ready <- nil
	}
}

// stalled handles a connection whose transport refuses a stream although the
// lane counts one as free, which is normal for a moment after each answer, and
// one whose peer allows no stream at all. Past the push deadline the
// connection is retired and stalled says true.
func (l *lane) stalled(c *conn) bool {
	now := time.Now()
	if c.stalled.IsZero() {
		c.stalled = now
	}
	if now.Sub(c.stalled) >= l.shared.pushTimeout {
		l.retire(c, errStuck)
		return true
	}
	c.poll = min(max(2*c.poll, reservePollMin), reservePollMax)
	if l.wake != nil {
		l.wake.Stop()
	}
	l.wake = time.AfterFunc(c.poll, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.waiting.Len() == 0 {
			c.stalled, c.poll = time.Time{}, 0
		}
		l.admit()
	})
	return false
}

// dialOrRefuse starts the one dial, or tells everyone who waits that none is
// due yet.
func (l *lane) dialOrRefuse() {
	if l.dialing {
		return
	}
	if wait := time.Until(l.dialFrom); wait > 0 {
		l.refuseAll(&downError{cause: l.down, wait: wait})
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	l.dialing, l.stop = true, stop
	l.work.Go(func() {
		defer stop()
		c, err := l.connect(ctx)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.dialing = false
		if err == nil {
			l.open[c] = struct{}{}
		}
		switch {
		case err != nil:
			l.failures++
			l.down = err
			l.dialFrom = time.Now().Add(backoff(l.failures))
			if !l.closed {
				l.shared.log.Warn("apns: lane cannot connect", "lane", l.number, "failures", l.failures, "error", err)
			}
		case l.closed:
			l.closeConn(c)
		default:
			l.conn = c
			l.shared.log.Info("apns: lane connected", "lane", l.number, "streams", c.streams)
			if err := c.lostBecause(); err != nil {
				l.retire(c, err)
			}
		}
		l.admit()
	})
}

// refuseAll ends every wait with err.
func (l *lane) refuseAll(err error) {
	for l.waiting.Len() > 0 {
		l.waiting.Remove(l.waiting.Front()).(*waiter).ready <- err
	}
}

// outcome is how one sending of a push ended.
type outcome uint8

const (
	answered    outcome = iota
	unanswered          // by its deadline
	cut                 // the connection or the caller gave up
	unprocessed         // refused by the transport's peer; nothing happened
)

// finish gives the flight's stream back.
func (l *lane) finish(f *flight, o outcome) {
	c := f.conn
	if c == nil {
		return
	}
	f.conn = nil
	l.mu.Lock()
	defer l.mu.Unlock()
	c.inFlight--
	l.inFlight--
	switch o {
	case answered:
		if c.answered == 0 {
			l.failures = 0
		}
		c.answered++
		c.silent = 0
	case unanswered:
		c.silent++
		if c.silent >= silentMax {
			l.retire(c, errSilent)
		}
	}
	if c.retired && c.inFlight == 0 {
		l.closeConn(c)
	}
	l.admit()
}

// replace retires the connection unless that was done already; the next push
// opens another.
func (l *lane) replace(c *conn, why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retire(c, why)
	l.admit()
}

// retire lets a connection finish what it was sent and take nothing more.
// Called with mu held.
func (l *lane) retire(c *conn, why error) {
	if c.retired {
		return
	}
	c.retired = true
	c.cc.SetDoNotReuse()
	if l.conn == c {
		now := time.Now()
		l.conn = nil
		l.down = why
		l.failures++
		if c.answered > 0 {
			l.failures = 0
		}
		l.hurried++
		if now.Sub(c.opened) >= shortLife {
			l.hurried = 0
		}
		wait := max(backoff(l.failures), min(backoff(l.hurried-shortLivesMax), hurriedMax))
		l.dialFrom = now.Add(wait)
		l.shared.log.Info("apns: lane leaves its connection", "lane", l.number, "answers", c.answered, "redial", wait.Round(time.Millisecond), "error", why)
	}
	if c.inFlight == 0 {
		l.closeConn(c)
	}
}

// closeConn closes for good, without waiting for it. Called with mu held.
func (l *lane) closeConn(c *conn) {
	if c.closing {
		return
	}
	c.closing = true
	l.work.Go(func() {
		_ = c.cc.Close()
		<-c.done
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.open, c)
	})
}

// unreserve gives back a stream that was reserved and not used. The transport
// has no other way than to start a request that is cancelled already.
func (l *lane) unreserve(c *conn) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.shared.origin, http.NoBody); err == nil {
		_, _ = c.cc.RoundTrip(req) //nolint:bodyclose // cancelled before it started
	}
	l.finish(&flight{conn: c}, unprocessed)
}

// settingsSeen is called from the connection's reader.
func (l *lane) settingsSeen(c *conn, streams uint32, named bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case named:
		c.streams = streams
	case c.streams == 0:
		c.streams = streamsUnnamed
	}
	if l.conn == c {
		l.admit()
	}
}

// goAwaySeen is called from the connection's reader.
func (l *lane) goAwaySeen(c *conn, e http2.GoAwayError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.goAway != nil && c.goAway.DebugData != "" && e.DebugData == "" {
		e.DebugData = c.goAway.DebugData
	}
	c.goAway = &e
	reason, _ := parseReason([]byte(e.DebugData))
	l.shared.log.Info("apns: GOAWAY", "lane", l.number, "code", e.ErrCode.String(), "last_stream", e.LastStreamID, "reason", reason)
	if l.conn == c {
		l.retire(c, e)
		l.admit()
	}
}

// ended is called from the connection's reader when there is nothing more to
// read.
func (l *lane) ended(c *conn, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.ended == nil {
		c.ended = fmt.Errorf("%w: %w", errLost, err)
	}
	if l.conn == c {
		l.retire(c, c.lostBecause())
		l.admit()
	}
}

// load is what choosing between lanes needs: how much is on the lane, and for
// how long it cannot dial.
func (l *lane) load() (pushes int, down time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil && !l.dialing {
		down = max(0, time.Until(l.dialFrom))
	}
	return l.inFlight + l.waiting.Len(), down
}

// shut stops admitting and ends every wait.
func (l *lane) shut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.dialing {
		l.stop()
	}
	if l.wake != nil {
		l.wake.Stop()
	}
	l.refuseAll(errClosed)
}

// cut closes every connection, whatever is in flight.
func (l *lane) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = nil
	for c := range l.open {
		c.retired = true
		l.closeConn(c)
	}
}

// backoff is the wait after n failures in a row: none, then 1 s doubled up to
// 60 s, less up to a fifth so that lanes and instances spread.
func backoff(n int) time.Duration {
	if n <= 0 {
		return 0
	}
	d := min(backoffMin<<min(n-1, 10), backoffMax)
	return d - time.Duration(rand.Int64N(int64(d)/5))
}

var _ http2.ClientConnPool = (*lane)(nil)
