// Package fault decides when a fake misbehaves. A fault has a name that its
// fake understands, a probability, a scope and a life; whether it strikes is
// drawn from the seed, the fault (its name and scope), whom the request
// concerns and how often the fault was asked about them, so the same seed gives
// the same misbehaviour for the same requests, whatever runs beside them and
// whatever other faults come and go. Whom a request concerns is its device,
// else its mailbox and account, else its account, else its server: which server
// a request is routed to may depend on others and does not count.
//
// One thing is not independent: a Count that several requests share is used up
// by whoever comes first. Scope a fault with a Count to one mailbox or device
// where the same run must give the same result.
//
// A Set that was told the known names ([Set.Know]) refuses others and suggests
// the nearest.
package fault

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Profile is how much misbehaviour a fake shows unasked.
type Profile string

// The profiles.
const (
	Calm    Profile = "calm"    // none
	Real    Profile = "real"    // what real servers are known to do, in exactly their form
	Hostile Profile = "hostile" // as far as the protocols allow
)

// ParseProfile reads a profile's name.
func ParseProfile(s string) (Profile, error) {
	switch p := Profile(s); p {
	case Calm, Real, Hostile:
		return p, nil
	}
	return "", fmt.Errorf("profile %q: want real, hostile or calm", s)
}

// Scope is whom a request concerns. In a Fault, an empty field matches
// anything; in a question, it means "does not apply".
type Scope struct {
	Server  string `json:"server,omitempty"`  // which fake, or which Exchange server
	Mailbox string `json:"mailbox,omitempty"` // lower case
	Account string `json:"account,omitempty"`
	Device  string `json:"device,omitempty"` // device token or channel URI
}

func (f Scope) matches(q Scope) bool {
	return (f.Server == "" || f.Server == q.Server) && (f.Mailbox == "" || f.Mailbox == q.Mailbox) &&
		(f.Account == "" || strings.EqualFold(f.Account, q.Account)) && (f.Device == "" || f.Device == q.Device)
}

// Fault is one kind of misbehaviour in force.
type Fault struct {
	ID          string            `json:"id"`             // given by Add when empty
	Name        string            `json:"name"`           // what to do; each fake documents its names
	Scope       Scope             `json:"scope"`          // whom it strikes
	Probability float64           `json:"probability"`    // 0 < p ≤ 1; 0 means 1
	Count       int               `json:"count"`          // strikes left; 0: unlimited
	For         Duration          `json:"for"`            // life from Add on; 0: until removed
	Args        map[string]string `json:"args,omitempty"` // parameters, by the fault's documentation

	until time.Time
	left  int
	key   string            // what its draws depend on besides whom they concern
	asked map[string]uint64 // how often it was asked about whom
}

// Limits of a Set.
const (
	FaultsMax = 1000    // in force at once
	CountMax  = 1 << 30 // strikes of one fault
	LifeMax   = 30 * 24 * time.Hour
	// askedMax bounds whom a fault tells apart; beyond, they share their draws.
	askedMax = 1 << 20
)

// Int is the integer argument name, or def.
func (f Fault) Int(name string, def int) int {
	if n, err := strconv.Atoi(f.Args[name]); err == nil {
		return n
	}
	return def
}

// Duration is the duration argument name ("1.5s"), or def.
func (f Fault) Duration(name string, def time.Duration) time.Duration {
	if d, err := time.ParseDuration(f.Args[name]); err == nil {
		return d
	}
	return def
}

// Duration is a time.Duration that is written "1m30s" in JSON.
type Duration time.Duration

// MarshalText writes "1m30s".
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads "1m30s".
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// Set is the faults in force. Safe for concurrent use; a nil *Set is calm.
type Set struct {
	mu     sync.Mutex
	seed   int64
	faults []*Fault
	added  map[string]int // how many faults of a name and scope were ever added
	next   int
	known  map[string]Name // nil: any name is taken
}

// New returns an empty set that draws from seed.
func New(seed int64) *Set { return &Set{seed: seed, added: map[string]int{}} }

