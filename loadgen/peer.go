package loadgen

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"go.yaml.in/yaml/v3"
)

// Peer is what somebody could build from the parts of others instead of running a
// notifier: a loop of exchangelib that reads streams and items, and gorush, which
// pushes. It serves iPhones only, keeps nothing over a restart, and ends at the first
// error.
type Peer struct {
	Gorush string // its program, 1.22.0 or one with the same configuration
	Python string // a Python with exchangelib
}

//go:embed loop.py
var loop []byte

// gorushWorkers are the notifications that gorush works on at once, and the pushes
// that it has in flight; gorushQueue is what it lets wait.
const (
	gorushWorkers = 100
	gorushQueue   = 20_000
)

// gorush is a running one.
type gorush struct {
	*process
	push  string // where it takes notifications
	calls *caller
}

// startGorush starts gorush so that it pushes to the fakes. Its hosts cannot be
// set, but a proxy can, and the fakes have one. When it is to wait, a call to it ends when its pushes have
// been answered.
func (r *run) startGorush(ctx context.Context, program string, wait bool) (*gorush, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	p := r.ready.Push
	text, err := yaml.Marshal(section{
		"core": section{
			"enabled": true, "address": host, "port": port, "http_proxy": r.ready.Proxy, "sync": wait, "worker_num": gorushWorkers, "queue_num": gorushQueue,
			"max_notification": gorushBatch,
		},
		"api": section{"push_uri": "/api/push", "health_uri": "/healthz"},
		"ios": section{
			"enabled": true, "production": true, "key_path": p.APNsKeyFile, "key_type": "p8", "key_id": p.KeyID, "team_id": p.TeamID,
			"max_concurrent_pushes": gorushWorkers,
		},
		"android": section{"enabled": false},
		"log":     section{"format": "string", "access_log": "stdout", "access_level": "error", "error_log": "stderr", "error_level": "error"},
		"stat":    section{"engine": "memory"},
		"queue":   section{"engine": "local"},
	})
	if err != nil {
		return nil, err
	}
	config := filepath.Join(r.work, "gorush.yml")
	if err := os.WriteFile(config, text, 0o600); err != nil {
		return nil, err
	}
	g := &gorush{
		process: &process{
			name: "gorush", program: program, dir: r.work, log: filepath.Join(r.o.Dir, "gorush.log"), limit: r.o.Limit,
			args: []string{"-c", config}, env: []string{"SSL_CERT_FILE=" + r.ready.CAFile},
		},
		push: "http://" + addr + "/api/push", calls: newCaller("http://"+addr, &http.Transport{}),
	}
	if err := r.launch(g.process); err != nil {
		return nil, err
	}
	r.closers = append(r.closers, g.calls.hangUp)
	return g, g.Await(ctx, func() error { return g.calls.do(ctx, http.MethodGet, "/healthz", "", nil, nil) })
}

// startPeer starts the peer in the notifier's place, with everybody's push
// addresses in its hands.
func (r *run) startPeer(ctx context.Context) error {
	if err := r.enrolment.addresses(ctx, r.population); err != nil {
		return fmt.Errorf("push addresses: %w", err)
	}
	g, err := r.startGorush(ctx, r.o.Peer.Gorush, false)
	if err != nil {
		return err
	}
	devices := map[string][]string{}
	for _, d := range r.population.Devices {
		m := r.population.Mailboxes[d.Mailbox]
		devices[m] = append(devices[m], d.Address)
	}
	l := r.ready.Listeners[0]
	task, err := json.Marshal(map[string]any{
		"ews": r.ready.EWS, "user": l.User, "password": l.Password, "gorush": g.push, "topic": r.ready.Push.Topic, "devices": devices,
	})
	if err != nil {
		return err
	}
	script, input := filepath.Join(r.work, "loop.py"), filepath.Join(r.work, "loop.json")
	if err := errors.Join(os.WriteFile(script, loop, 0o600), os.WriteFile(input, task, 0o600)); err != nil {
		return err
	}
	python := &process{
		name: "loop", program: r.o.Peer.Python, dir: r.work, log: filepath.Join(r.o.Dir, "loop.log"), limit: r.o.Limit,
		args: []string{script, input}, env: []string{"REQUESTS_CA_BUNDLE=" + r.ready.CAFile},
	}
	r.judged = processes{g.process, python}
	return r.launch(python)
}

// processes are several that are looked at as one.
type processes []*process

// Usage is the sum of theirs; false where that cannot be told, or of none.
func (ps processes) Usage() (cpu time.Duration, m memory, ok bool) {
	ok = len(ps) > 0
	for _, p := range ps {
		c, mem, told := p.Usage()
		cpu, m.now, m.peak, ok = cpu+c, m.now+mem.now, m.peak+mem.peak, ok && told
	}
	return cpu, m, ok
}

// Check says whether all of them still run.
func (ps processes) Check() error {
	var errs []error
	for _, p := range ps {
		errs = append(errs, p.Check())
	}
	return errors.Join(errs...)
}
