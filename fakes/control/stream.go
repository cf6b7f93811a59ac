package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailbell/fakes/journal"
)

// Limits of the event stream.
const (
	streamPause   = 15 * time.Second // a stream says something at least so often
	streamTimeout = 10 * time.Second // a reader that takes nothing for so long is cut off
	streamPage    = 500              // entries looked at before the next is written
)

// journalQuery is what is asked of the journal.
type journalQuery struct {
	after uint64
	limit int
	wait  time.Duration
	// Values that are allowed, by field; a field without any allows all.
	only map[string][]string
}

// fields are what the journal can be filtered by.
var fields = map[string]func(journal.Entry) string{
	"server":    func(e journal.Entry) string { return e.Server },
	"kind":      func(e journal.Entry) string { return e.Kind },
	"mailbox":   func(e journal.Entry) string { return e.Mailbox },
	"device":    func(e journal.Entry) string { return e.Device },
	"account":   func(e journal.Entry) string { return e.Account },
	"operation": func(e journal.Entry) string { return e.Operation },
}

func parseJournalQuery(r *http.Request) (journalQuery, error) {
	q := journalQuery{limit: JournalPageMax, only: map[string][]string{}}
	for name, values := range r.URL.Query() {
		value := values[len(values)-1]
		switch name {
		case "after":
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil && value != "" {
				return q, fmt.Errorf("after: %q is not a sequence number", value)
			}
			q.after = n
		case "limit":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 {
				return q, fmt.Errorf("limit: %q; 1 to %d is allowed", value, JournalPageMax)
			}
			q.limit = min(n, JournalPageMax)
		case "wait":
			d, err := time.ParseDuration(value)
			if err != nil || d < 0 {
				return q, fmt.Errorf("wait: %q is not a duration such as 30s", value)
			}
			q.wait = min(d, WaitMax)
		default:
			if fields[name] == nil {
				return q, fmt.Errorf("%s: no such parameter; after, limit, wait and the filters server, kind, mailbox, device, account and operation are", name)
			}
			// Device addresses may have commas in them; none of the others do.
			for _, v := range values {
				if name == "device" {
					q.only[name] = append(q.only[name], v)
				} else {
					q.only[name] = append(q.only[name], strings.Split(v, ",")...)
				}
			}
		}
	}
	return q, nil
}

func (q journalQuery) matches(e journal.Entry) bool {
	for name, allowed := range q.only {
		have := fields[name](e)
		if !slices.ContainsFunc(allowed, func(v string) bool { return strings.EqualFold(v, have) }) {
			return false
		}
	}
	return true
}

// journal answers GET /journal: a page, or a stream if that is what is
// accepted.
func (a *API) journal(w http.ResponseWriter, r *http.Request) (any, error) {
	q, err := parseJournalQuery(r)
	if err != nil {
		return nil, err
	}
	if accepts(r, "text/event-stream") {
		return a.stream(w, r, q)
	}
	ctx, cancel := context.WithTimeout(r.Context(), q.wait)
	defer cancel()
	out := page{Entries: []journal.Entry{}, Next: q.after}
	for len(out.Entries) < q.limit {
		if len(out.Entries) > 0 {
			cancel() // something is there: no more waiting
		}
		list, gap := a.opt.Journal.WaitRead(ctx, out.Next, JournalPageMax)
		if gap != nil {
			if out.Gap == nil {
				out.Gap = gap
			}
			out.Gap.To, out.Next = gap.To, gap.To
		} else if len(list) == 0 {
			break
		}
		for _, e := range list {
			if len(out.Entries) == q.limit {
				break
			}
			if q.matches(e) {
				out.Entries = append(out.Entries, e)
			}
			out.Next = e.Seq
		}
	}
	out.Last = a.opt.Journal.Last()
	return out, nil
}

// page is the answer to GET /journal.
type page struct {
	Entries []journal.Entry `json:"entries"`
	Next    uint64          `json:"next"` // ask for what is after it next
	Last    uint64          `json:"last"` // newest in the journal, whatever the filters
	Gap     *journal.Gap    `json:"gap,omitempty"`
}

// stream answers with server-sent events: "entry" with the sequence number as
// its ID, "gap", and "reset" when the journal is cleared while it is followed.
// It ends with the connection.
func (a *API) stream(w http.ResponseWriter, r *http.Request, q journalQuery) (any, error) {
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		n, err := strconv.ParseUint(id, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("Last-Event-ID: %q is not a sequence number", id)
		}
		q.after = n
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	s := &sender{w: w, control: http.NewResponseController(w)}
	if last := a.opt.Journal.Last(); q.after > last {
		// Numbers that this process never gave: the reader knew another one.
		s.event(0, "gap", journal.Gap{From: 0, To: q.after, Why: "restart"})
		q.after = 0
	}
	silence := time.NewTicker(streamPause)
	defer silence.Stop()
	_, known := a.opt.Journal.Changes()
	for told := uint64(0); s.flush() == nil; {
		next, cleared := a.opt.Journal.Changes()
		list, gap := a.opt.Journal.Read(q.after, streamPage)
		if cleared != known {
			known = cleared
			s.event(cleared, "reset", map[string]uint64{"to": cleared})
		}
		if gap != nil {
			q.after, told = gap.To, gap.To
			s.event(gap.To, "gap", gap)
		}
		for _, e := range list {
			q.after = e.Seq
			if q.matches(e) {
				s.event(e.Seq, "entry", e)
				told = e.Seq
			}
		}
		if told < q.after { // what was left out need not be looked at again
			s.text("id: " + strconv.FormatUint(q.after, 10) + "\n\n")
			told = q.after
		}
		if len(list) > 0 || gap != nil || s.flush() != nil {
			continue
		}
		select {
		case <-next:
		case <-silence.C:
			s.text(":\n\n")
		case <-r.Context().Done():
			return handled{}, nil
		}
	}
	return handled{}, nil
}

// sender writes events until the first error.
type sender struct {
	w       http.ResponseWriter
	control *http.ResponseController
	err     error
}

func (s *sender) event(id uint64, name string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		s.err = errors.Join(s.err, err)
		return
	}
	s.text(fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", id, name, b)) // JSON has no line feeds in it
}

func (s *sender) text(t string) {
	if s.err != nil {
		return
	}
	_ = s.control.SetWriteDeadline(time.Now().Add(streamTimeout)) // a recorder has none
	_, s.err = s.w.Write([]byte(t))
}

func (s *sender) flush() error {
	if s.err == nil {
		s.err = s.control.Flush()
	}
	return s.err
}

// accepts says whether a client names a media type as something it accepts.
func accepts(r *http.Request, kind string) bool {
	for _, line := range r.Header.Values("Accept") {
		for one := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(one, ";")
			if strings.EqualFold(strings.TrimSpace(name), kind) {
				return true
			}
		}
	}
	return false
}
