package loadgen

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

func TestAFlameGraphShowsWhoCalledWhomAndForHowLong(t *testing.T) {
	functions := map[string]*profile.Location{}
	at := func(names ...string) []*profile.Location { // innermost first
		var out []*profile.Location
		for _, name := range names {
			if functions[name] == nil {
				functions[name] = &profile.Location{Line: []profile.Line{{Function: &profile.Function{Name: name}}}}
			}
			out = append(out, functions[name])
		}
		return out
	}
	ms := time.Millisecond.Nanoseconds()
	p := &profile.Profile{DurationNanos: 1000 * ms, Sample: []*profile.Sample{
		{Location: at("mailbell/notifier/ews.(*Client).GetItem", "main.main"), Value: []int64{1, 300 * ms}},
		{Location: at("chan<- struct{}", "main.main"), Value: []int64{1, 100 * ms}},
		{Location: at("runtime.mallocgc", "mailbell/notifier/ews.(*Client).GetItem", "main.main"), Value: []int64{1, 600 * ms}},
	}}
	var out bytes.Buffer
	if err := flame(&out, "notifier & co", p); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"notifier &amp; co: 1.00 s of CPU time in 1.0 s",
		`<title>main.main: 100.0 %</title><rect x="0.0" y="40" width="1400.0"`,
		`GetItem: 90.0 %</title><rect x="0.0" y="57" width="1260.0"`,
		`runtime.mallocgc: 60.0 %</title><rect x="0.0" y="74" width="840.0" height="16" fill="#d0d0d0"`,
		`<title>chan&lt;- struct{}: 10.0 %</title><rect x="1260.0" y="57" width="140.0"`,
		">ews.(*Client).GetItem</text>",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %s", want, &out)
		}
	}
	dir := t.TempDir()
	from, to := filepath.Join(dir, cpuProfile), filepath.Join(dir, cpuPicture)
	kept, err := os.Create(from)
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range []string{"mailbell/notifier/ews.(*Client).GetItem", "main.main", "chan<- struct{}", "runtime.mallocgc"} {
		functions[l].ID, functions[l].Line[0].Function.ID = uint64(i+1), uint64(i+1)
		p.Location, p.Function = append(p.Location, functions[l]), append(p.Function, functions[l].Line[0].Function)
	}
	p.SampleType = []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}}
	if err := errors.Join(p.Write(kept), kept.Close(), drawProfile(from, to, "notifier & co")); err != nil {
		t.Fatal(err)
	}
	if picture, err := os.ReadFile(to); err != nil || !bytes.Equal(picture, out.Bytes()) {
		t.Errorf("%v: the picture of the kept profile is another: %s", err, picture)
	}
	if err := flame(&out, "nothing", &profile.Profile{}); err == nil || !strings.Contains(err.Error(), "nothing: no CPU time") {
		t.Errorf("%v", err)
	}
}
