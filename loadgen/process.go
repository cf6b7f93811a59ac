package loadgen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// process is a program of the run as a child. It can be ended and started
// again; what its former lives used is remembered. Safe for concurrent use.
type process struct {
	name    string
	program string
	args    []string
	env     []string // beside that of this process
	dir     string   // where it runs
	log     string   // file for both its outputs
	limit   Limit

	mu     sync.Mutex
	child  *child        // nil while none runs
	before time.Duration // CPU time of former lives
	peak   int64         // of their memory, in bytes
}

// child is one life of a process.
type child struct {
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // once exited is closed
}

// Start starts the program. It returns when the process exists.
func (p *process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child != nil {
		return fmt.Errorf("%s runs already", p.name)
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own
	cmd := exec.Command(p.program, p.args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, log, log
	cmd.Env = append(os.Environ(), p.env...)
	ownGroup(cmd)
	if err := p.limit.start(cmd); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	c := &child{cmd: cmd, exited: make(chan struct{})}
	p.child = c
	go func() { // ends with the child, for which Stop and Kill wait
		defer close(c.exited)
		c.err = cmd.Wait()
	}()
	return nil
}

// Await waits until ask succeeds. When the process ends first, that is the
// error, with the end of its log.
func (p *process) Await(ctx context.Context, ask func() error) error {
	ctx, cancel := context.WithTimeout(ctx, startMax)
	defer cancel()
	p.mu.Lock()
	c := p.child
	p.mu.Unlock()
	if c == nil {
		return fmt.Errorf("%s does not run", p.name)
	}
	var last error
	err := poll(ctx, 10*time.Millisecond, func() (bool, error) {
		select {
		case <-c.exited:
			return false, fmt.Errorf("ended: %s", c.cmd.ProcessState)
		default:
		}
		last = ask()
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("%s did not start: %w%s", p.name, errors.Join(err, last), p.logTail())
	}
	return nil
}

// Check says whether the process still runs.
func (p *process) Check() error {
	p.mu.Lock()
	c := p.child
	p.mu.Unlock()
	if c == nil {
		return nil
	}
	select {
	case <-c.exited:
		return fmt.Errorf("%s ended by itself: %s%s", p.name, c.cmd.ProcessState, p.logTail())
	default:
		return nil
	}
}

// Stop ends the process in an orderly way, and kills it when that takes long.
func (p *process) Stop() error { return p.end(syscall.SIGTERM) }

// Kill ends the process as kill -9 does.
func (p *process) Kill() error { return p.end(syscall.SIGKILL) }

func (p *process) end(how syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.child
	if c == nil {
		return nil
	}
	_, peak := usage(c.cmd.Process.Pid)
	if err := c.cmd.Process.Signal(how); err != nil && !errors.Is(err, os.ErrProcessDone) {
		_ = c.cmd.Process.Kill() // where there is no such signal
	}
	patience := time.NewTimer(stopMax)
	defer patience.Stop()
	var late error
	select {
	case <-c.exited:
	case <-patience.C:
		late = fmt.Errorf("%s did not end within %s and was killed%s", p.name, stopMax, p.logTail())
		_ = c.cmd.Process.Kill() // it may just have exited
		<-c.exited
	}
	p.child = nil
	if s := c.cmd.ProcessState; s != nil {
		p.before += s.UserTime() + s.SystemTime()
	}
	p.peak = max(p.peak, peak.peak)
	if how == syscall.SIGTERM && late == nil && c.err != nil {
		return fmt.Errorf("%s: %w%s", p.name, c.err, p.logTail())
	}
	return late
}

// Usage is what the process has used since its first start; false where that
// cannot be told.
func (p *process) Usage() (cpu time.Duration, m memory, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	cpu, m.peak = p.before, p.peak
	if p.child == nil {
		return cpu, m, measurable
	}
	now, mem := usage(p.child.cmd.Process.Pid)
	m.now, m.peak = mem.now, max(m.peak, mem.peak)
	return cpu + now, m, measurable
}

// memory of a process that is resident, in bytes.
type memory struct{ now, peak int64 }

// logTail is the end of the log, for an error.
func (p *process) logTail() string {
	f, err := os.Open(p.log)
	if err != nil {
		return ""
	}
	defer f.Close()
	if size, err := f.Seek(0, io.SeekEnd); err == nil {
		_, _ = f.Seek(max(0, size-logTailMax), io.SeekStart) // else all of it
	}
	text, _ := io.ReadAll(io.LimitReader(f, logTailMax))
	return fmt.Sprintf("\n--- end of %s ---\n%s", filepath.Base(p.log), text)
}
