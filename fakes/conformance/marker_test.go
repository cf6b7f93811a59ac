package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree writes a repository of one fake and reads it.
func tree(t *testing.T, doc, test string) (Evidence, error) {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"fakes/fake", "cmd/fakes"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"doc.go": doc + "\npackage fake\n", "x_test.go": "package fake\n" + test} {
		if err := os.WriteFile(filepath.Join(dir, "fakes/fake", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Read(dir)
}

func TestMarkersNameTheSpecTheyStandAbove(t *testing.T) {
	e, err := tree(t, "", `
// Checklist a 1, 3-4 [2016+, online].
// What it is about.
func TestWhole(t *testing.T) {
	for _, c := range []struct{ name string }{
		// Checklist a 5 in part: half of it,
		// on two lines.
		{"a row"},
		{name: "another"},
	} {
		_ = c
	}
	// Checklist b 6.
	t.Run("a part", func(t *testing.T) {})
}

var shared = map[string]int{
	// Checklist a 7.
	"by key": 1,
}

func TestShared(t *testing.T) { _ = shared }

// Checklist a: by row [all].
var table = []struct {
	n int
	name string
	v exchange.Version
}{
	{8, "eight", exchange.V2013},
	{8, "eight again", setup{from: exchange.V2016}},
	// Checklist a 9 in part: less.
	{9, "nine", ""},
	{10, "ten", ""},
}

func TestTable(t *testing.T) { _ = table }
`)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range e.Specs {
		got = append(got, fmt.Sprintf("%s %d %s|%s|%s", s.Sheet, s.N, s.Name, s.Versions, s.Part))
	}
	want := []string{
		"a 1 TestWhole||", "a 3 TestWhole|2016+, online|", "a 4 TestWhole|2016+, online|",
		"a 5 TestWhole/a row||half of it, on two lines", "b 6 TestWhole/a part||", "a 7 TestShared/by key||",
		"a 8 TestTable/eight|2013|", "a 8 TestTable/eight again|2016+|", "a 9 TestTable/nine||less", "a 10 TestTable/ten|all|",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestMarkersThatCannotBeUnderstoodAreNamed(t *testing.T) {
	for _, c := range []struct{ test, says string }{
		{"// Checklist a 1\nfunc TestX(t *testing.T) {}", "no full stop"},
		{"// Checklist a one.\nfunc TestX(t *testing.T) {}", "want “Checklist"},
		{"// Checklist a 1, x.\nfunc TestX(t *testing.T) {}", "is no number"},
		{"// Checklist a 9-1.\nfunc TestX(t *testing.T) {}", "is no range"},
		{"// Checklist a 1.\n\nfunc TestX(t *testing.T) {}", "belongs to no test"},
		{"// Checklist a 1.\nfunc helper() {}", "no test makes use"},
		{"func TestX(t *testing.T) {\n// Checklist a 1.\nx := 1\n}", "neither a row"},
		{"// Checklist a: by row.\nvar x = []int{1}\nfunc TestX(t *testing.T) { _ = x }", "is no row"},
	} {
		if _, err := tree(t, "", c.test); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v, want %q", c.test, err, c.says)
		}
	}
}

func TestListsOfPackageCommentsAreRead(t *testing.T) {
	e, err := tree(t, `// Package fake is one.
//
// # Not modelled, by number
//
// Some things:
//
//	a 1: because there is
//	no time.
//	b 2: because.
//
// # Further
//
//	a 3: is an example`, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(e.Absences); got != "[{a 1 fakes/fake because there is no time.} {b 2 fakes/fake because.}]" {
		t.Error(got)
	}
	if _, err := tree(t, "// Package fake is one.\n//\n// # Not modelled, by number\n//\n//\tsomething else", ""); err == nil {
		t.Error("a line of no form is accepted")
	}
}

func TestComplaintsNameWhatIsWrong(t *testing.T) {
	sheets := []Sheet{{Name: "a", Numbers: []Number{{1, "", "one"}, {2, "", "two"}, {3, "", "three"}, {4, "", "four"}}}, {Name: "b", Numbers: []Number{{1, "", "x"}}}}
	e := Evidence{
		Specs: []Spec{
			{Sheet: "a", N: 1, Name: "TestOne"},
			{Sheet: "a", N: 9, Where: "here"},
			{Sheet: "c", N: 1, Where: "there"},
			{Sheet: "a", N: 2, Part: "half"},
		},
		Absences: []Absence{{Sheet: "a", N: 1, Package: "p"}, {Sheet: "a", N: 2, Package: "p"}, {Sheet: "b", N: 7, Package: "p"}, {Sheet: "a", N: 4, Package: "p"}},
	}
	got := strings.Join(e.Complaints(sheets, []string{"a"}), "\n")
	want := strings.Join([]string{
		`here: there is no number 9 in a sheet "a"`,
		`there: there is no number 1 in a sheet "c"`,
		`p, package comment: there is no number 7 in a sheet "b"`,
		`a 1: TestOne proves it, and the package comment of p says it is not modelled`,
		`a 3 (three): no spec proves it and no package comment says why it is not modelled`,
	}, "\n")
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