// Add puts a fault in force and returns it with its ID.
func (s *Set) Add(f Fault) (Fault, error) {
	if f.Name == "" {
		return Fault{}, fmt.Errorf("fault: name is empty")
	}
	if !(f.Probability >= 0 && f.Probability <= 1) { // NaN is neither
		return Fault{}, fmt.Errorf("fault %s: probability %v is not within 0…1", f.Name, f.Probability)
	}
	if f.Count < 0 || f.Count > CountMax {
		return Fault{}, fmt.Errorf("fault %s: count %d; 0 (unlimited) to %d is allowed", f.Name, f.Count, CountMax)
	}
	if f.For < 0 || time.Duration(f.For) > LifeMax {
		return Fault{}, fmt.Errorf("fault %s: for %s; 0 (until removed) to %s is allowed", f.Name, time.Duration(f.For), LifeMax)
	}
	f.Scope.Mailbox = strings.ToLower(strings.TrimSpace(f.Scope.Mailbox))
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(f.Name); err != nil {
		return Fault{}, err
	}
	s.expire()
	if len(s.faults) >= FaultsMax {
		return Fault{}, fmt.Errorf("fault %s: %d faults are in force, no more are allowed", f.Name, FaultsMax)
	}
	s.next++
	if f.ID == "" {
		f.ID = fmt.Sprintf("f%d", s.next)
	}
	for _, have := range s.faults {
		if have.ID == f.ID {
			return Fault{}, fmt.Errorf("fault %s: id %s is taken", f.Name, f.ID)
		}
	}
	if f.For > 0 {
		f.until = time.Now().Add(time.Duration(f.For))
	}
	f.left = f.Count
	f.key = strings.Join([]string{f.Name, f.Scope.Server, f.Scope.Mailbox, f.Scope.Account, f.Scope.Device}, "\x00")
	nth := s.added[f.key]
	s.added[f.key]++
	f.key += "\x00" + strconv.Itoa(nth)
	f.asked = nil
	s.faults = append(s.faults, &f)
	return f, nil
}

// Remove ends a fault; it says whether there was one.
func (s *Set) Remove(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if f.ID == id {
			s.faults = append(s.faults[:i], s.faults[i+1:]...)
			return true
		}
	}
	return false
}

// Clear ends all faults.
func (s *Set) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// List returns the faults in force, oldest first.
func (s *Set) List() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	out := make([]Fault, 0, len(s.faults))
	for _, f := range s.faults {
		v := *f
		v.Count = f.left
		out = append(out, v)
	}
	return out
}

// Strikes asks whether a fault of this name strikes now for this scope, and
// returns it if so. Each question counts.
func (s *Set) Strikes(name string, q Scope) (Fault, bool) {
	if s == nil {
		return Fault{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	for i, f := range s.faults {
		if f.Name != name || !f.Scope.matches(q) {
			continue
		}
		if !s.draw(f, q) {
			continue
		}
		hit := *f
		if f.Count > 0 {
			if f.left--; f.left == 0 {
				s.faults = append(s.faults[:i], s.faults[i+1:]...)
			}
		}
		return hit, true
	}
	return Fault{}, false
}

func (s *Set) expire() {
	now := time.Now()
	kept := s.faults[:0]
	for _, f := range s.faults {
		if f.until.IsZero() || now.Before(f.until) {
			kept = append(kept, f)
		}
	}
	s.faults = kept
}

func (s *Set) draw(f *Fault, q Scope) bool {
	if f.Probability == 0 || f.Probability == 1 {
		return true
	}
	whom := q.whom()
	if f.asked == nil {
		f.asked = map[string]uint64{}
	}
	if _, known := f.asked[whom]; !known && len(f.asked) >= askedMax {
		whom = ""
	}
	f.asked[whom]++
	return Uniform(s.seed, f.key+"\x00"+whom, f.asked[whom]) < f.Probability
}

// whom is the narrowest description of whom a question concerns.
func (q Scope) whom() string {
	switch {
	case q.Device != "":
		return "device\x00" + q.Device
	case q.Mailbox != "":
		return "mailbox\x00" + q.Mailbox + "\x00" + q.Account
	case q.Account != "":
		return "account\x00" + q.Account
	}
	return "server\x00" + q.Server
}

// Uniform is a number in [0,1) that depends on its arguments alone.
func Uniform(seed int64, key string, n uint64) float64 {
	h := fnv.New64a()
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], uint64(seed))
	binary.LittleEndian.PutUint64(b[8:], n)
	h.Write(b[:])
	h.Write([]byte(key))
	x := h.Sum64()
	// FNV's low bits are good, its high bits follow the last bytes: mix once
	// (the finaliser of SplitMix64).
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	x ^= x >> 31
	return float64(x>>11) / (1 << 53)
}
