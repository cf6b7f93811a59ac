// Package ews is a client for the part of Exchange Web Services that watching
// mailboxes needs: streaming subscriptions and their events, items, the Inbox
// and what changed in it.
//
// A [Client] speaks to one URL through a round tripper that authenticates; a
// [Caller] says for whom a request is made and how it is routed; an [Affinity]
// keeps the cookies of a group of subscriptions. In come addresses and opaque
// IDs; out go plain structs, and errors that [React] sorts by what to do next.
// The package knows nothing of notifications, policy or storage.
//
// It is generous in what it reads, because servers differ: local names only,
// any prefixes, any chunking of a stream, faults with any status, characters
// that XML forbids. Everything read is bounded (limits.go). Requests are
// written exactly as the schema orders them.
//
// Nothing is retried here except ids that the server did not try; all retrying
// is the caller's, by [React].
package ews
