package ews

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// The opaque identifiers of Exchange. They are compared byte for byte, with
// case (EWS "EWS identifiers in Exchange").
type (
	// SubscriptionID names a subscription. It holds good for the account that
	// made it, on the server that made it.
	SubscriptionID string
	// ItemID names an item for as long as it stays in its folder.
	ItemID string
	// SyncState is what SyncFolderItems has told of a folder so far.
	SyncState string
)

// Options is what a Client needs.
type Options struct {
	// URL of the service, https://host/EWS/Exchange.asmx.
	URL string
	// Transport sends ordinary requests, with credentials. It must not follow
	// redirects, must end when the request's context does, and may send a
	// request's body more than once (by GetBody).
	Transport http.RoundTripper
	// StreamTransport sends GetStreamingEvents, which keeps a connection for up
	// to 30 minutes; nil: Transport. It must not hold back what has arrived.
	StreamTransport http.RoundTripper
	// Version is the schema of the requests; empty: Exchange2013SP1.
	Version Version
	// UserAgent is what administrators see and can block; empty: "Mailbell".
	UserAgent string
	// RequestTimeout is for an ordinary request with the body of its answer, and
	// for a stream up to the header of its answer; 0: RequestTimeoutDefault.
	RequestTimeout time.Duration
	// Logger is told of every request, at debug level; nil: silent.
	Logger *slog.Logger
}

// levelRequest is how loud requests are logged.
const levelRequest = slog.LevelDebug

// Client speaks to one EWS URL as one account. It is safe for concurrent use.
// It holds no connections: those are its transports'.
type Client struct {
	url       string
	host      string
	transport http.RoundTripper
	streams   http.RoundTripper
	version   Version
	userAgent string
	timeout   time.Duration
	late      error // why a request that takes too long ends
	log       *slog.Logger
	answers   sync.Pool // of *answer
}

// NewClient checks the options. It opens no connection.
func NewClient(o Options) (*Client, error) {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Host == "" || u.User != nil || (u.Scheme != "https" && u.Scheme != "http"):
		return nil, errors.New("ews: Options.URL: want one like https://host/EWS/Exchange.asmx, without user and password")
	case o.Transport == nil:
		return nil, errors.New("ews: Options.Transport: missing; give one that authenticates")
	case o.RequestTimeout < 0:
		return nil, errors.New("ews: Options.RequestTimeout: must not be negative")
	}
	if o.Version == "" {
		o.Version = Exchange2013SP1
	}
	if err := o.Version.validate(); err != nil {
		return nil, err
	}
	c := &Client{
		url: o.URL, host: u.Host, transport: o.Transport, streams: o.StreamTransport, version: o.Version,
		userAgent: o.UserAgent, timeout: o.RequestTimeout, log: o.Logger,
	}
	if c.streams == nil {
		c.streams = o.Transport
	}
	if c.userAgent == "" {
		c.userAgent = "Mailbell"
	}
	if c.timeout == 0 {
		c.timeout = RequestTimeoutDefault
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.late = fmt.Errorf("no answer within %v: %w", c.timeout, context.DeadlineExceeded)
	return c, nil
}

// Version is the schema of the client's requests.
func (c *Client) Version() Version { return c.version }

// Caller says for whom a request is made and where it goes.
type Caller struct {
	// Impersonate is an SMTP address of the mailbox acted for; empty: the
	// account's own mailbox.
	Impersonate string
	// Anchor is the address whose server the request is routed to
	// (X-AnchorMailbox); empty: Impersonate.
	Anchor string
	// Affinity holds the cookies of a group of subscriptions; nil for requests
	// that belong to no group.
	Affinity *Affinity
}

func (w Caller) anchor() string {
	if w.Anchor != "" {
		return w.Anchor
	}
	return w.Impersonate
}
