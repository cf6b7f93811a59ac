// Package mutants puts deliberate bugs into the notifier, one at a time, and
// shows which test or scenario catches each. The tree is not touched: the
// compiler is given the changed file in an overlay.
//
// In a normal run only the table is checked: each bug can still be put in. make
// mutants runs them; MAILBELL_MUTANTS=word runs those whose names have the word.
package mutants

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const root = "../.."

// mutantMax bounds one test command.
const mutantMax = 8 * time.Minute

func TestEveryMutantCanBeMade(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range table {
		if seen[m.name] {
			t.Errorf("%s: there twice", m.name)
		}
		seen[m.name] = true
		if _, err := m.made(); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		if len(m.catchers) == 0 {
			t.Errorf("%s: nobody is asked to catch it", m.name)
		}
	}
	if len(table) < 25 {
		t.Errorf("%d mutants", len(table))
	}
}

func TestEveryMutantIsCaught(t *testing.T) {
	word := os.Getenv("MAILBELL_MUTANTS")
	if word == "" {
		t.Skip("it builds and runs the tests for each of the bugs, which takes some ten minutes: make mutants")
	}
	for _, m := range table {
		if word != "all" && !strings.Contains(m.name, word) {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			began := time.Now()
			by, how, err := m.caught(t)
			if err != nil {
				t.Fatal(err)
			}
			if by == "" {
				t.Errorf("SURVIVES: %s (%s)", m.name, strings.Join(m.catchers, "; "))
				return
			}
			fmt.Printf("| %s | `%s` | %s |\n", m.name, strings.Fields(by)[0], how)
			t.Logf("caught by %s after %v", by, time.Since(began).Round(time.Second))
		})
	}
}

// made is the file with the bug in it.
func (m mutant) made() (string, error) {
	text, err := os.ReadFile(filepath.Join(root, m.file))
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(text), m.old); n != 1 {
		return "", fmt.Errorf("%s has %q %d times, want once", m.file, m.old, n)
	}
	return strings.Replace(string(text), m.old, m.new, 1), nil
}

// caught says which command failed, and what it complained of.
func (m mutant) caught(t *testing.T) (by, how string, err error) {
	text, err := m.made()
	if err != nil {
		return "", "", err
	}
	dir := t.TempDir()
	changed := filepath.Join(dir, "mutant.go")
	original, err := filepath.Abs(filepath.Join(root, m.file))
	if err != nil {
		return "", "", err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		return "", "", err
	}
	list := filepath.Join(dir, "overlay.json")
	for name, content := range map[string]string{changed: text, list: string(overlay)} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			return "", "", err
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), mutantMax)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "vet", "-overlay", list, "./"+filepath.Dir(m.file))
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("it does not compile: %s", out)
	}
	for _, c := range m.catchers {
		args := append([]string{"test", "-overlay", list, "-count", "1", "-timeout", "4m"}, strings.Fields(c)...)
		run := exec.CommandContext(ctx, "go", args...)
		run.Dir = root
		run.Env = append(os.Environ(), "MAILBELL_STORM_SEEDS=1-20")
		out, err := run.CombinedOutput()
		if err == nil {
			continue
		}
		return c, complaint(string(out)), nil
	}
	return "", "", nil
}

// complaint is the first failure of a test's output, short.
func complaint(out string) string {
	first := "ends with an error"
	for _, line := range strings.Split(out, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "--- FAIL: "):
			name, _, _ := strings.Cut(strings.TrimPrefix(line, "--- FAIL: "), " ")
			first = name
		case strings.Contains(line, "[It]"):
			_, what, _ := strings.Cut(line, "[It]")
			first = plain(what)
		case strings.HasPrefix(line, "panic: "):
			first = line
		default:
			continue
		}
		break
	}
	const most = 90
	return first[:min(len(first), most)]
}

// plain takes the colours out.
func plain(s string) string {
	var b strings.Builder
	colour := false
	for _, r := range s {
		switch {
		case r == '\x1b':
			colour = true
		case colour:
			colour = r != 'm'
		default:
			b.WriteRune(r)
		}
	}
	return strings.TrimSpace(b.String())
}
