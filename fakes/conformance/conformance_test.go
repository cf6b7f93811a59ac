package conformance

import (
	"bytes"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite CONFORMANCE.md")

const (
	root     = "../.."
	document = "../CONFORMANCE.md"
)

func evidence(t *testing.T) Evidence {
	t.Helper()
	e, err := Read(root)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEveryNumberIsProvedOrExplained(t *testing.T) {
	for _, complaint := range evidence(t).Complaints(Sheets(), Complete) {
		t.Error(complaint)
	}
}

func TestTheTableIsCurrent(t *testing.T) {
	want := Markdown(evidence(t), Sheets())
	if *update {
		if err := os.WriteFile(document, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("CONFORMANCE.md is stale: run go generate ./fakes/conformance")
	}
}

func TestSheetsAreNumberedWithoutGaps(t *testing.T) {
	length := map[string]int{"ews": 63, "autodiscover": 33, "auth": 35, "push": 80, "ours": len(ours.Numbers)}
	for _, s := range Sheets() {
		if len(s.Numbers) != length[s.Name] {
			t.Errorf("%s: %d numbers, want %d", s.Name, len(s.Numbers), length[s.Name])
		}
		for i, n := range s.Numbers {
			if n.N != i+1 || n.Title == "" {
				t.Errorf("%s: %d stands in place %d", s.Name, n.N, i+1)
			}
		}
	}
	for _, name := range Complete {
		if !slices.ContainsFunc(Sheets(), func(s Sheet) bool { return s.Name == name }) {
			t.Errorf("Complete names %q, which is no sheet", name)
		}
	}
}

// TestSwitchesExist: an option that was renamed must be renamed in the table,
// and a fault that is named must be one its fake documents.
func TestSwitchesExist(t *testing.T) {
	for _, q := range unconfirmed {
		if q.Question == "" || q.Decision == "" {
			t.Errorf("%+v is not whole", q)
		}
		for _, s := range q.Switches {
			parts := strings.Split(s, ".")
			switch len(parts) {
			case 2:
				if !documented(t, parts[0], s) {
					t.Errorf("%s: no package comment of a fake tells of it", s)
				}
			case 3:
				if !slices.Contains(fields(t, parts[0], parts[1]), parts[2]) {
					t.Errorf("%s: there is no such field", s)
				}
			default:
				t.Errorf("%s: want package.Type.Field or a fault", s)
			}
		}
	}
}

func documented(t *testing.T, fake, fault string) bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "fake"+fake, "doc.go"))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(text, []byte(fault))
}

// fields are the fields of a struct in a package under fakes.
func fields(t *testing.T, name, typ string) (out []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", name, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.TypeSpec); ok && s.Name.Name == typ {
				if st, ok := s.Type.(*ast.StructType); ok {
					for _, f := range st.Fields.List {
						for _, id := range f.Names {
							out = append(out, id.Name)
						}
					}
				}
			}
			return true
		})
	}
	return out
}

func TestTheTableIsInTheRepositorysOwnWords(t *testing.T) {
	foreign := regexp.MustCompile(`\[(DOC|MA|XL|GROM|MUS|BAR|REC|PUSHY)[ #\]]|` + "\u00a7")
	if at := foreign.Find(Markdown(evidence(t), Sheets())); at != nil {
		t.Errorf("the table quotes a sheet: %s", at)
	}
}
