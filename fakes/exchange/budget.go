package exchange

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Charge is whose budget something costs. EWS "EWS throttling in Exchange":
// without impersonation the caller; an impersonating service account has a
// budget of its own for each target mailbox; a stream opened with
// impersonation is charged to a copy of the mailbox's budget that all service
// accounts share.
type Charge struct{ Account, Mailbox string }

// String names the budget for people: the account, the mailbox, or one for the
// other.
func (c Charge) String() string {
	switch {
	case c.Account == "":
		return c.Mailbox
	case c.Mailbox == "":
		return c.Account
	}
	return c.Account + " for " + c.Mailbox
}

// AccountCharge is the budget of a caller that does not impersonate.
func AccountCharge(account string) Charge { return Charge{Account: strings.ToLower(account)} }

// MailboxCharge is the copy of a mailbox's budget that streams opened with
// impersonation are charged to, whoever impersonates.
func MailboxCharge(address string) Charge { return Charge{Mailbox: canonical(address)} }

// ServiceCharge is the budget of one service account for one mailbox, which
// its ordinary requests are charged to.
func ServiceCharge(account, address string) Charge {
	return Charge{Account: strings.ToLower(account), Mailbox: canonical(address)}
}

// The names under which refusals are counted, where the protocol has none.
const (
	PolicyRequests      = "MaxConcurrency"
	PolicySync          = "ConcurrentSyncCalls"
	PolicySubscriptions = "EWSMaxSubscriptions"
	PolicyTouched       = "OpenMailboxes"
	PolicyCPU           = "EwsCutoffBalance"
)

// budget counts what is in use, by whom it is charged to, and what was refused
// for being too much.
type budget struct {
	streams  counts[Charge]
	requests counts[Charge]
	syncs    counts[string]                  // by mailbox
	touched  map[string]map[string]time.Time // account → mailbox → last opened
	cpu      map[Charge]*bucket
	// Refusals by policy; of accounts and of mailboxes.
	byAccount map[string]counts[string]
	byMailbox map[string]counts[string]
	delayed   counts[string] // answers delayed, by account
}

type counts[K comparable] map[K]int

func newBudget() budget {
	return budget{
		streams: counts[Charge]{}, requests: counts[Charge]{}, syncs: counts[string]{}, touched: map[string]map[string]time.Time{},
		cpu: map[Charge]*bucket{}, byAccount: map[string]counts[string]{}, byMailbox: map[string]counts[string]{}, delayed: counts[string]{},
	}
}

func (c counts[K]) release(key K) {
	if c[key]--; c[key] <= 0 {
		delete(c, key)
	}
}

// violate counts a request that was over a budget.
func (b *budget) violate(account, mailbox, policy string) {
	count := func(by map[string]counts[string], key string) {
		if key == "" {
			return
		}
		if by[key] == nil {
			by[key] = counts[string]{}
		}
		by[key][policy]++
	}
	count(b.byAccount, account)
	count(b.byMailbox, mailbox)
}

// BeginRequest charges an ordinary request; release must be called when it is
// over, once. With CPU time charged it returns later when the balance is used
// up, or as soon as ctx ends.
func (o *Organisation) BeginRequest(ctx context.Context, c Charge) (release func(), _ *Error) {
	release, delay, err := o.beginRequest(c)
	if delay > 0 {
		t := time.NewTimer(delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	return release, err
}

func (o *Organisation) beginRequest(c Charge) (release func(), delay time.Duration, _ *Error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if limit := o.behaviour.RequestsMax; limit > 0 && !o.unthrottled && o.budget.requests[c] >= limit {
		o.budget.violate(c.Account, c.Mailbox, PolicyRequests)
		return nil, 0, connections(PolicyRequests, limit)
	}
	delay, err := o.spend(c, o.cpu.Request)
	if err != nil {
		return nil, 0, err
	}
	o.budget.requests[c]++
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.budget.requests.release(c)
	}, delay, nil
}

// BeginSync charges a SyncFolderItems call of a mailbox, in addition.
func (o *Organisation) BeginSync(account, address string) (release func(), _ *Error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := canonical(address)
	if limit := o.behaviour.SyncCallsMax; limit > 0 && !o.unthrottled && o.budget.syncs[key] >= limit {
		o.budget.violate(strings.ToLower(account), key, PolicySync)
		e := refuse(CodeServerBusy)
		e.Text = "The server cannot service this request right now. Try again later., This operation exceeds the throttling budget for policy part '" + PolicySync + "', policy value '" +
			fmt.Sprint(limit) + "',  Budget type: 'Ews'.  Suggested backoff time 5000 ms."
		return nil, e
	}
	o.budget.syncs[key]++
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.budget.syncs.release(key)
	}, nil
}

// chargeStream takes a place in the stream budget; Stream.Close frees it.
func (o *Organisation) chargeStream(account string, c Charge) *Error {
	if limit := o.behaviour.StreamsMax; limit > 0 && !o.unthrottled && o.budget.streams[c] >= limit {
		o.budget.violate(strings.ToLower(account), c.Mailbox, o.behaviour.StreamPolicy)
		return connections(o.behaviour.StreamPolicy, limit)
	}
	o.budget.streams[c]++
	return nil
}

func connections(policy string, limit int) *Error {
	return refuse(CodeExceededConnectionCount,
		Value{"Policy", policy},
		Value{"MaxConcurrencyLimit", fmt.Sprint(limit)},
		Value{"ErrorMessage", fmt.Sprintf("This operation exceeds the throttling budget for policy part '%s', policy value '%d',  Budget type: 'Ews'.  Suggested backoff time 0 ms.", policy, limit)})
}

// TouchMailbox notes that an account opens a mailbox without impersonation.
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
		o.budget.violate(u, a, PolicyTouched)
		return refuse(CodeTooManyObjectsOpened)
	}
	seen[a] = t
	return nil
}
