package exchange

import (
	"maps"
	"slices"
	"time"

	"mailbell/fakes/iisauth"
)

// origin is what a reset goes back to.
type origin struct {
	mailboxes   []home
	mounted     map[*database]*server
	accounts    map[string]iisauth.Account
	access      map[string]map[string]bool
	scopes      map[string][]string
	policy      policy
	unthrottled bool
}

// home is a mailbox as it was remembered.
type home struct {
	mailbox  *mailbox
	address  string
	aliases  []string
	db       *database
	disabled bool
	ews      *bool
}

// Remember returns a function that takes the organisation back to its present
// mailboxes, homes, accounts and throttling, with no mail in them.
func (o *Organisation) Remember() (reset func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	was := origin{
		mounted: map[*database]*server{}, accounts: map[string]iisauth.Account{}, access: cloneAccess(o.accounts.access),
		scopes: maps.Clone(o.accounts.scopes), policy: o.policy, unthrottled: o.unthrottled,
	}
	for _, m := range o.mailboxes {
		m.home() // a move that has run its time is over
		was.mailboxes = append(was.mailboxes, home{m, m.address, slices.Clone(m.aliases), m.db, m.disabled, m.ews})
	}
	for _, d := range o.databases {
		was.mounted[d] = d.home()
	}
	for user, a := range o.accounts.byUser {
		was.accounts[user] = *a
	}
	return func() { o.reset(was) }
}

func cloneAccess(access map[string]map[string]bool) map[string]map[string]bool {
	out := make(map[string]map[string]bool, len(access))
	for user, mailboxes := range access {
		out[user] = maps.Clone(mailboxes)
	}
	return out
}

// reset empties the organisation in one step: mail, folders people made, rules,
// subscriptions, moves and outages are gone, streams are cut without a word,
// mailboxes and accounts are those remembered. Numbers go on, so that no id is
// used twice and a sync state from before is refused.
func (o *Organisation) reset(was origin) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for st := range o.streams {
		st.cutOff()
	}
	for _, s := range o.servers {
		for _, sub := range s.subscriptions {
			o.forget(sub)
		}
	}
	clear(o.mailboxes)
	clear(o.aliases)
	clear(o.bySID)
	clear(o.byUPN)
	for _, d := range o.databases {
		d.server, d.mountOn, d.downUntil, d.mailboxes = was.mounted[d], nil, time.Time{}, 0
	}
	for _, h := range was.mailboxes {
		m := h.mailbox
		m.empty()
		m.address, m.aliases = h.address, slices.Clone(h.aliases)
		m.db, m.movingTo, m.disabled, m.ews = h.db, nil, h.disabled, h.ews
		m.db.mailboxes++
		o.mailboxes[m.address] = m
		for _, alias := range m.aliases {
			o.aliases[alias] = m
		}
		o.bySID[m.sid], o.byUPN[m.upn] = m, m
	}
	clear(o.accounts.byUser)
	for user, a := range was.accounts {
		o.accounts.byUser[user] = &a
	}
	o.accounts.access, o.accounts.scopes = cloneAccess(was.access), maps.Clone(was.scopes)
	o.policy, o.unthrottled = was.policy, was.unthrottled
	o.raw = rawStore{}
	// What is in use stays charged until it is released.
	clear(o.budget.touched)
	clear(o.budget.cpu)
	clear(o.budget.byAccount)
	clear(o.budget.byMailbox)
	clear(o.budget.delayed)
}

// empty takes everything out of a mailbox.
func (m *mailbox) empty() {
	m.changes++
	clear(m.items)
	m.rules = nil
	for name, f := range m.folders {
		if f.number > uint64(len(distinguished)) {
			delete(m.folders, name)
			delete(m.byID, f.id)
			continue
		}
		f.items, f.unread, f.deleted, f.dropped = nil, 0, nil, m.changes
		f.touch(m)
	}
}
