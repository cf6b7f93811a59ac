package conformance

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Spec is a test that proves a number.
type Spec struct {
	Sheet    string
	N        int
	Package  string // directory, below the root
	Name     string // as go test names it: "TestX" or "TestX/row"
	Versions string // empty: not told apart
	Part     string // what is proved, when it is not all
	Where    string // file:line
}

// Absence is a number that a fake says it does not model.
type Absence struct {
	Sheet   string
	N       int
	Package string
	Reason  string
}

// Evidence is everything the source says of the sheets.
type Evidence struct {
	Specs    []Spec
	Absences []Absence
}

// Places of the markers, below the root of the repository.
var places = []string{"fakes", filepath.Join("cmd", "fakes")}

// Read reads the markers and the lists of what is not modelled. The error
// names the file and line of a marker that cannot be understood.
func Read(root string) (Evidence, error) {
	var e Evidence
	for _, place := range places {
		err := filepath.WalkDir(filepath.Join(root, place), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			if d.Name() == "testdata" {
				return fs.SkipDir
			}
			return e.readDir(root, path)
		})
		if err != nil {
			return e, err
		}
	}
	slices.SortStableFunc(e.Specs, func(a, b Spec) int { return cmp.Compare(a.N, b.N) })
	slices.SortStableFunc(e.Absences, func(a, b Absence) int { return cmp.Compare(a.N, b.N) })
	return e, nil
}

func (e *Evidence) readDir(root, dir string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return err
	}
	p := pkg{fset: token.NewFileSet()}
	if p.dir, err = filepath.Rel(root, dir); err != nil {
		return err
	}
	p.dir = filepath.ToSlash(p.dir)
	for _, path := range paths {
		f, err := parser.ParseFile(p.fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if strings.HasSuffix(path, "_test.go") {
			p.tests = append(p.tests, f)
			continue
		}
		absences, err := listed(f.Doc.Text())
		if err != nil {
			return fmt.Errorf("%s: %w", p.dir, err)
		}
		for _, a := range absences {
			a.Package = p.dir
			e.Absences = append(e.Absences, a)
		}
	}
	for _, f := range p.tests {
		specs, err := p.specs(f)
		if err != nil {
			return err
		}
		e.Specs = append(e.Specs, specs...)
	}
	return nil
}

// pkg is the source of one package.
type pkg struct {
	dir   string
	fset  *token.FileSet
	tests []*ast.File
}

// specs are the specs of one file.
func (p pkg) specs(f *ast.File) ([]Spec, error) {
	var out []Spec
	var tables []func() error // after the rows with markers of their own
	for _, group := range f.Comments {
		markers, err := markersOf(group)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.at(group), err)
		}
		for _, m := range markers {
			decl := enclosing(f, group)
			if decl == nil {
				return nil, fmt.Errorf("%s: the marker belongs to no test", p.at(group))
			}
			test, err := p.test(decl)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.at(group), err)
			}
			if m.byRow {
				tables = append(tables, func() error {
					rows, err := p.rows(decl, m, test, out)
					if err != nil {
						return fmt.Errorf("%s: %w", p.at(group), err)
					}
					out = append(out, rows...)
					return nil
				})
				continue
			}
			name := test
			if docOf(decl) != group {
				row, err := p.row(decl, p.fset.Position(group.End()).Line+1)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", p.at(group), err)
				}
				name += "/" + row
			}
			for _, n := range m.numbers {
				out = append(out, Spec{
					Sheet: m.sheet, N: n.n, Package: p.dir, Name: name, Versions: n.versions, Part: m.part, Where: p.at(group),
				})
			}
		}
	}
	for _, t := range tables {
		if err := t(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (p pkg) at(n ast.Node) string {
	at := p.fset.Position(n.Pos())
	return p.dir + "/" + filepath.Base(at.Filename) + ":" + strconv.Itoa(at.Line)
}

// test is the test that a declaration is, or that makes use of it.
func (p pkg) test(decl ast.Decl) (string, error) {
	name := ""
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if isTest(d) {
			return d.Name.Name, nil
		}
		name = d.Name.Name
	case *ast.GenDecl:
		if len(d.Specs) == 1 {
			if v, ok := d.Specs[0].(*ast.ValueSpec); ok && len(v.Names) == 1 {
				name = v.Names[0].Name
			}
		}
	}
	for _, f := range p.tests {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && name != "" && isTest(fn) && uses(fn, name) {
				return fn.Name.Name, nil
			}
		}
	}
	return "", fmt.Errorf("no test makes use of %q, where the marker stands", name)
}

