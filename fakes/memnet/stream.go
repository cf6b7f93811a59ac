package memnet

import (
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

var (
	errEOF      = io.EOF
	errReset    = os.NewSyscallError("read", syscall.ECONNRESET)
	errShutDown = os.NewSyscallError("write", syscall.EPIPE)
)

// stream is one direction of a connection: written at one end, read at the
// other. Everybody who waits does so on changed.
type stream struct {
	bufferMax   int // arrived and unread
	flightMax   int // sent and unread
	fragmentMax int
	latency     time.Duration
	jitter      time.Duration
	bandwidth   int // bytes a second; 0: no limit
	stallOneIn  int
	stall       time.Duration

	mu       sync.Mutex
	changed  sync.Cond
	random   *rand.Rand // nil unless something is drawn
	segments []segment  // in order of arrival
	size     int        // bytes in segments
	ready    int        // bytes of the first readyN segments, which have arrived
	readyN   int
	lastDue  time.Time // when the newest segment arrives
	sent     time.Time // when the line is free again
	held     bool      // nothing gets through

	writerErr  error     // the writing end is closed: what its writes return
	finDue     time.Time // when the reader learns of that
	readerGone bool      // the reading end is closed
	err        error     // reset

	readDeadline, writeDeadline deadline
}

// segment is bytes that arrive together, or a piece of them.
type segment struct {
	due  time.Time
	data []byte
	part *part // whose bytes data is of; nil: they are its own
}

// part is memory for segments, used again and again.
type part [partBytes]byte

// partBytes holds most of what is written at once; more is allocated.
const partBytes = 4096

var parts = sync.Pool{New: func() any { return new(part) }}

func newSegment(due time.Time, b []byte) segment {
	if len(b) > partBytes {
		return segment{due: due, data: append([]byte(nil), b...)}
	}
	p := parts.Get().(*part) // New makes nothing else
	return segment{due: due, data: append(p[:0], b...), part: p}
}

func (s *segment) recycle() {
	if s.part != nil {
		parts.Put(s.part)
	}
	*s = segment{}
}

// deadline is one of the two of a stream.
type deadline struct {
	timer   *time.Timer
	set     uint64 // how often it was set: an old timer knows it is one
	expired bool
}

func newStream(o Options, number uint64, direction uint64) *stream {
	s := &stream{
		bufferMax: o.BufferBytes, flightMax: max(o.BufferBytes, FlightBytesMax), fragmentMax: o.FragmentMax,
		latency: o.Latency, jitter: o.Jitter, bandwidth: o.Bandwidth, stallOneIn: o.StallOneIn, stall: o.Stall,
	}
	s.changed.L = &s.mu
	if o.Jitter > 0 || o.FragmentMax > 0 || o.StallOneIn > 0 {
		s.random = rand.New(rand.NewPCG(uint64(o.Seed), number<<1|direction))
	}
	return s
}

// read returns what has arrived, waiting for the first byte.
func (s *stream) read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.readerGone:
			return 0, net.ErrClosed
		case s.readDeadline.expired:
			return 0, os.ErrDeadlineExceeded
		case s.err != nil:
			return 0, s.err
		case len(b) == 0:
			return 0, nil
		}
		var due time.Time
		if !s.held {
			switch {
			case len(s.segments) > 0:
				if due = s.segments[0].due; arrived(due) {
					return s.consume(b), nil
				}
			case s.writerErr != nil:
				if due = s.finDue; arrived(due) {
					return 0, errEOF
				}
			}
		}
		s.waitUntil(due)
	}
}

// consume copies arrived segments into b.
func (s *stream) consume(b []byte) int {
	if s.fragmentMax > 0 {
		b = b[:min(len(b), 1+s.random.IntN(s.fragmentMax))]
	}
	s.advance()
	n := 0
	for n < len(b) && s.readyN > 0 {
		head := &s.segments[0]
		k := copy(b[n:], head.data)
		n += k
		if head.data = head.data[k:]; len(head.data) == 0 {
			head.recycle()
			s.segments = s.segments[1:]
			s.readyN--
		}
	}
	if len(s.segments) == 0 {
		s.segments = nil
	}
	s.size -= n
	s.ready -= n
	s.changed.Broadcast()
	return n
}

