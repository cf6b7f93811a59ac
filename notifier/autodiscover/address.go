package autodiscover

import (
	"fmt"
	"net"
	"strings"
)

// address is an e-mail address whose domain is in lower case.
type address struct{ local, domain string }

func (a address) String() string { return a.local + "@" + a.domain }

// key is the same for addresses that differ in case only.
func (a address) key() string { return strings.ToLower(a.String()) }

func parseAddress(s string) (address, error) {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || len(s) > addressMax {
		return address{}, fmt.Errorf("%w: want local@domain", ErrAddress)
	}
	a := address{local: s[:at], domain: strings.ToLower(s[at+1:])}
	if strings.ContainsFunc(a.local, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '@' || r == 0xfffd }) {
		return address{}, fmt.Errorf("%w: blanks, control characters or a second @", ErrAddress)
	}
	if !validDomain(a.domain) {
		return address{}, fmt.Errorf("%w: the domain is not a host name", ErrAddress)
	}
	return a, nil
}

// validDomain reports whether s, in lower case, is a host name of at least one
// label that is not an IP address. RFC 1123, section 2.1. Names in other scripts
// come in their ASCII form.
func validDomain(s string) bool {
	if s == "" || len(s) > 253 || net.ParseIP(s) != nil {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}
