package watch

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/ews"
)

// group is up to StreamMembersMax mailboxes whose subscriptions live on one
// server and are read through one stream, or two while newcomers wait for the
// first one's end. Its run goroutine owns the streams; one more at a time makes
// subscriptions; each stream has a reader.
type group struct {
	w       *Watcher
	name    string
	key     groupKey
	account *account
	client  *ews.Client
	home    string // the first anchor, by which a group is known again after a restart

	size   int  // members, belongs to Watcher.mu
	closed bool // belongs to Watcher.mu

	wake chan struct{} // something for run to look at
	born time.Time

	mu          sync.Mutex
	anchor      string // routes every request of the group until there is a cookie; may be a mailbox that has left
	affinity    *ews.Affinity
	members     map[*mailbox]*member
	subscribing bool // the subscriber goroutine is at work
	streams     map[*stream]bool
	charge      int       // which member the stream is charged to, counted round
	openAfter   time.Time // no stream is opened before this
	opens       strikes   // streams that ended early
	opensAt     time.Time // the last one of them that counted
	busyUntil   time.Time // the server wants no Subscribe before
	joined      time.Time // when the last member came

	subscribers sync.WaitGroup // subscribe, which knows of subscriptions that members do not yet
}

// member is a mailbox in a group.
type member struct {
	m      *mailbox
	sub    ews.SubscriptionID // empty: to be subscribed
	made   time.Time          // when sub was made
	kept   bool               // sub is of before a restart, and nobody has confirmed it
	stream *stream            // the stream that carries sub, nil for none
	due    time.Time          // no Subscribe before this
}

func newGroup(w *Watcher, name string, key groupKey, a *account, c *ews.Client, first string) *group {
	return &group{
		w: w, name: name, key: key, account: a, client: c, home: first, anchor: first, affinity: ews.NewAffinity(),
		wake: make(chan struct{}, 1), born: time.Now(), members: map[*mailbox]*member{}, streams: map[*stream]bool{},
	}
}

func (g *group) poke() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// join makes the mailbox a member; it will be subscribed, unless the subscription
// of before can be tried.
func (g *group) join(m *mailbox, kept *notifier.Subscription) {
	g.mu.Lock()
	if g.members[m] == nil {
		mb := &member{m: m}
		if kept != nil {
			mb.sub, mb.made, mb.kept = ews.SubscriptionID(kept.ID), kept.Made, true
			m.subscribed(kept, Reused)
		}
		g.members[m] = mb
	}
	g.joined = time.Now()
	g.mu.Unlock()
	g.poke()
}

// part ends the membership; a subscription is given back.
func (g *group) part(m *mailbox) {
	g.mu.Lock()
	mb := g.members[m]
	delete(g.members, m)
	var sub ews.SubscriptionID
	if mb != nil {
		sub = mb.sub
		m.unsubscribed()
	}
	g.mu.Unlock()
	if sub != "" {
		g.giveBack(m, sub)
	}
	g.poke()
}

// giveBack unsubscribes.
func (g *group) giveBack(m *mailbox, sub ews.SubscriptionID) {
	g.w.start(func(ctx context.Context) { g.w.unsubscribe(ctx, g.client, g.caller(m.address()), sub) })
}

// caller is how a request of this group is made for a member.
func (g *group) caller(impersonate string) ews.Caller {
	g.mu.Lock()
	defer g.mu.Unlock()
	return ews.Caller{Impersonate: impersonate, Anchor: g.anchor, Affinity: g.affinity}
}