// write puts b under way, waiting for room.
func (s *stream) write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for {
		switch {
		case s.writerErr != nil:
			return n, s.writerErr
		case s.writeDeadline.expired:
			return n, os.ErrDeadlineExceeded
		case s.err != nil:
			return n, s.err
		case s.readerGone && !s.held: // in a silence the writer does not learn of it
			return n, errShutDown
		case n == len(b):
			return n, nil
		}
		s.advance()
		if room := min(s.bufferMax-s.ready, s.flightMax-s.size); room > 0 {
			k := min(room, len(b)-n)
			s.append(b[n : n+k])
			n += k
			continue
		}
		s.changed.Wait()
	}
}

// append adds a segment, or lengthens the last one if both arrive together.
func (s *stream) append(b []byte) {
	due := s.arrival(len(b))
	if last := len(s.segments) - 1; last >= 0 && s.segments[last].due.Equal(due) && len(b) <= cap(s.segments[last].data)-len(s.segments[last].data) {
		s.segments[last].data = append(s.segments[last].data, b...)
		if s.readyN > last {
			s.ready += len(b)
		}
	} else {
		s.segments = append(s.segments, newSegment(due, b))
	}
	s.size += len(b)
	s.changed.Broadcast()
}

// advance counts the segments that have arrived by now.
func (s *stream) advance() {
	for s.readyN < len(s.segments) && arrived(s.segments[s.readyN].due) {
		s.ready += len(s.segments[s.readyN].data)
		s.readyN++
	}
}

// drop throws away what was under way.
func (s *stream) drop() {
	for i := range s.segments {
		s.segments[i].recycle()
	}
	s.segments, s.size, s.ready, s.readyN = nil, 0, 0, 0
}

// arrival is when so many bytes, sent now, arrive: never before what was sent
// earlier. Zero is at once.
func (s *stream) arrival(bytes int) time.Time {
	d := s.latency
	if s.jitter > 0 {
		d += time.Duration(s.random.Int64N(int64(s.jitter) + 1))
	}
	if s.stallOneIn > 0 && bytes > 0 && s.random.IntN(s.stallOneIn) == 0 {
		d += s.stall
	}
	if s.bandwidth > 0 {
		if now := time.Now(); s.sent.Before(now) {
			s.sent = now
		}
		s.sent = s.sent.Add(time.Duration(bytes) * time.Second / time.Duration(s.bandwidth))
		d += time.Until(s.sent)
	}
	if d == 0 && s.lastDue.IsZero() {
		return time.Time{}
	}
	if due := time.Now().Add(d); due.After(s.lastDue) {
		s.lastDue = due
	}
	return s.lastDue
}

func arrived(due time.Time) bool { return due.IsZero() || !time.Now().Before(due) }

// waitUntil waits for a change, or for due unless it is zero.
func (s *stream) waitUntil(due time.Time) {
	if !due.IsZero() {
		t := time.AfterFunc(time.Until(due), s.wake)
		defer t.Stop()
	}
	s.changed.Wait()
}

func (s *stream) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed.Broadcast()
}

// closeWriter ends the stream at its writing end; later writes return err.
func (s *stream) closeWriter(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writerErr == nil {
		s.finDue = s.arrival(0)
	}
	s.writerErr = err
	s.writeDeadline.stop()
	s.changed.Broadcast()
}

// closeReader ends it at the other end, and drops what was under way.
func (s *stream) closeReader() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readerGone = true
	s.drop()
	s.readDeadline.stop()
	s.changed.Broadcast()
}

func (s *stream) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = errReset
	s.drop()
	s.changed.Broadcast()
}

func (s *stream) hold(held bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = held
	s.changed.Broadcast()
}

// setDeadline sets d, one of the stream's deadlines. The zero time removes it.
func (s *stream) setDeadline(d *deadline, t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if (d == &s.readDeadline && s.readerGone) || (d == &s.writeDeadline && s.writerErr == net.ErrClosed) {
		return net.ErrClosed
	}
	d.stop()
	d.set++
	d.expired = false
	if !t.IsZero() {
		if left := time.Until(t); left <= 0 {
			d.expired = true
		} else {
			set := d.set
			d.timer = time.AfterFunc(left, func() { s.expire(d, set) })
		}
	}
	s.changed.Broadcast()
	return nil
}

func (s *stream) expire(d *deadline, set uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.set == set {
		d.expired = true
		s.changed.Broadcast()
	}
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
