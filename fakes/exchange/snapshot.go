package exchange

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Snapshot is the inside of an organisation, for people who look at it. Lists
// are cut to a length; the totals are in [State].
type Snapshot struct {
	Streams       []StreamState       `json:"streams"`
	Subscriptions []SubscriptionState `json:"subscriptions"`
	Moves         []MoveState         `json:"moves"`   // under way
	Budgets       []BudgetState       `json:"budgets"` // the fullest first
	Limits        map[string]int      `json:"limits"`  // of each budget; 0: none
}

// StreamState is an open stream.
type StreamState struct {
	Server        string `json:"server"`
	Charge        string `json:"charge"` // whose budget it costs
	Subscriptions int    `json:"subscriptions"`
	Waiting       int    `json:"waiting"` // subscriptions with something to tell
}

// SubscriptionState is a subscription.
type SubscriptionState struct {
	Mailbox  string `json:"mailbox"`
	Server   string `json:"server"`
	Account  string `json:"account"`
	Streamed bool   `json:"streamed"` // an open stream serves it
	Queued   int    `json:"queued"`   // events not told yet
	Missed   bool   `json:"missed,omitempty"`
}

// MoveState is a mailbox on its way.
type MoveState struct {
	Mailbox string    `json:"mailbox"`
	From    string    `json:"from"`
	To      string    `json:"to"`
	Until   time.Time `json:"until"`
}

// BudgetState is what is in use of one budget.
type BudgetState struct {
	Budget string `json:"budget"` // streams, requests, syncs
	Charge string `json:"charge"` // who is charged
	Used   int    `json:"used"`
}

// Snapshot looks inside; each list has at most limit entries.
func (o *Organisation) Snapshot(limit int) Snapshot {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := Snapshot{
		Streams: []StreamState{}, Subscriptions: []SubscriptionState{}, Moves: []MoveState{}, Budgets: []BudgetState{},
		Limits: map[string]int{"streams": o.behaviour.StreamsMax, "requests": o.behaviour.RequestsMax, "syncs": o.behaviour.SyncCallsMax, "subscriptions": o.behaviour.SubscriptionsMax},
	}
	if o.unthrottled {
		clear(s.Limits)
	}
	for st := range o.streams {
		v := StreamState{Charge: st.charge.String(), Subscriptions: len(st.subs), Waiting: len(st.pending)}
		if st.server != nil {
			v.Server = st.server.name
		}
		s.Streams = append(s.Streams, v)
	}
	for _, m := range o.mailboxes {
		if m.moving() {
			s.Moves = append(s.Moves, MoveState{Mailbox: m.address, From: m.home().name, To: m.movingTo.home().name, Until: m.movingUntil})
		}
	}
	for _, server := range o.servers {
		for _, sub := range server.subscriptions {
			s.Subscriptions = append(s.Subscriptions, SubscriptionState{Mailbox: sub.mailbox.address, Server: server.name, Account: sub.account, Streamed: sub.stream != nil, Queued: len(sub.queue), Missed: sub.missed})
		}
	}
	for name, c := range map[string]counts[Charge]{"streams": o.budget.streams, "requests": o.budget.requests} {
		for charge, used := range c {
			s.Budgets = append(s.Budgets, BudgetState{Budget: name, Charge: charge.String(), Used: used})
		}
	}
	for mailbox, used := range o.budget.syncs {
		s.Budgets = append(s.Budgets, BudgetState{Budget: "syncs", Charge: mailbox, Used: used})
	}
	slices.SortFunc(s.Streams, func(a, b StreamState) int {
		return cmp.Or(strings.Compare(a.Server, b.Server), b.Subscriptions-a.Subscriptions, strings.Compare(a.Charge, b.Charge))
	})
	slices.SortFunc(s.Subscriptions, func(a, b SubscriptionState) int { return strings.Compare(a.Mailbox, b.Mailbox) })
	slices.SortFunc(s.Moves, func(a, b MoveState) int { return strings.Compare(a.Mailbox, b.Mailbox) })
	slices.SortFunc(s.Budgets, func(a, b BudgetState) int {
		return cmp.Or(b.Used-a.Used, strings.Compare(a.Budget, b.Budget), strings.Compare(a.Charge, b.Charge))
	})
	s.Streams, s.Subscriptions = s.Streams[:min(limit, len(s.Streams))], s.Subscriptions[:min(limit, len(s.Subscriptions))]
	s.Moves, s.Budgets = s.Moves[:min(limit, len(s.Moves))], s.Budgets[:min(limit, len(s.Budgets))]
	return s
}
