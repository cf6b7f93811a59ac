package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailbell/notifier/config"
)

// call runs the program with an ended context, so that nothing serves for long.
func call(t *testing.T, args ...string) (code int, out, err string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	code = run(ctx, args, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestWrongUsageIsToldApartFromFailure(t *testing.T) {
	nowhere := filepath.Join(t.TempDir(), "nowhere.yaml")
	for _, tt := range []struct {
		name string
		args []string
		code int
		says string // on standard error
	}{
		{"no command", nil, exitUsage, "--help"},
		{"a command that is none", []string{"walk"}, exitUsage, "walk"},
		{"a flag that is none", []string{"run", "--conf", "x"}, exitUsage, "--conf"},
		{"no configuration", []string{"run"}, exitUsage, "--config"},
		{"a configuration that is not there", []string{"run", "--config", nowhere}, exitFailed, nowhere},
		{"the same for check", []string{"config", "check", "--config", nowhere}, exitFailed, nowhere},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, out, err := call(t, tt.args...)
			if code != tt.code || !strings.Contains(err, tt.says) || out != "" {
				t.Errorf("code %d, want %d; standard error %q, want %q in it; standard output %q", code, tt.code, err, tt.says, out)
			}
		})
	}
}

func TestHelpAndVersionAreAnswers(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"run", "--help"}, {"config", "--help"}, {"version"}} {
		if code, out, err := call(t, args...); code != exitOK || out == "" || err != "" {
			t.Errorf("%v: code %d, standard output %q, standard error %q", args, code, out, err)
		}
	}
}

func TestTheExampleIsPrintedAndAMadeKeyFits(t *testing.T) {
	if code, out, _ := call(t, "config", "example"); code != exitOK || out != config.Example() {
		t.Errorf("code %d, %q", code, out)
	}
	_, first, _ := call(t, "config", "key")
	_, second, _ := call(t, "config", "key")
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(first))
	if err != nil || len(raw) != config.EngineKeyBytes || first == second {
		t.Errorf("key %q (%d bytes, %v), then %q", first, len(raw), err, second)
	}
}

func TestCheckTellsEverythingThatIsWrongAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notifier.yaml")
	if err := os.WriteFile(path, []byte("engine: {dir: data}\nroles: [proxy]\nexchnge: {}\npush: {wns: [{kind: banana}]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, err := call(t, "config", "check", "--config", path)
	if code != exitFailed || out != "" {
		t.Errorf("code %d, standard output %q", code, out)
	}
	for _, want := range []string{path, "line 3: exchnge", "exchange", "push.wns[0].kind", "push.wns[0].secret_file", "engine.encryption_key_file"} {
		if !strings.Contains(err, want) {
			t.Errorf("nothing of %q in:\n%s", want, err)
		}
	}
}

func TestRunEndsWellWhenItIsToldToStop(t *testing.T) {
	dir := t.TempDir()
	_, key, _ := call(t, "config", "key")
	for name, text := range map[string]string{
		"engine.key": key, "wns.secret": "secret\n",
		"notifier.yaml": "roles: [proxy]\nengine: {dir: data, encryption_key_file: engine.key}\npush: {wns: [{package_sid: 'ms-app://s-1-15-2-1', secret_file: wns.secret}]}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "notifier.yaml")
	if code, out, err := call(t, "config", "check", "--config", path); code != exitOK || !strings.Contains(out, "good") {
		t.Errorf("check: code %d, %q, %q", code, out, err)
	}
	if code, _, err := call(t, "run", "--config", path); code != exitOK {
		t.Errorf("run: code %d, %s", code, err)
	}
}

func TestAPlanIsPrintedAndFailsWhenItDoesNotFit(t *testing.T) {
	code, out, err := call(t, "plan", "--mailboxes", "15000", "--exchange", "2013")
	if code != exitOK || err != "" {
		t.Errorf("code %d, %s", code, err)
	}
	for _, want := range []string{"listener accounts     12 ", "streams               84 ", "30384", "19.45s"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if code, out, err = call(t, "plan", "--mailboxes", "5000", "--exchange", "2019", "--accounts", "2"); code != exitFailed || out == "" || !strings.Contains(err, "use 4 accounts") {
		t.Errorf("code %d, %q, %s", code, out, err)
	}
	if code, _, err = call(t, "plan", "--mailboxes", "1", "--exchange", "95"); code != exitUsage || !strings.Contains(err, "2010sp2") {
		t.Errorf("code %d, %s", code, err)
	}
}
