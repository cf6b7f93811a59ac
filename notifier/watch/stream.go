package watch

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"mailbell/notifier"
	"mailbell/notifier/ews"
	"mailbell/notifier/httpauth"
)

// stream is one streaming connection and the subscriptions it carries.
type stream struct {
	g       *group
	members map[ews.SubscriptionID]*member // fixed once opened
	opened  time.Time
	charge  string // mailbox the connection is charged to
	closing bool   // belongs to group.mu

	keptLost bool // a subscription of before a restart was refused; belongs to run
	done     chan struct{}

	heard atomic.Int64 // Unix time in ns of the latest message, heartbeats included

	cancel context.CancelFunc
	mu     sync.Mutex
	conn   *ews.Stream
}

// open starts a stream for the members given. group.mu is held.
func (g *group) open(ctx context.Context, idle []*member) {
	s := &stream{g: g, members: map[ews.SubscriptionID]*member{}, opened: time.Now(), done: make(chan struct{}), charge: g.chargeLocked(idle)}
	ids := make([]ews.SubscriptionID, 0, len(idle))
	for _, mb := range idle {
		s.members[mb.sub] = mb
		ids = append(ids, mb.sub)
	}
	life := streamLifeMin + rand.N(streamLifeMax-streamLifeMin)
	var streamCtx context.Context
	streamCtx, s.cancel = context.WithTimeout(ctx, life+streamOverdue)
	if !g.w.start(func(context.Context) { s.run(streamCtx, ids, life) }) {
		s.cancel()
		return
	}
	for _, mb := range idle {
		mb.stream = s
	}
	g.streams[s] = true
	g.w.stats.streamsOpened.Add(1)
}

// close ends the stream from outside; run then returns.
func (s *stream) close() {
	s.cancel()
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	if conn != nil {
		conn.Close()
	}
}

// run opens the connection, reads it to its end, and leaves the members ready
// for what has to come next.
func (s *stream) run(ctx context.Context, ids []ews.SubscriptionID, life time.Duration) {
	defer close(s.done)
	defer s.cancel()
	g := s.g
	caller := g.caller(s.charge)
	conn, err := g.client.GetStreamingEvents(ctx, caller, ews.StreamRequest{Subscriptions: ids, Timeout: life, SilenceMax: g.w.opt.SilenceMax})
	orderly := false
	if err == nil {
		s.mu.Lock()
		s.conn = conn
		s.mu.Unlock()
		if ctx.Err() != nil {
			conn.Close()
		}
		g.w.log.Debug("stream open", "group", g.name, "subscriptions", len(ids))
		s.listening()
		var named bool
		named, err = s.read(conn)
		orderly = errors.Is(err, io.EOF) && !named
		conn.Close()
	}
	s.ended(err, orderly)
}

// listening has the members compared: the stream carries their events from now
// on, and what came before it shows in the comparison.
func (s *stream) listening() {
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	for id, mb := range s.members {
		if !s.carriesLocked(id, mb) {
			continue
		}
		mb.m.mu.Lock()
		mb.m.heard = true
		gap := mb.m.inGapLocked()
		if gap {
			mb.m.enterLocked(CatchingUp, StreamBroke)
		} else {
			mb.m.enterLocked(Streaming, Heard)
		}
		mb.m.mu.Unlock()
		if gap {
			s.g.w.compareSoon(mb.m)
		}
	}
}

// carriesLocked says whether the member is still in the group and heard through
// this stream. group.mu is held.
func (s *stream) carriesLocked(id ews.SubscriptionID, mb *member) bool {
	return mb.stream == s && mb.sub == id && s.g.members[mb.m] == mb
}

// read hands on what the stream tells until it ends. It reports whether the
// server named subscriptions in an error, after which the others of the same
// request may have been left without events.
func (s *stream) read(conn *ews.Stream) (named bool, err error) {
	for {
		msg, err := conn.Next()
		if err != nil {
			return named, err
		}
		s.heard.Store(time.Now().UnixNano())
		for _, n := range msg.Notifications {
			s.notify(n)
		}
		if msg.Err != nil {
			named = true
			s.refused(msg)
		}
	}
}

func (s *stream) notify(n ews.Notification) {
	mb := s.g.bySubscription(s, n.Subscription)
	if mb == nil {
		return
	}
	w, m, now := s.g.w, mb.m, time.Now()
	events := make([]notifier.Event, 0, len(n.Events))
	for _, e := range n.Events {
		if ev, ok := newMail(m, e, now); ok {
			events = append(events, ev)
		}
	}
	w.stats.events.Add(uint64(len(events)))
	fresh, overflow := m.notice(events, pendingMax)
	if w.opt.Elsewhere != nil && m.elsewhere(n.Events, now) { // a mail's count is known when the mail is read
		w.toTell.rest(m, elsewhereQuiet)
	}
	if fresh {
		w.ready.push(m)
	}
	if overflow {
		w.stats.dropped.Add(1)
		w.log.Warn("too many events waiting; the mailbox will be compared instead", "mailbox", m.name)
	}
}

