package fault

import (
	"fmt"
	"sort"
	"strings"
)

// Name is a fault that some fake knows, and what it does.
type Name struct {
	Name string `json:"name"` // "ews.busy"
	Does string `json:"does"`
}

// Know tells the set which names there are; from then on Add refuses others.
// It may be called for each fake in turn.
func (s *Set) Know(names ...Name) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[string]Name{}
	}
	for _, n := range names {
		s.known[n.Name] = n
	}
}

// Names are the known names in order; none when any is taken.
func (s *Set) Names() []Name {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Name, 0, len(s.known))
	for _, n := range s.known {
		out = append(out, n)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// check refuses a name that no fake knows.
func (s *Set) check(name string) error {
	if s.known == nil {
		return nil
	}
	if _, ok := s.known[name]; ok {
		return nil
	}
	best, distance := "", len(name)/2+1
	for known := range s.known {
		if d := editDistance(strings.ToLower(name), known); d < distance || d == distance && best != "" && known < best {
			best, distance = known, d
		}
	}
	if best == "" {
		return fmt.Errorf("fault %q: no fake knows it; GET /faults/names lists those there are", name)
	}
	return fmt.Errorf("fault %q: no fake knows it; did you mean %q?", name, best)
}

// editDistance is the number of letters to insert, delete or replace.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}

// ParseNames reads the names out of a package comment: the tab-indented lines
// that begin with a name of the form "ews.busy", or with several joined by
// commas; lines indented further go on with the text. So what a fake documents
// is what it is known for.
func ParseNames(goSource string) []Name {
	var out []Name
	from := 0 // the names of the last line that had any
	for line := range strings.Lines(goSource) {
		text, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "//\t")
		if !ok {
			from = len(out)
			continue
		}
		if strings.HasPrefix(text, "  ") {
			for i := from; i < len(out); i++ {
				out[i].Does += " " + strings.TrimSpace(text)
			}
			continue
		}
		names, does, _ := strings.Cut(text, "  ")
		from = len(out)
		for _, n := range strings.Split(names, ", ") {
			if !isName(n) {
				out = out[:from]
				break
			}
			out = append(out, Name{Name: n, Does: strings.TrimSpace(does)})
		}
	}
	return out
}

// isName says whether a word has the form fake.what[.more].
func isName(word string) bool {
	fake, what, ok := strings.Cut(word, ".")
	if !ok || fake == "" || what == "" {
		return false
	}
	for _, r := range word {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.' && r != '-' {
			return false
		}
	}
	return !strings.HasSuffix(word, ".")
}
