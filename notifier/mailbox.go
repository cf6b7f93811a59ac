package notifier

import (
	"fmt"
	"strings"
)

// MailboxLenMax bounds an SMTP address, in bytes (RFC 5321 "Path": 256
// octets with the angle brackets).
const MailboxLenMax = 254

// Mailbox is the primary SMTP address of a mailbox in its canonical form:
// trimmed, lower case. Make one with [ParseMailbox]; two mailboxes are the
// same if and only if the values are equal.
type Mailbox string

// ParseMailbox brings an address as a person or a server writes it into
// canonical form. It accepts local@domain with printable ASCII or UTF-8
// letters and refuses everything that would need quoting, because no Exchange
// mailbox has such a primary address.
func ParseMailbox(address string) (Mailbox, error) {
	a := strings.ToLower(strings.TrimSpace(address))
	local, domain, ok := strings.Cut(a, "@")
	switch {
	case !ok || local == "" || domain == "":
		return "", fmt.Errorf("mailbox %q: want local@domain", address)
	case len(a) > MailboxLenMax:
		return "", fmt.Errorf("mailbox: %d bytes, at most %d", len(a), MailboxLenMax)
	case strings.Contains(domain, "@"):
		return "", fmt.Errorf("mailbox %q: more than one @", address)
	case strings.HasPrefix(domain, ".") || strings.HasSuffix(domain, ".") || strings.Contains(domain, ".."):
		return "", fmt.Errorf("mailbox %q: empty label in the domain", address)
	}
	for _, r := range a {
		if r <= ' ' || r == 0x7f || strings.ContainsRune(`"(),:;<>[\]`, r) {
			return "", fmt.Errorf("mailbox %q: character %q is not allowed", address, r)
		}
	}
	return Mailbox(a), nil
}

// Domain is the part after the @.
func (m Mailbox) Domain() string {
	_, domain, _ := strings.Cut(string(m), "@")
	return domain
}
