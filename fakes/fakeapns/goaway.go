package fakeapns

import (
	"encoding/json"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
)

// GoAway is a way to end a connection. The zero value is a clean end: streams
// that were looked at are answered, then the connection is closed.
type GoAway struct {
	Code   http2.ErrCode
	Reason string // debug data {"reason":"…"}; empty: none
	Debug  string // debug data as it stands, in place of Reason

	// The last stream told is the highest that was looked at, unless:
	Zero  bool // 0 is told. Streams that were looked at may have been accepted all the same
	Lower int  // so many streams fewer are told, with the same consequence

	Twice bool // the frame is sent two times, as was seen
	Now   bool // the connection is closed without answers
	Never bool // the connection stays open after the answers
}

// end sends GOAWAY. Streams at or below the last one told are still answered;
// what is above is neither looked at nor answered.
func (c *conn) end(g GoAway) {
	debug := []byte(g.Debug)
	if g.Debug == "" && g.Reason != "" {
		debug, _ = json.Marshal(map[string]string{"reason": g.Reason}) // strings have a JSON form
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining || c.closed || !c.ready {
		return
	}
	c.draining, c.lingers = true, g.Never
	last := c.taken
	if below := uint32(2 * g.Lower); g.Zero || below > last {
		last = 0
	} else {
		last -= below
	}
	c.out.goAway(last, g.Code, debug)
	if g.Twice {
		c.out.goAway(last, g.Code, debug)
	}
	for id := range c.streams {
		if id > last || g.Now {
			delete(c.streams, id)
		}
	}
	c.finish()
	c.s.count(func(st *Stats) { st.GoAways++ })
}

// codeOf reads an error code by its number or its name (RFC 9113 "Error
// Codes"), REFUSED_STREAM.
func codeOf(s string, otherwise http2.ErrCode) http2.ErrCode {
	if n, err := strconv.ParseUint(s, 10, 32); err == nil {
		return http2.ErrCode(n)
	}
	for code := http2.ErrCodeNo; code <= http2.ErrCodeHTTP11Required; code++ {
		if strings.EqualFold(s, code.String()) {
			return code
		}
	}
	return otherwise
}
