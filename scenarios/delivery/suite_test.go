// Package delivery has the stories of mails that reach people's devices while
// nothing is broken.
package delivery

import (
	"testing"

	. "github.com/onsi/gomega"

	. "github.com/onsi/ginkgo/v2"

	"mailbell/scenarios/world"
)

func TestDelivery(t *testing.T) {
	RegisterFailHandler(Fail)
	world.Suite(t, "Delivery")
}
