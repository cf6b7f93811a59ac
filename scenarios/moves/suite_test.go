// Package moves has the stories of what an Exchange organisation does under
// Mailbell: mailboxes move, databases fail over, addresses change.
package moves

import (
	"testing"

	"mailbell/scenarios/world"
)

func TestMoves(t *testing.T) {
	world.Suite(t, "Moves")
}
