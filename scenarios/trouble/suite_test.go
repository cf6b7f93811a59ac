// Package trouble has the stories of set-ups that are wrong: one mailbox or one
// account is in trouble, everybody else is served, and when the trouble is over
// nothing is lost.
package trouble

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"mailbell/scenarios/world"
)

func TestTrouble(t *testing.T) {
	RegisterFailHandler(Fail)
	world.Suite(t, "Trouble")
}