func isTest(f *ast.FuncDecl) bool {
	return f.Recv == nil && (strings.HasPrefix(f.Name.Name, "Test") || strings.HasPrefix(f.Name.Name, "Fuzz"))
}

func uses(f *ast.FuncDecl, name string) bool {
	found := false
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && id.Name == name {
			found = true
		}
		return !found
	})
	return found
}

// row is the name of the table row or t.Run that begins on a line.
func (p pkg) row(decl ast.Decl, line int) (string, error) {
	var name string
	ast.Inspect(decl, func(n ast.Node) bool {
		if n == nil || name != "" {
			return false
		}
		if p.fset.Position(n.Pos()).Line == line {
			switch n := n.(type) {
			case *ast.CompositeLit, *ast.KeyValueExpr:
				name = firstString(n)
			case *ast.CallExpr:
				if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Run" {
					name = firstString(n)
				}
			}
		}
		return true
	})
	if name == "" {
		return "", fmt.Errorf("neither a row with a name nor t.Run follows on line %d", line)
	}
	return name, nil
}

// rows are the specs of a table that has numbers in it, without those whose
// row has a marker of its own.
func (p pkg) rows(decl ast.Decl, m marker, test string, own []Spec) ([]Spec, error) {
	var table *ast.CompositeLit
	ast.Inspect(decl, func(n ast.Node) bool {
		if c, ok := n.(*ast.CompositeLit); ok && table == nil {
			table = c
		}
		return table == nil
	})
	if table == nil || len(table.Elts) == 0 {
		return nil, fmt.Errorf("no table with rows follows")
	}
	var out []Spec
	for _, e := range table.Elts {
		row, ok := e.(*ast.CompositeLit)
		if !ok || len(row.Elts) == 0 {
			return nil, fmt.Errorf("%s is no row", p.at(e))
		}
		lit, ok := row.Elts[0].(*ast.BasicLit)
		if !ok || lit.Kind != token.INT {
			return nil, fmt.Errorf("%s: a row that does not begin with its number", p.at(e))
		}
		n, err := strconv.Atoi(lit.Value)
		if err != nil {
			return nil, err
		}
		s := Spec{Sheet: m.sheet, N: n, Package: p.dir, Name: test + "/" + firstString(row), Versions: versionsIn(row), Where: p.at(e)}
		if s.Versions == "" {
			s.Versions = m.versions
		}
		if !slices.ContainsFunc(own, func(o Spec) bool { return o.Sheet == s.Sheet && o.N == n && o.Name == s.Name }) {
			out = append(out, s)
		}
	}
	return out, nil
}

func firstString(n ast.Node) (out string) {
	ast.Inspect(n, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && out == "" {
			out, _ = strconv.Unquote(lit.Value)
		}
		return out == ""
	})
	return out
}

// versionsIn are the versions of Exchange a row names: exchange.V2013, and
// from: exchange.V2013 for all since then.
func versionsIn(n ast.Node) string {
	var out []string
	ast.Inspect(n, func(n ast.Node) bool {
		since := ""
		if kv, ok := n.(*ast.KeyValueExpr); ok {
			if key, ok := kv.Key.(*ast.Ident); ok && key.Name == "from" {
				n, since = kv.Value, "+"
			}
		}
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if id, ok := s.X.(*ast.Ident); ok && id.Name == "exchange" && versionName.MatchString(s.Sel.Name) {
			out = appendNew(out, strings.ToLower(s.Sel.Name[1:])+since)
		}
		return false
	})
	return strings.Join(out, ", ")
}

var versionName = regexp.MustCompile(`^V(20\d\d(SP\d)?|SE|Online)$`)

// enclosing is the top-level declaration that a comment belongs to.
func enclosing(f *ast.File, group *ast.CommentGroup) ast.Decl {
	for _, d := range f.Decls {
		if docOf(d) == group || d.Pos() <= group.Pos() && group.End() <= d.End() {
			return d
		}
	}
	return nil
}

