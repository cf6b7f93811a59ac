package fakes

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestFaultsAreKnownByWhatTheFakesDocument compares the package comments with
// the names that the code asks for: a fault without a comment could never be
// set, a comment without a fault would promise in vain.
func TestFaultsAreKnownByWhatTheFakesDocument(t *testing.T) {
	form := regexp.MustCompile(`^(apns|autodiscover|entra|ews|iis|smtp|wns)\.[a-z0-9][a-z0-9.-]*$`)
	asked := map[string]string{} // name → file
	dirs, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir.Name(), "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if s, err := strconv.Unquote(lit.Value); err == nil && form.MatchString(s) {
						asked[s] = file
					}
				}
				return true
			})
		}
	}
	documented := map[string]bool{}
	for _, n := range faultNames() {
		if documented[n.Name] {
			t.Errorf("%s is documented twice", n.Name)
		}
		documented[n.Name] = true
		if asked[n.Name] == "" {
			t.Errorf("%s is documented, and nobody asks for it", n.Name)
		}
	}
	for name, file := range asked {
		if !documented[name] {
			t.Errorf("%s asks for %s, which its doc.go does not document", file, name)
		}
	}
	if len(documented) < 50 {
		t.Errorf("only %d faults found", len(documented))
	}
}
