// Package deliver brings queued pushes to their providers and decides, by the
// verdict on each, what happens next.
//
// Pushes come in from the queue, one lane a provider. Each is sent to the
// address that its device has at that moment, and ends in one of two ways: with
// a receipt in the ledger (delivered, dropped, device forgotten), or back in
// the queue for later. The registry loses devices whose address is dead.
//
// Promised: a push leaves the queue only after its receipt is durable, so the
// death of the process repeats a push and never loses one; the repeat carries
// the same ID. A push whose device was wiped, or registered anew or for another
// mailbox since it was composed, is not sent. While the way to a provider is
// closed its pushes wait in the queue and use up no attempt; those for other
// ways go on. No push is sent after its expiry.
//
// A way is what can be closed by itself: an APNs environment, a WNS app, or a
// provider as a whole. On a Pause it closes for the time the provider named, or
// for a growing time, and opens again once a single push, the probe, proves it
// open.
//
// On failure of the queue or the ledger a push stays where it is and is dealt
// with again; what was delivered but could not be written down is remembered
// and not sent again as long as the process lives.
package deliver
