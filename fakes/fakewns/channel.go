package fakewns

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// State is what a device shows of one app, and what waits for it.
type State struct {
	App    string  `json:"app"`
	Online bool    `json:"online"`
	Toasts []Toast `json:"toasts"` // oldest first; of one tag and group only the newest
	Badge  string  `json:"badge"`  // value of the last badge: a number or a glyph; "" before the first
	Raws   int     `json:"raws"`   // raw notifications that reached the app
	Stored []Toast `json:"stored,omitempty"`
}

// Toast is a toast on the screen.
type Toast struct {
	Tag      string    `json:"tag,omitempty"`
	Group    string    `json:"group,omitempty"`
	At       time.Time `json:"at"`
	Launch   string    `json:"launch"`
	Text     []string  `json:"text"`
	XML      string    `json:"xml"`
	Replaced int       `json:"replaced,omitempty"` // earlier ones with the same tag

	until time.Time // zero: stays
}

// channel is one app on one device. Guarded by Server.mu.
type channel struct {
	app     string
	online  bool
	expired bool
	blocked bool // the sender's domain
	toasts  []Toast
	badge   badge
	raws    int
	recent  []time.Time

	// What waits while the device is away: the last of each.
	toast *Toast
	later *badge
	raw   bool
}

type badge struct {
	value string
	until time.Time
}

// What becomes of a push on its device.
const (
	effectShown          = "shown"
	effectReplaced       = "replaced"
	effectStored         = "stored"
	effectStoredReplaced = "stored-replaced"
	effectSilent         = "silent"
	effectUnsupported    = "not-supported"
	effectDropped        = "dropped"
	effectMalformed      = "malformed"
)

// receive takes an accepted push.
func (c *channel) receive(p *push, sdk bool) string {
	var until time.Time
	if p.ttl > 0 {
		until = p.arrived.Add(p.ttl)
	}
	switch p.kind {
	case "wns/raw":
		switch {
		case c.online:
			c.raws++
			return effectSilent
		case p.policy != "cache":
			return effectDropped
		case c.raw:
			return effectStoredReplaced
		}
		c.raw = true
		return effectStored
	case "wns/toast":
		t, err := readToast(p.body)
		if err != nil {
			return effectMalformed
		}
		t.Tag, t.Group, t.At, t.until = p.tag, p.group, p.arrived, until
		if c.online {
			return c.show(t)
		}
		before := c.toast
		c.toast = &t
		if before != nil {
			return effectStoredReplaced
		}
		return effectStored
	case "wns/badge":
		value, err := readBadge(p.body)
		switch {
		case err != nil:
			return effectMalformed
		case sdk:
			return effectUnsupported
		case c.online:
			c.badge = badge{value, until}
			return effectShown
		}
		before := c.later
		c.later = &badge{value, until}
		if before != nil {
			return effectStoredReplaced
		}
		return effectStored
	}
	return effectUnsupported
}

func (c *channel) show(t Toast) string {
	effect := effectShown
	if t.Tag != "" {
		same := func(have Toast) bool { return have.Tag == t.Tag && have.Group == t.Group }
		if i := slices.IndexFunc(c.toasts, same); i >= 0 {
			t.Replaced = c.toasts[i].Replaced + 1
			c.toasts = slices.Delete(c.toasts, i, i+1)
			effect = effectReplaced
		}
	}
	if len(c.toasts) >= toastsMax {
		c.toasts = slices.Delete(c.toasts, 0, toastsMax/4)
	}
	c.toasts = append(c.toasts, t)
	return effect
}

// expire drops what is older than its X-WNS-TTL.
func (c *channel) expire(now time.Time) {
	over := func(until time.Time) bool { return !until.IsZero() && !now.Before(until) }
	c.toasts = slices.DeleteFunc(c.toasts, func(t Toast) bool { return over(t.until) })
	if over(c.badge.until) {
		c.badge = badge{}
	}
	if c.toast != nil && over(c.toast.until) {
		c.toast = nil
	}
	if c.later != nil && over(c.later.until) {
		c.later = nil
	}
}

// find is the channel of a URI as NewChannel returned it.
func (s *Server) find(uri string) *channel {
	key, _ := strings.CutPrefix(uri, "https://")
	return s.channels[key]
}

// Expire ends a channel by age: 410 from now on. It says whether there was one.
func (s *Server) Expire(uri string) bool {
	return s.with(uri, func(c *channel) { c.expired = true })
}

// BlockDomain answers pushes to a channel with 410 "Domain Blocked".
func (s *Server) BlockDomain(uri string) bool {
	return s.with(uri, func(c *channel) { c.blocked = true })
}

// Revoke forgets a channel: 404 from now on. It says whether there was one.
func (s *Server) Revoke(uri string) bool {
	return s.with(uri, func(*channel) { delete(s.channels, strings.TrimPrefix(uri, "https://")) })
}

// SetOnline brings a device on the network, which delivers what waited for it,
// or takes it away. It says whether the channel is known.
func (s *Server) SetOnline(uri string, online bool) bool {
	return s.with(uri, func(c *channel) {
		c.online = online
		c.expire(s.o.Now())
		if !online {
			return
		}
		if c.toast != nil {
			c.show(*c.toast)
		}
		if c.later != nil {
			c.badge = *c.later
		}
		if c.raw {
			c.raws++
		}
		c.toast, c.later, c.raw = nil, nil, false
	})
}

// Device tells the state of the device behind a channel.
func (s *Server) Device(uri string) (State, bool) {
	var st State
	ok := s.with(uri, func(c *channel) {
		c.expire(s.o.Now())
		st = State{App: c.app, Online: c.online, Toasts: slices.Clone(c.toasts), Badge: c.badge.value, Raws: c.raws}
		if c.toast != nil {
			st.Stored = []Toast{*c.toast}
		}
	})
	return st, ok
}

func (s *Server) with(uri string, f func(*channel)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.find(uri)
	if c != nil {
		f(c)
	}
	return c != nil
}

var errMalformed = errors.New("fakewns: Windows could not read the payload")

// readToast reads a toast as Windows does: one well-formed document in UTF-8
// with the root that belongs to the type.
func readToast(b []byte) (Toast, error) {
	var doc struct {
		Launch string   `xml:"launch,attr"`
		Text   []string `xml:"visual>binding>text"`
	}
	err := readXML(b, "toast", &doc)
	return Toast{Launch: doc.Launch, Text: doc.Text, XML: string(b)}, err
}

func readBadge(b []byte) (string, error) {
	var doc struct {
		Value string `xml:"value,attr"`
	}
	err := readXML(b, "badge", &doc)
	if err == nil && doc.Value == "" {
		err = errMalformed
	}
	return doc.Value, err
}

func readXML(b []byte, root string, into any) error {
	if !utf8.Valid(b) {
		return errMalformed
	}
	d := xml.NewDecoder(strings.NewReader(string(b)))
	found := false
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) && found {
			return nil
		}
		if err != nil {
			return errMalformed
		}
		switch t := t.(type) {
		case xml.StartElement:
			if found || t.Name.Local != root || d.DecodeElement(into, &t) != nil {
				return errMalformed
			}
			found = true
		case xml.CharData:
			if strings.TrimSpace(string(t)) != "" {
				return errMalformed
			}
		case xml.Directive:
			return errMalformed
		}
	}
}
