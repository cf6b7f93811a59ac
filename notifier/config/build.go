package config

import (
	"errors"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"mailbell/notifier/app"
)

// builder turns a File into options. It adds to the problems of the decoder.
type builder struct {
	*decoder
	dir     string // file names are relative to it
	read    readFunc
	closers []func() error
}

func (b *builder) build(f File) *Config {
	c := &Config{Log: Log{
		Format: b.one("log.format", f.Log.Format, "json", "text"),
		Level:  b.one("log.level", f.Log.Level, "info", "debug", "warn", "error"),
	}}
	o := &c.Options
	o.Roles = b.roles(f.Roles)
	plays := func(r app.Role) bool { return len(o.Roles) == 0 || slices.Contains(o.Roles, r) }

	o.Network = b.network(f.Network)
	o.Engine = b.engine(f.Engine)
	if plays(app.Extender) {
		o.Exchange = b.exchange(f.Exchange, o.Network)
	}
	if plays(app.Proxy) {
		o.APNs, o.WNS = b.push(f.Push)
	}
	if plays(app.Extender) || plays(app.Portal) {
		o.Policy = b.policy(f.Policy)
	}
	if plays(app.Portal) {
		o.API = b.api(f.API)
	}
	if o.Admin.Listen = f.Admin.Listen; f.Admin.Listen != "" {
		b.hostPort("admin.listen", f.Admin.Listen, true)
		if host, _, err := net.SplitHostPort(f.Admin.Listen); err == nil && !loopback(host) {
			b.wrong("admin.listen", "other hosts can reach this address; use 127.0.0.1:port")
		}
	}
	c.closers = b.closers
	if b.count() == 0 {
		if _, err := app.New(*o); err != nil {
			b.wrong("", "%v", err)
		}
	}
	return c
}

func (b *builder) roles(names []string) []app.Role {
	if b.isSet("roles") && len(names) == 0 {
		b.wrong("roles", "the list is empty; leave the key out to play all roles")
	}
	var roles []app.Role
	for i, name := range names {
		field := index("roles", i)
		role := app.Role(b.one(field, name, "", string(app.Portal), string(app.Extender), string(app.Proxy)))
		if slices.Contains(roles, role) {
			b.wrong(field, "the role is in the list already")
		}
		roles = append(roles, role)
	}
	return roles
}

// one is the value, or def for an empty one. It has to be def or one of the
// others; an empty def means that the value is required.
func (b *builder) one(field, value, def string, others ...string) string {
	if value == "" {
		value = def
	}
	words := others
	if def != "" {
		words = append([]string{def}, others...)
	}
	if value != "" && slices.Contains(words, value) {
		return value
	}
	b.wrong(field, "not one of the words allowed here%s: %s", didYouMean(value, words), strings.Join(words, ", "))
	return value
}

// need complains about a value that is missing.
func (b *builder) need(field, value, what string) bool {
	if value == "" {
		b.wrong(field, "missing: %s", what)
	}
	return value != ""
}

// unused complains about keys of a section that have no effect. Silence would
// let somebody believe that they had one.
func (b *builder) unused(section, why string, keys ...string) {
	for _, key := range keys {
		if field := section + "." + key; b.isSet(field) {
			b.wrong(field, "has no effect: %s", why)
		}
	}
}

// accept complains about what a constructor says.
func (b *builder) accept(field string, err error) {
	if err != nil {
		b.wrong(field, "%v", err)
	}
}

// https wants the URL of a web service.
func (b *builder) https(field, value string) {
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		b.wrong(field, "want a URL of the form https://host/path, without user name or query")
	}
}

// hostPort wants an address to dial or listen on. Without needHost the host may
// be empty.
func (b *builder) hostPort(field, value string, needHost bool) {
	if err := checkHostPort(value); err != nil {
		b.wrong(field, "want host:port, with [ and ] around an IPv6 address: %v", err)
	} else if needHost && strings.HasPrefix(value, ":") {
		b.wrong(field, "want host:port; the host is missing")
	}
}

func checkHostPort(value string) error {
	_, port, err := net.SplitHostPort(value)
	if err != nil {
		return errors.New("there is no port, or a colon too many")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return errors.New("the port is a number up to 65535")
	}
	return nil
}

// loopback says whether only this host can reach the address.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// index is the path of an entry of a list.
func index(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }
