package api

import (
	"context"
	"errors"
	"log/slog"

	"mailbell/notifier"
	"mailbell/notifier/ledger"
	"mailbell/notifier/registry"
)

// AudienceDefault is the aud that credentials must carry.
const AudienceDefault = "mailbell"

// Options are what the service works with.
type Options struct {
	Registry registry.Store
	// View follows the Registry. It counts the devices of a mailbox.
	View   *registry.View
	Ledger ledger.Store
	// Keys are the enrolment authority's; at least one.
	Keys     []TrustedKey
	Audience string // empty: AudienceDefault
	// Approved says whether a mailbox may be registered.
	Approved func(notifier.Mailbox) bool
	// CheckChannel is the acceptance rule for WNS channel URIs. Its error is told
	// to the client.
	CheckChannel func(string) error
	// Wiped throws away what is queued for a device, stops what is being sent to
	// it, and returns when both are done.
	Wiped  func(ctx context.Context, d notifier.DeviceID) error
	Limits Limits
	Logger *slog.Logger // nil: discard
}

func (o *Options) validate() error {
	switch {
	case o.Registry == nil:
		return errors.New("api: Options.Registry is missing")
	case o.View == nil:
		return errors.New("api: Options.View is missing")
	case o.Ledger == nil:
		return errors.New("api: Options.Ledger is missing")
	case o.Approved == nil:
		return errors.New("api: Options.Approved is missing")
	case o.CheckChannel == nil:
		return errors.New("api: Options.CheckChannel is missing")
	case o.Wiped == nil:
		return errors.New("api: Options.Wiped is missing")
	case len(o.Keys) == 0:
		return errors.New("api: Options.Keys: at least one key of the enrolment authority is needed")
	}
	for _, k := range o.Keys {
		if err := k.validate(); err != nil {
			return err
		}
	}
	if o.Audience == "" {
		o.Audience = AudienceDefault
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o.Limits.validate()
}
