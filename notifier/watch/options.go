package watch

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/autodiscover"
	"mailbell/notifier/bookmark"
	"mailbell/notifier/ews"
)

// Account is a listener account: the credentials that subscribe to mailboxes.
type Account struct {
	Name     string            // for logs and status
	Capacity int               // mailboxes at most; 0: AccountMailboxesMax
	Requests http.RoundTripper // authenticated, for ordinary requests
	Streams  http.RoundTripper // authenticated, for streaming requests; nil: Requests
}

// Options is what a Watcher needs.
type Options struct {
	// Accounts are the listener accounts; at least one.
	Accounts []Account
	// Discover finds the EWS URL and the group of mailboxes, in order.
	Discover func(ctx context.Context, addresses []string) []autodiscover.Result
	// Bookmarks is where it is written down up to where each mailbox was dealt with.
	Bookmarks bookmark.Store
	// Handle deals with events of one mailbox. When it returns without error,
	// everything that follows from them is durable; it returns the items dealt
	// with. After an error the same events are handed in again. It is called
	// concurrently for different mailboxes, never for the same one.
	Handle func(ctx context.Context, m notifier.Mailbox, events []notifier.Event) ([]notifier.SeenItem, error)

	// Version is the request schema to use when the server's own list of schemas
	// does not say; empty: Exchange2013_SP1.
	Version ews.Version
	// PreferInternalURL takes InternalEwsUrl before ExternalEwsUrl.
	PreferInternalURL bool
	// Servers are those whose mailboxes are watched, by GroupingInformation or by
	// the host of their EWS URL; nil: all. Mailboxes elsewhere are asked about again
	// from time to time, because they may move.
	Servers []string
	// CatchUp is how Inboxes are compared with bookmarks; empty: ByReceived.
	CatchUp CatchUp
	// Elsewhere is told when the owner has read, moved or deleted mail with another
	// program, some seconds later and with everything until then. After an error the
	// same is handed in again. nil: nobody asks, and subscriptions cost fewer events.
	Elsewhere func(ctx context.Context, e notifier.Elsewhere) error
	// DigestOver is how much mail one comparison may find for each of it to be
	// announced by itself; more is a flood, announced together. 0:
	// DigestOverDefault; negative: never.
	DigestOver int
	// NoBadge leaves out the request for the unread count.
	NoBadge bool

	SilenceMax      time.Duration // a stream without a byte for this long is dead; 0: 100 s
	AuditEvery      time.Duration // each mailbox is compared once in this time, whatever the stream says; 0: 4 h; negative: never; at most 4.5 h
	BookmarkEvery   time.Duration // moved bookmarks are written this often; 0: 250 ms
	HandleParallel  int           // mailboxes of one account handled at once; 0: 16
	CompareParallel int           // comparisons of one account at once; 0: 4
	UserAgent       string        // stable and own: administrators filter on it; empty: "Mailbell"
	Logger          *slog.Logger  // nil: silent
}

func (o *Options) complete() error {
	switch {
	case len(o.Accounts) == 0:
		return fmt.Errorf("watch: Accounts: at least one listener account is needed")
	case o.Discover == nil:
		return fmt.Errorf("watch: Discover: missing")
	case o.Bookmarks == nil:
		return fmt.Errorf("watch: Bookmarks: missing")
	case o.Handle == nil:
		return fmt.Errorf("watch: Handle: missing")
	}
	if o.AuditEvery > AuditEveryMax {
		return fmt.Errorf("watch: AuditEvery: %v; at most %v, because bookmarks look back %v", o.AuditEvery, AuditEveryMax, notifier.BookmarkLookBack)
	}
	setDefault(&o.CatchUp, ByReceived)
	if o.CatchUp != ByReceived && o.CatchUp != BySync {
		return fmt.Errorf("watch: CatchUp: %q; %s and %s are allowed", o.CatchUp, ByReceived, BySync)
	}
	names := map[string]bool{}
	for i := range o.Accounts {
		a := &o.Accounts[i]
		if a.Name == "" || names[a.Name] {
			return fmt.Errorf("watch: Accounts[%d]: Name %q is empty or used twice", i, a.Name)
		}
		names[a.Name] = true
		if a.Requests == nil {
			return fmt.Errorf("watch: Accounts[%d] (%s): Requests: missing", i, a.Name)
		}
		if a.Streams == nil {
			a.Streams = a.Requests
		}
		if a.Capacity == 0 {
			a.Capacity = AccountMailboxesMax
		}
	}
	setDefault(&o.Version, ews.Exchange2013SP1)
	setDefault(&o.SilenceMax, 100*time.Second)
	setDefault(&o.AuditEvery, 4*time.Hour)
	setDefault(&o.BookmarkEvery, 250*time.Millisecond)
	setDefault(&o.HandleParallel, 16)
	setDefault(&o.CompareParallel, compareParallelDefault)
	setDefault(&o.DigestOver, DigestOverDefault)
	setDefault(&o.UserAgent, "Mailbell")
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
