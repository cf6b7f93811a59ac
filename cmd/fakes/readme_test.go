package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mailbell/fakes"
	"mailbell/fakes/testtool"
)

// readmeMax bounds a program of the README.
const readmeMax = 90 * time.Second

// block is the code block of the README that begins with a line.
func block(t *testing.T, language, first string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		if m[1] == language && strings.HasPrefix(m[2], first) {
			return m[2]
		}
	}
	t.Fatalf("the README has no %s block that begins with %q", language, first)
	return ""
}

// folder is where a reader of the README would be: beside ready.json.
func folder(t *testing.T, r fakes.Ready) string {
	t.Helper()
	dir := t.TempDir()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ready.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestThePythonOfTheREADMEHearsOfAMail(t *testing.T) {
	python := testtool.Python(t, "the Python of the README")
	r := started(t)
	ctx, cancel := context.WithTimeout(t.Context(), readmeMax)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "-c", block(t, "python", "import json, os\n"))
	cmd.Dir = folder(t, r)
	cmd.WaitDelay = 5 * time.Second
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	const subject = "Grüße 🎉"
	heard := false
	for lines := bufio.NewScanner(out); !heard && lines.Scan(); {
		switch line := lines.Text(); {
		case line == "listening to "+r.Mailboxes[0]:
			resp, err := http.Post(r.Control+"/mail", "application/json", strings.NewReader(`{"to": ["`+r.Mailboxes[0]+`"], "from": "ada@fabrikam.test", "subject": "`+subject+`"}`))
			if err != nil {
				t.Fatal(err)
			}
			if err := resp.Body.Close(); err != nil {
				t.Error(err)
			}
		case line == subject:
			heard = true
		default:
			t.Errorf("it says %q", line)
		}
	}
	cancel() // it would go on until its stream ends
	_ = cmd.Wait()
	if !heard {
		t.Errorf("it never heard of the mail: %s", complaints.String())
	}
}

func TestTheCurlLinesOfTheREADMEGetTheAnswersItTells(t *testing.T) {
	testtool.Curl.Path(t, "the curl lines of the README")
	r := started(t)
	ctx, cancel := context.WithTimeout(t.Context(), readmeMax)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", "set -e\n"+strings.ReplaceAll(block(t, "sh", "ready() {"), "curl ", "curl -sS --max-time 30 -w '\\n%{http_code}\\n' "))
	cmd.Dir = folder(t, r)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text := string(out)
	for _, want := range []string{`"mailbox":"user00001@contoso.test"`, "user00001@contoso.test</t:EmailAddress>", `{"reason":"MissingProviderToken"}`, "\n403\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if n := strings.Count(text, "\n200\n"); n != 2 {
		t.Errorf("%d answers 200, want 2:\n%s", n, text)
	}
}
