package httpauth

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"
)

// gate decides when an account's credentials may be judged again. While no host
// has accepted them, one request at a time is judged and the others wait for
// its outcome: eight callers with a wrong password are one wrong try, not eight.
// After a verified refusal nothing is sent to the host for a while.
type gate struct {
	account string
	logger  *slog.Logger
	turn    chan struct{} // holds one element while a trial is under way

	mu    sync.Mutex
	hosts map[string]*standing
	era   int // how often the credentials were replaced
}

// standing is what one host thinks of the account.
type standing struct {
	proven   bool
	trusted  bool // it has accepted the account, and no other host contradicts it: its verdict counts everywhere
	failures int
	refusal  *RejectedError // the latest; nil if none since the last acceptance
}

func newGate(account string, logger *slog.Logger) *gate {
	return &gate{account: account, logger: logger, turn: make(chan struct{}, 1), hosts: map[string]*standing{}}
}

// check returns the refusal that is in force for host, nil if there is none.
func (g *gate) check(host string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	var resting int
	var latest *RejectedError
	for name, s := range g.hosts {
		if s.refusal == nil || !now.Before(s.refusal.NextTry) {
			continue
		}
		if name == host || s.trusted { // who took the credentials before knows what it says
			return s.refusal.gated()
		}
		resting++
		if latest == nil || s.refusal.NextTry.After(latest.NextTry) {
			latest = s.refusal
		}
	}
	if s := g.hosts[host]; resting >= rejectingHostsMax && (s == nil || !s.proven) {
		return latest.gated()
	}
	return nil
}

// forget has every host judge the credentials anew.
func (g *gate) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.hosts)
	g.era++
}

func (e *RejectedError) gated() *RejectedError {
	c := *e
	c.Gated = true
	return &c
}

func (g *gate) proven(host string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.hosts[host]
	return s != nil && s.proven
}

// trial follows one request from the moment its credentials are to be judged
// until the verdict. Not safe for concurrent use.
func (g *gate) trial(host string) *trial {
	g.mu.Lock()
	defer g.mu.Unlock()
	return &trial{gate: g, host: host, era: g.era}
}

type trial struct {
	gate *gate
	host string
	era  int  // of the credentials that are on trial
	held bool // this trial has the turn
}

// begin is called before credentials are sent. It waits while another request
// is being judged, and returns its refusal if it was refused.
func (t *trial) begin(ctx context.Context) error {
	if t.held {
		return nil
	}
	if t.gate.proven(t.host) {
		return t.gate.check(t.host)
	}
	if err := t.alone(ctx); err != nil {
		return err
	}
	if t.gate.proven(t.host) { // by the one waited for
		t.end()
	}
	return nil
}

// alone takes the turn: nobody else is judged until end.
func (t *trial) alone(ctx context.Context) error {
	if !t.held {
		select {
		case t.gate.turn <- struct{}{}:
			t.held = true
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := t.gate.check(t.host); err != nil {
		t.end()
		return err
	}
	return nil
}

// end gives the turn back.
func (t *trial) end() {
	if t.held {
		t.held = false
		<-t.gate.turn
	}
}

// accepted notes that the host took the credentials.
func (t *trial) accepted() {
	g := t.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.era != g.era {
		return
	}
	s := g.standing(t.host)
	s.proven, s.trusted, s.failures, s.refusal = true, true, 0, nil
	for _, other := range g.hosts {
		if other.failures > 0 {
			other.trusted = false // what it says is its own opinion
		}
	}
}

// refusalsMax is how many refusals within one request are a verdict: a second
// one makes sure, unless the host's last verdict was one already.
func (t *trial) refusalsMax() int {
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	if t.gate.failuresLocked(t.host) > 0 {
		return 1
	}
	return refusalsMax
}

// rejected notes a verified refusal and returns it. One of credentials that have
// been replaced meanwhile says nothing of those in use.
func (t *trial) rejected(resp *http.Response, offered []string) error {
	g := t.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.standing(t.host)
	if t.era != g.era {
		s = &standing{}
	}
	s.proven = false
	if s.refusal != nil && time.Now().Before(s.refusal.NextTry) {
		return s.refusal // requests that were under way together count once
	}
	s.failures = g.failuresLocked(t.host) + 1
	diagnostics := resp.Header.Get("X-Ms-Diagnostics")
	s.refusal = &RejectedError{
		Account:     g.account,
		Host:        t.host,
		Status:      resp.StatusCode,
		Offered:     slices.Clone(offered),
		Failures:    s.failures,
		NextTry:     time.Now().Add(gateStep(s.failures)),
		Diagnostics: diagnostics[:min(len(diagnostics), diagnosticsMax)],
	}
	g.logger.Warn("credentials refused", "account", g.account, "host", t.host, "offered", offered,
		"failures", s.failures, "next_try", s.refusal.NextTry, "diagnostics", s.refusal.Diagnostics)
	return s.refusal
}

// failuresLocked is how often in a row the credentials were refused, by the host
// or by one that took them before: most hosts ask the same directory.
func (g *gate) failuresLocked(host string) int {
	n := 0
	for name, s := range g.hosts {
		if name == host || s.trusted {
			n = max(n, s.failures)
		}
	}
	return n
}

// standing returns the entry of host, making room for it if need be.
func (g *gate) standing(host string) *standing {
	s := g.hosts[host]
	if s != nil {
		return s
	}
	if len(g.hosts) >= gateHostsMax {
		for name, old := range g.hosts {
			if old.refusal == nil || time.Now().After(old.refusal.NextTry) {
				delete(g.hosts, name)
				break
			}
		}
	}
	s = &standing{}
	g.hosts[host] = s
	return s
}
