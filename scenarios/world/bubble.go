package world

import (
	"testing"
	"testing/synctest"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// suiteT is the test that runs the suite; synctest needs one of its own kind.
var suiteT *testing.T

// Suite runs the package's specs. Call it from the one Test function that a
// suite has.
func Suite(t *testing.T, name string) {
	suiteT = t
	RegisterFailHandler(Fail)
	RunSpecs(t, name)
}

// Bubble runs f in virtual time. Everything f makes, goroutines included, lives
// in the bubble and has to end with f; a failure or panic in it is reported as
// the failure of the spec that called.
func Bubble(f func()) {
	GinkgoHelper()
	synctest.Test(suiteT, func(*testing.T) {
		defer GinkgoRecover()
		f()
	})
}
