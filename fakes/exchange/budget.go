package exchange

import (
	"fmt"
	"strings"
	"time"
)

// budget counts what is in use, by whom it is charged to. EWS "EWS throttling
// in Exchange": an impersonating service account has a budget of its own for
// each target mailbox; a stream opened with impersonation is charged to a copy
// of the mailbox's budget that all service accounts share.
type budget struct {
	streams  counts
	requests counts
	syncs    counts
	touched  map[string]map[string]time.Time // account → mailbox → last opened
}

type counts map[string]int

func newBudget() budget {
	return budget{streams: counts{}, requests: counts{}, syncs: counts{}, touched: map[string]map[string]time.Time{}}
}

func (c counts) release(key string) {
	if c[key]--; c[key] <= 0 {
		delete(c, key)
	}
}

// AccountCharge is the budget of a caller that does not impersonate.
func AccountCharge(account string) string { return "account:" + strings.ToLower(account) }

// MailboxCharge is the copy of a mailbox's budget that streams opened with
// impersonation are charged to, whoever impersonates.
func MailboxCharge(address string) string { return "mailbox:" + canonical(address) }

// ServiceCharge is the budget of one service account for one mailbox, which
// its ordinary requests are charged to.
func ServiceCharge(account, address string) string {
	return "service:" + strings.ToLower(account) + ":" + canonical(address)
}

// BeginRequest charges an ordinary request; release must be called when it is
// over, once.
func (o *Organisation) BeginRequest(charge string) (release func(), _ *Error) {
	return o.begin(o.budget.requests, charge, o.behaviour.RequestsMax, func() *Error {
		return connections("MaxConcurrency", o.behaviour.RequestsMax)
	})
}

// BeginSync charges a SyncFolderItems call of a mailbox, in addition.
func (o *Organisation) BeginSync(address string) (release func(), _ *Error) {
	return o.begin(o.budget.syncs, canonical(address), o.behaviour.SyncCallsMax, func() *Error {
		e := refuse(CodeServerBusy)
		e.Text = "The server cannot service this request right now. Try again later., This operation exceeds the throttling budget for policy part 'ConcurrentSyncCalls', policy value '" +
			fmt.Sprint(o.behaviour.SyncCallsMax) + "',  Budget type: 'Ews'.  Suggested backoff time 5000 ms."
		return e
	})
}

func (o *Organisation) begin(c counts, key string, limit int, full func() *Error) (func(), *Error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if limit > 0 && !o.unthrottled && c[key] >= limit {
		return nil, full()
	}
	c[key]++
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		c.release(key)
	}, nil
}

// chargeStream takes a place in the stream budget; Stream.Close frees it.
func (o *Organisation) chargeStream(key string) *Error {
	if limit := o.behaviour.StreamsMax; limit > 0 && !o.unthrottled && o.budget.streams[key] >= limit {
		return connections(o.behaviour.StreamPolicy, limit)
	}
	o.budget.streams[key]++
	return nil
}

func connections(policy string, limit int) *Error {
	return refuse(CodeExceededConnectionCount,
		Value{"Policy", policy},
		Value{"MaxConcurrencyLimit", fmt.Sprint(limit)},
		Value{"ErrorMessage", fmt.Sprintf("This operation exceeds the throttling budget for policy part '%s', policy value '%d',  Budget type: 'Ews'.  Suggested backoff time 0 ms.", policy, limit)})
}

// Touch notes that an account opens a mailbox without impersonation.
// Exchange Online refuses more than 16 different ones within five minutes.
func (o *Organisation) TouchMailbox(account, address string) *Error {
	o.mu.Lock()
	defer o.mu.Unlock()
	limit := o.behaviour.TouchedMax
	if limit == 0 || o.unthrottled {
		return nil
	}
	u, a, t := strings.ToLower(account), canonical(address), time.Now()
	seen := o.budget.touched[u]
	if seen == nil {
		seen = map[string]time.Time{}
		o.budget.touched[u] = seen
	}
	for k, at := range seen {
		if t.Sub(at) >= TouchedWindow {
			delete(seen, k)
		}
	}
	if _, again := seen[a]; !again && len(seen) >= limit {
		return refuse(CodeTooManyObjectsOpened)
	}
	seen[a] = t
	return nil
}
