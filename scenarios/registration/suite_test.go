// Package registration has the stories of devices that come, change and go.
package registration

import (
	"testing"

	. "github.com/onsi/gomega"

	. "github.com/onsi/ginkgo/v2"

	"mailbell/scenarios/world"
)

func TestRegistration(t *testing.T) {
	RegisterFailHandler(Fail)
	world.Suite(t, "Registration")
}
