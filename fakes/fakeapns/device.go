package fakeapns

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// State is what a device shows and what waits for it.
type State struct {
	Topic   string   `json:"topic"`
	Online  bool     `json:"online"`
	Retired string   `json:"retired,omitempty"` // reason
	Shown   []Shown  `json:"shown"`             // oldest first; of one collapse ID only the newest
	Badge   int      `json:"badge"`             // of the last delivered notification that had one
	Stored  []Stored `json:"stored,omitempty"`  // at most one
}

// Shown is a notification on the screen.
type Shown struct {
	ID         string          `json:"id"`
	CollapseID string          `json:"collapse_id,omitempty"`
	At         time.Time       `json:"at"`
	Replaced   int             `json:"replaced,omitempty"` // earlier ones merged into it
	Payload    json.RawMessage `json:"payload"`
}

// Stored is a notification kept for a device that is away.
type Stored struct {
	Shown
	Until time.Time `json:"until"`

	push payload
}

// device is one app on one device. Guarded by Server.mu.
type device struct {
	topic     string
	online    bool
	retired   string // reason; "": it is not
	retiredAt time.Time
	shown     []Shown
	badge     int
	stored    *Stored
	coming    []coming    // on the way to an online device, by time of arrival
	recent    []time.Time // pushes within the burst window
	accepted  uint64      // pushes in all
}

// coming is a notification that will arrive.
type coming struct {
	Stored
	sent uint64 // numbers the pushes of the device
}

// What becomes of an accepted push on its device.
const (
	effectShown    = "shown"
	effectReplaced = "replaced" // one on the screen, or one that waited
	effectStored   = "stored"
	effectDropped  = "dropped"
	effectSilent   = "silent" // nothing to see: a badge, or work for the app
	effectComing   = "coming" // on its way, with ReorderWithin
)

// receive takes an accepted push. An online device gets it after the time that
// it takes.
func (d *device) receive(r *request, id string, takes time.Duration) string {
	d.accepted++
	n := Shown{ID: id, CollapseID: r.header["apns-collapse-id"], At: r.arrived.Add(takes), Payload: rawJSON(r.body)}
	if d.online {
		d.arrive(r.arrived)
		if takes <= 0 {
			return d.show(n, r.payload)
		}
		i := len(d.coming)
		for i > 0 && d.coming[i-1].At.After(n.At) {
			i--
		}
		d.coming = slices.Insert(d.coming, i, coming{Stored{n, keptUntil(r), r.payload}, d.accepted})
		return effectComing
	}
	until := keptUntil(r)
	if !until.After(r.arrived) {
		return effectDropped
	}
	replaced := d.stored != nil
	d.stored = &Stored{Shown: n, Until: until, push: r.payload}
	if replaced {
		return effectReplaced
	}
	return effectStored
}

// keptUntil is how long a push waits for a device that is away.
func keptUntil(r *request) time.Time {
	until := r.arrived.Add(StoredMax)
	if e, ok := r.header["apns-expiration"]; ok {
		seconds, _ := strconv.ParseInt(e, 10, 64) // checked by headerRule
		if at := time.Unix(seconds, 0); at.Before(until) {
			until = at
		}
	}
	return until
}

// arrive shows what has come by now.
func (d *device) arrive(now time.Time) {
	for len(d.coming) > 0 && !d.coming[0].At.After(now) {
		d.show(d.coming[0].Shown, d.coming[0].push)
		d.coming = d.coming[1:]
	}
}

// leave is the end of what was on its way to a device that goes off the
// network: the newest waits for it.
func (d *device) leave() {
	if len(d.coming) == 0 {
		return
	}
	last := slices.MaxFunc(d.coming, func(a, b coming) int { return cmp.Compare(a.sent, b.sent) })
	d.stored, d.coming = &last.Stored, nil
}

func (d *device) show(n Shown, p payload) string {
	if p.badge != nil {
		d.badge = *p.badge
	}
	if !p.visible {
		return effectSilent
	}
	effect := effectShown
	if n.CollapseID != "" {
		if i := slices.IndexFunc(d.shown, func(have Shown) bool { return have.CollapseID == n.CollapseID }); i >= 0 {
			n.Replaced = d.shown[i].Replaced + 1
			d.shown = slices.Delete(d.shown, i, i+1)
			effect = effectReplaced
		}
	}
	if len(d.shown) >= shownMax {
		d.shown = slices.Delete(d.shown, 0, shownMax/4)
	}
	d.shown = append(d.shown, n)
	return effect
}

// expire drops what waited too long.
func (d *device) expire(now time.Time) {
	if d.stored != nil && !now.Before(d.stored.Until) {
		d.stored = nil
	}
}

// AddDevice makes token a device of topic, online. A device that was there
// keeps what it shows and is no longer retired.
func (s *Server) AddDevice(token, topic string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := strings.ToLower(token)
	d := s.devices[key]
	if d == nil {
		d = &device{online: true}
		s.devices[key] = d
	}
	d.topic, d.retired, d.retiredAt = topic, "", time.Time{}
}

// Retire makes a device's pushes be answered with 410 from at on, the moment
// that the answers will name. reason is "Unregistered" (also when empty) or
// "ExpiredToken". A token never heard of is remembered as retired.
func (s *Server) Retire(token string, at time.Time, reason string) {
	if statuses[reason] != 410 {
		reason = "Unregistered"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := strings.ToLower(token)
	d := s.devices[key]
	if d == nil {
		d = &device{}
		s.devices[key] = d
	}
	d.retired, d.retiredAt = reason, at
}

// SetOnline brings a device on the network, which delivers what was stored for
// it, or takes it away. It says whether the device is known.
func (s *Server) SetOnline(token string, online bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.devices[strings.ToLower(token)]
	if d == nil {
		return false
	}
	d.arrive(s.o.Now())
	if !online {
		d.leave()
	}
	d.online = online
	d.expire(s.o.Now())
	if online && d.stored != nil {
		n := d.stored.Shown
		n.At = s.o.Now()
		push := d.stored.push
		d.stored = nil
		d.show(n, push)
	}
	return true
}

// Device tells the state of a device.
func (s *Server) Device(token string) (State, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.devices[strings.ToLower(token)]
	if d == nil {
		return State{}, false
	}
	d.arrive(s.o.Now())
	d.expire(s.o.Now())
	st := State{Topic: d.topic, Online: d.online, Retired: d.retired, Shown: slices.Clone(d.shown), Badge: d.badge}
	if d.stored != nil {
		st.Stored = []Stored{*d.stored}
	}
	return st, true
}

// rawJSON is b if it is JSON, else b as a JSON string.
func rawJSON(b []byte) json.RawMessage {
	if len(b) == 0 {
		return nil
	}
	if json.Valid(b) {
		return b
	}
	s, _ := json.Marshal(string(b)) // a string has a JSON form
	return s
}
