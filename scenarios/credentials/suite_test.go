// Package credentials has the stories of listener accounts whose passwords change,
// expire and are locked, and whose rights come and go.
package credentials

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"mailbell/scenarios/world"
)

func TestCredentials(t *testing.T) {
	RegisterFailHandler(Fail)
	world.Suite(t, "Credentials")
}
