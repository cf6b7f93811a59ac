// Package throttling holds Mailbell against the default budgets of every version
// of Exchange: whatever happens, nothing is lost, and no request is refused for
// being one too many.
package throttling

import (
	"testing"

	"mailbell/scenarios/world"
)

func TestThrottling(t *testing.T) {
	world.Suite(t, "Throttling")
}
