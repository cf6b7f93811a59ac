// Package credentials has the stories of listener accounts whose passwords change,
// expire and are locked, and whose rights come and go.
package credentials

import (
	"testing"

	"mailbell/scenarios/world"
)

func TestCredentials(t *testing.T) {
	world.Suite(t, "Credentials")
}
