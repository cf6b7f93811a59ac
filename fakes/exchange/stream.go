package exchange

import "strings"

// Stream is an open GetStreamingEvents connection: the place where the
// subscriptions it serves leave word that there is something to take.
type Stream struct {
	org     *Organisation
	server  *server
	subs    map[string]*subscription
	pending []*subscription
	notices []Notice
	cut     bool
	wake    chan struct{}
	account string // who opened it, lower case
	charge  Charge
	closed  bool
}

// Notice is an error about some subscriptions of a stream.
type Notice struct {
	Code, Text    string
	Subscriptions []string
	Mailbox       string // of the first one, when known
}

// Notification is the events of one subscription.
type Notification struct {
	Subscription string
	Mailbox      string
	Events       []*Event
}

// Batch is what a stream has to say at one moment, in the order in which the
// fields stand. More says that something is left for another Take.
type Batch struct {
	Cut           bool // the connection ends here, without a word
	Notifications []Notification
	Notices       []Notice
	More          bool
	Live          int // subscriptions still served
}

// StreamRequest asks for a stream.
type StreamRequest struct {
	Server        string   // where the request was routed to
	Account       string   // caller
	Charge        Charge   // whose budget it costs; see [Organisation.BeginRequest]
	Subscriptions []string // ids
}

// OpenStream opens a stream on subscriptions. When some of the ids are not
// good there is no stream but a Notice for each kind of trouble. Opening takes
// the ids away from an older stream, which is told
// ErrorNewEventStreamConnectionOpened.
func (o *Organisation) OpenStream(r StreamRequest) (*Stream, []Notice, *Error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var notices []Notice
	var subs []*subscription
	seen := map[string]bool{}
	for _, id := range r.Subscriptions {
		if seen[id] {
			continue
		}
		seen[id] = true
		sub, err := o.owned(r.Server, r.Account, id)
		if err == nil {
			subs = append(subs, sub)
			continue
		}
		known := false
		for i := range notices {
			if notices[i].Code == err.Code {
				notices[i].Subscriptions = append(notices[i].Subscriptions, id)
				known = true
			}
		}
		if !known {
			notices = append(notices, Notice{Code: err.Code, Text: err.Text, Subscriptions: []string{id}})
		}
	}
	if len(notices) > 0 {
		return nil, notices, nil
	}
	if err := o.chargeStream(r.Account, r.Charge); err != nil {
		return nil, nil, err
	}
	st := &Stream{org: o, server: o.server(r.Server), subs: make(map[string]*subscription, len(subs)), wake: make(chan struct{}, 1), account: strings.ToLower(r.Account), charge: r.Charge}
	for _, sub := range subs {
		if sub.stream != nil {
			sub.stream.drop(sub, CodeNewStreamOpened, texts[CodeNewStreamOpened])
		}
		sub.stream, sub.queued = st, false
		st.subs[sub.id] = sub
		if len(sub.queue) > 0 || sub.missed {
			st.mark(sub)
		}
	}
	o.streams[st] = struct{}{}
	return st, nil, nil
}

// Wake receives when there may be something to take.
func (st *Stream) Wake() <-chan struct{} { return st.wake }

// Take takes what there is. Events taken are gone from their queues, whatever
// becomes of the connection: the protocol has no acknowledgement.
func (st *Stream) Take() Batch {
	o := st.org
	o.mu.Lock()
	defer o.mu.Unlock()
	var b Batch
	if st.cut {
		return Batch{Cut: true}
	}
	n := min(len(st.pending), NotificationsPerTakeMax)
	for _, sub := range st.pending[:n] {
		sub.queued = false
		if sub.stream != st {
			continue
		}
		if k := min(len(sub.queue), EventsPerNotificationMax); k > 0 {
			b.Notifications = append(b.Notifications, Notification{Subscription: sub.id, Mailbox: sub.mailbox.address, Events: sub.queue[:k:k]})
			sub.queue = sub.queue[k:]
		}
		if len(sub.queue) > 0 {
			defer st.mark(sub)
		} else {
			sub.queue = nil
			if sub.missed {
				sub.missed = false
				b.Notices = append(b.Notices, Notice{Code: CodeMissedEvents, Text: texts[CodeMissedEvents], Subscriptions: []string{sub.id}, Mailbox: sub.mailbox.address})
			}
		}
	}
	st.pending = append(st.pending[:0], st.pending[n:]...)
	b.Notices = append(b.Notices, st.notices...)
	st.notices = nil
	b.More = len(st.pending) > 0
	b.Live = len(st.subs)
	return b
}

// Subscriptions are the ids still served.
func (st *Stream) Subscriptions() []string {
	st.org.mu.Lock()
	defer st.org.mu.Unlock()
	out := make([]string, 0, len(st.subs))
	for id := range st.subs {
		out = append(out, id)
	}
	return out
}

// Close ends the stream and frees its place in the budget; the subscriptions
// it still serves live on. It may be called twice.
func (st *Stream) Close() {
	o := st.org
	o.mu.Lock()
	defer o.mu.Unlock()
	if st.closed {
		return
	}
	st.closed = true
	for _, sub := range st.subs {
		sub.stream, sub.queued = nil, false
	}
	delete(o.streams, st)
	o.budget.streams.release(st.charge)
}

func (st *Stream) cutOff() {
	st.cut = true
	st.signal()
}

// mark notes that a subscription has something to take.
func (st *Stream) mark(sub *subscription) {
	if !sub.queued {
		sub.queued = true
		st.pending = append(st.pending, sub)
	}
	st.signal()
}

// drop ends the service of a subscription on this stream with a notice.
func (st *Stream) drop(sub *subscription, code, text string) {
	delete(st.subs, sub.id)
	sub.stream, sub.queued = nil, false
	for i := range st.notices {
		if n := &st.notices[i]; n.Code == code && n.Text == text {
			n.Subscriptions = append(n.Subscriptions, sub.id)
			st.signal()
			return
		}
	}
	st.notices = append(st.notices, Notice{Code: code, Text: text, Subscriptions: []string{sub.id}, Mailbox: sub.mailbox.address})
	st.signal()
}

func (st *Stream) signal() {
	select {
	case st.wake <- struct{}{}:
	default:
	}
}
