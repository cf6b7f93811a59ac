package conformance

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// State is how far a number is proved.
type State string

// The states.
const (
	Proved      State = "proved"
	InPart      State = "proved in part"
	NotModelled State = "not modelled"
	NotMarked   State = "not marked" // in a sheet that is not in Complete
)

var states = []State{Proved, InPart, NotModelled, NotMarked}

// StateOf is the state of a number and the specs and reasons it follows from.
func (e Evidence) StateOf(sheet string, n int) (State, []Spec, []Absence) {
	var specs []Spec
	var absences []Absence
	state := NotMarked
	for _, a := range e.Absences {
		if a.Sheet == sheet && a.N == n {
			absences = append(absences, a)
			state = NotModelled
		}
	}
	for _, s := range e.Specs {
		if s.Sheet != sheet || s.N != n {
			continue
		}
		specs = append(specs, s)
		switch {
		case s.Part == "":
			state = Proved
		case state != Proved:
			state = InPart
		}
	}
	return state, specs, absences
}

// Complaints are the rules that the evidence breaks: a marker or a line of a
// list that names nothing, a number of a complete sheet without either, and a
// number that is proved and listed as not modelled.
func (e Evidence) Complaints(sheets []Sheet, complete []string) []string {
	var out []string
	known := map[string]Sheet{}
	for _, s := range sheets {
		known[s.Name] = s
	}
	exists := func(sheet string, n int) bool {
		_, ok := known[sheet].number(n)
		return ok
	}
	for _, s := range e.Specs {
		if !exists(s.Sheet, s.N) {
			out = append(out, fmt.Sprintf("%s: there is no number %d in a sheet %q", s.Where, s.N, s.Sheet))
		}
	}
	for _, a := range e.Absences {
		if !exists(a.Sheet, a.N) {
			out = append(out, fmt.Sprintf("%s, package comment: there is no number %d in a sheet %q", a.Package, a.N, a.Sheet))
		}
	}
	for _, s := range sheets {
		for _, n := range s.Numbers {
			state, specs, absences := e.StateOf(s.Name, n.N)
			if state == NotMarked && slices.Contains(complete, s.Name) {
				out = append(out, fmt.Sprintf("%s %d (%s): no spec proves it and no package comment says why it is not modelled", s.Name, n.N, n.Title))
			}
			if state == Proved && len(absences) > 0 {
				out = append(out, fmt.Sprintf("%s %d: %s proves it, and the package comment of %s says it is not modelled", s.Name, n.N, specs[0].Name, absences[0].Package))
			}
		}
	}
	return out
}

// Markdown is the table as a document.
func Markdown(e Evidence, sheets []Sheet) []byte {
	var b strings.Builder
	b.WriteString("# What the fakes prove\n\n" +
		"Written by `go generate ./fakes/conformance` from the markers in the tests and the package comments; do not edit.\n" +
		"A number is one fact about the real servers. *Proved*: specs show that the fake does it, and fail when it does not.\n" +
		"*In part*: they show some of it. *Not modelled*: the fake says why. Versions are those of Exchange the specs run\n" +
		"with, where that is told apart; 2013+ are all since then.\n\n")
	b.WriteString("| sheet | numbers |")
	for _, s := range states {
		b.WriteString(" " + string(s) + " |")
	}
	b.WriteString("\n|---|---:|" + strings.Repeat("---:|", len(states)) + "\n")
	for _, s := range sheets {
		counts := map[State]int{}
		for _, n := range s.Numbers {
			state, _, _ := e.StateOf(s.Name, n.N)
			counts[state]++
		}
		fmt.Fprintf(&b, "| [%s](#%s) | %d |", cell(s.Title), anchor(s.Title), len(s.Numbers))
		for _, state := range states {
			fmt.Fprintf(&b, " %d |", counts[state])
		}
		b.WriteString("\n")
	}
	for _, s := range sheets {
		e.sheet(&b, s)
	}
	b.WriteString("\n## Published facts that could not be confirmed, and how the fakes decide them\n\n" +
		"No public source settles these. The fakes had to do something; where a reader may need the other reading, there is\n" +
		"a switch. A test of a client must not rely on any of them.\n\n" +
		"| about | open question | what the fake does | switch |\n|---|---|---|---|\n")
	for _, u := range unconfirmed {
		with := "–"
		if len(u.Switches) > 0 {
			with = "`" + strings.Join(u.Switches, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", u.About, cell(u.Question), cell(u.Decision), with)
	}
	return []byte(b.String())
}

func (e Evidence) sheet(b *strings.Builder, s Sheet) {
	fmt.Fprintf(b, "\n## %s\n\n", s.Title)
	fmt.Fprintf(b, "Sheet `%s`.", s.Name)
	if s.Letters != "" {
		fmt.Fprintf(b, " Evidence: %s.", s.Letters)
	}
	b.WriteString("\n\n| | fact | evidence | specs | versions | state |\n|---:|---|---|---|---|---|\n")
	for _, n := range s.Numbers {
		state, specs, absences := e.StateOf(s.Name, n.N)
		var names, versions, remarks []string
		for _, spec := range specs {
			names = appendNew(names, path.Base(spec.Package)+" `"+spec.Name+"`")
			if spec.Versions != "" {
				versions = appendNew(versions, spec.Versions)
			}
			if spec.Part != "" && state == InPart {
				remarks = appendNew(remarks, spec.Part)
			}
		}
		for _, a := range absences {
			remarks = appendNew(remarks, a.Reason)
		}
		text := string(state)
		if len(remarks) > 0 {
			text += ": " + strings.Join(remarks, "; ")
		}
		fmt.Fprintf(b, "| %d | %s | %s | %s | %s | %s |\n", n.N, cell(n.Title), n.Evidence, cell(strings.Join(names, "<br>")), cell(strings.Join(versions, ", ")), cell(text))
	}
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// cell keeps text within a cell of a table.
func cell(s string) string { return strings.NewReplacer("|", "\\|", "\n", " ").Replace(s) }

// anchor is how Markdown names a heading in links.
func anchor(title string) string {
	return strings.ReplaceAll(strings.ToLower(title), " ", "-")
}
