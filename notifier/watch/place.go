package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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
// subscription belongs to the account that made it).
type groupKey struct{ account, url, grouping string }

// place puts a discovered mailbox into a group: the account with the fewest
// mailboxes that has room, the first group of its kind with a free place, or a
// new one. Without room anywhere the mailbox waits, and says so.
func (w *Watcher) place(m *mailbox) {
	m.mu.Lock()
	s := m.settings
	m.mu.Unlock()
	url := s.EWSURL
	if url == "" || (w.opt.PreferInternalURL && s.InternalEWSURL != "") {
		url = s.InternalEWSURL
	}
	if url == "" {
		w.discoveryFailed(m, fmt.Errorf("watch: %s: Autodiscover names no EWS URL", m.name))
		return
	}

	w.mu.Lock()
	if w.mailboxes[m.name] != m || !w.running {
		w.mu.Unlock()
		return
	}
	a := w.roomiest(time.Now())
	if a == nil {
		w.mu.Unlock()
		w.discoveryFailed(m, fmt.Errorf("watch: no listener account has room for %s: add an account or raise its capacity", m.name))
		return
	}
	key := groupKey{a.Name, url, s.Grouping}
	var g *group
	for _, have := range w.groups[key] {
		if have.size < StreamMembersMax && !have.closed {
			g = have
			break
		}
	}
	if g == nil {
		c, err := a.client(url, w.version(s), w.opt)
		if err != nil {
			w.mu.Unlock()
			w.discoveryFailed(m, err)
			return
		}
		w.groupSeq++
		g = newGroup(w, fmt.Sprintf("g%d", w.groupSeq), key, a, c, m)
		w.groups[key] = append(w.groups[key], g)
		w.startLocked(func(ctx context.Context) { g.run(ctx) })
	}
	g.size++
	a.mailboxes++
	m.mu.Lock()
	m.group = g
	m.tries = 0
	m.enterLocked(Subscribing)
	m.mu.Unlock()
	w.mu.Unlock()
	g.join(m)
}

// roomiest is the account with the fewest mailboxes among those that have room
// and whose credentials are not refused. Watcher.mu is held.
func (w *Watcher) roomiest(now time.Time) *account {
	var best *account
	for _, a := range w.accounts {
		if a.mailboxes < a.Capacity && !now.Before(a.blockedUntil) && (best == nil || a.mailboxes < best.mailboxes) {
			best = a
		}
	}
	return best
}

// unplace takes the mailbox out of its group.
func (w *Watcher) unplace(m *mailbox) {
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
}

// leave takes the mailbox out of its group because of err and has it
// discovered anew after a wait that fits.
func (w *Watcher) leave(m *mailbox, err error) {
	m.openGap()
	w.unplace(m)
	m.mu.Lock()
	m.tries++
	n := m.tries - 1
	m.mu.Unlock()
	d := backoff(n, retryMin, retryMax)
	switch ews.React(err) {
	case ews.Permanent, ews.GiveUp:
		d = backoff(n, permanentMin, permanentMax)
	}
	d = w.blocked(err, max(d, backOffTold(err)))
	m.wait(err, d)
	w.mu.Lock()
	if w.mailboxes[m.name] == m {
		w.ask(m, d)
	}
	w.mu.Unlock()
}

// blocked notes that an account's credentials were refused, if err says so.
// The mailbox goes on at once when another account can take it, else when the
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
		d = time.Until(a.blockedUntil)
	}
	if w.roomiest(now) != nil {
		return retryMin
	}
	return max(d, retryMin)
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
