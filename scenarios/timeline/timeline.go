// Package timeline draws one run from the fakes' journal: a page of its own that
// a browser opens from a file, with nothing to load. It shows what went wrong and
// when it was mended, the streams, every mail, and the pushes that came of it,
// with zoom and filter.
package timeline

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"mailbell/fakes/journal"
)

//go:embed page.html.tmpl
var page string

// mark is one thing on the page. Times are milliseconds since the first entry.
type mark struct {
	Lane string  `json:"l"` // story, streams, mail, push, exchange, refused
	At   float64 `json:"t"`
	To   float64 `json:"e,omitempty"` // end of a stream; the push of a mail
	Who  string  `json:"w,omitempty"`
	Text string  `json:"x"`
	Bad  bool    `json:"b,omitempty"`
}

// Write draws the entries of a journal, in order, under a title.
func Write(out io.Writer, title string, entries []journal.Entry) error {
	marks := read(entries)
	data, err := json.Marshal(marks)
	if err != nil {
		return fmt.Errorf("timeline: %w", err)
	}
	t, err := template.New("page").Parse(page)
	if err != nil {
		return fmt.Errorf("timeline: %w", err)
	}
	began := time.Time{}
	if len(entries) > 0 {
		began = entries[0].Time
	}
	head, rest, _ := strings.Cut(title, "\n")
	return t.Execute(out, map[string]any{"Title": head, "Rest": rest, "Began": began.UTC().Format(time.RFC3339), "Marks": template.JS(data)}) //nolint:gosec // JSON of our own
}

func read(entries []journal.Entry) []mark {
	marks := []mark{}
	if len(entries) == 0 {
		return marks
	}
	began := entries[0].Time
	at := func(e journal.Entry) float64 { return float64(e.Time.Sub(began)) / float64(time.Millisecond) }
	mails := map[string]int{} // item: its mark
	for _, e := range entries {
		m := mark{At: at(e), Who: e.Mailbox}
		switch {
		case e.Server == "story":
			m.Lane, m.Text = "story", e.Kind+": "+e.Detail["text"]
		case e.Server == "exchange" && e.Kind == "mail":
			m.Lane, m.Text = "mail", e.Detail["subject"]
			mails[e.Item] = len(marks)
		case e.Server == "exchange":
			m.Lane, m.Text = "exchange", strings.TrimSpace(e.Kind+" "+words(e.Detail))
		case e.Kind == "stream-end":
			took, _ := time.ParseDuration(e.Detail["took"]) // absent: a moment
			m.Lane, m.To, m.Text, m.Bad = "streams", m.At, "ended: "+e.Reason+" "+e.Fault, e.Reason != "timeout"
			m.At = max(m.At-float64(took)/float64(time.Millisecond), 0)
		case e.Kind == "push":
			m.Lane, m.Who, m.Bad = "push", short(e.Device), e.Status != 200
			m.Text = fmt.Sprintf("%s %d %s %s", e.Server, e.Status, e.Reason, e.Fault)
			if i, ok := mails[item(e)]; ok && !m.Bad && marks[i].To == 0 {
				marks[i].To = m.At
			}
		case (e.Server == "ews" || e.Server == "autodiscover" || e.Server == "iis" || e.Server == "entra") && (e.Status >= 400 || e.Reason != "" && e.Kind == "request"):
			m.Lane, m.Bad = "refused", true
			m.Text = fmt.Sprintf("%s %s %d %s %s", e.Server, e.Operation, e.Status, e.Reason, e.Fault)
		default:
			continue
		}
		marks = append(marks, m)
	}
	return marks
}

// item is the one that a push announces, empty when none is found.
func item(e journal.Entry) string {
	body := string(e.Body)
	for _, key := range []string{`"item":"`, `item=`} {
		if _, rest, ok := strings.Cut(body, key); ok {
			end := strings.IndexAny(rest, `"\&`)
			if end < 0 {
				end = len(rest)
			}
			return strings.NewReplacer("%2B", "+", "%2F", "/", "%3D", "=").Replace(rest[:end])
		}
	}
	return ""
}

func words(detail map[string]string) string {
	var list []string
	for _, key := range []string{"server", "database", "from", "to", "took", "scope", "locked", "disabled", "impersonation", "password", "folder"} {
		if v := detail[key]; v != "" {
			list = append(list, key+" "+v)
		}
	}
	return strings.Join(list, ", ")
}

func short(s string) string {
	const keep = 8
	if len(s) > keep {
		return "…" + s[len(s)-keep:]
	}
	return s
}
