package loadgen

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func sampleReport() Report {
	cpu, per, peak := 1.5, 750.0, 40.0
	r := Report{
		Devices: 3, Mails: 2, Pushes: 2000, LatencyMS: Latency{1, 2, 3, 4, 5}, Notifier: NotifierUse{CPUSeconds: &cpu, CPUPerPush: &per, RSSPeakMB: &peak}, Seed: 9,
		Load: Load{Profile: Steady, Rate: 20, DurationS: 60, Due: 2000}, Command: []string{"loadgen", "run", "--report", "a dir"},
		Series: Series{
			CDF: []CDFPoint{{0.4, 0.1}, {1, 0.5}, {5, 1}}, Seconds: []Second{{0, 20, 10, 1, 2, 3}, {1, 20, 30, 1, 2, 3}},
			Samples: []Sample{{0.5, 0.1, 0.1, 0, 30, 20}, {1, 0.1, 0.1, 0, 30, 20}},
		},
	}
	r.conclude()
	return r
}

func TestTheReportHasTheFieldsThatOthersReadByName(t *testing.T) {
	text, err := json.Marshal(sampleReport())
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	for section, names := range map[string]string{
		"": "devices mails pushes lost duplicated unexpected suppressed latency_ms notifier fakes cold_start_s seed missed_slots", "latency_ms": "p50 p90 p99 p999 max",
		"notifier": "cpu_s cpu_us_per_push rss_peak_mb", "fakes": "cpu_s",
	} {
		in := got
		if section != "" {
			in = got[section].(map[string]any)
		}
		for _, name := range strings.Fields(names) {
			if _, ok := in[name]; !ok {
				t.Errorf("%s.%s is missing", section, name)
			}
		}
	}
}

func TestThePageStartsWithTheVerdictAndNeedsNothingElse(t *testing.T) {
	for _, r := range []Report{sampleReport(), {}} { // plots of nothing are plots too
		var b bytes.Buffer
		if err := r.HTML(&b); err != nil {
			t.Fatal(err)
		}
		page := b.String()
		if n := strings.Count(page, "<svg"); n != 5 {
			t.Errorf("%d plots", n)
		}
		for _, foreign := range []string{"<script", "<link", "src=", "@import", "url("} {
			if strings.Contains(page, foreign) {
				t.Errorf("the page holds %s", foreign)
			}
		}
		if at := strings.Index(page, `class="verdict"`); at < 0 || at > strings.Index(page, `class="figures"`) {
			t.Error("the verdict is not first")
		}
	}
	var b bytes.Buffer
	if err := sampleReport().HTML(&b); err != nil || !strings.Contains(b.String(), "loadgen run --report &#39;a dir&#39;") {
		t.Errorf("the page does not say how to repeat it: %v", err)
	}
}

func TestTheVerdictFollowsTheFigures(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Report)
		kept   bool
		says   string
	}{
		{"good", func(*Report) {}, true, "Kept."},
		{"lost", func(r *Report) { r.Lost = 1 }, false, "Broken."},
		{"unexpected", func(r *Report) { r.Unexpected = 1 }, false, "Broken."},
		{"duplicates are allowed", func(r *Report) { r.Duplicated = 1 }, true, "Kept."},
		{"no mail", func(r *Report) { r.Mails = 0 }, false, "Nothing to judge"},
		{"the notifier died", func(r *Report) { r.Findings = []string{failure + "x"} }, false, "Broken."},
		{"missed slots are a doubt", func(r *Report) { r.Missed = 1 }, true, "not sent"},
		{"an interruption is a doubt", func(r *Report) { r.Load.Interrupted = true }, true, "interrupted"},
		{"a busy machine is a doubt", func(r *Report) { r.Load.OtherCPU = 0.5 }, true, "50 %"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := sampleReport()
			c.change(&r)
			r.conclude()
			if r.Kept != c.kept || !strings.Contains(r.Verdict+strings.Join(r.Doubts, " "), c.says) {
				t.Errorf("kept %v, %q, doubts %q", r.Kept, r.Verdict, r.Doubts)
			}
		})
	}
}

func TestAComparisonHasRatiosAndSaysWhatDiffers(t *testing.T) {
	a, b := sampleReport(), sampleReport()
	b.LatencyMS.P99, b.Seed, b.Notifier.RSSPeakMB = 6, 10, nil
	var out bytes.Buffer
	Compare(&out, a, b)
	squeezed := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{"latency p99 3.00 ms 6.00 ms 2.00", "notifier memory peak 40 MiB not measured", "differs: seed: 9 | 10"} {
		if !strings.Contains(squeezed, want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}

func TestLimitsAreReadOrRefused(t *testing.T) {
	for text, want := range map[string]Limit{"": {}, "2cpu,4GiB": {2, 4 << 30}, "512MiB": {0, 512 << 20}, "1cpu": {1, 0}, "4gib, 2CPU": {2, 4 << 30}} {
		if got, err := ParseLimit(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"2", "cpu", "0cpu", "-1cpu", "4GB", "1cpu,2cpu", "xGiB"} {
		if _, err := ParseLimit(text); !errors.Is(err, ErrUsage) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestOptionsThatDoNotFitTogetherAreRefused(t *testing.T) {
	good := Options{Devices: 1, Rate: 1, Duration: time.Second, Dir: t.TempDir()}
	for name, spoil := range map[string]func(*Options){
		"no report":                     func(o *Options) { o.Dir = "" },
		"unknown entrance":              func(o *Options) { o.Entrance = "fax" },
		"a notifier without its fakes":  func(o *Options) { o.API = "http://127.0.0.1:1" },
		"a stranger's notifier, killed": func(o *Options) { o.API, o.ReadyFile, o.AuthorityKey, o.Profile = "x", "y", "z", Crash },
		"no devices":                    func(o *Options) { o.Devices = 0 },
	} {
		o := good
		spoil(&o)
		if _, err := Run(t.Context(), o); !errors.Is(err, ErrUsage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
