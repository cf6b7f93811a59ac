// Package ledger remembers what became of each mail: identifiers and outcomes,
// no content. It answers "why did I get nothing?".
//
// Receipts come in from composing (there is no push, and why) and from
// delivery (what the provider said). They go out by device or by mailbox,
// newest first. Promised: a receipt is durable when Append returns nil, and
// stays for the age given, up to KeptMax for each device of each mailbox and
// the size given in all; the oldest go first. A receipt may be there twice
// when an Append was repeated. On failure any part of an Append may be there.
//
// There are two implementations: [Memory] for simulation and tests,
// [JetStream] for service. Both pass the suite in package ledgertest.
package ledger

import (
	"context"
	"errors"
	"time"

	"mailbell/notifier"
)

// Store holds receipts. It is safe for concurrent use.
type Store interface {
	// Append adds receipts, in order.
	Append(ctx context.Context, receipts ...notifier.Receipt) error
	// Device returns the last receipts of a device, the one appended last first:
	// at most limit of them, and at most ReadMax. A limit below 1 means ReadMax.
	// A device without receipts has none.
	Device(ctx context.Context, d notifier.DeviceID, limit int) ([]notifier.Receipt, error)
	// Mailbox is the same for all devices of a mailbox, and for receipts that
	// belong to none.
	Mailbox(ctx context.Context, m notifier.Mailbox, limit int) ([]notifier.Receipt, error)
}

// Limits and defaults.
const (
	AgeDefault = 30 * 24 * time.Hour // long enough to ask after a holiday
	ReadMax    = 1000                // receipts one call returns
	KeptMax    = ReadMax             // receipts kept for one device of one mailbox: older ones could not be read
)

// The errors of a Store, for errors.Is.
var ErrClosed = errors.New("ledger: closed")

// check refuses what could not be found again.
func check(r notifier.Receipt) error {
	switch {
	case r.Mailbox == "":
		return errors.New("ledger: receipt without a mailbox")
	case r.Verdict == 0:
		return errors.New("ledger: receipt without a verdict")
	}
	return nil
}

// readBound brings a limit into its bounds.
func readBound(limit int) int {
	if limit < 1 || limit > ReadMax {
		return ReadMax
	}
	return limit
}
