// Package ews is a client for the part of Exchange Web Services (EWS) that
// watching mailboxes needs: streaming subscriptions and their events, single
// items, and what the Inbox holds.
//
// A [Client] speaks to one URL through a round tripper that authenticates. A
// [Caller] says which mailbox a request acts for and how it is routed; an
// [Affinity] keeps the requests of one group of subscriptions on the server
// that holds them. In come addresses and opaque IDs, out come plain structs.
// The package knows nothing of notifications, policy or storage.
//
// Requests are written exactly as the schema orders them. Answers are read
// generously, because servers differ: by local names, with any prefixes, a
// stream cut into reads anywhere, faults with any status, characters that XML
// forbids. Everything read is bounded (limits.go).
//
// Errors say what to do next: [React] sorts any of them into a closed
// vocabulary, and [Escalate] says what to try when that did not help. A refusal
// by Exchange is a [*ResponseError], an answer that is none is an [*HTTPError],
// text that is no EWS answer a [*SyntaxError]; everything else comes from the
// transport. No error holds what an answer said of a mail.
//
// Nothing is repeated here but the items of a batch that the server left
// untried. All other repeating is the caller's, since only the caller can pace
// it over a fleet. A stream has no memory: after every end but the agreed one
// ([io.EOF]), events may be lost, and the mailboxes have to be compared.
package ews
