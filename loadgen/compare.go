package loadgen

import (
	"fmt"
	"io"
)

// Compare writes two reports side by side, with the ratio of the second to the
// first. Runs of different loads are compared too, and it says what differs.
func Compare(w io.Writer, a, b Report) {
	fmt.Fprintf(w, "  %-22s %14s %14s %8s\n", "", "A", "B", "B / A")
	fa, fb := a.figures(), map[string]figure{}
	for _, f := range b.figures() {
		fb[f.Name] = f
	}
	for _, f := range fa {
		other, ok := fb[f.Name]
		if !ok {
			other.Text = "-"
		}
		ratio := ""
		if f.Value != nil && other.Value != nil && *f.Value != 0 {
			ratio = fmt.Sprintf("%.2f", *other.Value / *f.Value)
		}
		fmt.Fprintf(w, "  %-22s %14s %14s %8s\n", f.Name, f.Text, other.Text, ratio)
	}
	for _, d := range []struct {
		what string
		a, b any
	}{
		{"seed", a.Seed, b.Seed},
		{"devices", a.Devices, b.Devices},
		{"profile", a.Load.Profile, b.Load.Profile},
		{"rate", a.Load.Rate, b.Load.Rate},
		{"duration (s)", a.Load.DurationS, b.Load.DurationS},
		{"mailboxes", a.Load.Mailboxes, b.Load.Mailboxes},
		{"entrance", a.Load.Entrance, b.Load.Entrance},
		{"fakes' profile", a.Load.FakesProfile, b.Load.FakesProfile},
		{"delay of EWS (ms)", a.Load.EWSDelayMS, b.Load.EWSDelayMS},
		{"delay of pushes (ms)", a.Load.PushDelayMS, b.Load.PushDelayMS},
		{"limit", a.Load.Limit, b.Load.Limit},
		{"machine", a.Machine, b.Machine},
		{"notifier", a.Versions.Notifier, b.Versions.Notifier},
	} {
		if d.a != d.b {
			fmt.Fprintf(w, "  differs: %s: %v | %v\n", d.what, d.a, d.b)
		}
	}
	for i, r := range []Report{a, b} {
		for _, doubt := range r.Doubts {
			fmt.Fprintf(w, "  %c: %s\n", 'A'+i, doubt)
		}
	}
}
