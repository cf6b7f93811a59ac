package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// Limits of the notifier's process.
const (
	startMax   = 30 * time.Second // from start to serving
	stopMax    = 20 * time.Second // an orderly end; the notifier itself drains for at most 15 s
	healthStep = 20 * time.Millisecond
	logTailMax = 2 << 10 // bytes of the log shown when the notifier ends by itself
)

// process is the notifier as a child of the lab. It can be killed and started
// again; when it ends by itself that is noticed. Safe for concurrent use.
type process struct {
	program string // the lab's own
	dir     string // with configFile and logFile
	health  string // URL that answers when the notifier serves
	client  *http.Client
	changed func() // called after every change of status; may be nil

	mu     sync.Mutex
	status string
	child  *child // nil while none runs
	closed bool   // no more starts
}

// The words for the notifier's status, as the page shows them; "ended: …" is
// one more.
const (
	statusStarting = "starting"
	statusRunning  = "running"
	statusKilled   = "killed"
	statusStopped  = "stopped"
)

// child is one run of the program.
type child struct {
	cmd    *exec.Cmd
	stdin  io.Closer // its end makes the child stop
	exited chan struct{}
	err    error  // of the run, once exited is closed
	wanted string // the status once it has exited, when somebody ended it
}

// Errors of the wrong moment.
var (
	errRunning    = errors.New("the notifier runs already")
	errNotRunning = errors.New("the notifier does not run")
	errClosing    = errors.New("the lab ends")
)

// Status is one of the words above.
func (p *process) Status() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// Start starts the notifier and returns when it serves. On failure it has been
// ended again, and the error holds the end of its log.
func (p *process) Start(ctx context.Context) error {
	c, err := p.launch()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startMax)
	defer cancel()
	if err := p.await(ctx, c); err != nil {
		_ = c.cmd.Process.Kill() // has exited already, or is to
		<-c.exited
		return fmt.Errorf("the notifier did not start: %w%s", err, p.logTail())
	}
	p.mu.Lock()
	if p.child == c && c.wanted == "" {
		p.status = statusRunning
	}
	p.mu.Unlock()
	p.notify()
	return nil
}

func (p *process) launch() (*child, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return nil, errClosing
	case p.child != nil:
		return nil, errRunning
	}
	log, err := os.OpenFile(filepath.Join(p.dir, logFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own
	cmd := exec.Command(p.program, "notifier", "--config", filepath.Join(p.dir, configFile), "--remove", p.dir)
	cmd.Stdout, cmd.Stderr = log, log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, stdin.Close())
	}
	c := &child{cmd: cmd, stdin: stdin, exited: make(chan struct{})}
	p.child, p.status = c, statusStarting
	go p.watch(c)
	return c, nil
}

// watch waits for the child's end and tells of it. It ends with the child.
func (p *process) watch(c *child) {
	err := c.cmd.Wait()
	p.mu.Lock()
	c.err = err
	if p.status = c.wanted; p.status == "" {
		p.status = "ended: " + c.cmd.ProcessState.String()
	}
	p.child = nil
	p.mu.Unlock()
	p.notify()
	close(c.exited)
}

func (p *process) notify() {
	if p.changed != nil {
		p.changed()
	}
}

// await waits until the child serves.
func (p *process) await(ctx context.Context, c *child) error {
	tick := time.NewTicker(healthStep)
	defer tick.Stop()
	for {
		if p.healthy(ctx) {
			return nil
		}
		select {
		case <-tick.C:
		case <-c.exited:
			return errors.New(c.cmd.ProcessState.String())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *process) healthy(ctx context.Context) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.health, nil)
	if err != nil {
		return false
	}
	resp, err := p.client.Do(r)
	if err != nil {
		return false
	}
	return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
}

// Kill ends the notifier as kill -9 does and returns when it is gone.
func (p *process) Kill() error {
	c := p.want(statusKilled)
	if c == nil {
		return errNotRunning
	}
	if err := c.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill the notifier: %w", err)
	}
	<-c.exited
	return nil
}

// Stop ends the notifier in good order, for good, and by force when that takes
// too long. Without a notifier, or again, it does nothing.
func (p *process) Stop() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	c := p.want(statusStopped)
	if c == nil {
		return nil
	}
	_ = c.stdin.Close() // closed already when the child has exited
	late := time.NewTimer(stopMax)
	defer late.Stop()
	select {
	case <-c.exited:
		if c.err != nil {
			return fmt.Errorf("the notifier did not stop in good order: %w", c.err)
		}
		return nil
	case <-late.C:
		_ = c.cmd.Process.Kill() // it may exit at this moment
		<-c.exited
		return fmt.Errorf("the notifier did not stop within %v and was killed", stopMax)
	}
}

// want says how the child is going to end, and returns it.
func (p *process) want(status string) *child {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child != nil {
		p.child.wanted = status
	}
	return p.child
}

// logTail is the end of the notifier's log, on lines of its own.
func (p *process) logTail() string {
	text, err := os.ReadFile(filepath.Join(p.dir, logFile))
	if err != nil || len(bytes.TrimSpace(text)) == 0 {
		return ""
	}
	if len(text) > logTailMax {
		text = text[len(text)-logTailMax:]
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			text = text[i+1:]
		}
	}
	return "\n" + string(bytes.TrimSpace(text))
}
