package config

import (
	"fmt"
	"strings"
)

// Error is everything that is wrong with a file.
type Error struct {
	File     string
	Problems []Problem // in the order of their lines; at least one
	More     int       // further problems that were not kept
}

// Problem is one thing that is wrong with a file.
type Problem struct {
	Line  int    // from 1; 0: the file has nothing there
	Field string // path of the key, such as exchange.accounts[0].user; empty: the whole file
	Text  string // what is wrong and what to write instead
}

// Error has a line for each problem.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "config: %s:", e.File)
	if len(e.Problems) == 1 {
		return b.String() + " " + e.Problems[0].String()
	}
	fmt.Fprintf(&b, " %d problems", len(e.Problems)+e.More)
	for _, p := range e.Problems {
		b.WriteString("\n  " + p.String())
	}
	if e.More > 0 {
		fmt.Fprintf(&b, "\n  and %d more", e.More)
	}
	return b.String()
}

func (p Problem) String() string {
	s := p.Text
	if p.Field != "" {
		s = p.Field + ": " + s
	}
	if p.Line > 0 {
		s = fmt.Sprintf("line %d: %s", p.Line, s)
	}
	return s
}
