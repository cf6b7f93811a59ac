package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWrongUsageIsToldApartFromFailure(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"--help", 0, "compare"},
		{"--version", 0, "mailbell loadgen"},
		{"", 2, "expected"},
		{"run --profile zigzag", 2, "profile"},
		{"run --limit 4", 2, "2cpu,4GiB"},
		{"run --devices 0", 2, "devices"},
		{"run --api http://127.0.0.1:1", 2, "ready file"},
		{"run --ews-delay 11s", 2, "10s"},
		{"compare here there", 1, "here"},
		{"peers --pushes 500001", 2, "pushes"},
		{"peers --devices 0", 2, "devices"},
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), strings.Fields(c.args), &out, &errs); code != c.code || !strings.Contains(out.String()+errs.String(), c.says) {
			t.Errorf("%s: %d, want %d with %q: %s%s", c.args, code, c.code, c.says, &out, &errs)
		}
	}
}

func TestReportsAreComparedByDirectoryOrFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "report.json")
	if err := os.WriteFile(file, []byte(`{"mails": 10, "notifier": {"cpu_s": 2}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"compare", dir, file}, &out, &errs); code != 0 || !strings.Contains(out.String(), "1.00") {
		t.Errorf("%d: %s%s", code, &out, &errs)
	}
}