func docOf(d ast.Decl) *ast.CommentGroup {
	switch d := d.(type) {
	case *ast.FuncDecl:
		return d.Doc
	case *ast.GenDecl:
		return d.Doc
	}
	return nil
}

// marker is one "Checklist …" line.
type marker struct {
	sheet    string
	byRow    bool
	versions string // of rows that name none
	numbers  []versioned
	part     string
}

type versioned struct {
	n        int
	versions string
}

const keyword = "Checklist "

var (
	markerForm = regexp.MustCompile(`^Checklist ([a-z]+) (\d[^:]*?)(?: in part: (.+))?\.$`)
	byRowForm  = regexp.MustCompile(`^Checklist ([a-z]+): by row(?: \[([^\]]+)\])?\.$`)
	itemForm   = regexp.MustCompile(`^(\d+)(?:[-–](\d+))?(?: \[([^\]]+)\])?$`)
	absentForm = regexp.MustCompile(`^([a-z]+) (\d+): (.+)$`)
)

func markersOf(group *ast.CommentGroup) ([]marker, error) {
	var out []marker
	text := ""
	for _, c := range group.List {
		line := strings.TrimSpace(strings.TrimPrefix(c.Text, "//"))
		switch {
		case text != "":
			text += " " + line
		case strings.HasPrefix(line, keyword):
			text = line
		default:
			continue
		}
		if !strings.HasSuffix(text, ".") {
			continue
		}
		m, err := parseMarker(text)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
		text = ""
	}
	if text != "" {
		return nil, fmt.Errorf("%q: no full stop at its end", text)
	}
	return out, nil
}

func parseMarker(text string) (marker, error) {
	if m := byRowForm.FindStringSubmatch(text); m != nil {
		return marker{sheet: m[1], byRow: true, versions: m[2]}, nil
	}
	m := markerForm.FindStringSubmatch(text)
	if m == nil {
		return marker{}, fmt.Errorf("%q: want “Checklist <sheet> <numbers>.” or “… in part: <what>.”", text)
	}
	out := marker{sheet: m[1], part: m[3]}
	for _, item := range splitItems(m[2]) {
		i := itemForm.FindStringSubmatch(item)
		if i == nil {
			return marker{}, fmt.Errorf("%q: %q is no number", text, item)
		}
		from, _ := strconv.Atoi(i[1]) // digits
		to := from
		if i[2] != "" {
			to, _ = strconv.Atoi(i[2])
		}
		const rangeMax = 100
		if to < from || to-from > rangeMax {
			return marker{}, fmt.Errorf("%q: %q is no range", text, item)
		}
		for n := from; n <= to; n++ {
			out.numbers = append(out.numbers, versioned{n, i[3]})
		}
	}
	return out, nil
}

// splitItems splits at the commas outside brackets.
func splitItems(s string) []string {
	var out []string
	depth, start := 0, 0
	for i, r := range s {
		switch r {
		case '[':
			depth++
		case ']':
			depth--
		case ',':
			if depth == 0 {
				out = append(out, strings.TrimSpace(s[start:i]))
				start = i + 1
			}
		}
	}
	return append(out, strings.TrimSpace(s[start:]))
}

const absentHeading = "# Not modelled, by number"

// listed reads the list of a package comment.
func listed(doc string) ([]Absence, error) {
	var out []Absence
	within := false
	for line := range strings.Lines(doc) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "# "):
			within = line == absentHeading
		case !within || !strings.HasPrefix(line, "\t"):
		default:
			line = strings.TrimSpace(line)
			if m := absentForm.FindStringSubmatch(line); m != nil {
				n, err := strconv.Atoi(m[2])
				if err != nil {
					return nil, err
				}
				out = append(out, Absence{Sheet: m[1], N: n, Reason: m[3]})
				continue
			}
			if len(out) == 0 || line == "" {
				return nil, fmt.Errorf("%q is no line of the list: want “<sheet> <number>: because …”", line)
			}
			out[len(out)-1].Reason += " " + line
		}
	}
	return out, nil
}
