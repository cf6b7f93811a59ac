// Package registration has the stories of devices that come, change and go.
package registration

import (
	"testing"

	"mailbell/scenarios/world"
)

func TestRegistration(t *testing.T) {
	world.Suite(t, "Registration")
}
