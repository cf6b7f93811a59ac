// Package compose turns hints about new mail into pushes for devices.
//
// Events of one mailbox come in. Their items are read, policy decides for each
// device what may be said, the text is rendered in the device's language and
// shortened to what the provider takes. Pushes go out to the queue, and for
// every device that gets none a receipt that says why goes to the ledger.
//
// Promised: when [Composer.Handle] returns without an error, each event has for
// each device of the mailbox either a push that is durable or a receipt that
// is. A repeat of the same event gives pushes with the same IDs, so a caller
// repeats a failed Handle as often as it likes and the queue keeps one.
//
// On failure Handle returns an error and any part of its work may have been
// done; nothing may be taken for dealt with. What no repeat can heal (an item
// that Exchange cannot give, a mail that is gone) is no failure but a receipt.
//
// Two parts are pure and can be read alone: [Policy.Decide], which rules, and
// the rendering, which makes a payload from what was decided.
package compose
