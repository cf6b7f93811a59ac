package loadgen

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Names of the report's files.
const (
	reportJSON = "report.json"
	reportHTML = "report.html"
)

// Report is what came of a run. Memory is in MiB; what could not be measured
// is null.
type Report struct {
	Devices    int         `json:"devices"`
	Mails      int         `json:"mails"`  // copies that arrived in a mailbox
	Pushes     int         `json:"pushes"` // accepted by their providers
	Lost       int         `json:"lost"`
	Duplicated int         `json:"duplicated"` // repeats, which a device merges by their ID
	Unexpected int         `json:"unexpected"`
	Suppressed int         `json:"suppressed"` // refused by the provider for good
	LatencyMS  Latency     `json:"latency_ms"` // planned arrival to provider
	Notifier   NotifierUse `json:"notifier"`
	Fakes      FakesUse    `json:"fakes"`
	ColdStartS *float64    `json:"cold_start_s"` // start to every mailbox streamed
	Growth     []Step      `json:"growth,omitempty"`
	Visits     *Visits     `json:"visits,omitempty"`
	Seed       uint64      `json:"seed"`
	Missed     int         `json:"missed_slots"`

	Kept     bool     `json:"kept"` // nothing lost, nothing unexpected, and something to judge
	Verdict  string   `json:"verdict"`
	Doubts   []string `json:"doubts"`   // what makes the figures less than they seem
	Findings []string `json:"findings"` // what is wrong, the first ones

	Picture  string    `json:"picture,omitempty"` // of the notifier's CPU time, a file beside the report
	Load     Load      `json:"load"`
	Machine  Machine   `json:"machine"`
	Versions Versions  `json:"versions"`
	Command  []string  `json:"command"`
	Started  time.Time `json:"started"`
	Series   Series    `json:"series"`
}

// NotifierUse is what the notifier's process used. CPU is that of the load,
// from its start to the last push.
type NotifierUse struct {
	CPUSeconds   *float64 `json:"cpu_s"`
	CPUPerPush   *float64 `json:"cpu_us_per_push"`
	RSSPeakMB    *float64 `json:"rss_peak_mb"` // since its start
	RSSIdleMB    *float64 `json:"rss_idle_mb"` // everybody streamed, no load yet
	IdleCPUShare *float64 `json:"idle_cpu_share"`
	CPUTotal     *float64 `json:"cpu_total_s"` // since its start, registrations included
	BinaryMB     *float64 `json:"binary_mb"`
}

// FakesUse is what the fakes' process used during the load.
type FakesUse struct {
	CPUSeconds *float64 `json:"cpu_s"`
	RSSPeakMB  *float64 `json:"rss_peak_mb"`
}

// Load is what was put on, and how that went.
type Load struct {
	Profile      Profile `json:"profile"`
	Rate         float64 `json:"rate"`
	DurationS    float64 `json:"duration_s"`
	Mailboxes    int     `json:"mailboxes"`
	PerMailbox   int     `json:"devices_per_mailbox_max"`
	Entrance     string  `json:"entrance"`
	FakesProfile string  `json:"fakes_profile,omitempty"` // empty: they ran already
	Exchange     string  `json:"exchange,omitempty"`
	EWSDelayMS   float64 `json:"ews_delay_ms,omitempty"` // added to each answer
	PushDelayMS  float64 `json:"push_delay_ms,omitempty"`
	Limit        string  `json:"limit"`
	Planned      int     `json:"planned_mails"` // copies
	Due          int     `json:"due_pushes"`
	SendErrors   int     `json:"send_errors"`
	Interrupted  bool    `json:"interrupted"`
	SendDelayMS  Latency `json:"send_delay_ms"` // planned arrival to the beginning of its sending
	TookS        float64 `json:"took_s"`        // to the last push
	RegisterS    float64 `json:"register_s"`
	StreamingS   float64 `json:"streaming_s"` // last registration to every mailbox streamed
	LoadgenCPUS  float64 `json:"loadgen_cpu_s"`
	OtherCPU     float64 `json:"other_cpu_share"` // of the machine, used by others during the load
}

