package loadgen

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// Kind is what a result says.
type Kind int

// The kinds.
const (
	Delivered  Kind = iota // a push that was due, for the first time
	Duplicated             // the same once more
	Unexpected             // a push that nothing explains
)

// Result is one accepted push, judged.
type Result struct {
	Kind    Kind
	Planned time.Time // arrival of its mail, by the plan
	At      time.Time // when its provider had it
}

// Latency is from the planned arrival to the provider.
func (r Result) Latency() time.Duration { return r.At.Sub(r.Planned) }

// Counts are the judge's figures.
type Counts struct {
	Mails      int // copies that arrived in a mailbox
	Pushes     int // accepted, of all kinds
	Due        int // a push for each mail and device of its mailbox
	Delivered  int // of these
	Suppressed int // of these: the provider refused it for good
	Lost       int // of these: neither
	Duplicated int
	Unexpected int
}

// Judge compares what arrived in the mailboxes with what the providers
// accepted. Every mail of the run is due exactly one push for each device of
// its mailbox. Safe for concurrent use.
type Judge struct {
	population *Population
	run        string
	planned    func(slot int) (time.Time, bool)
	result     func(Result) // called in the order of the journal

	mu        sync.Mutex
	mailboxes map[string]int
	devices   map[string]int // by address
	gone      map[int]bool
	items     map[string]*due
	counts    Counts
	findings  []string
}

// due is a mail in a mailbox and its pushes.
type due struct {
	mailbox  int
	planned  time.Time
	arrived  time.Time
	accepted []bool // by device of the mailbox
	refused  []bool
	foreign  bool // not of this run
}

// NewJudge makes a judge of a population that is registered. planned tells when
// a slot was due.
func NewJudge(p *Population, run string, planned func(slot int) (time.Time, bool), result func(Result)) *Judge {
	j := &Judge{
		population: p, run: run, planned: planned, result: result,
		mailboxes: map[string]int{}, devices: map[string]int{}, gone: map[int]bool{}, items: map[string]*due{},
	}
	for i, address := range p.Mailboxes {
		j.mailboxes[strings.ToLower(address)] = i
	}
	for i, d := range p.Devices {
		j.devices[d.Address] = i
	}
	return j
}

// Observe takes in what the journal tells, in its order.
func (j *Judge) Observe(o Observation) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch o.Outcome {
	case Arrived:
		j.arrived(o)
	case Accepted:
		j.accepted(o)
	case Refused, Gone:
		j.refused(o)
	}
}

func (j *Judge) arrived(o Observation) {
	slot, ours := slotOf(j.run, o.Subject)
	planned, known := time.Time{}, false
	if ours {
		planned, known = j.planned(slot)
	}
	mailbox, ok := j.mailboxes[strings.ToLower(o.Mailbox)]
	if !known || !ok {
		j.items[o.Item] = &due{foreign: true}
		return
	}
	from, to := j.population.Of(mailbox)
	j.items[o.Item] = &due{mailbox: mailbox, planned: planned, arrived: o.At, accepted: make([]bool, to-from), refused: make([]bool, to-from)}
	j.counts.Mails++
	j.counts.Due += to - from
	for d := from; d < to; d++ {
		if j.gone[d] {
			j.items[o.Item].refused[d-from] = true
			j.counts.Suppressed++
		}
	}
}

func (j *Judge) accepted(o Observation) {
	d := j.items[o.Item]
	if d != nil && d.foreign {
		return
	}
	j.counts.Pushes++
	device, known := j.devices[o.Address]
	r := Result{Kind: Unexpected, At: o.At}
	switch {
	case !known:
		j.find("unexpected: %s: no device of the population has this address", shortened(o.Address))
	case d == nil:
		j.find("unexpected: %s: no mail %q has arrived", j.population.Devices[device].ID, o.Item)
	case d.mailbox != j.population.Devices[device].Mailbox:
		j.find("unexpected: %s: the mail is in %s", j.population.Devices[device].ID, j.population.Mailboxes[d.mailbox])
	default:
		from, _ := j.population.Of(d.mailbox)
		at := device - from
		r.Planned, r.Kind = d.planned, Delivered
		switch {
		case d.accepted[at]:
			r.Kind = Duplicated
			j.find("duplicated: %s, mail of %s", j.population.Devices[device].ID, d.arrived.Format(time.RFC3339Nano))
		case d.refused[at]: // after all
			j.counts.Suppressed--
			d.refused[at] = false
			fallthrough
		default:
			d.accepted[at] = true
		}
	}
	switch r.Kind {
	case Delivered:
		j.counts.Delivered++
	case Duplicated:
		j.counts.Duplicated++
	case Unexpected:
		j.counts.Unexpected++
	}
	j.result(r)
}

func (j *Judge) refused(o Observation) {
	device, known := j.devices[o.Address]
	if !known {
		return
	}
	mailbox := j.population.Devices[device].Mailbox
	from, _ := j.population.Of(mailbox)
	suppress := func(d *due) {
		if !d.foreign && d.mailbox == mailbox && !d.accepted[device-from] && !d.refused[device-from] {
			d.refused[device-from] = true
			j.counts.Suppressed++
		}
	}
	if d := j.items[o.Item]; d != nil {
		suppress(d)
	}
	if o.Outcome == Gone && !j.gone[device] {
		j.gone[device] = true
		j.find("gone: %s: the provider says %s", j.population.Devices[device].ID, o.Why)
		for _, d := range j.items { // rare
			suppress(d)
		}
	}
}

// Counts are the figures so far. What is still on its way counts as lost.
func (j *Judge) Counts() Counts {
	j.mu.Lock()
	defer j.mu.Unlock()
	c := j.counts
	c.Lost = c.Due - c.Delivered - c.Suppressed
	return c
}

// Findings are what is wrong, in words, the first ones only.
func (j *Judge) Findings() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := append([]string(nil), j.findings...)
	for item, d := range j.items {
		if d.foreign {
			continue
		}
		from, to := j.population.Of(d.mailbox)
		for i := range to - from {
			if len(out) >= findingsMax {
				return out
			}
			if !d.accepted[i] && !d.refused[i] {
				out = append(out, fmt.Sprintf("lost: %s: no push for item …%s of %s, which arrived at %s", j.population.Devices[from+i].ID, shortened(item), j.population.Mailboxes[d.mailbox], d.arrived.Format(time.RFC3339Nano)))
			}
		}
	}
	return out
}

func (j *Judge) find(format string, args ...any) {
	if len(j.findings) < findingsMax {
		j.findings = append(j.findings, fmt.Sprintf(format, args...))
	}
}

func shortened(s string) string { return s[max(0, len(s)-12):] }