// run keeps the group subscribed and streaming until ctx ends or the last
// member has left.
func (g *group) run(ctx context.Context) {
	for {
		wait := g.step(ctx)
		if g.finished(ctx) {
			break
		}
		t := time.NewTimer(wait)
		select {
		case <-g.wake:
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
	}
	g.end()
}

// finished says that run is over: everything is to stop, or nobody is left.
func (g *group) finished(ctx context.Context) bool {
	if ctx.Err() != nil {
		return true
	}
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	if g.size > 0 {
		return false
	}
	g.closed = true
	list := g.w.groups[g.key]
	g.w.groups[g.key] = slices.DeleteFunc(list, func(o *group) bool { return o == g })
	return true
}

// end closes the streams. The subscriptions stay, for the next start: Exchange
// keeps their events meanwhile.
func (g *group) end() {
	g.subscribers.Wait() // their requests end with ctx
	g.mu.Lock()
	var readers []*stream
	for s := range g.streams {
		readers = append(readers, s)
	}
	g.mu.Unlock()
	for _, s := range readers {
		s.close()
	}
	for _, s := range readers {
		<-s.done
	}
}

// step starts what is due and says when to look again.
func (g *group) step(ctx context.Context) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	now, wait := time.Now(), time.Hour

	// Subscriptions first: all that are due, by one goroutine at a time.
	var due []*member
	for _, mb := range g.members {
		if mb.sub != "" {
			continue
		}
		if d := mb.due.Sub(now); d > 0 {
			wait = min(wait, d)
		} else {
			due = append(due, mb)
		}
	}
	if len(due) > 0 && !g.subscribing && ctx.Err() == nil {
		g.subscribing = true
		g.subscribers.Add(1)
		if !g.w.start(func(ctx context.Context) { g.subscribe(ctx, due) }) {
			g.subscribing = false
			g.subscribers.Done()
		}
	}

	// Then streams, for what is subscribed and not carried.
	var idle []*member
	oldest, kept := now, false
	for _, mb := range g.members {
		if mb.sub != "" && mb.stream == nil {
			idle = append(idle, mb)
			kept = kept || mb.kept
			if mb.made.Before(oldest) {
				oldest = mb.made
			}
		}
	}
	if len(idle) == 0 {
		return wait
	}
	if kept && now.Sub(g.joined) < keptGather && now.Sub(g.born) < joinWaitMax {
		return min(wait, keptGather-now.Sub(g.joined)) // the others of before are about to come
	}
	if g.subscribing && now.Sub(oldest) < joinWaitMax {
		return min(wait, joinWaitMax-now.Sub(oldest))
	}
	if d := g.openAfter.Sub(now); d > 0 {
		return min(wait, d)
	}
	// One long stream and one short one for newcomers: a third would be opened
	// only by ending the short one, whose members then need a comparison.
	if len(g.streams) >= 2 {
		s := g.smallest()
		if d := joinWaitMax - now.Sub(s.opened); d > 0 {
			return min(wait, d) // more newcomers may come; what they miss is queued for them
		}
		if !s.closing {
			s.closing = true
			g.w.start(func(context.Context) { s.close() })
		}
		return wait
	}
	g.open(ctx, idle)
	return wait
}

func (g *group) smallest() *stream {
	carried := map[*stream]int{}
	for _, mb := range g.members {
		carried[mb.stream]++
	}
	var found *stream
	for s := range g.streams {
		if found == nil || carried[s] < carried[found] {
			found = s
		}
	}
	return found
}

// subscribe makes the subscriptions of the members given: the anchor's first,
// because its answer names the server that the others have to go to; then those
// of mailboxes that were never heard, then of those that wait longest. When the
// server is busy and says for how long, the others of the group wait as well.
func (g *group) subscribe(ctx context.Context, due []*member) {
	defer g.subscribers.Done()
	g.mu.Lock()
	anchor := g.anchor
	g.mu.Unlock()
	slices.SortFunc(due, func(a, b *member) int {
		return cmp.Or(first(a.m.address() == anchor, b.m.address() == anchor), first(a.m.isNew(), b.m.isNew()),
			a.m.sinceWhen().Compare(b.m.sinceWhen()), strings.Compare(a.m.address(), b.m.address()))
	})
	var wg sync.WaitGroup
	slots := make(chan struct{}, parallelSubscribe)
	for i, mb := range due {
		slots <- struct{}{}
		one := func() {
			defer func() { <-slots }()
			g.subscribeOne(ctx, mb)
		}
		if i == 0 {
			one()
			continue
		}
		wg.Go(one)
	}
	wg.Wait()
	g.mu.Lock()
	g.subscribing = false
	g.mu.Unlock()
	g.poke()
}

func (g *group) subscribeOne(ctx context.Context, mb *member) {
	m := mb.m
	if m.ctx.Err() != nil || ctx.Err() != nil || g.isBusy(mb) {
		return
	}
	g.mu.Lock()
	still := g.members[m] == mb // it may have left while others had their turn
	if still {
		m.enter(Subscribing, RetryDue)
	}
	g.mu.Unlock()
	if !still {
		return
	}
	sub, err := g.client.Subscribe(ctx, g.caller(m.address()), g.w.opt.eventTypes()...)
	g.mu.Lock()
	member := g.members[m] == mb
	if err == nil && member {
		mb.sub, mb.made, mb.stream, mb.kept = sub, time.Now(), nil, false
		m.subscribed(g.keepLocked(mb), Subscribed)
	}
	g.mu.Unlock()
	if err == nil && member {
		g.w.moved(m)
		g.w.notes.soon() // a process that dies now should find it again
	}
	switch {
	case !member && err == nil: // left meanwhile
		_ = g.client.Unsubscribe(ctx, g.caller(m.address()), sub)
	case err == nil, !member, ctx.Err() != nil:
	default:
		g.subscribeFailed(mb, err)
	}
}

