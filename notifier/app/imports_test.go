package app_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// rules are the directions that imports may not take, each with its reason. A
// pattern that ends in "/..." covers the package and everything below it.
var rules = []struct{ from, to, because string }{
	{"mailbell/notifier/...", "mailbell/fakes/...", "production must not know its fakes"},
	{"mailbell/notifier/...", "mailbell/scenarios/...", "production must not know its tests"},
	{"mailbell/notifier/...", "mailbell/loadgen/...", "production must not know its load"},
	{"mailbell/notifier/...", "testing", "a binary that imports testing carries its flags"},
	{"mailbell/fakes/...", "mailbell/notifier/...", "a mistake shared with the client would agree with itself"},
	{"mailbell/loadgen/...", "mailbell/notifier/...", "the load generator works over the wire only"},

	{"mailbell/notifier", "mailbell/...", "the vocabulary needs the standard library only"},
	{"mailbell/notifier", "github.com/...", "the vocabulary needs the standard library only"},

	{"mailbell/notifier/ews", "mailbell/...", "protocol packages can be lifted out"},
	{"mailbell/notifier/autodiscover", "mailbell/...", "protocol packages can be lifted out"},
	{"mailbell/notifier/httpauth", "mailbell/...", "protocol packages can be lifted out"},
	{"mailbell/notifier/apns", "mailbell/...", "protocol packages can be lifted out"},
	{"mailbell/notifier/wns", "mailbell/...", "protocol packages can be lifted out"},

	{"mailbell/notifier/watch", "mailbell/notifier/compose", "stages meet in app, by the vocabulary"},
	{"mailbell/notifier/watch", "mailbell/notifier/deliver", "stages meet in app, by the vocabulary"},
	{"mailbell/notifier/watch", "mailbell/notifier/api", "stages meet in app, by the vocabulary"},
	{"mailbell/notifier/compose", "mailbell/notifier/watch", "stages meet in app, by the vocabulary"},
	{"mailbell/notifier/compose", "mailbell/notifier/deliver", "stages meet in app, by the vocabulary"},
	{"mailbell/notifier/compose", "mailbell/notifier/api", "stages meet in app, by the vocabulary"},
	{"mailbell/notifier/deliver", "mailbell/notifier/watch", "stages meet in app, by the vocabulary"},
	{"mailbell/notifier/deliver", "mailbell/notifier/compose", "stages meet in app, by the vocabulary"},
	{"mailbell/notifier/deliver", "mailbell/notifier/api", "stages meet in app, by the vocabulary"},
	{"mailbell/notifier/api", "mailbell/notifier/watch", "stages meet in app, by the vocabulary"},
	{"mailbell/notifier/api", "mailbell/notifier/compose", "stages meet in app, by the vocabulary"},
	{"mailbell/notifier/api", "mailbell/notifier/deliver", "stages meet in app, by the vocabulary"},

	{"mailbell/notifier/registry", "mailbell/notifier/engine", "stores do not know who opens them"},
	{"mailbell/notifier/queue", "mailbell/notifier/engine", "stores do not know who opens them"},
	{"mailbell/notifier/bookmark", "mailbell/notifier/engine", "stores do not know who opens them"},
	{"mailbell/notifier/ledger", "mailbell/notifier/engine", "stores do not know who opens them"},

	{"mailbell/cmd/notifier", "mailbell/fakes/...", "production must not know its fakes"},
	{"mailbell/cmd/fakes", "mailbell/notifier/...", "the fakes are a product of their own"},
	{"mailbell/cmd/loadgen", "mailbell/notifier/...", "the load generator works over the wire only"},
}

// contractSuites are the packages that exist to be imported by tests and may
// import testing for that.
func contractSuite(pkg string) bool {
	return strings.HasSuffix(pkg, "test") && strings.HasPrefix(pkg, "mailbell/notifier/")
}

func TestImportsGoOneWay(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "mailbell/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	packages := 0
	for dec.More() {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		packages++
		for _, r := range rules {
			if !covers(r.from, p.ImportPath) || contractSuite(p.ImportPath) {
				continue
			}
			for _, imp := range p.Imports {
				if covers(r.to, imp) {
					t.Errorf("%s imports %s: %s", p.ImportPath, imp, r.because)
				}
				if contractSuite(imp) {
					t.Errorf("%s imports %s: contract suites are for tests", p.ImportPath, imp)
				}
			}
		}
	}
	if packages < 20 {
		t.Errorf("only %d packages were looked at", packages)
	}
}

func covers(pattern, pkg string) bool {
	if root, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == root || strings.HasPrefix(pkg, root+"/")
	}
	return pkg == pattern
}
