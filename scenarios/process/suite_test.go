// Package process has the stories in which the notifier is a process of its
// own, built as it is shipped, and is killed like one.
package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestProcess(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Process")
}

// program is the notifier as built for this suite.
var program string

var _ = BeforeSuite(func() {
	dir, err := os.MkdirTemp("", "mailbell-process-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(os.RemoveAll, dir)
	program = filepath.Join(dir, "notifier")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	out, err := exec.Command("go", "build", "-o", program, "mailbell/cmd/notifier").CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(out))
})
