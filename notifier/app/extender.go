package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/autodiscover"
	"mailbell/notifier/compose"
	"mailbell/notifier/httpauth"
	"mailbell/notifier/watch"
)

// newWatcher joins Exchange, the composer and the queue. Mailboxes come and go
// with the registrations.
func (in *instance) newWatcher() error {
	accounts, discover, err := in.accounts()
	if err != nil {
		return err
	}
	var w *watch.Watcher
	composer, err := compose.New(compose.Options{
		Reader: reader(func(ctx context.Context, m notifier.Mailbox, ids []notifier.ItemID) (compose.Reading, error) {
			r, err := w.Read(ctx, m, ids)
			return compose.Reading{Messages: r.Messages, Gone: r.Gone, Poison: r.Poison, Unread: r.Unread}, err
		}),
		Devices: in.view.Mailbox,
		Policy:  in.opt.Policy,
		Queue:   in.stores.Queue.Put,
		Ledger:  in.stores.Ledger.Append,
		Logger:  in.opt.Logger,
	})
	if err != nil {
		return err
	}
	x := in.opt.Exchange
	elsewhere := composer.Elsewhere
	if x.NoElsewhere || x.NoBadge {
		elsewhere = nil
	}
	w, err = watch.New(watch.Options{
		Elsewhere: elsewhere,
		Accounts:  accounts, Discover: discover, Bookmarks: in.stores.Bookmarks, Handle: composer.Handle,
		Version: x.Schema, PreferInternalURL: x.PreferInternalURL, NoBadge: x.NoBadge,
		CatchUp: x.CatchUp, DigestOver: x.DigestOver, Servers: x.Servers,
		SilenceMax: x.SilenceMax, AuditEvery: x.AuditEvery, UserAgent: userAgent, Logger: in.opt.Logger,
	})
	if err != nil {
		return err
	}
	in.watch = w
	in.view.OnChange(func(m notifier.Mailbox, devices []notifier.Registration) {
		if len(devices) == 0 || !in.opt.Policy.Approved(m) || !x.watches(m) {
			w.Remove(m)
			return
		}
		since := devices[0].Created
		for _, d := range devices[1:] {
			if d.Created.Before(since) {
				since = d.Created
			}
		}
		w.Add(m, since)
	})
	return nil
}

// watches says whether the mailbox is this instance's to watch.
func (x *Exchange) watches(m notifier.Mailbox) bool {
	return len(x.Only) == 0 || slices.ContainsFunc(x.Only, func(pattern string) bool { return compose.Names(pattern, m) })
}

// userAgent is stable and own: administrators filter EWS by it (EWS "How to:
// Control access to EWS in Exchange").
const userAgent = "Mailbell/1"

type reader func(context.Context, notifier.Mailbox, []notifier.ItemID) (compose.Reading, error)

func (f reader) Read(ctx context.Context, m notifier.Mailbox, ids []notifier.ItemID) (compose.Reading, error) {
	return f(ctx, m, ids)
}

// connectionsMax bounds an account's streaming connections, far below what a
// process may have open.
const connectionsMax = 1000

// streamsMax is the most streaming connections an account's mailboxes can need:
// two for each group, and where mailboxes have little in common each is a group
// of its own. One more stream than that would wait for a connection in vain.
func streamsMax(mailboxes int) int {
	return max(min(2*mailboxes+4, connectionsMax), 4*(mailboxes/watch.StreamMembersMax+1))
}

// accounts makes each listener account's connections. Requests and streams
// have pools of their own, so that streams cannot starve requests.
func (in *instance) accounts() ([]watch.Account, discoverFunc, error) {
	x := in.opt.Exchange
	var list []watch.Account
	var clients []*autodiscover.Client
	anonymous, err := in.pool(httpauth.Options{Account: "anonymous", Credentials: httpauth.None{}, SlotsMax: 4, HeaderTimeout: 10 * time.Second})
	if err != nil {
		return nil, nil, err
	}
	for i, acc := range x.Accounts {
		if acc.Name == "" || acc.Credentials == nil {
			return nil, nil, fmt.Errorf("app: Exchange.Accounts[%d]: Name and Credentials are needed", i)
		}
		mailboxes, requests := acc.Mailboxes, acc.RequestsMax
		if mailboxes == 0 {
			mailboxes = watch.AccountMailboxesMax
		}
		if requests == 0 {
			requests = watch.AccountRequestsMax
		}
		pool := httpauth.Options{Account: acc.Name, Credentials: acc.Credentials, SlotsMax: requests, Hosts: tokenHosts(acc.Credentials, x)}
		ordinary, err := in.pool(pool)
		if err != nil {
			return nil, nil, err
		}
		pool.SlotsMax, pool.Like = streamsMax(mailboxes), ordinary
		streams, err := in.pool(pool)
		if err != nil {
			return nil, nil, err
		}
		list = append(list, watch.Account{Name: acc.Name, Capacity: mailboxes, Requests: ordinary, Streams: streams})
		if acc.Reread != nil {
			in.rereads = append(in.rereads, reread{acc, []*httpauth.Pool{ordinary, streams}})
		}
		if x.EWSURL != "" {
			continue
		}
		c, err := autodiscover.New(autodiscover.Options{
			Transport: ordinary, Anonymous: anonymous, LookupSRV: in.opt.Network.LookupSRV, Endpoints: x.Endpoints,
			RedirectHosts: x.RedirectHosts, AddressDomains: x.AddressDomains, UserAgent: userAgent, Logger: in.opt.Logger,
		})
		if err != nil {
			return nil, nil, err
		}
		clients = append(clients, c)
	}
	if x.EWSURL != "" {
		return list, fixedURL(x.EWSURL), nil
	}
	return list, firstThatMay(clients), nil
}