// refused deals with an error message about some subscriptions of the stream.
func (s *stream) refused(msg ews.StreamMessage) {
	g, w := s.g, s.g.w
	reaction := ews.React(msg.Err)
	early := time.Since(s.opened) < streamShort
	w.log.Warn("stream tells of an error", "group", g.name, "code", msg.Err.Code, "reaction", reaction, "subscriptions", len(msg.ErrorSubscriptions))
	all := len(msg.ErrorSubscriptions) == len(s.members)
	if all && msg.Err.Code == "ErrorSubscriptionNotFound" {
		g.mu.Lock()
		g.reanchorLocked() // the server that knew them is gone, or the cookie led astray
		g.mu.Unlock()
	}
	for _, id := range msg.ErrorSubscriptions {
		mb := g.bySubscription(s, id)
		if mb == nil {
			continue
		}
		if mb.kept && early { // the server has forgotten it, or has another opinion of it
			g.lost(mb, 0)
			s.keptLost = true
			continue
		}
		switch reaction {
		case ews.Nothing:
			if msg.Err.Code == "ErrorNewEventStreamConnectionOpened" {
				continue // our own newer stream carries it
			}
			s.resubscribe(mb, msg.Err, early)
		case ews.CatchUp:
			mb.m.openGap()
			w.compareSoon(mb.m)
		case ews.Resubscribe:
			s.resubscribe(mb, msg.Err, early)
		case ews.BackOff:
			g.giveBack(mb.m, id) // it may live on, and counts against the mailbox
			s.resubscribe(mb, msg.Err, true)
		default: // Rediscover, Permanent, GiveUp, LowerVersion
			w.leave(mb.m, msg.Err)
		}
	}
	g.poke()
}

// resubscribe has a lost subscription made again: the first time at once,
// unless that would be a tight circle, then after growing waits, and elsewhere
// when the error says so.
func (s *stream) resubscribe(mb *member, err *ews.ResponseError, rest bool) {
	d, before := mb.m.strike(retryMin, retryMax, err.BackOff)
	tried := before >= escalateAfter || before > 0 && ews.React(err) == ews.Resubscribe
	switch then := ews.Escalate(err); {
	case tried && (then == ews.Rediscover || then == ews.Permanent || then == ews.GiveUp):
		s.g.w.leave(mb.m, err)
	case before == 0 && !rest:
		s.g.lost(mb, 0)
	default:
		s.g.lost(mb, d)
	}
}

// ended frees the members for the next stream. After an orderly end nothing
// can be missing; after any other the members are compared.
func (s *stream) ended(err error, orderly bool) {
	g, w := s.g, s.g.w
	lived := time.Since(s.opened)

	g.mu.Lock()
	switch {
	case orderly || w.life.Err() != nil:
	case s.closing:
		w.log.Debug("stream closed for newcomers", "group", g.name, "after", lived.Round(time.Millisecond))
	default:
		w.stats.streamsBroken.Add(1)
		w.log.Warn("stream broke", "group", g.name, "after", lived.Round(time.Millisecond), "err", err)
	}
	delete(g.streams, s)
	_, refused := errors.AsType[*ews.ResponseError](err)
	refused = refused && s.conn == nil && ews.React(err) != ews.BackOff
	var carried []*member
	for id, mb := range s.members {
		if s.carriesLocked(id, mb) {
			carried = append(carried, mb)
			if orderly || lived >= streamShort {
				mb.kept = false // it has proved good
			}
			if mb.kept && refused { // the whole request, perhaps because of it
				mb.sub, mb.kept = "", false
				mb.m.unsubscribed()
				mb.m.deaf()
				mb.m.enter(Subscribing, SubscriptionLost)
			} else if !orderly {
				mb.m.deaf()
				mb.m.enter(CatchingUp, StreamBroke)
			}
		}
		if mb.stream == s {
			mb.stream = nil
		}
	}
	failures := 0
	if lived < streamShort && !s.closing && !s.keptLost {
		most := reopenMax
		if s.conn == nil {
			most = openMax
		}
		now, again := time.Now(), g.opensAt.Add(sameBreak)
		switch failures = g.opens.row(); {
		case now.Before(again) && s.opened.Before(g.opensAt): // the group's other stream
		case now.Before(again): // it was to find out what the break has left
			g.openAfter = again
		default:
			var d time.Duration
			d, failures = g.opens.add(reopenMin, most, 0)
			g.opensAt, g.openAfter = now, s.opened.Add(d)
		}
		if told := now.Add(backOffTold(err)); told.After(g.openAfter) {
			g.openAfter = told
		}
		g.charge++ // perhaps the mailbox charged is at its limit
	} else {
		g.openAfter = time.Time{}
	}
	g.mu.Unlock()

	for _, mb := range carried {
		if s.drivesAway(mb.m, err, failures) {
			w.leave(mb.m, err)
		}
	}
	g.poke()
}

// drivesAway says whether a mailbox has to be looked for elsewhere after its
// stream ended with err.
func (s *stream) drivesAway(m *mailbox, err error, before int) bool {
	_, refused := errors.AsType[*ews.ResponseError](err)
	switch r := remedy(err, before); {
	case isRejected(err):
		return true
	case r != ews.Rediscover && r != ews.Permanent:
		return false
	case refused: // that is about the mailbox impersonated
		return m.address() == s.charge
	}
	return s.conn == nil // the address is wrong by now
}

func isRejected(err error) bool {
	_, ok := errors.AsType[*httpauth.RejectedError](err)
	return ok
}
