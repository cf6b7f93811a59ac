package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// stopTimeout is how long a process may take to end before it is killed.
const stopTimeout = 10 * time.Second

// stderrKept bounds what is kept of what a process says.
const stderrKept = 16 << 10

// Command is how to start the fakes.
type Command struct {
	Path   string    // the program
	Args   []string  // its flags; fakes --help lists them
	Env    []string  // besides this process's own, KEY=value
	Stderr io.Writer // gets what it says besides; nil: kept for errors only
}

// Start starts the fakes and connects to them when they are ready. Close ends
// them.
func Start(ctx context.Context, c Command) (*World, error) {
	p := &process{cmd: exec.Command(c.Path, c.Args...), said: &tail{to: c.Stderr}, done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), c.Env...)
	p.cmd.Stderr = p.said
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("fakes: %w", err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("fakes: %w", err)
	}
	lines := make(chan []byte, 1)
	go func() {
		defer close(p.done)
		r := bufio.NewReader(io.LimitReader(out, readyTextMax))
		line, _ := r.ReadBytes('\n') // a process that ends says why elsewhere
		lines <- line
		_, _ = io.Copy(io.Discard, out)
		p.err = p.cmd.Wait()
	}()
	var line []byte
	select {
	case line = <-lines:
	case <-ctx.Done():
		return nil, errors.Join(fmt.Errorf("fakes: %s was not ready: %w", c.Path, ctx.Err()), p.stop())
	}
	var ready Ready
	if err := json.Unmarshal(line, &ready); err != nil {
		_ = p.stop() // it has ended or will; what it said is the reason
		return nil, fmt.Errorf("fakes: %s did not start: %s", c.Path, strings.TrimSpace(p.said.String()))
	}
	w, err := Dial(ctx, ready.Control)
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	w.process = p
	return w, nil
}

// process is the fakes that Start started. Its goroutine ends with it.
type process struct {
	cmd  *exec.Cmd
	said *tail
	done chan struct{}
	err  error // of Wait; read after done
}

// stop ends the process in order, or kills it, and waits. It may be called
// twice.
func (p *process) stop() error {
	if err := interrupt(p.cmd.Process); err != nil && !errors.Is(err, os.ErrProcessDone) {
		_ = p.cmd.Process.Kill() // it has ended then
	}
	t := time.NewTimer(stopTimeout)
	defer t.Stop()
	select {
	case <-p.done:
	case <-t.C:
		_ = p.cmd.Process.Kill() // it has ended then
		<-p.done
	}
	if p.err != nil {
		return fmt.Errorf("fakes: ended with %w: %s", p.err, strings.TrimSpace(p.said.String()))
	}
	return nil
}

// tail keeps the end of what is written and hands all of it on.
type tail struct {
	to   io.Writer
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if n := len(t.text) - stderrKept; n > 0 {
		t.text = append(t.text[:0], t.text[n:]...)
	}
	if t.to != nil {
		return t.to.Write(b)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
