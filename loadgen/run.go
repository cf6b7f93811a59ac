package loadgen

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// run is a run in its course. Its steps are called one after another.
type run struct {
	o          Options
	work       string // directory of its own, removed at the end
	population *Population
	plan       Plan
	ready      ready
	control    *control
	api        *caller
	enrolment  *enrolment
	visitors   []string // mailboxes beside the population, for devices that come and go
	admin      string   // address of the notifier's admin service; empty when it ran already
	authority  *authority
	notifier   *process  // nil when it ran already, or a peer runs instead
	judged     processes // the notifier, or what runs in its place
	fakes      *process  // nil when they ran already
	closers    []func() error
	report     Report
}

// Run does a run and writes its report. When ctx ends the load ends, and the
// report tells of what was done. A run that could not be brought to its load
// has no report, but an error.
func Run(ctx context.Context, o Options) (_ Report, err error) {
	r, err := newRun(o)
	if err != nil {
		return Report{}, err
	}
	err = r.steps(ctx)
	if ended := r.close(); err == nil && ended != nil {
		r.report.Findings = append(r.report.Findings, failure+ended.Error())
	}
	if err != nil {
		return Report{}, err
	}
	r.report.conclude()
	return r.report, r.report.Write(r.o.Dir)
}

// newRun is a run before its first step, with a directory of its own.
func newRun(o Options) (*run, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	r := &run{o: o}
	var err error
	if r.population, err = NewPopulation(o.Devices, o.PerMailbox, o.Seed); err != nil {
		return nil, err
	}
	if o.Phones || o.Peer != nil {
		r.population.phonesOnly()
	}
	if r.plan, err = NewPlan(PlanOptions{o.Profile, o.Rate, o.Duration, r.population.Size(), o.Seed}); err != nil {
		return nil, err
	}
	// The processes run in directories of their own: paths have to hold there.
	for _, path := range []*string{&r.o.Dir, &r.o.Notifier, &r.o.Fakes, &r.o.ReadyFile, &r.o.AuthorityKey, &r.o.CAFile} {
		if *path != "" {
			if *path, err = filepath.Abs(*path); err != nil {
				return nil, err
			}
		}
	}
	if err := os.MkdirAll(r.o.Dir, 0o755); err != nil {
		return nil, err
	}
	if r.work, err = os.MkdirTemp("", "mailbell-loadgen-"); err != nil {
		return nil, err
	}
	r.closers = append(r.closers, func() error { return os.RemoveAll(r.work) })
	return r, nil
}

// close takes everything down, the last first.
func (r *run) close() error {
	var errs []error
	for _, c := range slices.Backward(r.closers) {
		errs = append(errs, c())
	}
	r.closers = nil
	return errors.Join(errs...)
}