// Machine is where it ran.
type Machine struct {
	CPU      string `json:"cpu"`
	CPUs     int    `json:"cpus"`
	MemoryMB int    `json:"memory_mb"`
	OS       string `json:"os"`
}

// Versions are those of the programs.
type Versions struct {
	Notifier string `json:"notifier"`
	Fakes    string `json:"fakes"`
	Go       string `json:"go"`
}

// Series are what the plots show.
type Series struct {
	CDF     []CDFPoint `json:"cdf"`
	Seconds []Second   `json:"seconds"`
	Samples []Sample   `json:"samples"`
}

// Sample is the use of a moment. CPU is in cores.
type Sample struct {
	At          float64 `json:"at"` // seconds from the start of the load
	NotifierCPU float64 `json:"notifier_cpu"`
	FakesCPU    float64 `json:"fakes_cpu"`
	LoadgenCPU  float64 `json:"loadgen_cpu"`
	NotifierMB  float64 `json:"notifier_mb"`
	FakesMB     float64 `json:"fakes_mb"`
}

// otherCPUMax is the share of the machine that others may use before the
// figures are in doubt.
const otherCPUMax = 0.15

// conclude fills in the verdict from the figures.
func (r *Report) conclude() {
	r.Kept = r.Lost == 0 && r.Unexpected == 0 && r.Mails > 0 && !r.failed()
	due := r.Load.Due
	switch {
	case r.Mails == 0:
		r.Verdict = "Nothing to judge: no mail arrived."
	case r.Kept && r.Suppressed > 0:
		r.Verdict = fmt.Sprintf("Kept. %s mails, %s pushes due: each was accepted, or refused by its provider for good (%s).", thousands(r.Mails), thousands(due), thousands(r.Suppressed))
	case r.Kept:
		r.Verdict = fmt.Sprintf("Kept. %s mails, %s pushes due, every one accepted.", thousands(r.Mails), thousands(due))
	case r.Lost > 0 || r.Unexpected > 0:
		r.Verdict = fmt.Sprintf("Broken. Of %s pushes due %s were lost; %s came that nothing explains.", thousands(due), thousands(r.Lost), thousands(r.Unexpected))
	default:
		r.Verdict = "Broken. The run failed; see what was found."
	}
	if r.Load.Interrupted {
		r.Doubts = append(r.Doubts, "The run was interrupted: only a part of the plan was sent.")
	}
	if r.Missed > 0 {
		r.Doubts = append(r.Doubts, fmt.Sprintf("%s of %s planned mails were not sent: the load generator could not keep up.", thousands(r.Missed), thousands(r.Load.Planned)))
	}
	if r.Load.SendErrors > 0 {
		r.Doubts = append(r.Doubts, fmt.Sprintf("%s mails were not taken by the entrance.", thousands(r.Load.SendErrors)))
	}
	if r.Load.OtherCPU > otherCPUMax {
		r.Doubts = append(r.Doubts, fmt.Sprintf("Other programs used %.0f %% of the machine during the load.", 100*r.Load.OtherCPU))
	}
	if v := r.Visits; v != nil && v.Refused > 0 {
		r.Doubts = append(r.Doubts, fmt.Sprintf("%s calls for devices that come and go were refused: %s", thousands(v.Refused), v.First))
	}
	if r.Notifier.CPUSeconds == nil {
		r.Doubts = append(r.Doubts, "CPU time and memory were not measured.")
	}
}

// failure marks a finding that no figure shows.
const failure = "failed: "

func (r *Report) failed() bool {
	for _, f := range r.Findings {
		if strings.HasPrefix(f, failure) {
			return true
		}
	}
	return false
}

// Write writes the report into a directory.
func (r Report) Write(dir string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	var page bytes.Buffer
	if err := r.HTML(&page); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, reportJSON), append(text, '\n'), 0o644),
		os.WriteFile(filepath.Join(dir, reportHTML), page.Bytes(), 0o644),
	)
}

