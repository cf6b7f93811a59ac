package exchange

import (
	"strings"
	"time"
)

// subscription is a streaming subscription in the memory of one server. It
// has no life-time of its own: it ends by Unsubscribe, or with its server or
// its mailbox's stay there.
type subscription struct {
	org     *Organisation
	id      string
	account string // who made it: nobody else may use it
	mailbox *mailbox
	server  *server
	all     bool
	folders []*folder
	kinds   map[EventKind]bool
	queue   []*Event
	missed  bool // the queue overflowed since the last take
	stream  *Stream
	queued  bool // in stream.pending
}

// SubscribeRequest asks for a streaming subscription.
type SubscribeRequest struct {
	Account string // caller, the later owner
	Mailbox string
	Server  string      // where the request was routed to
	Folders []FolderRef // ignored with All
	All     bool        // SubscribeToAllFolders
	Kinds   []EventKind
}

// Subscribe makes a subscription and returns its id.
func (o *Organisation) Subscribe(r SubscribeRequest) (string, *Error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	m, err := o.open(r.Mailbox)
	if err != nil {
		return "", err
	}
	s := o.server(r.Server)
	if s == nil {
		s = m.home()
	}
	if s.site != m.home().site && o.behaviour.OverrideRoute {
		return "", refuse(CodeProxyNotAllowed)
	}
	if limit := o.behaviour.SubscriptionsMax; limit > 0 && !o.unthrottled && len(m.subs) >= limit {
		o.budget.violate(strings.ToLower(r.Account), m.address, PolicySubscriptions)
		return "", refuse(CodeExceededSubscriptions)
	}
	sub := &subscription{org: o, account: strings.ToLower(r.Account), mailbox: m, server: s, all: r.All, kinds: map[EventKind]bool{}}
	for _, k := range r.Kinds {
		sub.kinds[k] = true
	}
	for _, ref := range r.Folders {
		f := m.folder(ref)
		if f == nil {
			return "", refuse(CodeFolderNotFound)
		}
		sub.folders = append(sub.folders, f)
	}
	o.subscribed++
	first := newGUID(o.options.Seed, "subscription", m.address, o.subscribed)
	var second *guid
	if o.behaviour.SecondGUID {
		g := newGUID(o.options.Seed, "subscription 2", m.address, o.subscribed)
		second = &g
	}
	sub.id = subscriptionID(s.fqdn, first, time.Now(), second)
	s.subscriptions[sub.id] = sub
	m.subs = append(m.subs, sub)
	return sub.id, nil
}

// Unsubscribe ends a subscription that the account owns on that server.
func (o *Organisation) Unsubscribe(serverName, account, id string) (mailbox string, _ *Error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	sub, err := o.owned(serverName, account, id)
	if err != nil {
		return "", err
	}
	o.kill(sub, CodeUnsubscribed, texts[CodeUnsubscribed])
	return sub.mailbox.address, nil
}

// owned finds a subscription and checks that the caller may use it there.
func (o *Organisation) owned(serverName, account, id string) (*subscription, *Error) {
	if _, ok := subscriptionHost(id); !ok {
		return nil, refuse(CodeInvalidSubscription)
	}
	s := o.server(serverName)
	if s == nil {
		return nil, refuse(CodeSubscriptionNotFound)
	}
	sub := s.subscriptions[id]
	if sub == nil {
		return nil, refuse(CodeSubscriptionNotFound)
	}
	if sub.account != strings.ToLower(account) {
		return nil, refuse(CodeSubscriptionDenied)
	}
	return sub, nil
}

// kill ends a subscription and tells its open stream why.
func (o *Organisation) kill(sub *subscription, code, text string) {
	if st := sub.stream; st != nil {
		st.drop(sub, code, text)
	}
	o.forget(sub)
}

// forget ends a subscription without a word.
func (o *Organisation) forget(sub *subscription) {
	if sub.stream != nil {
		delete(sub.stream.subs, sub.id)
		sub.stream = nil
	}
	delete(sub.server.subscriptions, sub.id)
	subs := sub.mailbox.subs
	for i, s := range subs {
		if s == sub {
			sub.mailbox.subs = append(subs[:i:i], subs[i+1:]...)
			break
		}
	}
	sub.queue = nil
}

func (sub *subscription) wants(e *Event) bool {
	if !sub.kinds[e.Kind] {
		return false
	}
	if sub.all {
		return true
	}
	for _, f := range sub.folders {
		if f == e.in || f == e.also {
			return true
		}
	}
	return false
}

// push queues an event. When the queue is full the event is lost and the loss
// is remembered.
func (sub *subscription) push(e *Event) {
	if sub.missed || len(sub.queue) >= sub.org.options.QueueMax {
		sub.missed = true
	} else {
		sub.queue = append(sub.queue, e)
	}
	if sub.stream != nil {
		sub.stream.mark(sub)
	}
}

// ForgetSubscription ends a subscription without telling its stream.
func (o *Organisation) ForgetSubscription(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	host, _ := subscriptionHost(id)
	if s := o.server(host); s != nil && s.subscriptions[id] != nil {
		o.forget(s.subscriptions[id])
	}
}

// SubscriptionMailbox is the mailbox of a subscription, "" when it is unknown.
func (o *Organisation) SubscriptionMailbox(id string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	host, ok := subscriptionHost(id)
	if !ok {
		return ""
	}
	if s := o.server(host); s != nil {
		if sub := s.subscriptions[id]; sub != nil {
			return sub.mailbox.address
		}
	}
	return ""
}
