// Package trouble has the stories of set-ups that are wrong: one mailbox or one
// account is in trouble, everybody else is served, and when the trouble is over
// nothing is lost.
package trouble

import (
	"testing"

	"mailbell/scenarios/world"
)

func TestTrouble(t *testing.T) {
	world.Suite(t, "Trouble")
}
