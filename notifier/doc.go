// Package notifier is Mailbell's vocabulary: the types that pass from one
// stage to the next, and the promise they carry together.
//
// # The promise
//
// For every mail that reaches the Inbox of a mailbox, each device registered
// for that mailbox at that moment gets a push accepted by its provider at
// least once, or a receipt that explains why not: suppressed by policy,
// device gone, expired, rejected. A repeat carries the same ID, so the device
// shows it once.
//
// This holds across a dropped stream, a lost subscription, a mailbox moved to
// another server, throttling, a provider outage shorter than the push's
// expiry, and kill -9 of the process at any moment. What survives loss of
// power depends on the engine's sync setting; package engine says which.
//
// # The path
//
//	phone app ──▶ api ──▶ registry
//	                        │ watched by
//	Exchange ──▶ watch ──Event──▶ compose ──Push──▶ queue ──▶ deliver ──▶ APNs, WNS
//	                                                             │
//	                                                          Receipt ──▶ ledger, registry
//
// Data flows one way. An [Event] is a hint to look: Exchange may tell it
// twice or not at all, and the mailbox is the truth. The [Message] is what was
// found there; a [Notification] is what may be said about it; a [Push] is one
// notification for one device; a [Receipt] says what became of it, with a
// [Verdict] from a closed vocabulary. A [Bookmark] remembers up to where a
// mailbox has been dealt with, and moves only after the pushes are durable.
//
// The package imports nothing but the standard library, and every type in it
// is a value that can be copied, compared where that makes sense, and sent
// between processes as JSON.
package notifier
