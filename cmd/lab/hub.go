package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// Limits of the hub.
const (
	pastMax        = 1000 // events kept for new pages
	subscribersMax = 64   // pages at a time
	backlogMax     = 256  // events a slow page may be behind
)

// Errors of subscribe.
var (
	errTooManyPages = fmt.Errorf("%d pages are open already; close one", subscribersMax)
	errHubClosed    = errors.New("the lab ends")
)

// hub spreads events to all pages and repeats the recent past to new ones. An
// event has an ID, so that a page which lost its connection is told only what
// it missed. Safe for concurrent use.
type hub struct {
	epoch string // of this run: IDs of another one mean nothing here

	mu     sync.Mutex
	past   []frame // oldest first
	last   uint64  // sequence number of the newest event
	state  frame   // the newest state; not part of the past
	subs   map[*subscription]bool
	closed bool
}

// frame is an event as it goes over the wire.
type frame struct {
	seq  uint64 // 0: without an ID
	text []byte
}

// subscription is one page's place in the hub.
type subscription struct {
	// Past is what the page is to be told first.
	Past []frame
	// Frames follow. The channel is closed when the hub ends, or when the page
	// was too slow; it may come back then.
	Frames chan frame
}

func newHub() *hub {
	return &hub{epoch: strings.ToLower(rand.Text()[:8]), subs: map[*subscription]bool{}}
}

// Publish tells all pages.
func (h *hub) Publish(events ...event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range events {
		h.last++
		f := frame{h.last, encode(e, h.id(h.last))}
		h.past = append(h.past, f)
		if len(h.past) > pastMax {
			h.past = append([]frame(nil), h.past[len(h.past)-pastMax*3/4:]...)
		}
		h.send(f)
	}
}

// State tells all pages how things stand now, unless it is as before.
func (h *hub) State(s stateEvent) {
	f := frame{0, encode(s, "")}
	h.mu.Lock()
	defer h.mu.Unlock()
	if bytes.Equal(f.text, h.state.text) {
		return
	}
	h.state = f
	h.send(f)
}

// send hands a frame to everybody. Called with mu held.
func (h *hub) send(f frame) {
	for s := range h.subs {
		select {
		case s.Frames <- f:
		default:
			delete(h.subs, s)
			close(s.Frames)
		}
	}
}

// Subscribe gives a page its place. after is the ID of the last event it knows,
// or empty.
func (h *hub) Subscribe(after string) (*subscription, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil, errHubClosed
	case len(h.subs) >= subscribersMax:
		return nil, errTooManyPages
	}
	s := &subscription{Frames: make(chan frame, backlogMax)}
	known := h.known(after)
	if known == 0 {
		s.Past = append(s.Past, frame{0, encode(resetEvent{}, "")})
	}
	if h.state.text != nil {
		s.Past = append(s.Past, h.state)
	}
	for _, f := range h.past {
		if f.seq > known {
			s.Past = append(s.Past, f)
		}
	}
	h.subs[s] = true
	return s, nil
}

// known is the sequence number up to which a page knows everything; 0 when it
// has to begin anew.
func (h *hub) known(after string) uint64 {
	epoch, number, _ := strings.Cut(after, "-")
	seq, err := strconv.ParseUint(number, 10, 64)
	if err != nil || epoch != h.epoch || seq > h.last || len(h.past) > 0 && seq+1 < h.past[0].seq {
		return 0
	}
	return seq
}

// Unsubscribe gives the place back.
func (h *hub) Unsubscribe(s *subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subs, s)
}

// Close ends all subscriptions; there are no more.
func (h *hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for s := range h.subs {
		delete(h.subs, s)
		close(s.Frames)
	}
}

func (h *hub) id(seq uint64) string { return h.epoch + "-" + strconv.FormatUint(seq, 10) }

// encode is an event in the form of HTML Living Standard, "Server-sent events".
// JSON has no line breaks, so it is one data field.
func encode(e event, id string) []byte {
	data, err := json.Marshal(e)
	if err != nil {
		panic("lab: " + err.Error()) // events are strings and numbers
	}
	var b bytes.Buffer
	if id != "" {
		b.WriteString("id: " + id + "\n")
	}
	b.WriteString("event: " + e.name() + "\ndata: ")
	b.Write(data)
	b.WriteString("\n\n")
	return b.Bytes()
}
