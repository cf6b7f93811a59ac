// Package recovery has the stories of what breaks and heals without losing a mail.
package recovery

import (
	"testing"

	"mailbell/scenarios/world"
)

func TestRecovery(t *testing.T) {
	world.Suite(t, "Recovery")
}
