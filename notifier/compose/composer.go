package compose

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"mailbell/notifier"
)

// Reader looks at items of a mailbox.
type Reader interface {
	// Read finds each item once: among the Messages, the Gone or the Poison. An
	// error means that nothing is known and the call has to be repeated.
	Read(ctx context.Context, m notifier.Mailbox, items []notifier.ItemID) (Reading, error)
}

// Reading is what was found.
type Reading struct {
	Messages []notifier.Message
	Gone     []notifier.ItemID // moved or deleted before Mailbell could look
	Poison   []notifier.ItemID // Exchange fails on them again and again
	Unread   int               // items unread in the Inbox, or notifier.UnreadUnknown
}

// Options are what a Composer works with. All but Logger are needed.
type Options struct {
	Reader  Reader
	Devices func(notifier.Mailbox) []notifier.Registration // registered for the mailbox now
	Policy  Policy
	Queue   func(context.Context, ...notifier.Push) error    // nil: all pushes are durable
	Ledger  func(context.Context, ...notifier.Receipt) error // nil: all receipts are durable
	Logger  *slog.Logger                                     // nil: discard
}

// Composer makes pushes from events. It holds no state and starts no
// goroutine; its methods are safe for concurrent use.
type Composer struct {
	opt       Options
	languages languages
	log       *slog.Logger
}

// New checks the options.
func New(o Options) (*Composer, error) {
	switch {
	case o.Reader == nil:
		return nil, errors.New("compose: Options.Reader is missing")
	case o.Devices == nil:
		return nil, errors.New("compose: Options.Devices is missing")
	case o.Queue == nil:
		return nil, errors.New("compose: Options.Queue is missing")
	case o.Ledger == nil:
		return nil, errors.New("compose: Options.Ledger is missing")
	}
	if err := o.Policy.Validate(); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Composer{opt: o, languages: newLanguages(), log: o.Logger}, nil
}

// Handle deals with events of one mailbox, at most EventsMax. When it returns
// nil every push and receipt is durable, and the items are those dealt with,
// with the time they were received (zero when nobody looked or nothing was
// found). On an error the whole call is to be repeated.
//
// A mailbox that is not approved, or has no device, is not read.
func (c *Composer) Handle(ctx context.Context, m notifier.Mailbox, events []notifier.Event) ([]notifier.SeenItem, error) {
	if len(events) > EventsMax {
		return nil, fmt.Errorf("compose: %d events in one call, at most %d", len(events), EventsMax)
	}
	b := &batch{composer: c, mailbox: m, devices: c.opt.Devices(m), now: time.Now().UTC()}
	if err := b.note(events); err != nil {
		return nil, err
	}
	switch {
	case len(b.devices) == 0:
		b.seeAll()
	case !c.opt.Policy.Approved(m):
		b.refuseAll(notifier.ReasonNotApproved)
	default:
		if err := b.read(ctx); err != nil {
			return nil, err
		}
	}
	if err := b.store(ctx); err != nil {
		return nil, err
	}
	return b.seen, nil
}
