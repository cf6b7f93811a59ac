package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"mailbell/notifier/autodiscover"
	"mailbell/notifier/ews"
	"mailbell/notifier/httpauth"
)

// groupKey is what mailboxes must share to share a stream (EWS "How to:
// Maintain affinity between a group of subscriptions and the Mailbox server in
// Exchange": EWS URL and GroupingInformation; the account, because a
// subscription belongs to the account that made it; and the request schema).
type groupKey struct {
	account, url, grouping string
	version                ews.Version
}

// place puts a discovered mailbox into a group: the account with the fewest
// mailboxes that has room, the first group of its kind with a free place, or a
// new one. Without room anywhere the mailbox waits, and says so.
func (w *Watcher) place(m *mailbox) {
	m.mu.Lock()
	s, version := m.settings, w.version(m.settings)
	if m.older {
		version = ews.Exchange2010SP2
	}
	kept, shunned := m.bookmark.Subscription, m.shunned
	m.mu.Unlock()
	ewsURL := s.EWSURL
	if ewsURL == "" || (w.opt.PreferInternalURL && s.InternalEWSURL != "") {
		ewsURL = s.InternalEWSURL
	}
	if ewsURL == "" {
		w.discoveryFailed(m, fmt.Errorf("watch: %s: Autodiscover names no EWS URL", m.name))
		return
	}

	if !w.opt.serves(ewsURL, s.Grouping) {
		w.mu.Lock()
		w.giveUpKeptLocked(m, kept)
		w.mu.Unlock()
		w.discoveryFailed(m, fmt.Errorf("%w: it is at %s %s", errNotServed, ewsURL, s.Grouping))
		return
	}

	w.mu.Lock()
	if w.mailboxes[m.name] != m || !w.running {
		w.mu.Unlock()
		return
	}
	a := w.ownerOf(kept, time.Now())
	if a == nil {
		a = w.roomiest(time.Now())
	}
	if a == nil {
		w.mu.Unlock()
		w.discoveryFailed(m, fmt.Errorf("watch: %s: %w", m.name, errNoRoom))
		return
	}
	key := groupKey{a.Name, ewsURL, s.Grouping, version}
	if kept != nil && (kept.Events != eventNames(w.opt.eventTypes()) || key != groupKey{kept.Account, kept.URL, kept.Grouping, ews.Version(kept.Version)}) {
		w.giveUpKeptLocked(m, kept)
		kept = nil
	}
	var g *group
	for _, have := range w.groups[key] {
		if have.size < StreamMembersMax && !have.closed && !shunned[have] && (kept == nil || have.home == kept.Anchor) {
			g = have
			break
		}
	}
	if g == nil {
		c, err := a.client(ewsURL, version, w.opt)
		if err != nil {
			w.mu.Unlock()
			w.discoveryFailed(m, err)
			return
		}
		w.groupSeq++
		home := m.address()
		if kept != nil {
			home = kept.Anchor
		}
		g = newGroup(w, fmt.Sprintf("g%d", w.groupSeq), key, a, c, home)
		g.restore(kept)
		w.groups[key] = append(w.groups[key], g)
		w.startLocked(func(ctx context.Context) { g.run(ctx) })
	}
	g.size++
	a.mailboxes++
	m.mu.Lock()
	m.group = g
	m.enterLocked(Subscribing, Placed)
	m.mu.Unlock()
	w.mu.Unlock()
	g.join(m, kept)
	if w.groupOf(m) != g { // removed meanwhile, and its parting came before the joining
		g.part(m)
	}
}

// serves says whether mailboxes of a server are watched.
func (o *Options) serves(ewsURL, grouping string) bool {
	host := ""
	if u, err := url.Parse(ewsURL); err == nil {
		host = u.Hostname()
	}
	return len(o.Servers) == 0 || slices.ContainsFunc(o.Servers, func(s string) bool {
		return s != "" && (strings.EqualFold(s, grouping) || strings.EqualFold(s, host))
	})
}

// roomiest is the account with the fewest mailboxes among those that have room
// and whose credentials are not refused. While the credentials of an account are
// refused, the others have room for its mailboxes beyond their capacity.
// Watcher.mu is held.
func (w *Watcher) roomiest(now time.Time) *account {
	var best *account
	stretch := 1
	for _, a := range w.accounts {
		if now.Before(a.blockedUntil) {
			stretch = capacityStretch
		}
	}
	for _, a := range w.accounts {
		if a.mailboxes < stretch*a.Capacity && !now.Before(a.blockedUntil) && (best == nil || a.mailboxes < best.mailboxes) {
			best = a
		}
	}
	return best
}

