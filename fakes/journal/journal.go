// Package journal is the memory of the fakes: an append-only list of what was
// asked and what was answered, with sequence and time. Tests and the oracle
// judge from it and from nothing else.
package journal

import (
	"context"
	"encoding/json"
	"sync"
	"time"
)

// EntriesMax bounds a journal in memory. Older entries are dropped first; a
// reader that asks for them sees the gap in the sequence numbers.
const EntriesMax = 2_000_000

// Entry is one exchange with a fake, or one thing that happened in the world
// it simulates.
type Entry struct {
	Seq    uint64    `json:"seq"`
	Time   time.Time `json:"time"`
	Server string    `json:"server"` // ews autodiscover iis apns wns wns-token entra smtp exchange device control
	Kind   string    `json:"kind"`   // what happened: "request", "push", "mail", "move", "fault", "register", …

	Account string `json:"account,omitempty"` // who was authenticated
	Mailbox string `json:"mailbox,omitempty"` // the mailbox concerned, lower case
	Device  string `json:"device,omitempty"`  // APNs device token, WNS channel URI, or device ID (server "device")
	Item    string `json:"item,omitempty"`    // Exchange item ID
	Conn    uint64 `json:"conn,omitempty"`    // connection number within its server

	Operation string `json:"operation,omitempty"` // EWS operation, SOAP action, URL path …
	Status    int    `json:"status,omitempty"`    // HTTP status answered
	Reason    string `json:"reason,omitempty"`    // error code or reason answered; empty on success
	Fault     string `json:"fault,omitempty"`     // the fault that struck, if one did

	Detail map[string]string `json:"detail,omitempty"` // whatever else a test may want: headers, ids, counts
	Body   json.RawMessage   `json:"body,omitempty"`   // payload as received when it is JSON, else a JSON string
}

// Journal is an append-only list, safe for concurrent use.
type Journal struct {
	mu      sync.Mutex
	entries []Entry
	dropped uint64 // entries dropped or cleared: entries[i].Seq == dropped+i+1
	grown   chan struct{}
}

// New returns an empty journal.
func New() *Journal { return &Journal{grown: make(chan struct{})} }

// Append records e with the next sequence number and, unless it has one, the
// current time. It returns the entry as recorded.
func (j *Journal) Append(e Entry) Entry {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.entries) >= EntriesMax {
		cut := EntriesMax / 10
		j.entries = append(j.entries[:0:0], j.entries[cut:]...)
		j.dropped += uint64(cut)
	}
	e.Seq = j.dropped + uint64(len(j.entries)) + 1
	j.entries = append(j.entries, e)
	close(j.grown)
	j.grown = make(chan struct{})
	return e
}

// After returns the entries with a sequence number above seq, at once.
func (j *Journal) After(seq uint64) []Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.after(seq)
}

func (j *Journal) after(seq uint64) []Entry {
	if seq < j.dropped {
		seq = j.dropped
	}
	i := seq - j.dropped
	if i >= uint64(len(j.entries)) {
		return nil
	}
	return append([]Entry(nil), j.entries[i:]...)
}

// Wait returns the entries above seq as soon as there is at least one, or what
// there is when ctx ends.
func (j *Journal) Wait(ctx context.Context, seq uint64) []Entry {
	for {
		j.mu.Lock()
		found, grown := j.after(seq), j.grown
		j.mu.Unlock()
		if len(found) > 0 {
			return found
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return nil
		}
	}
}

// Await waits for an entry above seq that match accepts and returns it.
func (j *Journal) Await(ctx context.Context, seq uint64, match func(Entry) bool) (Entry, error) {
	for {
		for _, e := range j.Wait(ctx, seq) {
			if match(e) {
				return e, nil
			}
			seq = e.Seq
		}
		if err := ctx.Err(); err != nil {
			return Entry{}, err
		}
	}
}

// Last is the newest sequence number, 0 in a new journal.
func (j *Journal) Last() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.dropped + uint64(len(j.entries))
}

// Clear drops all entries; sequence numbers go on.
func (j *Journal) Clear() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.dropped += uint64(len(j.entries))
	j.entries = nil
}
