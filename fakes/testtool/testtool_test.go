package testtool

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// observed is a test that remembers how it was ended. As a real one it goes no
// further then.
type observed struct {
	testing.TB
	skipped, failed string
}

func (o *observed) Helper() {}

func (o *observed) Skipf(f string, a ...any) {
	o.skipped = fmt.Sprintf(f, a...)
	runtime.Goexit()
}

func (o *observed) Fatalf(f string, a ...any) {
	o.failed = fmt.Sprintf(f, a...)
	runtime.Goexit()
}

// observe runs a test to its end.
func observe(t *testing.T, test func(testing.TB)) *observed {
	t.Helper()
	o := &observed{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(o)
	}()
	<-done
	return o
}

func TestAMissingToolSkipsLoudlyAndFailsWhereItIsRequired(t *testing.T) {
	var path string
	look := func(tb testing.TB) {
		path = Tool{"no-such-program", "a-package"}.Path(tb, "the wire was not looked at")
	}
	t.Setenv(Require, "curl,no-such-program-either")
	if o := observe(t, look); path != "" || o.failed != "" || !strings.Contains(o.skipped, "the wire was not looked at; apt-get install a-package") {
		t.Errorf("%q, skipped %q, failed %q", path, o.skipped, o.failed)
	}
	t.Setenv(Require, "curl,no-such-program")
	if o := observe(t, look); path != "" || o.skipped != "" || !strings.Contains(o.failed, "no-such-program") {
		t.Errorf("%q, skipped %q, failed %q", path, o.skipped, o.failed)
	}
}

func TestTheFirstProgramThatIsThereIsTaken(t *testing.T) {
	if path := Curl.Path(t, "nothing", "no-such-program", "go"); !strings.HasSuffix(path, "go") {
		t.Errorf("%q", path)
	}
}
