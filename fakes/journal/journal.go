// Package journal is the memory of the fakes: an append-only list of what was
// asked and what was answered, with sequence and time. Tests and the oracle
// judge from it and from nothing else.
//
// Sequence numbers have no holes and never go back. Memory is bounded: the
// oldest entries are dropped, and a reader that asks for them is told of the
// [Gap] instead of being left to believe that nothing happened. Values that
// look like secrets are shortened as they are written down; see [Shorten].
package journal

import (
	"context"
	"encoding/json"
	"sync"
	"time"
)

// Limits of a journal in memory; whichever is reached first. A tenth is dropped
// at a time, so that dropping costs little.
const (
	EntriesMax = 2_000_000
	BytesMax   = 1 << 30 // as estimated by size
)

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

// Gap are entries that a reader asked for and that are no longer held.
type Gap struct {
	From uint64 `json:"from"` // first sequence number missing
	To   uint64 `json:"to"`   // last one
	// Why is "dropped" when at least some went for want of memory, and "reset"
	// when all of them were cleared.
	Why string `json:"why"`
}

// Why a Gap is there.
const (
	GapDropped = "dropped"
	GapReset   = "reset"
)

// Journal is an append-only list, safe for concurrent use.
type Journal struct {
	entriesMax, bytesMax int

	mu      sync.Mutex
	entries list
	bytes   int    // of entries, as estimated
	gone    uint64 // entries dropped or cleared: entries.at(i).Seq == gone+i+1
	cleared uint64 // highest sequence number that Clear removed
	grown   chan struct{}
}

// New returns an empty journal.
func New() *Journal {
	return &Journal{entriesMax: EntriesMax, bytesMax: BytesMax, grown: make(chan struct{})}
}

// Append records e with the next sequence number and, unless it has one, the
// current time. It returns the entry as recorded.
func (j *Journal) Append(e Entry) Entry {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e = Shorten(e)
	j.mu.Lock()
	defer j.mu.Unlock()
	n := e.size()
	if j.entries.n >= j.entriesMax {
		j.drop(j.entries.n / 10)
	}
	if j.bytes+n > j.bytesMax {
		cut, room := 0, 0
		for cut < j.entries.n && room < n+j.bytesMax/10 {
			room += j.entries.at(cut).size()
			cut++
		}
		j.drop(cut)
	}
	e.Seq = j.gone + uint64(j.entries.n) + 1
	j.entries.add(e)
	j.bytes += n
	close(j.grown)
	j.grown = make(chan struct{})
	return e
}

// drop forgets the oldest n entries.
func (j *Journal) drop(n int) {
	for i := range n {
		j.bytes -= j.entries.at(i).size()
	}
	j.entries.drop(n)
	j.gone += uint64(n)
}

// size estimates the memory of an entry, in bytes.
func (e *Entry) size() int {
	const entry, pair = 320, 64 // the struct, and the words of a map's entry
	n := entry + len(e.Account) + len(e.Mailbox) + len(e.Device) + len(e.Item) + len(e.Operation) + len(e.Reason) + len(e.Body)
	for k, v := range e.Detail {
		n += pair + len(k) + len(v)
	}
	return n
}

// After returns the entries with a sequence number above seq, at once.
func (j *Journal) After(seq uint64) []Entry {
	list, _ := j.Read(seq, 0)
	return list
}

// Read returns at most limit entries above seq (0: all), at once, and what is
// missing between seq and the first of them.
func (j *Journal) Read(seq uint64, limit int) ([]Entry, *Gap) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.read(seq, limit)
}

func (j *Journal) read(seq uint64, limit int) ([]Entry, *Gap) {
	var gap *Gap
	if seq < j.gone {
		gap = &Gap{From: seq + 1, To: j.gone, Why: GapDropped}
		if j.gone == j.cleared {
			gap.Why = GapReset
		}
		seq = j.gone
	}
	i := seq - j.gone
	if i >= uint64(j.entries.n) {
		return nil, gap
	}
	end := j.entries.n
	if limit > 0 {
		end = min(end, int(i)+limit)
	}
	return j.entries.slice(int(i), end), gap
}

// Wait returns the entries above seq as soon as there is at least one, or none
// when ctx ends.
func (j *Journal) Wait(ctx context.Context, seq uint64) []Entry {
	for {
		list, gap := j.WaitRead(ctx, seq, 0)
		if len(list) > 0 || gap == nil {
			return list
		}
		seq = gap.To // cleared: what comes next is awaited
	}
}

// WaitRead is [Journal.Read] as soon as there is an entry or a gap, or what
// there is when ctx ends.
func (j *Journal) WaitRead(ctx context.Context, seq uint64, limit int) ([]Entry, *Gap) {
	for {
		j.mu.Lock()
		list, gap := j.read(seq, limit)
		grown := j.grown
		j.mu.Unlock()
		if len(list) > 0 || gap != nil {
			return list, gap
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// Changes returns a channel that is closed at the next Append or Clear, and the
// highest sequence number that Clear has removed so far.
func (j *Journal) Changes() (next <-chan struct{}, cleared uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.grown, j.cleared
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
	return j.gone + uint64(j.entries.n)
}

// Clear drops all entries; sequence numbers go on. Who waits is told.
func (j *Journal) Clear() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.gone += uint64(j.entries.n)
	j.cleared = j.gone
	j.entries, j.bytes = list{}, 0
	close(j.grown)
	j.grown = make(chan struct{})
}