// foreign are the codes with which a server says that a mailbox is not its own
// (EWS "Handling notification-related errors in EWS in Exchange").
var foreign = map[string]bool{"ErrorProxyRequestNotAllowed": true, "ErrorNoRespondingCASInDestinationSite": true}

func (g *group) subscribeFailed(mb *member, err error) {
	m, w := mb.m, g.w
	n := m.struck()
	reaction := remedy(err, n)
	w.log.Warn("mailbox not subscribed", "mailbox", m.name, "group", g.name, "try", n+1, "reaction", reaction, "err", err)
	if foreign[errorCode(err)] {
		g.mu.Lock()
		misled := g.misledLocked() != ""
		if misled {
			g.reanchorLocked()
		}
		g.mu.Unlock()
		if !misled {
			m.shun(g)
			w.leave(m, err)
			return
		}
	}
	switch {
	case isRejected(err), reaction == ews.Rediscover, reaction == ews.Permanent, reaction == ews.GiveUp, reaction == ews.LowerVersion:
		w.leave(m, err)
		return
	}
	d, _ := m.strike(retryMin, retryMax, backOffTold(err))
	g.mu.Lock()
	defer g.mu.Unlock()
	if told := backOffTold(err); told > 0 && errorCode(err) == "ErrorServerBusy" {
		g.busyUntil = time.Now().Add(told)
	}
	if g.members[m] == mb {
		mb.due = time.Now().Add(d)
		m.wait(Refused, err, d)
	}
}

// isBusy says whether the group's server has asked to be left alone; the member
// then has its turn afterwards.
func (g *group) isBusy(mb *member) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !time.Now().Before(g.busyUntil) {
		return false
	}
	mb.due = g.busyUntil.Add(rand.N(busySpread))
	return true
}

// first puts what is true before what is not.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// reanchorLocked has the group find its server anew, by a mailbox that is in it.
// group.mu is held.
func (g *group) reanchorLocked() {
	g.affinity = ews.NewAffinity()
	if other := g.misledLocked(); other != "" {
		g.anchor = other
	}
}

// misledLocked is the member that should be the group's anchor because that is
// no member any more, and may lead to a server that is not theirs; empty while
// all is well. group.mu is held.
func (g *group) misledLocked() string {
	other := ""
	for m := range g.members {
		switch address := m.address(); {
		case address == g.anchor:
			return ""
		case other == "" || address < other:
			other = address
		}
	}
	return other
}

// lost takes the subscription from a member and has it subscribed again after
// d.
func (g *group) lost(mb *member, d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	mb.sub, mb.stream, mb.kept = "", nil, false
	mb.due = time.Now().Add(d)
	mb.m.unsubscribed()
	mb.m.deaf()
	if g.members[mb.m] == mb {
		mb.m.enter(Subscribing, SubscriptionLost)
	}
}

// bySubscription finds the member that a subscription belongs to.
func (g *group) bySubscription(s *stream, id ews.SubscriptionID) *member {
	g.mu.Lock()
	defer g.mu.Unlock()
	mb := s.members[id]
	if mb == nil || mb.sub != id || g.members[mb.m] != mb {
		return nil
	}
	return mb
}

// chargeLocked chooses the mailbox whose budget an opening stream is charged
// to: the anchor, or, after refusals, the others in turn. group.mu is held.
func (g *group) chargeLocked(idle []*member) string {
	list := make([]string, 0, len(idle))
	for _, mb := range idle {
		list = append(list, mb.m.address())
	}
	slices.Sort(list)
	if i := slices.Index(list, g.anchor); i > 0 {
		list[0], list[i] = list[i], list[0]
	}
	return list[g.charge%len(list)]
}

// newMail turns what a stream tells about an item into an event, if it is about
// new mail.
func newMail(m *mailbox, e ews.Event, now time.Time) (notifier.Event, bool) {
	if e.Type != ews.NewMailEvent || e.Item == "" {
		return notifier.Event{}, false
	}
	return notifier.Event{Mailbox: m.name, Item: notifier.ItemID(e.Item), Source: notifier.FromStream, Noticed: now}, true
}
