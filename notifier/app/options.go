package app

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/api"
	"mailbell/notifier/apns"
	"mailbell/notifier/bookmark"
	"mailbell/notifier/compose"
	"mailbell/notifier/deliver"
	"mailbell/notifier/engine"
	"mailbell/notifier/ews"
	"mailbell/notifier/httpauth"
	"mailbell/notifier/ledger"
	"mailbell/notifier/queue"
	"mailbell/notifier/registry"
	"mailbell/notifier/watch"
	"mailbell/notifier/wns"
)

// Role is a part that an instance plays.
type Role string

// The roles.
const (
	Portal   Role = "portal"   // the registration web service
	Extender Role = "extender" // beside Exchange: watches and composes; only dials out
	Proxy    Role = "proxy"    // sends to APNs and WNS
)

// Options is everything an instance needs. The zero value of a field is the
// documented default.
type Options struct {
	// Roles the instance plays; none named: all.
	Roles []Role

	// Engine says where the stores live. Stores, when set, are used instead and
	// stay open when the instance stops.
	Engine engine.Options
	Stores *Stores

	Network  Network
	Exchange Exchange       // extender
	Policy   compose.Policy // extender; portal: who may register
	APNs     []APNs         // proxy
	WNS      []wns.App      // proxy
	API      API            // portal
	Admin    Admin          // any

	Delivery deliver.RetryOptions // proxy; zero: its defaults
	Drain    time.Duration        // time Stop gives to what is in flight; 0: 10 s
	Logger   *slog.Logger         // nil: silent
}

// Stores are the four places where an instance keeps anything.
type Stores struct {
	Registry  registry.Store
	Queue     queue.Queue
	Bookmarks bookmark.Store
	Ledger    ledger.Store
}

// Exchange says how the extender reaches Exchange.
type Exchange struct {
	Accounts []ListenerAccount

	// EWSURL, when set, is used for every mailbox and Autodiscover is not asked.
	EWSURL string
	// Endpoints fixes the Autodiscover URL of a mail domain.
	Endpoints map[string]string
	// RedirectHosts are the hosts that Autodiscover may redirect to outside the
	// mailbox's domain; nil: Office 365's.
	RedirectHosts []string
	// AddressDomains are domains that Autodiscover may redirect an address to.
	AddressDomains []string
	// Schema is the request schema when the server does not list its own; empty:
	// Exchange2013_SP1.
	Schema            ews.Version
	PreferInternalURL bool
	CatchUp           watch.CatchUp // how Inboxes are compared with bookmarks; empty: watch.ByReceived
	DigestOver        int           // see watch.Options
	NoElsewhere       bool          // what is read elsewhere changes nothing on the devices until the next mail
	Servers           []string      // see watch.Options
	// Only are the mailboxes that this instance watches: addresses, *@domain, or *;
	// nil: all that the policy approves.
	Only       []string
	NoBadge    bool          // leave out the unread count
	SilenceMax time.Duration // a stream without a byte this long is dead; 0: 100 s
	AuditEvery time.Duration // see watch.Options
}

// ListenerAccount is an account that subscribes to mailboxes.
type ListenerAccount struct {
	Name        string // for logs; never a secret
	Credentials httpauth.Credentials
	Mailboxes   int // most mailboxes; 0: watch.AccountMailboxesMax
	RequestsMax int // ordinary requests in flight = connections; 0: watch.AccountRequestsMax
	// Reread, when set, is asked every RereadEvery. Other credentials than those in
	// use replace them, so that a new password needs no restart.
	Reread func() (httpauth.Credentials, error)
}

// RereadEvery is how often ListenerAccount.Reread is asked.
const RereadEvery = 10 * time.Second

// APNs is the way to Apple for one environment.
type APNs struct {
	Environment notifier.Environment
	Host        string           // https URL; empty: Apple's for the environment
	Key         *apns.Key        // token authentication, or
	Certificate *tls.Certificate // certificate authentication
	Lanes       int              // connections; 0: its default
}

// API is the registration web service.
type API struct {
	Listen   string           // host:port
	TLS      *tls.Certificate // nil: plain HTTP, for loopback only
	Keys     []api.TrustedKey // the enrolment authority's
	Audience string           // empty: "mailbell"
	Limits   api.Limits
}

// Admin is the admin service, which tells an operator how the instance is doing.
type Admin struct {
	Listen string // loopback host:port; empty: there is none
}

// plays says whether the instance has the role.
func (o *Options) plays(r Role) bool {
	for _, have := range o.Roles {
		if have == r {
			return true
		}
	}
	return len(o.Roles) == 0
}

// validate names the field that is wrong and what to do.
func (o *Options) validate() error {
	for i, r := range o.Roles {
		if r != Portal && r != Extender && r != Proxy {
			return fmt.Errorf("app: Roles[%d]: %q is not a role; portal, extender and proxy are", i, r)
		}
	}
	if o.Stores == nil && o.Engine.Dir == "" && o.Engine.URL == "" {
		return fmt.Errorf("app: Engine: name a Dir for the embedded engine or a URL of an external one")
	}
	if o.plays(Extender) && len(o.Exchange.Accounts) == 0 {
		return fmt.Errorf("app: Exchange.Accounts: the extender needs at least one listener account")
	}
	if o.plays(Proxy) && len(o.APNs)+len(o.WNS) == 0 {
		return fmt.Errorf("app: APNs, WNS: the proxy needs at least one way to push")
	}
	if o.Admin.Listen != "" && !loopback(o.Admin.Listen) {
		return fmt.Errorf("app: Admin.Listen: %s can be reached from other hosts; use 127.0.0.1:port", o.Admin.Listen)
	}
	seen := map[notifier.Environment]bool{}
	for i, a := range o.APNs {
		switch {
		case a.Environment != notifier.Production && a.Environment != notifier.Development:
			return fmt.Errorf("app: APNs[%d].Environment: %q; production and development are allowed", i, a.Environment)
		case seen[a.Environment]:
			return fmt.Errorf("app: APNs[%d].Environment: %s is configured twice", i, a.Environment)
		case (a.Key == nil) == (a.Certificate == nil):
			return fmt.Errorf("app: APNs[%d]: set Key or Certificate, one of them", i)
		}
		seen[a.Environment] = true
	}
	if o.plays(Portal) {
		if o.API.Listen == "" {
			return fmt.Errorf("app: API.Listen: the portal needs an address to listen on")
		}
		if len(o.API.Keys) == 0 {
			return fmt.Errorf("app: API.Keys: the portal needs a key of the enrolment authority")
		}
		if o.API.TLS == nil && !loopback(o.API.Listen) {
			return fmt.Errorf("app: API.TLS: %s can be reached from other hosts; a certificate is needed", o.API.Listen)
		}
	}
	return nil
}

func (o *Options) complete() {
	if o.Network.Listen == nil {
		o.Network.Listen = net.Listen
	}
	if o.Network.LookupSRV == nil {
		o.Network.LookupSRV = net.DefaultResolver.LookupSRV
	}
	if o.Drain == 0 {
		o.Drain = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Engine.Logger = o.Logger
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
