// Package control is the back door of the simulated world: an HTTP+JSON API
// that puts mail in, sets faults, moves mailboxes and reads the journal. It
// stands on a port of its own, apart from the servers it controls, and anyone
// who can reach it may use it: bind it to loopback.
//
// GET / describes every call. Errors are JSON too: {"error": "…"} with the
// field and what is allowed.
package control
