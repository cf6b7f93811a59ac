package exchange

import (
	"strings"

	"mailbell/fakes/iisauth"
)

type accounts struct {
	byUser map[string]*iisauth.Account // lower-case User
	access map[string]map[string]bool  // user → mailboxes with full access; "*" is all
}

func newAccounts() accounts {
	return accounts{byUser: map[string]*iisauth.Account{}, access: map[string]map[string]bool{}}
}

// AddAccount adds a Windows account, or replaces the one of the same user
// name: so a password is changed, a right removed, an account disabled.
func (o *Organisation) AddAccount(a iisauth.Account) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.accounts.byUser[strings.ToLower(a.User)] = &a
}

// LookupAccount implements [iisauth.Directory]: user may be a plain name or a
// UPN, domain empty, the NetBIOS or the DNS name.
func (o *Organisation) LookupAccount(user, domain string) (iisauth.Account, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	name, suffix, isUPN := strings.Cut(strings.ToLower(user), "@")
	if a := o.accounts.byUser[name]; a != nil && !isUPN &&
		(domain == "" || strings.EqualFold(domain, a.NetBIOS) || strings.EqualFold(domain, a.DNSDomain)) {
		return *a, true
	}
	if isUPN {
		if a := o.accounts.byUser[name]; a != nil && (strings.EqualFold(a.UPN, user) || a.UPN == "" && strings.EqualFold(a.DNSDomain, suffix)) {
			return *a, true
		}
		for _, a := range o.accounts.byUser {
			if a.UPN != "" && strings.EqualFold(a.UPN, user) {
				return *a, true
			}
		}
	}
	return iisauth.Account{}, false
}

// GrantFullAccess lets an account open mailboxes without impersonation, as
// the FullAccess permission does; "*" means all mailboxes.
func (o *Organisation) GrantFullAccess(user string, mailboxes ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	u := strings.ToLower(user)
	if o.accounts.access[u] == nil {
		o.accounts.access[u] = map[string]bool{}
	}
	for _, m := range mailboxes {
		o.accounts.access[u][canonical(m)] = true
	}
}

// MayOpen says whether an account may open a mailbox without impersonation:
// its own (by user principal name), or one it was granted.
func (o *Organisation) MayOpen(user, address string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.find(address)
	if m == nil {
		return false
	}
	u := strings.ToLower(user)
	if a := o.accounts.byUser[u]; a != nil && a.UPN != "" && strings.EqualFold(a.UPN, m.upn) {
		return true
	}
	g := o.accounts.access[u]
	return g["*"] || g[m.address]
}

// OwnMailbox is the mailbox of an account, by its user principal name.
func (o *Organisation) OwnMailbox(user string) (Mailbox, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	a := o.accounts.byUser[strings.ToLower(user)]
	if a == nil || a.UPN == "" {
		return Mailbox{}, false
	}
	m := o.byUPN[strings.ToLower(a.UPN)]
	if m == nil {
		return Mailbox{}, false
	}
	return m.info(), true
}
