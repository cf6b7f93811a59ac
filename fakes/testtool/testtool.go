// Package testtool finds the programs of others that some tests need and that a
// user's machine may lack: a browser, curl, a stranger's client, a container
// engine. Without one its tests are skipped with one loud line that says what was
// not tried and how to have it tried. Where nothing may be skipped, as in CI, the
// environment variable MAILBELL_REQUIRE lists the tools ("chromium,curl,…"), and
// a missing one fails the test instead.
package testtool

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Require is the environment variable.
const Require = "MAILBELL_REQUIRE"

// Tool is something that may be missing.
type Tool struct {
	Name    string // as MAILBELL_REQUIRE calls it
	Package string // of Debian; empty: none
}

// The tools.
var (
	Chromium    = Tool{"chromium", "chromium-headless-shell"}
	Curl        = Tool{"curl", "curl"}
	Docker      = Tool{"docker", "docker.io"}
	Exchangelib = Tool{"exchangelib", "python3-exchangelib"}
	H2load      = Tool{"h2load", "nghttp2-client"}
)

// Missing ends the test: it fails where the tool is required, and is skipped
// elsewhere. Untried says in a few words what nobody has tried now.
func (t Tool) Missing(tb testing.TB, untried string) {
	tb.Helper()
	how := ""
	if t.Package != "" {
		how = "; apt-get install " + t.Package
	}
	if slices.Contains(strings.Split(os.Getenv(Require), ","), t.Name) {
		tb.Fatalf("there is no %s, and %s asks for it%s", t.Name, Require, how)
	}
	tb.Skipf("SKIPPED, THERE IS NO %s: %s%s", strings.ToUpper(t.Name), untried, how)
}

// Path is the first of some programs that is there; by default the one of the
// tool's name.
func (t Tool) Path(tb testing.TB, untried string, programs ...string) string {
	tb.Helper()
	if len(programs) == 0 {
		programs = []string{t.Name}
	}
	for _, p := range programs {
		if path, err := exec.LookPath(p); err == nil {
			return path
		}
	}
	t.Missing(tb, untried)
	return ""
}

// Browser finds a Chromium that can be killed by its process ID: the program
// itself before Debian's wrapper script, behind which it would go on running.
func Browser(tb testing.TB, untried string) string {
	tb.Helper()
	return Chromium.Path(
		tb, untried,
		"/usr/lib/chromium/chromium-headless-shell", "/usr/lib/chromium/chromium", "chrome-headless-shell", "google-chrome-stable", "google-chrome",
		"chromium-headless-shell", "chromium",
	)
}

// Python finds a Python with exchangelib in it.
func Python(tb testing.TB, untried string) string {
	tb.Helper()
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.CommandContext(tb.Context(), python, "-W", "error", "-c", "import exchangelib").Run() == nil {
			return python
		}
	}
	Exchangelib.Missing(tb, untried)
	return ""
}
