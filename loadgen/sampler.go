package loadgen

import (
	"context"
	"os"
	"sync"
	"time"
)

// sampler looks at the processes now and then.
type sampler struct {
	start    time.Time
	notifier processes // or what runs in its place
	fakes    *process
	begin    moment

	mu      *sync.Mutex
	samples []Sample
	end     moment
}

// moment is what has been used up to a time.
type moment struct {
	at                             time.Time
	notifier, fakes, loadgen, busy time.Duration
	notifierMem, fakesMem          memory
	notifierOK, fakesOK            bool
}

func newSampler(start time.Time, notifier processes, fakes *process) sampler {
	s := sampler{start: start, notifier: notifier, fakes: fakes, mu: &sync.Mutex{}}
	s.begin = s.look()
	return s
}

func (s *sampler) look() moment {
	m := moment{at: time.Now(), busy: busy()}
	m.notifier, m.notifierMem, m.notifierOK = s.notifier.Usage()
	if s.fakes != nil {
		m.fakes, m.fakesMem, m.fakesOK = s.fakes.Usage()
	}
	m.loadgen, _ = usage(os.Getpid())
	return m
}

// run takes samples until ctx ends.
func (s *sampler) run(ctx context.Context) {
	if !measurable {
		return
	}
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for before := s.begin; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now := s.look()
		cores := func(a, b time.Duration) float64 { return (b - a).Seconds() / now.at.Sub(before.at).Seconds() }
		s.mu.Lock()
		s.samples = append(s.samples, Sample{
			At: now.at.Sub(s.start).Seconds(), NotifierCPU: cores(before.notifier, now.notifier), FakesCPU: cores(before.fakes, now.fakes),
			LoadgenCPU: cores(before.loadgen, now.loadgen), NotifierMB: *mebibytes(now.notifierMem.now), FakesMB: *mebibytes(now.fakesMem.now),
		})
		s.mu.Unlock()
		before = now
	}
}

// last is the newest sample.
func (s *sampler) last() Sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.samples) == 0 {
		return Sample{}
	}
	return s.samples[len(s.samples)-1]
}

// finish is the end of the load: what is used later does not count.
func (s *sampler) finish() { s.end = s.look() }

// tell puts what was used into the report, whose pushes are known.
func (s *sampler) tell(r *Report) {
	seconds := func(d time.Duration) *float64 { v := d.Seconds(); return &v }
	if s.end.notifierOK {
		used := s.end.notifier - s.begin.notifier
		r.Notifier.CPUSeconds, r.Notifier.CPUTotal, r.Notifier.RSSPeakMB = seconds(used), seconds(s.end.notifier), mebibytes(s.end.notifierMem.peak)
		if r.Pushes > 0 {
			v := float64(used.Microseconds()) / float64(r.Pushes)
			r.Notifier.CPUPerPush = &v
		}
	}
	if s.end.fakesOK {
		r.Fakes.CPUSeconds, r.Fakes.RSSPeakMB = seconds(s.end.fakes-s.begin.fakes), mebibytes(s.end.fakesMem.peak)
	}
	own := s.end.loadgen - s.begin.loadgen
	r.Load.LoadgenCPUS = own.Seconds()
	if took := s.end.at.Sub(s.begin.at); measurable && took > 0 {
		others := s.end.busy - s.begin.busy - own - (s.end.notifier - s.begin.notifier) - (s.end.fakes - s.begin.fakes)
		r.Load.OtherCPU = max(0, others.Seconds()/took.Seconds()/float64(r.Machine.CPUs))
	}
}
