package fakeews

import (
	"mailbell/fakes/exchange"
)

// request is a SOAP request taken apart.
type request struct {
	operation string
	version   string // RequestServerVersion; empty when absent
	sid       *connectingSID
	body      *node // the operation's element
}

// connectingSID is whom the caller wants to be.
type connectingSID struct {
	kind  exchange.Identifier
	value string
}

// parseRequest reads a SOAP envelope. EWS reference "ResponseCode",
// ErrorInvalidRequest: the operation is the local name of the Body's child.
func parseRequest(document []byte) (*request, *fault) {
	root, err := parseXML(document)
	if err != nil {
		return nil, schemaFault(err)
	}
	if root.name != "Envelope" {
		return nil, schemaFault(&syntaxError{root.line, root.col, "The element '" + root.name + "' is not a SOAP envelope."})
	}
	body := root.child("Body")
	if body == nil || len(body.children) == 0 {
		return nil, newFault("ErrorInvalidRequest", "The request is invalid.")
	}
	q := &request{operation: body.children[0].name, body: body.children[0]}
	header := root.child("Header")
	q.version = header.child("RequestServerVersion").attr("Version")
	if imp := header.child("ExchangeImpersonation"); imp != nil {
		sid := imp.child("ConnectingSID")
		if sid == nil || len(sid.children) != 1 {
			return q, newFault("ErrorInvalidExchangeImpersonationHeaderData", "The ExchangeImpersonation header must hold one identifier.")
		}
		id := sid.children[0]
		switch kind := exchange.Identifier(id.name); kind {
		case exchange.PrincipalName, exchange.SID, exchange.PrimarySMTPAddress, exchange.SMTPAddress:
			q.sid = &connectingSID{kind, id.value()}
		default:
			return q, schemaFault(&syntaxError{id.line, id.col, "The element 'ConnectingSID' has invalid child element '" + id.name + "'."})
		}
		if q.sid.value == "" {
			return q, newFault("ErrorInvalidExchangeImpersonationHeaderData", "The ExchangeImpersonation header is empty.")
		}
	}
	return q, nil
}
