package loadgen

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(standIn) != "" && len(os.Args) == 3 && os.Args[1] == "-c" {
		if err := actAsGorush(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// The whole of it, with real processes: everything but the size is as in a
// long run.
func TestARunOverRealProcessesLosesNothing(t *testing.T) {
	dir := t.TempDir()
	notifier, fakes := filepath.Join(dir, "notifier"), filepath.Join(dir, "fakes")
	for name, path := range map[string]*string{"notifier": &notifier, "fakes": &fakes} {
		if err := build(t.Context(), name, dir, path); err != nil {
			t.Fatal(err)
		}
	}
	o := Options{
		Devices: 9, Rate: 20, Duration: time.Second, Seed: 5, Profile: AllHands, ColdStart: true, Entrance: BySMTP, Idle: 10 * time.Millisecond,
		Notifier: notifier, Fakes: fakes, Dir: dir, Command: []string{"loadgen", "run"},
	}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Kept || r.Lost != 0 || r.Mails != r.Load.Planned || r.Pushes < r.Load.Due || r.Missed != 0 || r.LatencyMS.Max == 0 || r.ColdStartS == nil {
		t.Errorf("%s %+v, findings %q", r.Verdict, r, r.Findings)
	}
	if measurable && (r.Notifier.CPUSeconds == nil || *r.Notifier.RSSPeakMB < 5 || *r.Fakes.CPUSeconds < 0) {
		t.Errorf("%+v %+v", r.Notifier, r.Fakes)
	}
	read, err := ReadReport(dir)
	if err != nil || read.Mails != r.Mails || read.LatencyMS != r.LatencyMS {
		t.Errorf("the report reads otherwise: %v", err)
	}
	if info, err := os.Stat(filepath.Join(dir, reportHTML)); err != nil || info.Size() < 10_000 {
		t.Errorf("no page: %v", err)
	}

	// An interrupted run reports what was done, in good order.
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	o.Duration, o.ColdStart, o.Profile, o.Entrance = time.Hour, false, Steady, ByControl
	o.Progress = writer(func(line string) {
		if len(line) > 5 && line[:5] == "load:" {
			time.AfterFunc(time.Second, interrupt)
		}
	})
	if r, err = Run(ctx, o); err != nil {
		t.Fatal(err)
	}
	if !r.Kept || !r.Load.Interrupted || r.Mails == 0 || r.Mails > 200 {
		t.Errorf("%s interrupted %v, %d mails, findings %q", r.Verdict, r.Load.Interrupted, r.Mails, r.Findings)
	}

	// Devices come and go beside the load.
	o.Duration, o.Profile, o.Progress = time.Second, Churn, nil
	if r, err = Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if !r.Kept || r.Visits == nil || r.Visits.Registered < 3 || r.Visits.Wiped != r.Visits.Registered || r.Visits.Refused != 0 {
		t.Errorf("%s visits %+v, findings %q", r.Verdict, r.Visits, r.Findings)
	}

	// Answers that take their time make pushes late, not less.
	o.Profile, o.EWSDelay, o.PushDelay = Steady, 100*time.Millisecond, 150*time.Millisecond
	if r, err = Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if !r.Kept || r.LatencyMS.P50 < 100 || r.Load.PushDelayMS != 150 {
		t.Errorf("%s latency %+v, findings %q", r.Verdict, r.LatencyMS, r.Findings)
	}
	o.EWSDelay, o.PushDelay = 0, 0

	// Registered in steps, with a look after each.
	steps := growthSteps
	defer func() { growthSteps = steps }()
	growthSteps = []int{3, 6, 100}
	o.Profile, o.CPUProfile = Growth, true
	if r, err = Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if !r.Kept || len(r.Growth) != 2 || r.Growth[1].Devices != 6 || measurable && *r.Growth[1].RSSMB < 5 {
		t.Errorf("%s growth %+v, findings %q", r.Verdict, r.Growth, r.Findings)
	}
	for _, name := range []string{"notifier.heap.pprof", "notifier.cpu.pprof"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("no profile: %v", err)
		}
	}
}

// writer is a function as an io.Writer.
type writer func(string)

func (w writer) Write(b []byte) (int, error) {
	w(string(b))
	return len(b), nil
}