func (r *run) steps(ctx context.Context) error {
	r.report = Report{
		Devices: r.o.Devices, Seed: r.o.Seed, Command: r.o.Command, Started: time.Now().UTC(), Machine: machine(),
		Load: Load{
			Profile: r.o.Profile, Rate: r.o.Rate, DurationS: r.o.Duration.Seconds(), Mailboxes: r.population.Size(), PerMailbox: r.o.PerMailbox,
			EWSDelayMS: float64(r.o.EWSDelay.Microseconds()) / 1000, PushDelayMS: float64(r.o.PushDelay.Microseconds()) / 1000,
			Entrance: r.o.Entrance, Limit: r.o.Limit.String(), Planned: r.plan.Copies(r.population.Size()),
		},
	}
	for _, step := range []func(context.Context) error{
		r.programs, r.startFakes, r.startNotifier, r.enrol, r.streamed, r.coldStart, r.atRest, r.slow,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return r.load(ctx)
}

func (r *run) say(format string, args ...any) { fmt.Fprintf(r.o.Progress, format+"\n", args...) }

// startFakes starts the fakes, or finds those that run.
func (r *run) startFakes(ctx context.Context) (err error) {
	if r.o.ReadyFile != "" {
		r.ready, err = readReady(r.o.ReadyFile)
	} else {
		err = r.launchFakes(ctx)
	}
	if err != nil {
		return err
	}
	r.control = newControl(r.ready.Control)
	r.closers = append(r.closers, r.control.hangUp)
	all, err := r.control.mailboxes(ctx)
	if err != nil {
		return fmt.Errorf("fakes: %w", err)
	}
	n := r.population.Size()
	if need := n + r.visitorMailboxes(); len(all) < need {
		return fmt.Errorf("fakes: they have %d mailboxes, the run needs %d: start them with --mailboxes %d", len(all), need, need)
	}
	r.population.Mailboxes, r.visitors = all[:n], all[n:n+r.visitorMailboxes()]
	return nil
}

func (r *run) launchFakes(ctx context.Context) error {
	file, n := filepath.Join(r.work, "ready.json"), r.population.Size()+r.visitorMailboxes()
	r.fakes = &process{
		name: "fakes", program: r.o.Fakes, dir: r.work, log: filepath.Join(r.o.Dir, "fakes.log"),
		args: []string{
			"--seed", fmt.Sprint(int64(r.o.Seed)), "--profile", r.o.FakesProfile, "--exchange", r.o.Exchange, "--mailboxes", fmt.Sprint(n),
			"--listeners", fmt.Sprint((n + accountMailboxes - 1) / accountMailboxes), "--dir", r.work, "--ready-file", file,
		},
	}
	if len(r.o.Servers) > 0 {
		r.fakes.args = append(r.fakes.args, "--servers", strings.Join(r.o.Servers, ","))
	}
	r.report.Load.FakesProfile, r.report.Load.Exchange = r.o.FakesProfile, r.o.Exchange
	if err := r.launch(r.fakes); err != nil {
		return err
	}
	return r.fakes.Await(ctx, func() (err error) {
		r.ready, err = readReady(file)
		return err
	})
}

// launch starts a process with a new log, to be stopped at the end.
func (r *run) launch(p *process) error {
	if err := os.Remove(p.log); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	r.closers = append(r.closers, p.Stop)
	return p.Start()
}

// startNotifier starts the notifier, or finds the one that runs.
func (r *run) startNotifier(ctx context.Context) (err error) {
	if r.o.Peer != nil {
		r.enrolment = &enrolment{control: r.control, push: r.ready.Push}
		return r.startPeer(ctx)
	}
	if r.o.API != "" {
		t := &http.Transport{}
		if r.o.CAFile != "" {
			trust, err := trusting(r.o.CAFile)
			if err != nil {
				return err
			}
			t.TLSClientConfig = &tls.Config{RootCAs: trust}
		}
		r.api = newCaller(r.o.API, t)
		r.closers = append(r.closers, r.api.hangUp)
		r.authority, err = readAuthority(r.o.AuthorityKey)
		return err
	}
	if r.authority, err = newAuthority(); err != nil {
		return err
	}
	addr, err := freeAddress()
	if err != nil {
		return err
	}
	if r.admin, err = freeAddress(); err != nil {
		return err
	}
	r.api = newCaller("http://"+addr, &http.Transport{})
	s := setup{ready: r.ready, api: addr, admin: r.admin, enrolment: r.authority, mailboxes: r.population.Size() + r.visitorMailboxes(), wnsRate: r.o.WNSRate}
	if err := s.write(r.work); err != nil {
		return err
	}
	r.notifier = &process{
		name: "notifier", program: r.o.Notifier, dir: r.work, log: filepath.Join(r.o.Dir, "notifier.log"), limit: r.o.Limit,
		args: []string{"run", "--config", filepath.Join(r.work, configFile)},
	}
	r.judged = processes{r.notifier}
	if err := r.launch(r.notifier); err != nil {
		return err
	}
	r.closers = append(r.closers, r.api.hangUp) // before the notifier ends, which waits for its callers
	return r.awaitNotifier(ctx)
}

// trusting reads the authorities of a file in PEM.
func trusting(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	trust := x509.NewCertPool()
	if !trust.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: no certificate in it", file)
	}
	return trust, nil
}

// awaitNotifier waits until the registration service serves.
func (r *run) awaitNotifier(ctx context.Context) error {
	return r.notifier.Await(ctx, func() error { return r.api.do(ctx, http.MethodGet, "/healthz", "", nil, nil) })
}

// enrol registers the population.
func (r *run) enrol(ctx context.Context) error {
	if r.o.Peer != nil {
		return nil // it was told of everybody when it was started
	}
	r.say("registering %s devices of %s mailboxes", thousands(r.o.Devices), thousands(r.population.Size()))
	r.enrolment = &enrolment{r.control, r.ready.Push, r.api, r.authority}
	if err := r.enrolment.addresses(ctx, r.population); err != nil {
		return fmt.Errorf("push addresses: %w", err)
	}
	registered := 0
	if r.o.Profile == Growth {
		var err error
		if registered, err = r.grow(ctx); err != nil {
			return err
		}
	}
	began := time.Now()
	if err := r.enrolment.register(ctx, r.population, registered, len(r.population.Devices)); err != nil {
		return err
	}
	r.report.Load.RegisterS = time.Since(began).Seconds()
	return nil
}

