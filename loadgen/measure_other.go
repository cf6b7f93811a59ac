//go:build !linux

package loadgen

import (
	"errors"
	"os/exec"
	"runtime"
	"time"
)

// measurable: processes are not measured here; the report says so.
const measurable = false

func usage(int) (time.Duration, memory) { return 0, memory{} }

func busy() time.Duration { return 0 }

func machine() Machine {
	return Machine{CPUs: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH}
}

func ownGroup(*exec.Cmd) {}

func (l Limit) start(cmd *exec.Cmd) error {
	if l != (Limit{}) {
		return errors.New("limit: only Linux can do it")
	}
	return cmd.Start()
}
