package exchange

import (
	"maps"
	"sort"
	"time"
)

// Budgets is what is in use and what was refused, for a page of state and for
// suites that assert that nothing was.
type Budgets struct {
	Throttling bool            `json:"throttling"`
	Violations int             `json:"violations"` // requests over a budget, of all accounts
	Accounts   []AccountBudget `json:"accounts"`   // by name
	Mailboxes  []MailboxBudget `json:"mailboxes"`  // the busiest first
	Of         int             `json:"of"`         // mailboxes there are
}

// AccountBudget is what one account has in use, whoever is charged for it.
type AccountBudget struct {
	Account       string         `json:"account"`
	Streams       int            `json:"streams"`
	Requests      int            `json:"requests"` // in progress
	Subscriptions int            `json:"subscriptions"`
	BalanceMS     *int64         `json:"balance_ms,omitempty"` // lowest CPU balance among its budgets
	Delayed       int            `json:"delayed"`              // answers delayed for lack of CPU time
	Refused       map[string]int `json:"refused,omitempty"`    // by policy
	Violations    int            `json:"violations"`           // sum of Refused
}

// MailboxBudget is what one mailbox is charged for or is the target of.
type MailboxBudget struct {
	Mailbox       string         `json:"mailbox"`
	Streams       int            `json:"streams"` // charged to it
	Requests      int            `json:"requests"`
	Subscriptions int            `json:"subscriptions"`
	BalanceMS     *int64         `json:"balance_ms,omitempty"` // lowest CPU balance of a service account for it
	Refused       map[string]int `json:"refused,omitempty"`
}

// Budgets returns the present state, with at most max mailboxes.
func (o *Organisation) Budgets(max int) Budgets {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := Budgets{Throttling: !o.unthrottled, Of: len(o.mailboxes)}
	accounts, mailboxes := o.usage()
	for _, a := range accounts {
		for _, n := range a.Refused {
			a.Violations += n
		}
		out.Violations += a.Violations
		out.Accounts = append(out.Accounts, *a)
	}
	sort.Slice(out.Accounts, func(i, j int) bool { return out.Accounts[i].Account < out.Accounts[j].Account })
	out.Mailboxes = make([]MailboxBudget, 0, len(mailboxes))
	for _, m := range mailboxes {
		out.Mailboxes = append(out.Mailboxes, *m)
	}
	sort.Slice(out.Mailboxes, func(i, j int) bool {
		a, b := &out.Mailboxes[i], &out.Mailboxes[j]
		for _, d := range []int{len(a.Refused) - len(b.Refused), a.Streams - b.Streams, a.Requests - b.Requests, a.Subscriptions - b.Subscriptions} {
			if d != 0 {
				return d > 0
			}
		}
		return a.Mailbox < b.Mailbox
	})
	out.Mailboxes = out.Mailboxes[:min(len(out.Mailboxes), max)]
	return out
}

// usage gathers what accounts and mailboxes have in use.
func (o *Organisation) usage() (map[string]*AccountBudget, map[string]*MailboxBudget) {
	accounts, mailboxes := map[string]*AccountBudget{}, map[string]*MailboxBudget{}
	none := &AccountBudget{}
	account := func(name string) *AccountBudget {
		if name == "" {
			return none
		}
		if accounts[name] == nil {
			accounts[name] = &AccountBudget{Account: name}
		}
		return accounts[name]
	}
	nowhere := &MailboxBudget{}
	mailbox := func(address string) *MailboxBudget {
		if address == "" {
			return nowhere
		}
		if mailboxes[address] == nil {
			mailboxes[address] = &MailboxBudget{Mailbox: address}
		}
		return mailboxes[address]
	}
	for name := range o.accounts.byUser {
		account(name)
	}
	for st := range o.streams {
		account(st.account).Streams++
	}
	for _, s := range o.servers {
		for _, sub := range s.subscriptions {
			account(sub.account).Subscriptions++
			mailbox(sub.mailbox.address).Subscriptions++
		}
	}
	for c, n := range o.budget.streams {
		mailbox(c.Mailbox).Streams += n
	}
	for c, n := range o.budget.requests {
		account(c.Account).Requests += n
		mailbox(c.Mailbox).Requests += n
	}
	for c, b := range o.budget.cpu {
		o.recharge(b, time.Now())
		lowest(&account(c.Account).BalanceMS, b)
		lowest(&mailbox(c.Mailbox).BalanceMS, b)
	}
	for name, refused := range o.budget.byAccount {
		account(name).Refused = maps.Clone(refused)
	}
	for address, refused := range o.budget.byMailbox {
		mailbox(address).Refused = maps.Clone(refused)
	}
	for name, n := range o.budget.delayed {
		account(name).Delayed = n
	}
	return accounts, mailboxes
}

func lowest(into **int64, b *bucket) {
	ms := b.balance.Milliseconds()
	if *into == nil || ms < **into {
		*into = &ms
	}
}

// Violations is how many requests of an account were over a budget, by policy;
// of the empty account, those of all.
func (o *Organisation) Violations(account string) map[string]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := map[string]int{}
	for name, refused := range o.budget.byAccount {
		if account == "" || name == userName(account) {
			for policy, n := range refused {
				out[policy] += n
			}
		}
	}
	return out
}

// ForgetViolations starts counting anew; what is in use stays.
func (o *Organisation) ForgetViolations() {
	o.mu.Lock()
	defer o.mu.Unlock()
	clear(o.budget.byAccount)
	clear(o.budget.byMailbox)
	clear(o.budget.delayed)
}
