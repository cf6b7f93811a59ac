package loadgen

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// measurable: processes can be measured here.
const measurable = true

// clockTick is the unit of the times in /proc (proc(5), "sysconf(_SC_CLK_TCK)":
// 100 a second on every architecture).
const clockTick = 10 * time.Millisecond

// usage reads what a process has used. Of one that is gone it is nothing.
func usage(pid int) (cpu time.Duration, m memory) {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	// The name in parentheses may hold anything; fields count from behind it:
	// utime and stime are the 12th and 13th there.
	if f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]); len(f) > 12 {
		cpu = time.Duration(number(string(f[11]))+number(string(f[12]))) * clockTick
	}
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		kib := func() int64 { return number(strings.TrimSuffix(strings.TrimSpace(value), " kB")) << 10 }
		switch name {
		case "VmRSS":
			m.now = kib()
		case "VmHWM":
			m.peak = kib()
		}
	}
	return cpu, m
}

func number(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64) // 0 when it is none
	return n
}

// busy is the CPU time of everybody on this machine since it was started.
func busy() time.Duration {
	stat, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(stat), "\n")
	var ticks int64
	for i, f := range strings.Fields(line) {
		if i >= 1 && i <= 8 && i != 4 && i != 5 { // without idle and iowait; guests are within user
			ticks += number(f)
		}
	}
	return time.Duration(ticks) * clockTick
}

// machine describes this one.
func machine() Machine {
	m := Machine{CPUs: runtime.NumCPU(), OS: "linux/" + runtime.GOARCH}
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			m.CPU = strings.TrimSpace(value)
			break
		}
	}
	text, _ = os.ReadFile("/proc/meminfo")
	if _, value, ok := strings.Cut(string(text), "MemTotal:"); ok {
		kib, _, _ := strings.Cut(strings.TrimSpace(value), " ")
		m.MemoryMB = int(number(kib) >> 10)
	}
	text, _ = os.ReadFile("/proc/sys/kernel/osrelease")
	m.OS += " " + strings.TrimSpace(string(text))
	return m
}

// ownGroup keeps the terminal's SIGINT away from a child, which is ended in
// order, and has the system end it should this process die.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// start starts a program within the limit: on so many CPUs, which the Go
// runtime sees, and with so much memory for data.
func (l Limit) start(cmd *exec.Cmd) error {
	// A child inherits the affinity of the thread that starts it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if l.CPUs > 0 {
		var all, some unix.CPUSet
		if err := unix.SchedGetaffinity(0, &all); err != nil {
			return fmt.Errorf("limit: %w", err)
		}
		for i := 0; i < 8*len(all)*8 && some.Count() < l.CPUs; i++ {
			if all.IsSet(i) {
				some.Set(i)
			}
		}
		if some.Count() < l.CPUs {
			return fmt.Errorf("limit: %d CPUs are more than the %d there are", l.CPUs, some.Count())
		}
		if err := unix.SchedSetaffinity(0, &some); err != nil {
			return fmt.Errorf("limit: %w", err)
		}
		defer func() { _ = unix.SchedSetaffinity(0, &all) }() // it was so before
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if l.Memory > 0 {
		to := unix.Rlimit{Cur: uint64(l.Memory), Max: uint64(l.Memory)}
		if err := unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_DATA, &to, nil); err != nil {
			_ = cmd.Process.Kill() // it is of no use without the limit
			_ = cmd.Wait()
			return fmt.Errorf("limit: %w", err)
		}
	}
	return nil
}
