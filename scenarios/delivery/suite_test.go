// Package delivery has the stories of mails that reach people's devices while
// nothing is broken.
package delivery

import (
	"testing"

	"mailbell/scenarios/world"
)

func TestDelivery(t *testing.T) {
	world.Suite(t, "Delivery")
}
