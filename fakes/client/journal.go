package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Journal reads a page. With Wait it answers as soon as there is an entry, or
// with none when the time is over; ask again with After set to Next.
func (w *World) Journal(ctx context.Context, q Query) (Page, error) {
	v := url.Values{}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	v.Set("after", strconv.FormatUint(q.After, 10))
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	if q.Wait > 0 {
		v.Set("wait", min(q.Wait, waitMax).String())
	}
	set("server", q.Server)
	set("kind", q.Kind)
	set("mailbox", q.Mailbox)
	set("device", q.Device)
	set("account", q.Account)
	set("operation", q.Operation)
	var p Page
	err := w.call(ctx, http.MethodGet, "/journal?"+v.Encode(), nil, &p)
	return p, err
}

// Mark is the newest sequence number: what happens from now on has a higher
// one. Take it before acting, and wait with Query{After: mark}.
func (w *World) Mark(ctx context.Context) (uint64, error) {
	p, err := w.Journal(ctx, Query{After: 1<<63 - 1})
	return p.Last, err
}

// Await waits for the first entry of the query that match accepts; nil accepts
// all. It fails when ctx ends, naming the last entries that were passed over,
// and with a [*Gap] when entries it should have looked at were dropped.
func (w *World) Await(ctx context.Context, q Query, match func(Entry) bool) (Entry, error) {
	q.Limit, q.Wait = pageMax, waitMax
	var passed []string
	for {
		p, err := w.Journal(ctx, q)
		if err != nil {
			if ctx.Err() != nil {
				return Entry{}, awaited(ctx, passed)
			}
			return Entry{}, err
		}
		if p.Gap != nil && p.Gap.Why == "dropped" {
			return Entry{}, p.Gap
		}
		for _, e := range p.Entries {
			if match == nil || match(e) {
				return e, nil
			}
			passed = append(passed[max(0, len(passed)-9):], e.String())
		}
		q.After = p.Next
	}
}

func awaited(ctx context.Context, passed []string) error {
	if len(passed) == 0 {
		return fmt.Errorf("fakes: awaited in vain, and no entry fits the query: %w", ctx.Err())
	}
	return fmt.Errorf("fakes: awaited in vain: %w; passed over, newest last:\n  %s", ctx.Err(), strings.Join(passed, "\n  "))
}

// AwaitAll waits for n entries of the query that match accepts.
func (w *World) AwaitAll(ctx context.Context, q Query, n int, match func(Entry) bool) ([]Entry, error) {
	out := make([]Entry, 0, n)
	for len(out) < n {
		e, err := w.Await(ctx, q, match)
		if err != nil {
			return out, fmt.Errorf("%w (%d of %d came)", err, len(out), n)
		}
		q.After = e.Seq
		out = append(out, e)
	}
	return out, nil
}

// AwaitPush waits for a push to a device that its provider accepted and whose
// payload contains text; the text is looked for in the strings of the payload
// as well, however they are escaped. It looks at everything since the last
// Reset.
func (w *World) AwaitPush(ctx context.Context, device, text string) (Entry, error) {
	return w.Await(ctx, Query{Kind: "push", Device: device}, func(e Entry) bool { return e.Accepted() && e.Contains(text) })
}

// Follow calls each for every entry of the query, old ones first and then as
// they come, until ctx ends or each returns an error. A gap is handed to missed,
// if that is not nil. (Browsers and curl -N have it easier with the event stream
// of GET /journal, Accept: text/event-stream.)
func (w *World) Follow(ctx context.Context, q Query, each func(Entry) error, missed func(Gap)) error {
	q.Limit, q.Wait = pageMax, waitMax
	for {
		p, err := w.Journal(ctx, q)
		if err != nil {
			return err
		}
		if p.Gap != nil && missed != nil {
			missed(*p.Gap)
		}
		for _, e := range p.Entries {
			if err := each(e); err != nil {
				return err
			}
		}
		q.After = p.Next
	}
}

// Accepted says whether the entry is a push that its provider accepted.
func (e Entry) Accepted() bool {
	return e.Kind == "push" && e.Status == http.StatusOK && e.Reason != "dropped" && e.Reason != "channelthrottled"
}

// Contains says whether the payload has text in it, in any of its strings or
// names.
func (e Entry) Contains(text string) bool {
	if text == "" {
		return true
	}
	var v any
	if err := json.Unmarshal(e.Body, &v); err != nil {
		return false
	}
	return contains(v, text)
}

func contains(v any, text string) bool {
	switch v := v.(type) {
	case string:
		return strings.Contains(v, text)
	case []any:
		for _, one := range v {
			if contains(one, text) {
				return true
			}
		}
	case map[string]any:
		for name, one := range v {
			if strings.Contains(name, text) || contains(one, text) {
				return true
			}
		}
	}
	return false
}

// String tells an entry in one line.
func (e Entry) String() string {
	words := []string{fmt.Sprint("#", e.Seq), e.Time.Format(time.TimeOnly), e.Server, e.Kind, e.Operation, e.Mailbox, e.Account, e.Device, e.Reason, e.Fault}
	if e.Status != 0 {
		words = append(words, strconv.Itoa(e.Status))
	}
	return strings.Join(strings.Fields(strings.Join(words, " ")), " ")
}
