package testtool

import (
	"fmt"
	"strings"
	"testing"
)

// observed is a test that remembers how it was ended.
type observed struct {
	testing.TB
	skipped, failed string
}

func (o *observed) Helper()                   {}
func (o *observed) Skipf(f string, a ...any)  { o.skipped = fmt.Sprintf(f, a...) }
func (o *observed) Fatalf(f string, a ...any) { o.failed = fmt.Sprintf(f, a...) }

func TestAMissingToolSkipsLoudlyAndFailsWhereItIsRequired(t *testing.T) {
	tool := Tool{"no-such-program", "a-package"}
	t.Setenv(Require, "curl,no-such-program-either")
	o := &observed{TB: t}
	if path := tool.Path(o, "the wire was not looked at"); path != "" || o.failed != "" || !strings.Contains(o.skipped, "the wire was not looked at; apt-get install a-package") {
		t.Errorf("%q, skipped %q, failed %q", path, o.skipped, o.failed)
	}
	t.Setenv(Require, "curl,no-such-program")
	o = &observed{TB: t}
	if tool.Path(o, "x"); o.skipped != "" || !strings.Contains(o.failed, "no-such-program") {
		t.Errorf("skipped %q, failed %q", o.skipped, o.failed)
	}
	if path := tool.Path(&observed{TB: t}, "x", "nothing", "go"); !strings.HasSuffix(path, "go") {
		t.Errorf("%q", path)
	}
}
