package watch

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"mailbell/notifier/autodiscover"
)

// Throttle is what a version of Exchange allows by default (EWS "EWS throttling
// in Exchange", and "How to: Maintain affinity between a group of subscriptions
// and the Mailbox server in Exchange"). 0: no limit.
type Throttle struct {
	Streams  int // open streams charged to one mailbox
	Requests int // ordinary requests at a time of one account about one mailbox
}

// throttles are the defaults by version; of the subscriptions that a mailbox may
// have (20 Online, everybody's together) we need one. Not confirmed: the streams
// of SE.
var throttles = map[string]Throttle{
	"2010sp2": {Streams: 10, Requests: 10},
	"2013":    {Streams: 3, Requests: 27},
	"2016":    {Streams: 10, Requests: 27},
	"2019":    {Streams: 10, Requests: 27},
	"se":      {Streams: 10, Requests: 27},
	"online":  {Streams: 10, Requests: 27},
}

// PlanVersions are the versions that a plan can be made for.
func PlanVersions() []string {
	out := make([]string, 0, len(throttles))
	for v := range throttles {
		out = append(out, v)
	}
	slices.Sort(out)
	return out
}

// PlanOptions are what a plan depends on.
type PlanOptions struct {
	Mailboxes        int
	Exchange         string        // one of PlanVersions
	Groups           int           // sets of mailboxes that share EWS URL and GroupingInformation; 0: 1
	Accounts         int           // listener accounts; 0: as many as needed
	AccountMailboxes int           // capacity of one; 0: AccountMailboxesMax
	Requests         int           // of one account at a time; 0: AccountRequestsMax
	Latency          time.Duration // of one request; 0: 50 ms
}

// Plan is the arithmetic of watching so many mailboxes, without a request.
type Plan struct {
	Accounts    int // listener accounts
	PerAccount  int // mailboxes of the fullest one
	Streams     int // long ones: as many as stay open
	StreamsMost int // with the short ones that newcomers are heard through
	Charged     int // streams charged to one mailbox at most
	Connections int // at most: streams and ordinary requests

	Discoveries int // Autodiscover requests at start-up
	Subscribes  int
	Openings    int // of streams
	Comparisons int // at least one FindItem for each mailbox

	StartUp  time.Duration // until every mailbox is subscribed, streamed and compared
	Problems []string      // what does not fit, and what to change; none: it fits
}

// Requests is the number of requests at start-up.
func (p Plan) Requests() int { return p.Discoveries + p.Subscribes + p.Openings + p.Comparisons }

// MakePlan does the arithmetic. Mailboxes are spread evenly over accounts and
// groups, as the placement does. The error is a wrong option; what does not fit
// is in the plan.
func MakePlan(o PlanOptions) (Plan, error) {
	setDefault(&o.Groups, 1)
	setDefault(&o.AccountMailboxes, AccountMailboxesMax)
	setDefault(&o.Requests, AccountRequestsMax)
	setDefault(&o.Latency, 50*time.Millisecond)
	limit, known := throttles[o.Exchange]
	switch {
	case o.Mailboxes < 1:
		return Plan{}, fmt.Errorf("watch: plan: mailboxes: %d; at least 1", o.Mailboxes)
	case !known:
		return Plan{}, fmt.Errorf("watch: plan: exchange: %q; want one of %s", o.Exchange, strings.Join(PlanVersions(), ", "))
	case o.Groups < 1 || o.Accounts < 0 || o.AccountMailboxes < 1 || o.Requests < 1 || o.Latency < 0:
		return Plan{}, fmt.Errorf("watch: plan: groups, accounts, mailboxes of an account, requests and latency must not be negative")
	}
	p := Plan{Accounts: o.Accounts}
	if p.Accounts == 0 {
		p.Accounts = ceil(o.Mailboxes, o.AccountMailboxes)
	}
	p.PerAccount = ceil(o.Mailboxes, p.Accounts)
	groups := min(o.Groups, p.PerAccount) // that an account has mailboxes of
	inGroup := ceil(p.PerAccount, groups)
	p.Streams = p.Accounts * groups * ceil(inGroup, StreamMembersMax)
	p.StreamsMost = 2 * p.Streams
	p.Charged = min(2, o.Mailboxes) // the long and the short stream of a group may share their anchor
	p.Connections = p.StreamsMost + p.Accounts*o.Requests

	p.Discoveries = ceil(o.Mailboxes, autodiscover.BatchDefault)
	p.Subscribes, p.Openings, p.Comparisons = o.Mailboxes, p.Streams, o.Mailboxes
	p.StartUp = p.startUp(o, groups)

	if room := p.Accounts * o.AccountMailboxes; room < o.Mailboxes {
		p.problem("%d mailboxes find no place: %d accounts of %d have room for %d; use %d accounts (exchange.accounts), or raise their mailboxes to %d",
			o.Mailboxes-room, p.Accounts, o.AccountMailboxes, room, ceil(o.Mailboxes, o.AccountMailboxes), p.PerAccount)
	}
	if o.AccountMailboxes > AccountMailboxesMax {
		p.problem("%d mailboxes an account are more than the %d that are proved; more accounts are safer", o.AccountMailboxes, AccountMailboxesMax)
	}
	if limit.Requests > 0 && o.Requests > limit.Requests {
		p.problem("%d requests at a time are more than the %d that Exchange %s allows; lower exchange.accounts[].requests", o.Requests, limit.Requests, o.Exchange)
	}
	if limit.Streams > 0 && p.Charged > limit.Streams {
		p.problem("%d streams charged to one mailbox are more than the %d that Exchange %s allows", p.Charged, limit.Streams, o.Exchange)
	}
	return p, nil
}

// startUp is how long it takes at the given latency: discovery, then what binds
// most of the requests an account may have under way, the subscriptions a group
// makes side by side, and the comparisons of an account.
func (p Plan) startUp(o PlanOptions, groups int) time.Duration {
	rounds := func(requests, parallel int) time.Duration { return time.Duration(ceil(requests, parallel)) * o.Latency }
	streams := groups * ceil(ceil(p.PerAccount, groups), StreamMembersMax)
	return rounds(p.Discoveries, autodiscover.ParallelDefault) + max(
		rounds(2*p.PerAccount, o.Requests),
		rounds(p.PerAccount, streams*parallelSubscribe),
		rounds(p.PerAccount, compareParallelDefault),
	) + rounds(streams, streams) // the openings, side by side
}

func (p *Plan) problem(format string, args ...any) {
	p.Problems = append(p.Problems, fmt.Sprintf(format, args...))
}

func ceil(n, by int) int { return (n + by - 1) / by }
