// Package autodiscover finds out where mailboxes live: the URL of Exchange Web
// Services to talk to for each, and the group within which mailboxes may share
// one streaming connection.
//
// In go e-mail addresses; out comes one [Result] for each, in the same order:
// settings or an error, and in either case the ladder of steps that were taken,
// for the operator. A [Client] serves one realm, which is the set of domains
// that one credential is for.
//
// Addresses are sorted by domain. For each domain the end point is looked for
// once: the URL fixed by configuration, else the one that answered before, else
// the candidates in the documented order (the domain itself, autodiscover below
// it, a redirect from plain HTTP, a DNS record). The mailboxes are then asked
// about in batches by the SOAP operation GetUserSettings; where every candidate
// refuses SOAP, one by one in the older plain XML dialect.
//
// # What is promised
//
// Credentials are sent over TLS only, to a host that showed without credentials
// that it is an Exchange server or that configuration names, and after a
// redirect only to hosts under the mailbox's own domain or on a list. Candidates
// never climb out of the domain. Every loop has a bound: redirects, batches,
// tries, bodies, depth of documents.
//
// # What happens on failure
//
// A mailbox that does not exist is [ErrNoSuchMailbox]. A server that asks for
// patience makes the whole realm pause; when patience ends, the error is a
// [*BusyError]. A redirect that may not be followed is a
// [*RedirectRefusedError], which says what to configure. When no candidate
// answers, a [*NoEndpointError] holds what each of them said. One mailbox's
// trouble does not touch the others.
package autodiscover
