// Package loadgen puts a planned load on a notifier and says what came of it.
//
// In go a number of devices, a rate and a seed; out comes a [Report]. A run has
// these steps: start the fakes and the notifier as processes of their own, give
// the notifier the configuration that an operator would write, register the
// population with the registration service, wait until every mailbox is
// streamed, send the mails of the plan, wait for their pushes, judge.
//
// The plan is made ahead from the seed (see [NewPlan]) and is open loop: an
// arrival never waits for the answer to an earlier one. Latency runs from the
// planned arrival, not from the moment the mail could be sent, to the moment the
// push reached its provider, by the provider's journal. So a load generator that
// falls behind makes its figures worse, never better; slots that could not be
// sent at all are counted as missed.
//
// What was lost, duplicated or unexpected is judged from the journals of the
// fakes alone, which know what arrived in a mailbox and what a provider
// accepted. The notifier is asked nothing.
//
// [Peers] puts the same load on what could be built from the parts of others
// instead of the notifier, and compares.
//
// The package works over the wire and imports neither the notifier nor the
// fakes. It does not judge what a notification says (package scenarios/oracle
// does), and it does not know of devices that come and go during a load.
package loadgen
