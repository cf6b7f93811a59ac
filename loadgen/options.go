package loadgen

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Options choose a run.
type Options struct {
	Devices    int
	PerMailbox int     // devices of a mailbox, at most; 0: PerMailboxDefault
	Rate       float64 // mails a second
	Duration   time.Duration
	Seed       uint64
	Profile    Profile // empty: Steady
	ColdStart  bool    // measure a start with everybody registered, before the load

	Entrance string        // ByControl or BySMTP; empty: ByControl
	Workers  int           // mails in flight, at most; 0: WorkersDefault
	Drain    time.Duration // how long to wait for the last pushes; 0: DrainDefault
	Idle     time.Duration // how long the notifier is watched at rest; 0: 3 s

	// Programs. Empty: built from the module that the working directory is in.
	Notifier string
	Fakes    string
	// What the fakes are started with; empty: calm, 2019.
	FakesProfile string
	Exchange     string
	// Servers are the mailbox servers of the fakes; empty: their default.
	Servers []string
	// EWSDelay and PushDelay are added by the fakes to each answer once everybody is
	// streamed: of Exchange, and of APNs and WNS.
	EWSDelay, PushDelay time.Duration
	// WNSRate is the most notifications a second that the notifier may send to WNS;
	// 0: its default.
	WNSRate int
	// Limit bounds the notifier's process.
	Limit Limit

	// Peer runs instead of the notifier. It serves iPhones only; with Phones
	// everybody has one whoever runs.
	Peer   *Peer
	Phones bool

	// ReadyFile is what fakes that run already wrote; empty: they are started.
	ReadyFile string
	// API is the base URL of a notifier that runs already, with access to those
	// fakes; empty: it is started. AuthorityKey is then the private key that signs
	// credentials for it, and CAFile the authority of its certificate.
	API          string
	AuthorityKey string
	CAFile       string

	// CPUProfile keeps one of the notifier's load beside the report, and a heap profile
	// after it. It costs some CPU time.
	CPUProfile bool

	Dir      string    // for the report and the logs
	Command  []string  // as the run was called, for the report
	Progress io.Writer // a line now and then; nil: none
}

// ErrUsage is wrapped by what is wrong with Options.
var ErrUsage = errors.New("wrong usage")

func (o *Options) complete() error {
	if o.Profile == "" {
		o.Profile = Steady
	}
	if o.Profile == ColdStart {
		o.ColdStart = true
	}
	if o.Profile == Soak {
		o.Duration = or(o.Duration, SoakDuration)
	}
	o.Duration = or(o.Duration, DurationDefault)
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	o.PerMailbox = or(o.PerMailbox, PerMailboxDefault)
	o.Entrance = or(o.Entrance, ByControl)
	o.Workers = or(o.Workers, WorkersDefault)
	o.Drain = or(o.Drain, DrainDefault)
	o.Idle = or(o.Idle, idleLooks)
	o.FakesProfile = or(o.FakesProfile, "calm")
	o.Exchange = or(o.Exchange, "2019")
	switch {
	case o.Dir == "":
		return fmt.Errorf("%w: report: no directory is given", ErrUsage)
	case o.Entrance != ByControl && o.Entrance != BySMTP:
		return fmt.Errorf("%w: entrance: %q; want %s or %s", ErrUsage, o.Entrance, ByControl, BySMTP)
	case o.Workers < 1 || o.Drain < 0 || o.Idle < 0:
		return fmt.Errorf("%w: workers %d, drain %s, idle %s: none may be negative", ErrUsage, o.Workers, o.Drain, o.Idle)
	case o.EWSDelay < 0 || o.PushDelay < 0 || o.EWSDelay > DelayMax || o.PushDelay > DelayMax:
		return fmt.Errorf("%w: delays of %s and %s: 0s to %s are possible", ErrUsage, o.EWSDelay, o.PushDelay, DelayMax)
	case o.API != "" && (o.ReadyFile == "" || o.AuthorityKey == ""):
		return fmt.Errorf("%w: a notifier that runs already needs the ready file of its fakes and the authority key that it trusts", ErrUsage)
	case o.API != "" && (o.ColdStart || o.Profile == Crash):
		return fmt.Errorf("%w: a notifier that runs already can be neither started nor killed here: no cold start, no profile %s", ErrUsage, Crash)
	case o.Peer != nil && o.API != "":
		return fmt.Errorf("%w: a notifier that runs already, or a peer in its place: not both", ErrUsage)
	case o.Peer != nil && (o.ColdStart || o.CPUProfile || !slices.Contains([]Profile{Steady, Peak, AllHands, Burst, Soak}, o.Profile)):
		return fmt.Errorf("%w: what runs in the notifier's place is started and left alone: no cold start, CPU profile, or profile %s", ErrUsage, o.Profile)
	case o.API != "" && o.Limit != (Limit{}):
		return fmt.Errorf("%w: limit: the notifier runs already", ErrUsage)
	}
	return nil
}

// or is v, or the default when v is zero.
func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