// unplace takes the mailbox out of its group and returns that, nil when there
// was none.
func (w *Watcher) unplace(m *mailbox) *group {
	w.mu.Lock()
	m.mu.Lock()
	g := m.group
	m.group = nil
	m.mu.Unlock()
	if g != nil {
		g.size--
		g.account.mailboxes--
	}
	w.mu.Unlock()
	if g != nil {
		g.part(m)
	}
	return g
}

// leave takes the mailbox out of its group because of err and has it
// discovered anew after a wait that fits. Out of several that call it at once
// the first has its way.
func (w *Watcher) leave(m *mailbox, err error) {
	g := w.unplace(m)
	if g == nil {
		return
	}
	m.deaf()
	var d time.Duration
	switch reaction := remedy(err, m.struck()); {
	case reaction == ews.LowerVersion && g.key.version != ews.Exchange2010SP2:
		m.mu.Lock()
		m.older = true
		m.mu.Unlock()
		d, _ = m.strike(retryMin, retryMax, 0)
	case reaction == ews.LowerVersion, reaction == ews.Permanent, reaction == ews.GiveUp:
		d = m.refused(backOffTold(err))
	default:
		d, _ = m.strike(retryMin, retryMax, backOffTold(err))
	}
	d = w.blocked(err, d)
	m.wait(Left, err, d)
	m.waitsForAccount(isRejected(err))
	w.mu.Lock()
	if w.mailboxes[m.name] == m {
		w.ask(m, d)
	}
	w.mu.Unlock()
}

// remedy is what to do about an error after so many in a row. At first it is
// what the error itself asks for; when that has not helped, something else; and
// where nobody answers at all, to ask where the mailbox is by now.
func remedy(err error, before int) ews.Reaction {
	if before < escalateAfter {
		return ews.React(err)
	}
	_, refused := errors.AsType[*ews.ResponseError](err)
	_, status := errors.AsType[*ews.HTTPError](err)
	if !refused && !status {
		return ews.Rediscover
	}
	if then := ews.Escalate(err); then != ews.GiveUp || ews.React(err) == ews.GiveUp {
		return then
	}
	return ews.Rediscover // giving up is for items
}

// blocked notes that an account's credentials were refused, if err says so.
// The mailbox goes on after d when another account can take it, else when the
// account is tried again.
func (w *Watcher) blocked(err error, d time.Duration) time.Duration {
	rejected, ok := errors.AsType[*httpauth.RejectedError](err)
	if !ok {
		return d
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for _, a := range w.accounts {
		if a.Name != rejected.Account {
			continue
		}
		until := now.Add(max(time.Until(rejected.NextTry), retryMin))
		if until.After(a.blockedUntil) {
			if now.After(a.blockedUntil) {
				w.log.Error("listener account refused by Exchange: check its user name, password and lock-out", "account", a.Name, "next_try", until)
			}
			a.blockedUntil = until
		}
		if w.roomiest(now) == nil {
			d = max(time.Until(a.blockedUntil), retryMin)
		}
	}
	return d
}

// Unblock has an account tried again whose credentials were refused, and with it
// the mailboxes that wait for one.
func (w *Watcher) Unblock(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.accounts {
		if a.Name == name {
			a.blockedUntil = time.Time{}
		}
	}
	for m := range w.asking {
		m.mu.Lock()
		if m.forAccount {
			m.strikes = strikes{}
			w.ask(m, 0)
		}
		m.mu.Unlock()
	}
}

// client is the account's client for one EWS URL. Watcher.mu is held.
func (a *account) client(url string, v ews.Version, o Options) (*ews.Client, error) {
	key := url + "\x00" + string(v)
	if c := a.clients[key]; c != nil {
		return c, nil
	}
	c, err := ews.NewClient(ews.Options{
		URL: url, Transport: a.Requests, StreamTransport: a.Streams, Version: v, UserAgent: o.UserAgent, Logger: o.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	a.clients[key] = c
	return c, nil
}

// version is the request schema for a server, by the list it gives of its own.
func (w *Watcher) version(s autodiscover.Settings) ews.Version {
	if len(s.Schemas) == 0 {
		return w.opt.Version
	}
	if slices.Contains(s.Schemas, string(ews.Exchange2013SP1)) {
		return ews.Exchange2013SP1
	}
	return ews.Exchange2010SP2
}

func sortMailboxes(list []*mailbox) {
	slices.SortFunc(list, func(a, b *mailbox) int {
		return cmp.Compare(strings.ToLower(string(a.name)), strings.ToLower(string(b.name)))
	})
}