// ReadReport reads a report, by its file or its directory.
func ReadReport(path string) (Report, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, reportJSON)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Report{}, err
	}
	var r Report
	if err := json.Unmarshal(text, &r); err != nil {
		return Report{}, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// Summary writes the verdict and the figures as text.
func (r Report) Summary(w io.Writer) {
	fmt.Fprintln(w, r.Verdict)
	for _, f := range r.figures() {
		fmt.Fprintf(w, "  %-22s %s\n", f.Name, f.Text)
	}
	for _, d := range r.Doubts {
		fmt.Fprintln(w, "  note:", d)
	}
	for _, f := range r.Findings {
		fmt.Fprintln(w, "  found:", f)
	}
}

// figure is one line for people.
type figure struct {
	Name, Text, Note string
	Value            *float64 // what is compared; nil: not measured
}

func (r Report) figures() []figure {
	count := func(n int) (string, *float64) { v := float64(n); return thousands(n), &v }
	ms := func(v float64) (string, *float64) { return milliseconds(v), &v }
	measured := func(v *float64, format string) (string, *float64) {
		if v == nil {
			return "not measured", nil
		}
		return fmt.Sprintf(format, *v), v
	}
	var list []figure
	with := func(name, note string) func(string, *float64) {
		return func(text string, v *float64) { list = append(list, figure{name, text, note, v}) }
	}
	with("devices", fmt.Sprintf("%s mailboxes", thousands(r.Load.Mailboxes)))(count(r.Devices))
	with("mails", "copies that arrived")(count(r.Mails))
	with("pushes", "accepted")(count(r.Pushes))
	with("lost", "")(count(r.Lost))
	with("duplicated", "same mail, same device")(count(r.Duplicated))
	with("unexpected", "")(count(r.Unexpected))
	with("suppressed", "refused for good")(count(r.Suppressed))
	with("missed slots", "planned, not sent")(count(r.Missed))
	with("latency p50", "planned arrival to provider")(ms(r.LatencyMS.P50))
	with("latency p90", "")(ms(r.LatencyMS.P90))
	with("latency p99", "")(ms(r.LatencyMS.P99))
	with("latency p99.9", "")(ms(r.LatencyMS.P999))
	with("latency max", "")(ms(r.LatencyMS.Max))
	with("notifier CPU", "of the load")(measured(r.Notifier.CPUSeconds, "%.2f s"))
	with("notifier CPU per push", "")(measured(r.Notifier.CPUPerPush, "%.0f µs"))
	with("notifier memory peak", "resident")(measured(r.Notifier.RSSPeakMB, "%.0f MiB"))
	with("notifier memory idle", "before the load")(measured(r.Notifier.RSSIdleMB, "%.0f MiB"))
	with("notifier binary", "")(measured(r.Notifier.BinaryMB, "%.1f MiB"))
	with("fakes CPU", "of the load")(measured(r.Fakes.CPUSeconds, "%.2f s"))
	if r.ColdStartS != nil {
		with("cold start", "to every mailbox streamed")(measured(r.ColdStartS, "%.2f s"))
	}
	if v := r.Visits; v != nil {
		with("devices that came", "and went")(fmt.Sprintf("%s registered, %s wiped, %s refused", thousands(v.Registered), thousands(v.Wiped), thousands(v.Refused)), nil)
	}
	for _, s := range r.Growth {
		with(fmt.Sprintf("at rest, %s devices", thousands(s.Devices)), "")(measured(s.RSSMB, "%.0f MiB"))
	}
	with("time to the last push", "")(measured(&r.Load.TookS, "%.1f s"))
	return list
}

func milliseconds(v float64) string {
	switch {
	case v >= 10_000:
		return fmt.Sprintf("%.1f s", v/1000)
	case v >= 100:
		return fmt.Sprintf("%.0f ms", v)
	default:
		return fmt.Sprintf("%.2f ms", v)
	}
}

// thousands groups digits.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
