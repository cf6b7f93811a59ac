package loadgen

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// letterBody is the text of every mail.
const letterBody = "Good morning,\r\n\r\nthe figures for this week are in the usual place. Please have a look at them before the\r\nmeeting, and tell me if anything is missing or looks odd to you.\r\n\r\nKind regards\r\n"

const letterFrom = "load@fabrikam.test"

// load sends the plan, follows the journal, and judges.
func (r *run) load(ctx context.Context) error {
	// A page beyond the end tells where the end is.
	_, last, err := r.control.page(ctx, math.MaxUint64, 1)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	l := &load{run: r, id: runID(), start: time.Now().Add(startAhead), journal: journal{pages: r.control.page, after: last}, delay: newHistogram()}
	l.meter = newMeter(l.start)
	l.judge = NewJudge(r.population, l.id, l.planned, l.meter.take)
	if err := l.openEntrance(); err != nil {
		return err
	}
	l.do(ctx)
	l.tell()
	return nil
}

// load is the load in its course.
type load struct {
	*run
	id       string
	start    time.Time
	judge    *Judge
	meter    *meter
	journal  journal
	entrance Entrance
	sampler  sampler

	mu      sync.Mutex
	delay   *hdrhistogram.Histogram // of sendings
	sent    int                     // copies taken by the entrance
	missed  int
	errors  int
	first   error  // of the entrance
	picture string // file of the CPU profile's picture; empty: there is none
	failed  error  // what ended the load before its time
}

// planned tells when a slot is due.
func (l *load) planned(slot int) (time.Time, bool) {
	if slot < 0 || slot >= len(l.plan.Slots) {
		return time.Time{}, false
	}
	return l.start.Add(l.plan.Slots[slot].At), true
}

func (l *load) openEntrance() error {
	if l.o.Entrance == ByControl {
		l.entrance = l.control
		return nil
	}
	if l.ready.SMTP == "" {
		return errors.New("entrance: the fakes tell no SMTP address")
	}
	s := newSMTPEntrance(l.ready.SMTP, l.o.Workers)
	l.entrance = s
	l.closers = append(l.closers, func() error { s.Close(); return nil })
	return nil
}

func (l *load) letter(slot int) Letter {
	to := l.population.Mailboxes
	if m := l.plan.Slots[slot].To; m != everyone {
		to = to[m : m+1]
	}
	return Letter{To: to, From: letterFrom, Subject: subject(l.id, slot), Body: letterBody}
}

// do runs the load until its last push, or for as long as it may take.
func (l *load) do(ctx context.Context) {
	l.say("load: %s mails in %s, profile %s, seed %d", thousands(l.report.Load.Planned), l.o.Duration, l.o.Profile, l.o.Seed)
	sending, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l.sampler = newSampler(l.start, l.judged, l.fakes)
	// What accompanies the load goes on while the last mails are waited for, and
	// after an interruption too.
	beside, stop := context.WithCancel(context.WithoutCancel(ctx))
	var all sync.WaitGroup
	all.Go(func() { l.sampler.run(beside) })
	all.Go(func() { l.progress(beside) })
	all.Go(func() { l.watch(beside, cancel) })
	all.Go(func() { l.act(sending, cancel) })
	all.Go(func() { l.pprofCPU(beside) })
	all.Go(func() { l.churn(sending) })

	s := &sender{l.entrance, l.o.Workers, l.letter}
	s.run(sending, l.start, l.plan.Slots, l.took)
	l.drain(ctx)
	l.report.Load.TookS = time.Since(l.start).Seconds()
	l.sampler.finish()
	if l.o.CPUProfile { // what was allocated during the load is the difference to the other
		if err := l.pprof(context.WithoutCancel(ctx), "heap", "notifier.heap-after.pprof"); err != nil {
			l.say("no heap profile: %v", err)
		}
	}
	wait(beside, afterLast)
	cancel(nil)
	stop()
	all.Wait()
	l.fail(l.journal.read(context.WithoutCancel(ctx), l.judge.Observe))
	l.report.Load.Interrupted = ctx.Err() != nil
}

