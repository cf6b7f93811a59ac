// Package moves has the stories of what an Exchange organisation does under
// Mailbell: mailboxes move, databases fail over, addresses change.
package moves

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"mailbell/scenarios/world"
)

func TestMoves(t *testing.T) {
	RegisterFailHandler(Fail)
	world.Suite(t, "Moves")
}
