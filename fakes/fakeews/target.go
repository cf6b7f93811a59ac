package fakeews

import (
	"mailbell/fakes/exchange"
)

// severalMailboxes is the target of references to more than one mailbox.
const severalMailboxes = "\x00several"

// reference is a folder as a request names it.
type reference struct {
	folder  exchange.FolderRef
	mailbox string // t:Mailbox of a distinguished folder; empty: the target's
}

// references reads the FolderId and DistinguishedFolderId children of n.
func references(n *node) ([]reference, *fault) {
	var out []reference
	for _, child := range n.children {
		switch child.name {
		case "DistinguishedFolderId":
			if child.attr("Id") == "" {
				return nil, invalid(child, "The required attribute 'Id' is missing.")
			}
			out = append(out, reference{exchange.FolderRef{Distinguished: child.attr("Id")}, child.child("Mailbox", "EmailAddress").value()})
		case "FolderId":
			if child.attr("Id") == "" {
				return nil, invalid(child, "The required attribute 'Id' is missing.")
			}
			out = append(out, reference{folder: exchange.FolderRef{ID: child.attr("Id")}})
		default:
			return nil, invalid(child, "The element '%s' has invalid child element '%s'.", n.name, child.name)
		}
	}
	return out, nil
}

// target is the mailbox that references mean: the one they name, else the
// impersonated one, else the caller's own. Without impersonation the caller
// must have access, and Exchange Online counts the mailboxes it touches.
func (c *call) target(refs []reference) (string, *exchange.Error) {
	org := c.server.org
	address := c.mailbox
	for i, r := range refs {
		named := r.mailbox
		if named == "" {
			named = c.mailbox
		} else {
			m, err := org.Lookup(exchange.SMTPAddress, named)
			if err != nil {
				return "", err
			}
			named = m.Address
		}
		if i > 0 && named != address {
			return severalMailboxes, nil
		}
		address = named
	}
	if address == "" {
		return "", &exchange.Error{Code: exchange.CodeNonExistentMailbox, Text: "The SMTP address has no mailbox associated with it."}
	}
	if c.asked && address == c.mailbox {
		return address, nil
	}
	if c.asked || !org.MayOpen(c.identity.Account, address) {
		return "", &exchange.Error{Code: exchange.CodeAccessDenied, Text: "Access is denied. Check credentials and try again."}
	}
	if err := org.TouchMailbox(c.identity.Account, address); err != nil {
		return "", err
	}
	return address, nil
}
