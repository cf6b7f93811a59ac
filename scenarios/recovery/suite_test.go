// Package recovery has the stories of what breaks and heals without losing a mail.
package recovery

import (
	"testing"

	. "github.com/onsi/gomega"

	. "github.com/onsi/ginkgo/v2"

	"mailbell/scenarios/world"
)

func TestRecovery(t *testing.T) {
	RegisterFailHandler(Fail)
	world.Suite(t, "Recovery")
}