// reread is an account whose credentials may change while it is in use.
type reread struct {
	account ListenerAccount
	pools   []*httpauth.Pool
}

// keepCredentials replaces credentials that have changed, until ctx ends.
func (in *instance) keepCredentials(ctx context.Context) error {
	tick := time.NewTicker(RereadEvery)
	defer tick.Stop()
	failed := map[string]bool{}
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		for _, r := range in.rereads {
			fresh, err := r.account.Reread()
			if err != nil {
				if !failed[r.account.Name] {
					in.opt.Logger.Error("credentials cannot be read again; those of before stay in use", "account", r.account.Name, "err", err)
				}
				failed[r.account.Name] = true
				continue
			}
			failed[r.account.Name] = false
			in.replace(r, fresh)
		}
	}
}

func (in *instance) replace(r reread, fresh httpauth.Credentials) {
	if r.pools[0].Credentials() == fresh {
		return
	}
	for _, p := range r.pools {
		if err := p.SetCredentials(fresh); err != nil {
			in.opt.Logger.Error("new credentials are not in order; those of before stay in use", "account", r.account.Name, "err", err)
			return
		}
	}
	in.opt.Logger.Info("credentials replaced", "account", r.account.Name)
	in.watch.Unblock(r.account.Name)
}

func (in *instance) pool(o httpauth.Options) (*httpauth.Pool, error) {
	o.Dial = in.opt.Network.dialer()
	o.TLS = &tls.Config{RootCAs: in.opt.Network.RootCAs, MinVersion: tls.VersionTLS12}
	o.Logger = in.opt.Logger
	p, err := httpauth.NewPool(o)
	if err != nil {
		return nil, err
	}
	in.life.push("connections of "+o.Account, func(context.Context) error { return p.Close() })
	return p, nil
}

// officeHosts are where a token for Exchange Online may go (Microsoft 365 "URLs
// and IP address ranges", Exchange Online, and the clouds of their own).
var officeHosts = []string{
	"outlook.office365.com", "*.outlook.com", "*.office365.us", "*.partner.outlook.cn", "*.outlook.sovcloud.fr", "*.outlook.sovcloud.de",
	"outlook.office.com", "*.office365.com",
}

// tokenHosts are the hosts that may see an account's credentials: of a token,
// its audience's and those that the configuration names; of a password, those
// that Autodiscover finds by its own rules.
func tokenHosts(c httpauth.Credentials, x Exchange) []string {
	if _, ok := c.(httpauth.Bearer); !ok {
		return nil
	}
	hosts := append([]string(nil), officeHosts...)
	named := []string{x.EWSURL}
	for _, u := range x.Endpoints {
		named = append(named, u)
	}
	for _, s := range named {
		if u, err := url.Parse(s); err == nil && u.Hostname() != "" {
			hosts = append(hosts, u.Hostname())
		}
	}
	return append(hosts, x.RedirectHosts...)
}

type discoverFunc = func(ctx context.Context, addresses []string) []autodiscover.Result

// fixedURL answers for every mailbox without asking anybody.
func fixedURL(url string) discoverFunc {
	return func(_ context.Context, addresses []string) []autodiscover.Result {
		out := make([]autodiscover.Result, len(addresses))
		for i, a := range addresses {
			out[i] = autodiscover.Result{Address: a, Settings: autodiscover.Settings{Address: a, EWSURL: url}}
		}
		return out
	}
}

// firstThatMay asks with the first account, and again with the next one for
// those mailboxes where the account's credentials were refused.
func firstThatMay(clients []*autodiscover.Client) discoverFunc {
	return func(ctx context.Context, addresses []string) []autodiscover.Result {
		out := clients[0].Discover(ctx, addresses)
		for _, c := range clients[1:] {
			var again []string
			var at []int
			for i, r := range out {
				if isRejected(r.Err) {
					again, at = append(again, addresses[i]), append(at, i)
				}
			}
			if len(again) == 0 {
				break
			}
			for j, r := range c.Discover(ctx, again) {
				out[at[j]] = r
			}
		}
		return out
	}
}

var _ http.RoundTripper = (*httpauth.Pool)(nil)
