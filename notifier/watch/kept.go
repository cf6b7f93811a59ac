package watch

import (
	"context"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/autodiscover"
	"mailbell/notifier/ews"
)

// Subscriptions outlive the process: each is written into its mailbox's bookmark
// with everything that finds it again, and the next start tries it before it
// makes another. Exchange keeps what nobody unsubscribes until its own process
// ends, and counts it against the mailbox (EWS "EWS throttling in Exchange",
// EWSMaxSubscriptions), so that a process that dies again and again would lock a
// mailbox out.

// restore places the mailboxes whose last subscription is known, without asking
// Autodiscover, and returns the others.
func (w *Watcher) restore(ctx context.Context, batch []*mailbox, addresses []string) ([]*mailbox, []string) {
	var rest []*mailbox
	var ask []string
	for i, m := range batch {
		if m.ctx.Err() == nil && w.known(ctx, m) {
			w.place(m)
			continue
		}
		rest, ask = append(rest, m), append(ask, addresses[i])
	}
	return rest, ask
}

// known takes a mailbox's settings from its subscription of before. It is asked
// once in the life of a process: later the subscription is the group's.
func (w *Watcher) known(ctx context.Context, m *mailbox) bool {
	m.mu.Lock()
	first := !m.loaded
	m.mu.Unlock()
	if !first || w.load(ctx, m) != nil { // an error comes again, and is dealt with there
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.bookmark.Subscription
	if s == nil {
		return false
	}
	m.settings = autodiscover.Settings{Address: s.Address, EWSURL: s.URL, InternalEWSURL: s.URL, Grouping: s.Grouping, Schemas: []string{s.Version}}
	return true
}

// ownerOf is the account that made a subscription, nil when it cannot be used.
// Watcher.mu is held.
func (w *Watcher) ownerOf(s *notifier.Subscription, now time.Time) *account {
	if s == nil {
		return nil
	}
	for _, a := range w.accounts {
		if a.Name == s.Account && a.mailboxes < a.Capacity && !now.Before(a.blockedUntil) {
			return a
		}
	}
	return nil
}

// giveUpKeptLocked unsubscribes a subscription of before that is not going to be
// used again, if there is one. Watcher.mu is held.
func (w *Watcher) giveUpKeptLocked(m *mailbox, s *notifier.Subscription) {
	if s == nil {
		return
	}
	m.unsubscribed()
	for _, a := range w.accounts {
		if a.Name != s.Account {
			continue
		}
		c, err := a.client(s.URL, ews.Version(s.Version), w.opt)
		if err != nil {
			return
		}
		affinity := ews.NewAffinity()
		_ = affinity.UnmarshalText([]byte(s.Affinity)) // without it the server may still be found
		who := ews.Caller{Impersonate: m.address(), Anchor: s.Anchor, Affinity: affinity}
		w.startLocked(func(ctx context.Context) { w.unsubscribe(ctx, c, who, ews.SubscriptionID(s.ID)) })
	}
}

// unsubscribe ends a subscription, as far as that is quickly done.
func (w *Watcher) unsubscribe(ctx context.Context, c *ews.Client, who ews.Caller, sub ews.SubscriptionID) {
	ctx, cancel := context.WithTimeout(ctx, stopUnsubscribe)
	defer cancel()
	if err := c.Unsubscribe(ctx, who, sub); err != nil {
		w.log.Debug("unsubscribe", "mailbox", who.Impersonate, "err", err)
	}
}

// restore gives the group the server of a subscription of before.
func (g *group) restore(s *notifier.Subscription) {
	if s == nil {
		return
	}
	if err := g.affinity.UnmarshalText([]byte(s.Affinity)); err != nil {
		g.w.log.Warn("server of the subscriptions of before unknown", "group", g.name, "err", err)
	}
}

// keepLocked is what is written down of a member's subscription. group.mu is
// held.
func (g *group) keepLocked(mb *member) *notifier.Subscription {
	affinity, err := g.affinity.MarshalText()
	if err != nil {
		affinity = nil // strings and times have a JSON form
	}
	mb.m.mu.Lock()
	defer mb.m.mu.Unlock()
	return &notifier.Subscription{
		ID: string(mb.sub), Account: g.key.account, Address: mb.m.settings.Address, URL: g.key.url, Grouping: g.key.grouping,
		Version: string(g.key.version), Events: eventNames(g.w.opt.eventTypes()), Anchor: g.home, Affinity: string(affinity), Made: mb.made,
	}
}

// subscribed notes that the mailbox has a subscription.
func (m *mailbox) subscribed(s *notifier.Subscription, why Why) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bookmark.Subscription, m.shunned = s, nil
	m.enterLocked(CatchingUp, why)
}

// unsubscribed forgets the mailbox's subscription.
func (m *mailbox) unsubscribed() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bookmark.Subscription = nil
}
