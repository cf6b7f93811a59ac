// Package storm plays worlds that are drawn from a seed: population, traffic,
// faults over every component, kills of the notifier. First nothing may be wrong
// while things break, except that mail is late; then everything is mended, and
// within ConvergeMax nothing may be missing.
//
// A seed is played again with MAILBELL_STORM_SEEDS; "5", "1-1000" and lists are
// understood. A storm that fails leaves a folder under .scratch/storm with the
// journal, the notifier's log, a timeline for the browser, and the command;
// with MAILBELL_STORM_KEEP=1 every storm does.
package storm

import (
	"testing"

	"mailbell/scenarios/world"
)

func TestStorm(t *testing.T) {
	world.Suite(t, "Storm")
}