// streamed waits until every mailbox is streamed.
func (r *run) streamed(ctx context.Context) error {
	began := time.Now()
	if err := r.awaitStreams(ctx, r.population.Size()); err != nil {
		return err
	}
	r.report.Load.StreamingS = time.Since(began).Seconds()
	r.say("registered in %.1f s, every mailbox streamed %.1f s later", r.report.Load.RegisterS, r.report.Load.StreamingS)
	return nil
}

// awaitStreams waits until so many mailboxes are streamed.
func (r *run) awaitStreams(ctx context.Context, n int) error {
	patience := streamingBase + time.Duration(n)*streamingPerMailbox
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	have, told := 0, time.Now()
	err := poll(ctx, stateEvery, func() (bool, error) {
		if err := r.judged.Check(); err != nil {
			return false, err
		}
		o, err := r.control.organisation(ctx)
		if err != nil {
			return false, err
		}
		have = o.Streaming
		if time.Since(told) > progressEvery {
			r.say("%s of %s mailboxes are streamed", thousands(have), thousands(n))
			told = time.Now()
		}
		return have >= n, nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("only %d of %d mailboxes are streamed after %s", have, n, patience)
	}
	return err
}

// coldStart stops the notifier, starts it again with everybody registered, and
// measures until every mailbox is streamed.
func (r *run) coldStart(ctx context.Context) error {
	if !r.o.ColdStart {
		return nil
	}
	if err := r.notifier.Stop(); err != nil {
		return err
	}
	// Subscriptions outlive the notifier, and it would go on with them; a server
	// that restarts forgets them.
	if err := r.control.restartServers(ctx); err != nil {
		return fmt.Errorf("cold start: %w", err)
	}
	quiet, cancel := context.WithTimeout(ctx, stopMax)
	defer cancel()
	if err := poll(quiet, stateEvery, func() (bool, error) {
		o, err := r.control.organisation(quiet)
		return err == nil && o.Streaming == 0, err
	}); err != nil {
		return fmt.Errorf("cold start: streams are left after the notifier has stopped: %w", err)
	}
	began := time.Now()
	if err := r.notifier.Start(); err != nil {
		return err
	}
	if err := r.awaitNotifier(ctx); err != nil {
		return err
	}
	serving := time.Since(began)
	if err := r.awaitStreams(ctx, r.population.Size()); err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	r.report.ColdStartS = &took
	r.say("cold start: serving after %.1f s, every mailbox streamed after %.1f s", serving.Seconds(), took)
	return nil
}

// atRest looks at the notifier while nothing happens.
func (r *run) atRest(ctx context.Context) error {
	if r.notifier == nil {
		return nil
	}
	r.report.Notifier.RSSIdleMB, r.report.Notifier.IdleCPUShare = r.rest(ctx)
	if err := r.pprof(ctx, "heap", "notifier.heap.pprof"); err != nil {
		r.say("no heap profile: %v", err)
	}
	return r.notifier.Check()
}

// slow has the fakes take their time from now on.
func (r *run) slow(ctx context.Context) error {
	for name, by := range map[string]time.Duration{"ews.slow": r.o.EWSDelay, "apns.slow": r.o.PushDelay, "wns.slow": r.o.PushDelay} {
		if by > 0 {
			if err := r.control.fault(ctx, name, map[string]string{"delay": by.String()}); err != nil {
				return fmt.Errorf("delay: %w", err)
			}
		}
	}
	return nil
}

// rest is what the notifier takes while nothing happens: memory in MiB, and CPU in
// cores. nil: not measured, or the run was interrupted.
func (r *run) rest(ctx context.Context) (rss, cpu *float64) {
	before, _, _ := r.notifier.Usage()
	timer := time.NewTimer(r.o.Idle)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, nil
	}
	after, m, ok := r.notifier.Usage()
	if !ok {
		return nil, nil
	}
	share := (after - before).Seconds() / r.o.Idle.Seconds()
	return mebibytes(m.now), &share
}

func mebibytes(bytes int64) *float64 {
	v := float64(bytes) / (1 << 20)
	return &v
}

// runID tells the mails of this run from those of others.
func runID() string {
	var b [4]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
