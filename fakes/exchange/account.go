package exchange

import (
	"fmt"
	"sort"
	"strings"

	"mailbell/fakes/iisauth"
	"mailbell/fakes/journal"
)

type accounts struct {
	byUser map[string]*iisauth.Account // lower-case User
	access map[string]map[string]bool  // user → mailboxes with full access; "*" is all
	scopes map[string][]string         // user → addresses and @domains it may impersonate; absent: all
}

func newAccounts() accounts {
	return accounts{byUser: map[string]*iisauth.Account{}, access: map[string]map[string]bool{}, scopes: map[string][]string{}}
}

// userName is the account name in DOMAIN\user, or user as it is, in lower
// case.
func userName(user string) string {
	name, _ := iisauth.SplitUser(user)
	return strings.ToLower(name)
}

// AddAccount adds a Windows account, or replaces the one of the same user
// name.
func (o *Organisation) AddAccount(a iisauth.Account) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.accounts.byUser[strings.ToLower(a.User)] = &a
}

// AddAccountLike adds an account in the domain of another.
func (o *Organisation) AddAccountLike(other, user, password string, impersonation bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	like := o.accounts.byUser[userName(other)]
	if like == nil {
		return o.noAccount(other)
	}
	if user == "" || strings.ContainsAny(user, `@\/:`) || o.accounts.byUser[userName(user)] != nil {
		return fmt.Errorf("exchange: account %q: the name is taken or no user name without a domain", user)
	}
	a := *like
	a.User, a.Password, a.Impersonation = user, password, impersonation
	a.Disabled, a.Locked, a.Expired = false, false, false
	a.UPN = user + "@" + a.DNSDomain
	o.accounts.byUser[userName(user)] = &a
	o.record(journal.Entry{Kind: "account", Account: user, Detail: map[string]string{"added": "yes"}})
	return nil
}

// ChangeAccount changes an account while it is in use: a password, a right,
// disabled, locked. What it may and may not holds from its next request on; a
// connection that NTLM has authenticated outlives a new password, as on real
// servers, and an open stream outlives everything (not confirmed).
func (o *Organisation) ChangeAccount(user string, change func(*iisauth.Account)) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	a := o.accounts.byUser[userName(user)]
	if a == nil {
		return o.noAccount(user)
	}
	after := *a
	change(&after)
	after.User = a.User
	o.accounts.byUser[userName(user)] = &after
	detail := map[string]string{} // never the password
	for _, f := range []struct {
		name    string
		was, is bool
		yes, no string
	}{
		{"password", false, after.Password != a.Password, "changed", ""},
		{"disabled", a.Disabled, after.Disabled, "yes", "no"},
		{"locked", a.Locked, after.Locked, "yes", "no"},
		{"expired", a.Expired, after.Expired, "yes", "no"},
		{"impersonation", a.Impersonation, after.Impersonation, "yes", "no"},
	} {
		if f.is != f.was {
			detail[f.name] = f.no
			if f.is {
				detail[f.name] = f.yes
			}
		}
	}
	o.record(journal.Entry{Kind: "account", Account: a.User, Detail: detail})
	return nil
}

func (o *Organisation) noAccount(user string) error {
	names := make([]string, 0, len(o.accounts.byUser))
	for _, a := range o.accounts.byUser {
		names = append(names, a.User)
	}
	sort.Strings(names)
	return fmt.Errorf("exchange: %w: account %q; there are %s", ErrUnknown, user, strings.Join(names[:min(len(names), 20)], ", "))
}

// ScopeImpersonation limits whom an account (or an application, by its ID) may
// impersonate, as a management scope does: mailboxes by any of their
// addresses, and whole domains as "@contoso.test". No entries mean no
// mailbox; nil lifts the limit. The right itself is the account's, or in the
// application's token.
func (o *Organisation) ScopeImpersonation(user string, scope []string) error {
	if len(scope) > ScopeMax {
		return fmt.Errorf("exchange: scope: %d entries, at most %d", len(scope), ScopeMax)
	}
	for _, s := range scope {
		if _, domain, ok := strings.Cut(s, "@"); !ok || domain == "" {
			return fmt.Errorf("exchange: scope: %q: want an address or @domain", s)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	u := userName(user)
	if scope == nil {
		delete(o.accounts.scopes, u)
	} else {
		list := make([]string, len(scope))
		for i, s := range scope {
			list[i] = canonical(s)
		}
		o.accounts.scopes[u] = list
	}
	o.record(journal.Entry{Kind: "account", Account: user, Detail: map[string]string{"scope": strings.Join(scope, " "), "limited": fmt.Sprint(scope != nil)}})
	return nil
}

// MayImpersonate says whether a mailbox is within an account's scope.
func (o *Organisation) MayImpersonate(user, address string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	scope, limited := o.accounts.scopes[userName(user)]
	if !limited {
		return true
	}
	m := o.find(address)
	if m == nil {
		return false
	}
	for _, s := range scope {
		if strings.HasPrefix(s, "@") && strings.HasSuffix(m.address, s) || m.answers(s) {
			return true
		}
	}
	return false
}

// AccountState is an account without its password.
type AccountState struct {
	User          string   `json:"user"`
	UPN           string   `json:"upn,omitempty"`
	Disabled      bool     `json:"disabled"`
	Locked        bool     `json:"locked"`
	Expired       bool     `json:"expired"`
	Impersonation bool     `json:"impersonation"`
	Scope         []string `json:"scope,omitempty"`
	Limited       bool     `json:"limited"` // to Scope
}

// Accounts are the accounts by name.
func (o *Organisation) Accounts() []AccountState {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := make([]AccountState, 0, len(o.accounts.byUser))
	for name := range o.accounts.byUser {
		out = append(out, o.accountState(name))
	}
	sort.Slice(out, func(i, j int) bool { return out[i].User < out[j].User })
	return out
}

// AccountState is one account.
func (o *Organisation) AccountState(user string) (AccountState, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.accounts.byUser[userName(user)] == nil {
		return AccountState{}, o.noAccount(user)
	}
	return o.accountState(userName(user)), nil
}

func (o *Organisation) accountState(name string) AccountState {
	a := o.accounts.byUser[name]
	scope, limited := o.accounts.scopes[name]
	return AccountState{
		User: a.User, UPN: a.UPN, Disabled: a.Disabled, Locked: a.Locked, Expired: a.Expired, Impersonation: a.Impersonation,
		Scope: append([]string(nil), scope...), Limited: limited,
	}
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
	if g["*"] || g[m.address] {
		return true
	}
	for _, alias := range m.aliases {
		if g[alias] {
			return true
		}
	}
	return false
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
