package wns

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
	"unicode/utf8"
)

// Type is the kind of notification.
type Type uint8

// The kinds of notification. Badge and Tile need an app with Partner Center
// identity.
const (
	Toast Type = iota + 1
	Badge
	Tile
	Raw
)

// String is the name as X-WNS-Type has it, without "wns/".
func (t Type) String() string {
	switch t {
	case Toast:
		return "toast"
	case Badge:
		return "badge"
	case Tile:
		return "tile"
	case Raw:
		return "raw"
	}
	return fmt.Sprintf("type(%d)", uint8(t))
}

// Request is one notification. It is not changed and may be sent again.
type Request struct {
	Channel  string        // channel URI, byte for byte as the device gave it
	Type     Type          // Toast, Badge, Tile or Raw
	Body     []byte        // XML with the root element of the type, or any bytes for Raw; 1 to BodyMax bytes
	TTL      time.Duration // after it the device shows nothing; 0: WNS's policy; counted in whole seconds, upwards
	Tag      string        // toast and tile: at most TagMax letters and digits; the same tag replaces
	Group    string        // toast: likewise
	Priority int           // 1 high to 4 very low; 0: WNS's default for the type
}

// check refuses what WNS would refuse, and XML that WNS would accept and the
// device drop without a word. It quotes neither the channel nor the body.
func (r *Request) check(kind AppKind) (*url.URL, error) {
	u, err := parseChannel(r.Channel)
	if err != nil {
		return nil, err
	}
	fail := func(field, format string, a ...any) error {
		return fmt.Errorf("wns: request: %s: %s", field, fmt.Sprintf(format, a...))
	}
	switch {
	case r.Type < Toast || r.Type > Raw:
		return nil, fail("Type", "want Toast, Badge, Tile or Raw")
	case kind == Entra && (r.Type == Badge || r.Type == Tile):
		return nil, errBadge
	case len(r.Body) == 0:
		return nil, fail("Body", "empty")
	case len(r.Body) > BodyMax:
		return nil, fail("Body", "%d bytes, at most %d", len(r.Body), BodyMax)
	case r.TTL < 0 || r.TTL > TTLMax:
		return nil, fail("TTL", "%s, want 0 to %s", r.TTL, TTLMax)
	case !isTag(r.Tag):
		return nil, fail("Tag", "want at most %d letters and digits", TagMax)
	case !isTag(r.Group):
		return nil, fail("Group", "want at most %d letters and digits", TagMax)
	case r.Priority < 0 || r.Priority > 4:
		return nil, fail("Priority", "%d, want 1 to 4, or 0", r.Priority)
	}
	if r.Type != Raw {
		if err := checkXML(r.Body, r.Type.String()); err != nil {
			return nil, fail("Body", "%v", err)
		}
	}
	return u, nil
}

func isTag(s string) bool {
	if len(s) > TagMax {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// checkXML wants one well-formed element of the given name and no DOCTYPE. Its
// errors do not quote the body.
func checkXML(body []byte, root string) error {
	if !utf8.Valid(body) {
		return errors.New("not UTF-8")
	}
	d := xml.NewDecoder(bytes.NewReader(body))
	var open []xml.Name
	roots := 0
	for { // RawToken does not match end tags with start tags, and costs half of Token
		token, err := d.RawToken()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("not well-formed XML near byte %d", d.InputOffset())
		}
		switch t := token.(type) {
		case xml.StartElement:
			if len(open) == 0 {
				roots++
				if t.Name.Local != root || t.Name.Space != "" {
					return fmt.Errorf("the root element is not <%s>", root)
				}
			}
			open = append(open, t.Name)
		case xml.EndElement:
			last := len(open) - 1
			if last < 0 || open[last] != t.Name {
				return fmt.Errorf("not well-formed XML near byte %d", d.InputOffset())
			}
			open = open[:last]
		case xml.Directive:
			return errors.New("a DOCTYPE is not allowed")
		case xml.CharData:
			if len(open) == 0 && len(bytes.TrimSpace(t)) > 0 {
				return errors.New("text outside the root element")
			}
		}
	}
	if len(open) != 0 || roots != 1 {
		return fmt.Errorf("want exactly one <%s> element", root)
	}
	return nil
}

// header writes the headers of the request (WNS "Push notification service
// request and response headers"), save Authorization.
func (r *Request) header(h http.Header) error {
	h.Set("X-WNS-Type", "wns/"+r.Type.String())
	h.Set("X-WNS-RequestForStatus", "true")
	if r.Type == Raw {
		h.Set("Content-Type", "application/octet-stream")
	} else {
		h.Set("Content-Type", "text/xml")
	}
	if r.TTL > 0 {
		// A TTL of 0 contradicts caching, which is the default for badge and
		// tile; a TTL above 0 contradicts no-cache, which is the default for raw.
		// Either is a 400.
		h.Set("X-WNS-TTL", strconv.FormatInt(int64((r.TTL+time.Second-1)/time.Second), 10))
		if r.Type == Raw {
			h.Set("X-WNS-Cache-Policy", "cache")
		}
	}
	if r.Tag != "" && (r.Type == Toast || r.Type == Tile) {
		h.Set("X-WNS-Tag", r.Tag)
	}
	if r.Group != "" && r.Type == Toast {
		h.Set("X-WNS-Group", r.Group)
	}
	if r.Priority != 0 {
		h.Set("X-WNS-PRIORITY", strconv.Itoa(r.Priority))
	}
	cv, err := newCV()
	if err != nil {
		return err
	}
	h.Set("MS-CV", cv)
	return nil
}

// newCV begins a correlation vector: 22 characters of base64 and a counter
// (Microsoft "Correlation Vector 2.1").
func newCV() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	return base64.RawStdEncoding.EncodeToString(b[:]) + ".0", nil
}
