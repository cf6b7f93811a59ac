package fakeapns

import (
	"bytes"
	"io"
	"strconv"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// outbox collects the frames of a connection; its run writes what has gathered
// in one piece. Nobody who adds a frame ever waits for the client.
type outbox struct {
	mu    sync.Mutex
	ready sync.Cond
	buf   *bytes.Buffer // frames to be written
	spare *bytes.Buffer // the buffer being written
	fr    *http2.Framer // writes to buf
	enc   *hpack.Encoder
	block bytes.Buffer // header block of one answer

	// Flow control of what we send.
	window  int64 // of the connection
	initial int64 // of a new stream
	blocked []*pending

	overflow func() // frees run from a client that does not read

	ending bool // run ends when buf is empty
	dead   bool // run ends at once; frames are dropped
}

// pending is a body that waits for the client's window.
type pending struct {
	stream uint32
	body   []byte
	window int64
}

// swap lets the framer follow when the buffers change places.
type swap struct{ o *outbox }

func (s swap) Write(b []byte) (int, error) { return s.o.buf.Write(b) }

func newOutbox() *outbox {
	o := &outbox{buf: new(bytes.Buffer), spare: new(bytes.Buffer), window: windowSize, initial: windowSize}
	o.ready.L = &o.mu
	o.fr = http2.NewFramer(swap{o}, nil)
	o.enc = hpack.NewEncoder(&o.block)
	return o
}

// run writes until the outbox ended or w fails. It says whether everything was
// written.
func (o *outbox) run(w io.Writer) bool {
	for {
		o.mu.Lock()
		for o.buf.Len() == 0 && !o.ending && !o.dead {
			o.ready.Wait()
		}
		if o.dead || o.buf.Len() == 0 {
			defer o.mu.Unlock()
			return !o.dead
		}
		o.buf, o.spare = o.spare, o.buf
		o.mu.Unlock()
		_, err := w.Write(o.spare.Bytes())
		if o.spare.Cap() > outboxMax/8 {
			o.spare = new(bytes.Buffer)
		}
		o.spare.Reset()
		if err != nil {
			o.kill()
			return false
		}
	}
}

// add lets f write frames. The framer writes to memory, so it can only fail on
// frames that are wrong in themselves, which this package does not make.
func (o *outbox) add(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.dead || o.ending {
		return
	}
	f()
	if o.buf.Len() > outboxMax {
		o.dead = true
		o.overflow()
	}
	o.ready.Signal()
}

// end lets run finish with what is there.
func (o *outbox) end() {
	o.mu.Lock()
	o.ending = true
	o.mu.Unlock()
	o.ready.Signal()
}

// kill ends run without writing on.
func (o *outbox) kill() {
	o.mu.Lock()
	o.dead = true
	o.mu.Unlock()
	o.ready.Signal()
}

func (o *outbox) settings(s ...http2.Setting) { o.add(func() { _ = o.fr.WriteSettings(s...) }) }
func (o *outbox) settingsAck()                { o.add(func() { _ = o.fr.WriteSettingsAck() }) }
func (o *outbox) pong(data [8]byte)           { o.add(func() { _ = o.fr.WritePing(true, data) }) }

func (o *outbox) windowUpdate(stream, n uint32) {
	o.add(func() { _ = o.fr.WriteWindowUpdate(stream, n) })
}

func (o *outbox) reset(stream uint32, code http2.ErrCode) {
	o.add(func() { _ = o.fr.WriteRSTStream(stream, code) })
}

func (o *outbox) goAway(last uint32, code http2.ErrCode, debug []byte) {
	o.add(func() { _ = o.fr.WriteGoAway(last, code, debug) })
}

// answer writes HEADERS, and the body in one DATA frame.
func (o *outbox) answer(stream uint32, v *verdict) {
	body := v.body()
	o.add(func() {
		o.block.Reset()
		field := func(name, value string) { _ = o.enc.WriteField(hpack.HeaderField{Name: name, Value: value}) }
		field(":status", strconv.Itoa(v.status))
		field("apns-id", v.id)
		if v.uniqueID != "" {
			field("apns-unique-id", v.uniqueID)
		}
		if v.retryAfter > 0 {
			field("retry-after", strconv.Itoa(int(v.retryAfter.Seconds())))
		}
		if body != nil {
			field("content-type", v.contentType())
		}
		if v.location != "" {
			field("location", v.location)
		}
		begin := o.buf.Len()
		_ = o.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: o.block.Bytes(), EndHeaders: true, EndStream: body == nil})
		if v.half {
			o.buf.Truncate(begin + (o.buf.Len()-begin)/2)
			return
		}
		if body == nil {
			return
		}
		p := &pending{stream: stream, body: body, window: o.initial}
		if v.form == formSplit && o.window > 1 && p.window > 1 {
			_ = o.fr.WriteData(stream, false, body[:1])
			o.window, p.window, p.body = o.window-1, p.window-1, body[1:]
		}
		o.send(p)
	})
}

// send writes a body, or keeps it until the window allows all of it.
func (o *outbox) send(p *pending) {
	n := int64(len(p.body))
	if o.window < n || p.window < n {
		o.blocked = append(o.blocked, p)
		return
	}
	o.window -= n
	_ = o.fr.WriteData(p.stream, true, p.body)
}

// unblock tries again what waited for a window.
func (o *outbox) unblock() {
	waiting := o.blocked
	o.blocked = nil
	for _, p := range waiting {
		o.send(p)
	}
}

// credit is a WINDOW_UPDATE of the client.
func (o *outbox) credit(stream, n uint32) (overflow bool) {
	o.add(func() {
		if stream == 0 {
			o.window += int64(n)
			overflow = o.window > 1<<31-1
		}
		for _, p := range o.blocked {
			if p.stream == stream {
				p.window += int64(n)
			}
		}
		o.unblock()
	})
	return overflow
}

// configure follows a SETTINGS frame of the client.
func (o *outbox) configure(s http2.Setting) {
	o.add(func() {
		switch s.ID {
		case http2.SettingHeaderTableSize:
			o.enc.SetMaxDynamicTableSizeLimit(s.Val)
		case http2.SettingInitialWindowSize:
			delta := int64(s.Val) - o.initial
			o.initial = int64(s.Val)
			for _, p := range o.blocked {
				p.window += delta
			}
			o.unblock()
		}
	})
}

// forget drops what waits for a stream that the client reset.
func (o *outbox) forget(stream uint32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, p := range o.blocked {
		if p.stream == stream {
			o.blocked = append(o.blocked[:i], o.blocked[i+1:]...)
			return
		}
	}
}
