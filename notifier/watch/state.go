package watch

import (
	"slices"
	"time"
)

// State is where a mailbox stands on its way to being heard.
//
//	           Registered                Placed                  Subscribed, Reused
//	(new) ────────────────▶ discovering ────────▶ subscribing ─────────────────────▶ catching-up
//	                         ▲   │                 ▲  ▲   │                           ▲   │   │
//	                 RetryDue│   │Undiscovered     │  │   │Refused, Left              │   │   │Compared,
//	                         │   ▼                 │  │   ▼                StreamBroke│   │   │Heard
//	                        waiting ───────────────┘  │ waiting                       │   │   ▼
//	                         ▲        RetryDue        │                              streaming
//	                         │                        └──── SubscriptionLost ────────────┘
//	                         └─────────────────────── Left ──────────────────────────────┘
//
// Left means that the mailbox has to be looked for elsewhere: it has moved, the
// server does not know it, the account is refused, or nothing else has helped.
// What each response code leads to is in package ews (React, Escalate); how long
// a wait is, in limits.go. Every state has a way out, by success or after a time.
type State string

// The states.
const (
	Discovering State = "discovering" // its EWS URL and group are being looked up
	Subscribing State = "subscribing" // Exchange is being asked for a subscription
	CatchingUp  State = "catching-up" // subscribed; being compared with its bookmark
	Streaming   State = "streaming"   // subscribed, compared, and on an open stream
	Waiting     State = "waiting"     // something failed; NextTry says when it goes on
)

// Why is the reason of a transition.
type Why string

// The reasons.
const (
	Registered       Why = "a device was registered"
	RetryDue         Why = "the wait was over"
	Undiscovered     Why = "not discovered, or no account has room"
	Placed           Why = "discovered, and in a group"
	Subscribed       Why = "Exchange gave a subscription"
	Reused           Why = "the subscription of before is tried"
	Refused          Why = "Exchange gave no subscription"
	Compared         Why = "compared with the bookmark"
	Heard            Why = "on a stream, and nothing was missed"
	StreamBroke      Why = "the stream broke"
	SubscriptionLost Why = "the subscription was lost"
	Left             Why = "to be looked for elsewhere"
)

// transitions are all there are.
var transitions = map[State]map[State][]Why{
	"":          {Discovering: {Registered}},
	Discovering: {Subscribing: {Placed}, Waiting: {Undiscovered}},
	Subscribing: {CatchingUp: {Subscribed, Reused}, Waiting: {Refused, Left}},
	CatchingUp:  {Streaming: {Compared, Heard}, Subscribing: {SubscriptionLost}, Waiting: {Left}},
	Streaming:   {CatchingUp: {StreamBroke}, Subscribing: {SubscriptionLost}, Waiting: {Left}},
	Waiting:     {Discovering: {RetryDue}, Subscribing: {RetryDue}},
}

// Transition is one step in the life of a mailbox.
type Transition struct {
	At   time.Time `json:"at"`
	From State     `json:"from,omitempty"`
	To   State     `json:"to"`
	Why  Why       `json:"why"`
}

// transitionsKept is how many transitions of a mailbox are remembered.
const transitionsKept = 6

// enter notes the transition to s.
func (m *mailbox) enter(s State, why Why) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.enterLocked(s, why)
}

func (m *mailbox) enterLocked(s State, why Why) {
	if m.state != s {
		if !slices.Contains(transitions[m.state][s], why) {
			m.irregular++
		}
		now := time.Now()
		if len(m.history) == transitionsKept {
			m.history = append(m.history[:0], m.history[1:]...)
		}
		m.history = append(m.history, Transition{At: now, From: m.state, To: s, Why: why})
		m.state, m.since = s, now
	}
	if s != Waiting {
		m.nextTry = time.Time{}
	}
	if s == Streaming {
		m.lastErr = ""
	}
}