// watch follows the journal, and ends the load when a process has died.
func (l *load) watch(ctx context.Context, end context.CancelCauseFunc) {
	for ctx.Err() == nil {
		err := l.journal.read(ctx, l.judge.Observe)
		if ctx.Err() != nil {
			return
		}
		err = errors.Join(err, l.judged.Check())
		if l.fakes != nil {
			err = errors.Join(err, l.fakes.Check())
		}
		if err != nil {
			l.fail(err)
			end(err)
			return
		}
		wait(ctx, journalEvery)
	}
}

// act does what is planned besides mails.
func (l *load) act(ctx context.Context, end context.CancelCauseFunc) {
	for _, a := range l.plan.Actions {
		wait(ctx, time.Until(l.start.Add(a.At)))
		if ctx.Err() != nil {
			return
		}
		l.say("%5.0fs  %s", a.At.Seconds(), a.Do)
		var err error
		switch a.Do {
		case cutStreams:
			err = l.control.cutStreams(ctx)
		case restartServers:
			err = l.control.restartServers(ctx)
		case killNotifier:
			err = errors.Join(l.notifier.Kill(), l.notifier.Start())
		}
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("%s: %w", a.Do, err)
			l.fail(err)
			end(err)
		}
	}
}

// wait waits for a time or the end of ctx.
func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// took counts what became of a slot.
func (l *load) took(s Sent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case s.Missed:
		l.missed++
		return
	case s.Err != nil:
		l.errors++
		if l.first == nil {
			l.first = s.Err
		}
	default:
		l.sent += l.plan.Slots[s.Slot].copies(l.population.Size())
	}
	_ = l.delay.RecordValue(min(max(s.Delay.Microseconds(), 1), time.Hour.Microseconds())) // within its range
}

func (l *load) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil {
		l.failed = err
	}
}

// drain waits until every mail that was sent has all its pushes.
func (l *load) drain(ctx context.Context) {
	patience := l.o.Drain
	if ctx.Err() != nil {
		patience = drainInterrupted
	}
	waiting, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(drainInterrupted, cancel) })()
	_ = poll(waiting, journalEvery/5, func() (bool, error) { // what is missing then is lost
		l.mu.Lock()
		sent, failed := l.sent, l.failed
		l.mu.Unlock()
		c := l.judge.Counts()
		return failed != nil || (c.Mails >= sent && c.Lost == 0), nil
	})
}

// progress writes a line now and then.
func (l *load) progress(ctx context.Context) {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	before := time.Now()
	for {
		select {
		case now := <-tick.C:
			recent, n := l.meter.recent()
			c, use := l.judge.Counts(), l.sampler.last()
			l.mu.Lock()
			missed := l.missed
			l.mu.Unlock()
			l.say("%5.0fs  %7.1f pushes/s  p50 %s  p99 %s  mails %s  waiting %s  missed %s  notifier %.0f %% of a core, %.0f MiB",
				now.Sub(l.start).Seconds(), float64(n)/now.Sub(before).Seconds(), milliseconds(recent.P50), milliseconds(recent.P99),
				thousands(c.Mails), thousands(c.Lost), thousands(missed), 100*use.NotifierCPU, use.NotifierMB)
			before = now
		case <-ctx.Done():
			return
		}
	}
}

// tell puts the figures into the report.
func (l *load) tell() {
	r, c := &l.report, l.judge.Counts()
	r.Mails, r.Pushes, r.Lost, r.Duplicated, r.Unexpected, r.Suppressed = c.Mails, c.Pushes, c.Lost, c.Duplicated, c.Unexpected, c.Suppressed
	r.LatencyMS, r.Missed = l.meter.latency(), l.missed
	r.Load.Due, r.Load.SendErrors, r.Load.SendDelayMS = c.Due, l.errors, quantiles(l.delay)
	r.Series = Series{l.meter.cdf(), l.meter.seconds(l.plan.Slots, l.population.Size()), l.sampler.samples}
	l.sampler.tell(r)
	r.Findings, r.Picture = l.judge.Findings(), l.picture
	if l.failed != nil {
		r.Findings = append(r.Findings, failure+l.failed.Error())
	}
	if l.first != nil {
		r.Findings = append(r.Findings, "mail not taken: "+l.first.Error())
	}
	if l.journal.lost > 0 {
		r.Findings = append(r.Findings, fmt.Sprintf("%sthe fakes dropped %d journal entries before they were read", failure, l.journal.lost))
	}
}
