package config

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	"mailbell/notifier/app"
	"mailbell/notifier/autodiscover"
	"mailbell/notifier/compose"
	"mailbell/notifier/ews"
	"mailbell/notifier/httpauth"
	"mailbell/notifier/watch"
)

func (b *builder) exchange(x Exchange, n app.Network) app.Exchange {
	out := app.Exchange{
		EWSURL: x.EWSURL, Endpoints: x.Autodiscover.Endpoints, RedirectHosts: x.Autodiscover.RedirectHosts,
		AddressDomains: x.Autodiscover.AddressDomains, PreferInternalURL: x.PreferInternalURL,
		DigestOver: x.DigestOver, NoBadge: x.Badge != nil && !*x.Badge, NoElsewhere: x.Elsewhere != nil && !*x.Elsewhere, SilenceMax: x.Silence, AuditEvery: x.Audit,
		Schema:  ews.Version(b.one("exchange.schema", x.Schema, string(ews.Exchange2013SP1), string(ews.Exchange2010SP2))),
		CatchUp: watch.CatchUp(b.one("exchange.catch_up", x.CatchUp, string(watch.ByReceived), string(watch.BySync))),
	}
	if x.Audit > watch.AuditEveryMax {
		b.wrong("exchange.audit", "at most %s, because a bookmark looks no further back", watch.AuditEveryMax)
	}
	for i, pattern := range x.Only {
		b.accept(index("exchange.only", i), validate(compose.Rule{Mailbox: pattern}))
	}
	out.Only, out.Servers = x.Only, x.Servers
	for i, s := range x.Servers {
		b.need(index("exchange.servers", i), s, "a GroupingInformation or a host name")
	}
	if x.EWSURL != "" {
		b.https("exchange.ews_url", x.EWSURL)
		b.unused("exchange", "ews_url leaves nothing to discover", "autodiscover", "prefer_internal_url")
	} else {
		b.autodiscover(x.Autodiscover)
	}
	if len(x.Accounts) == 0 {
		b.wrong("exchange.accounts", "missing: the extender needs at least one listener account")
	}
	names := map[string]string{}
	for i, a := range x.Accounts {
		field := index("exchange.accounts", i)
		account := b.account(field, a, n)
		if first, ok := names[account.Name]; ok && account.Name != "" {
			b.wrong(field+".name", "%s has the same name; give each its own", first)
		}
		names[account.Name] = field
		out.Accounts = append(out.Accounts, account)
	}
	return out
}

func (b *builder) autodiscover(a Autodiscover) {
	const section = "exchange.autodiscover"
	before := b.count()
	for _, domain := range slices.Sorted(maps.Keys(a.Endpoints)) {
		b.https(join(section+".endpoints", domain), a.Endpoints[domain])
	}
	if b.count() > before {
		return
	}
	for _, part := range []struct {
		key string
		o   autodiscover.Options
	}{
		{"endpoints", autodiscover.Options{Endpoints: a.Endpoints}},
		{"redirect_hosts", autodiscover.Options{RedirectHosts: a.RedirectHosts}},
		{"address_domains", autodiscover.Options{AddressDomains: a.AddressDomains}},
	} {
		part.o.Transport, part.o.Anonymous = http.DefaultTransport, http.DefaultTransport
		_, err := autodiscover.New(part.o)
		b.accept(section+"."+part.key, err)
	}
}

// account reads one listener account. Its name is by default that of the user
// or application.
func (b *builder) account(field string, a Account, n app.Network) app.ListenerAccount {
	out := app.ListenerAccount{Name: a.Name, Mailboxes: a.Mailboxes, RequestsMax: a.Requests}
	kind := b.one(field+".authentication", a.Authentication, "ntlm", "basic", "oauth")
	if out.Name == "" && kind == "oauth" {
		out.Name = a.OAuth.ClientID
	} else if out.Name == "" {
		out.Name = a.User
	}
	before := b.count()
	if kind == "oauth" {
		b.unused(field, "authentication is oauth; see the section oauth", "user", "password_file")
		out.Credentials = b.oauth(field+".oauth", a.OAuth, n)
	} else {
		b.unused(field, "it is for authentication: oauth", "oauth")
		out.Credentials = b.password(field, kind, a)
		path, read := b.resolve(a.PasswordFile), b.read
		out.Reread = func() (httpauth.Credentials, error) {
			text, err := read(path, SecretMax)
			if err != nil {
				return nil, fmt.Errorf("config: %s.password_file: %w", field, err)
			}
			password, err := firstLine(text)
			if err != nil {
				return nil, fmt.Errorf("config: %s.password_file: %w", field, err)
			}
			return withPassword(kind, a.User, password), nil
		}
	}
	if b.count() > before {
		return out
	}
	pool, err := httpauth.NewPool(httpauth.Options{Account: out.Name, Credentials: out.Credentials, SlotsMax: 1})
	b.accept(field, err)
	if err == nil {
		b.accept(field, pool.Close())
	}
	return out
}

func (b *builder) password(field, kind string, a Account) httpauth.Credentials {
	b.need(field+".user", a.User, `DOMAIN\user or user@domain`)
	return withPassword(kind, a.User, b.secret(field+".password_file", a.PasswordFile, "the password"))
}

func withPassword(kind, user, password string) httpauth.Credentials {
	if kind == "basic" {
		return httpauth.Basic{User: user, Password: httpauth.Secret(password)}
	}
	return httpauth.NTLM{User: user, Password: httpauth.Secret(password)}
}

func (b *builder) oauth(field string, a OAuth, n app.Network) httpauth.Credentials {
	before := b.count()
	t := httpauth.TokenOptions{Tenant: a.Tenant, ClientID: a.ClientID, Authority: a.Authority, Scope: a.Scope}
	b.need(field+".tenant", a.Tenant, "the directory's ID or one of its domains")
	b.need(field+".client_id", a.ClientID, "the application's ID")
	switch {
	case a.SecretFile != "" && a.CertFile+a.KeyFile != "":
		b.wrong(field+".secret_file", "give secret_file, or certificate_file and key_file, not both")
	case a.CertFile+a.KeyFile != "":
		if pair := b.keyPair(field, a.CertFile, a.KeyFile); pair != nil {
			t.Certificate = *pair
		}
	default:
		t.Secret = httpauth.Secret(b.secret(field+".secret_file", a.SecretFile, "the client secret"))
	}
	if b.count() > before {
		return httpauth.None{}
	}
	t.HTTPClient = n.HTTPClient()
	source, err := httpauth.NewTokenSource(t)
	if err != nil {
		b.accept(field, err)
		return httpauth.None{}
	}
	b.closers = append(b.closers, source.Close)
	return httpauth.Bearer{Tokens: source}
}
