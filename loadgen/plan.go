package loadgen

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Profile is the shape of a load.
type Profile string

// The profiles.
const (
	Steady    Profile = "steady"    // mails to one mailbox each, at a constant rate
	Peak      Profile = "peak"      // the same, rising to four times the rate and falling again
	AllHands  Profile = "allhands"  // steady, and at half time one mail to every mailbox
	Burst     Profile = "burst"     // one mail to every mailbox, and nothing else
	ColdStart Profile = "coldstart" // steady, after a start with all devices registered
	Reconnect Profile = "reconnect" // steady; all streams are cut, later the Exchange servers restart
	Crash     Profile = "crash"     // steady; at half time the notifier is killed and started again
	Churn     Profile = "churn"     // steady, while devices come and go: ChurnRate registrations a second
	Growth    Profile = "growth"    // steady, after registering in steps, with a look at the notifier at rest after each
	Soak      Profile = "soak"      // steady, for SoakDuration unless told
)

// ChurnRate is the registrations a second of Churn.
const ChurnRate = 10

// The durations when none is given.
const (
	DurationDefault = 30 * time.Second
	SoakDuration    = 30 * time.Minute // of Soak
)

// Profiles are all of them.
var Profiles = []Profile{Steady, Peak, AllHands, Burst, ColdStart, Reconnect, Crash, Churn, Growth, Soak}

// peakFactor is the highest rate of Peak, in the given rate.
const peakFactor = 4

// Slot is a planned mail.
type Slot struct {
	At time.Duration // from the start
	To int           // mailbox, or everyone
}

// everyone is the recipient of an all-hands mail.
const everyone = -1

// What a load may do to the world.
const (
	cutStreams     = "cut all streams"
	restartServers = "restart the Exchange servers"
	killNotifier   = "kill the notifier and start it again"
)

// Action is something planned that is no mail.
type Action struct {
	At time.Duration
	Do string
}

// Plan is what a run will do, in order of time.
type Plan struct {
	Slots   []Slot
	Actions []Action
	pacer   Pacer
}

// PlanOptions are what a plan depends on.
type PlanOptions struct {
	Profile   Profile
	Rate      float64 // mails a second
	Duration  time.Duration
	Mailboxes int
	Seed      uint64
}

// NewPlan makes the plan: the same options give the same plan.
func NewPlan(o PlanOptions) (Plan, error) {
	if o.Mailboxes < 1 {
		return Plan{}, fmt.Errorf("%w: %d mailboxes; at least one is needed", ErrUsage, o.Mailboxes)
	}
	if o.Duration <= 0 || o.Rate < 0 {
		return Plan{}, fmt.Errorf("%w: rate %g for %s; want no negative rate and a positive duration", ErrUsage, o.Rate, o.Duration)
	}
	if !slices.Contains(Profiles, o.Profile) {
		return Plan{}, fmt.Errorf("%w: profile %q is not one of %v", ErrUsage, o.Profile, Profiles)
	}
	// Times and recipients are drawn apart: other recipients, same times.
	times, people := stream(o.Seed, "times"), stream(o.Seed, "recipients")
	p := Plan{pacer: &poisson{o.Rate, times}}
	switch o.Profile {
	case Peak:
		p.pacer = &swell{o.Rate, peakFactor * o.Rate, o.Duration, times}
	case Burst:
		p.pacer = &poisson{0, times}
		p.Slots = []Slot{{0, everyone}}
	case AllHands:
		p.Slots = []Slot{{o.Duration / 2, everyone}}
	case Reconnect:
		p.Actions = []Action{{o.Duration / 3, cutStreams}, {2 * o.Duration / 3, restartServers}}
	case Crash:
		p.Actions = []Action{{o.Duration / 2, killNotifier}}
	}
	for at, ok := p.pacer.Next(0); ok && at < o.Duration; at, ok = p.pacer.Next(at) {
		if len(p.Slots) == SlotsMax {
			return Plan{}, fmt.Errorf("%w: %g mails/s for %s are more than %d mails; lower --rate or --duration", ErrUsage, o.Rate, o.Duration, SlotsMax)
		}
		p.Slots = append(p.Slots, Slot{at, people.IntN(o.Mailboxes)})
	}
	slices.SortStableFunc(p.Slots, func(a, b Slot) int { return int(min(max(a.At-b.At, -1), 1)) })
	return p, nil
}

// Rate is the intended rate at a time, all-hands mails left out.
func (p Plan) Rate(at time.Duration) float64 { return p.pacer.Rate(at) }

// Copies is the number of mails that reach a mailbox when every slot is sent.
func (p Plan) Copies(mailboxes int) int {
	n := 0
	for _, s := range p.Slots {
		n += s.copies(mailboxes)
	}
	return n
}

func (s Slot) copies(mailboxes int) int {
	if s.To == everyone {
		return mailboxes
	}
	return 1
}

// stream is a source of randomness for one purpose.
func stream(seed uint64, purpose string) *rand.Rand {
	h := uint64(14695981039346656037) // FNV-1a, 64 bits
	for i := range len(purpose) {
		h = (h ^ uint64(purpose[i])) * 1099511628211
	}
	return rand.New(rand.NewPCG(seed, h))
}
