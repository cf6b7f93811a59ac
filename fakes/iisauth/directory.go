package iisauth

import "strings"

// Accounts is a fixed Directory. The first match in order wins, so the domain
// of the first account is the default domain of bare user names.
type Accounts []Account

var _ Directory = Accounts(nil)

// LookupAccount implements Directory.
func (as Accounts) LookupAccount(user, domain string) (Account, bool) {
	for _, a := range as {
		if a.Answers(user, domain) {
			return a, true
		}
	}
	return Account{}, false
}

// Answers says whether the account goes by the names of an authentication
// message: DOMAIN\user with the NetBIOS or the DNS name, the UPN, or the bare
// user. Case does not matter.
func (a Account) Answers(user, domain string) bool {
	if user == "" {
		return false
	}
	if domain == "" {
		return strings.EqualFold(user, a.User) || (a.UPN != "" && strings.EqualFold(user, a.UPN))
	}
	return strings.EqualFold(user, a.User) &&
		(strings.EqualFold(domain, a.NetBIOS) || strings.EqualFold(domain, a.DNSDomain))
}

// SplitUser takes apart a user name as people write it: "DOM\u" gives u and
// DOM; "u@dom" and "u" are left whole, with no domain.
func SplitUser(name string) (user, domain string) {
	if d, u, ok := strings.Cut(name, `\`); ok {
		return u, d
	}
	return name, ""
}
