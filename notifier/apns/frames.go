//lint:file-ignore SA1019 apns2 speaks through this HTTP/2 transport, and lanes need its connection pool.

package apns

import (
	"encoding/binary"
	"math"

	"golang.org/x/net/http2"
)

// frameHeadLen is the length of a frame header (RFC 9113 "Frame Format").
const frameHeadLen = 9

// frameScanner reads along with the transport and reports the frames that
// speak of the connection itself: SETTINGS and GOAWAY. The transport's own
// view of them is behind its write lock, which a peer that stops reading can
// hold up, and it forgets a GOAWAY whose streams it sends again.
type frameScanner struct {
	head    [frameHeadLen]byte
	have    int // bytes of head
	left    int // bytes of payload to come
	kept    bool
	payload []byte

	settings func(streams uint32, named bool)
	goAway   func(http2.GoAwayError)
}

// feed takes the next bytes of the stream, however they are cut.
func (s *frameScanner) feed(b []byte) {
	for len(b) > 0 {
		if s.have < frameHeadLen {
			n := copy(s.head[s.have:], b)
			s.have += n
			b = b[n:]
			if s.have < frameHeadLen {
				return
			}
			s.left = int(s.head[0])<<16 | int(s.head[1])<<8 | int(s.head[2])
			s.kept = s.isConnectionFrame()
			s.payload = s.payload[:0]
		}
		n := min(s.left, len(b))
		if s.kept {
			s.payload = append(s.payload, b[:min(n, frameNoteMax-len(s.payload))]...)
		}
		s.left -= n
		b = b[n:]
		if s.left == 0 {
			if s.kept {
				s.report()
			}
			s.have = 0
		}
	}
}

func (s *frameScanner) isConnectionFrame() bool {
	if binary.BigEndian.Uint32(s.head[5:])&math.MaxInt32 != 0 {
		return false
	}
	switch http2.FrameType(s.head[3]) {
	case http2.FrameSettings:
		return !http2.Flags(s.head[4]).Has(http2.FlagSettingsAck)
	case http2.FrameGoAway:
		return true
	}
	return false
}

func (s *frameScanner) report() {
	switch http2.FrameType(s.head[3]) {
	case http2.FrameSettings:
		const settingLen = 6
		var streams uint32
		named := false
		for p := s.payload; len(p) >= settingLen; p = p[settingLen:] {
			if http2.SettingID(binary.BigEndian.Uint16(p)) == http2.SettingMaxConcurrentStreams {
				streams, named = binary.BigEndian.Uint32(p[2:]), true
			}
		}
		s.settings(streams, named)
	case http2.FrameGoAway:
		const fixedLen = 8
		if len(s.payload) < fixedLen {
			return
		}
		s.goAway(http2.GoAwayError{
			LastStreamID: binary.BigEndian.Uint32(s.payload) & math.MaxInt32,
			ErrCode:      http2.ErrCode(binary.BigEndian.Uint32(s.payload[4:])),
			DebugData:    string(s.payload[fixedLen:]),
		})
	}
}
