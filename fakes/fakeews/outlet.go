package fakeews

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"mailbell/fakes/exchange"
	faults "mailbell/fakes/fault"
	"mailbell/fakes/journal"
)

const calm = faults.Calm

var (
	errGone     = errors.New("fakeews: the client has gone")
	errCutEOF   = errors.New("fakeews: cut with the last chunk")
	errCutReset = errors.New("fakeews: cut")
)

// outlet writes the envelopes of one stream, one a chunk, and lets the faults
// of streams strike.
type outlet struct {
	c       *call
	stream  *exchange.Stream // nil for a stream that never opens
	control *http.ResponseController
	form    form
	begun   bool
	written int    // envelopes
	silent  bool   // no byte any more
	gone    bool   // the client has closed the connection: the next write fails
	fault   string // the last that struck
	split   bool
}

func newOutlet(c *call, st *exchange.Stream) *outlet {
	return &outlet{
		c: c, stream: st, control: http.NewResponseController(c.w), form: c.form,
		split: c.server.options.Profile == faults.Hostile,
	}
}

func (o *outlet) strike(name string) (faults.Fault, bool) { return o.strikeFor(name, o.c.mailbox) }

func (o *outlet) strikeFor(name, mailbox string) (faults.Fault, bool) {
	f, ok := o.c.server.options.Faults.Strikes(name, faults.Scope{Server: o.c.host, Mailbox: mailbox, Account: o.c.identity.Account})
	if ok {
		o.fault = name
	}
	return f, ok
}

// envelope writes one envelope as streams have them: the SOAP namespace as
// default on Envelope, soap11 on Header and Body, no declaration.
func (o *outlet) envelope(class string, content func(*doc)) []byte {
	d := newDoc(o.form)
	open, end := `<Envelope xmlns="`+nsSOAP+`">`, `</Envelope>`
	if o.form.streamSOAP {
		open, end = `<soap11:Envelope xmlns:soap11="`+nsSOAP+`">`, `</soap11:Envelope>`
	}
	d.raw(open + `<soap11:Header xmlns:soap11="` + nsSOAP + `">`)
	d.empty("ServerVersionInfo", append(versionInfo(o.c.server.behaviour), "xmlns", nsTypes)...)
	d.raw(`</soap11:Header><soap11:Body xmlns:soap11="` + nsSOAP + `">`)
	d.open("m:GetStreamingEventsResponse", "xmlns:"+o.form.m, nsMessages, "xmlns:"+o.form.t, nsTypes)
	d.open("m:ResponseMessages")
	d.open("m:GetStreamingEventsResponseMessage", "ResponseClass", class)
	content(d)
	d.close("m:GetStreamingEventsResponseMessage")
	d.close("m:ResponseMessages")
	d.close("m:GetStreamingEventsResponse")
	d.raw(`</soap11:Body>` + end)
	return d.b
}

// status is a message of ConnectionStatus alone.
func (o *outlet) status(status string) []byte {
	return o.envelope("Success", func(d *doc) {
		d.text("m:ResponseCode", "NoError")
		d.text("m:ConnectionStatus", status)
	})
}

// notice is an error about some subscriptions.
func (o *outlet) notice(n exchange.Notice) []byte {
	return o.envelope("Error", func(d *doc) {
		d.failure(n.Code, n.Text, nil)
		d.open("m:ErrorSubscriptionIds")
		for _, id := range n.Subscriptions {
			if o.form.idInTypes {
				d.text("t:SubscriptionId", id)
			} else {
				d.text("m:SubscriptionId", id)
			}
		}
		d.close("m:ErrorSubscriptionIds")
	})
}

// notifications is a message of events.
func (o *outlet) notifications(ns []exchange.Notification) []byte {
	return o.envelope("Success", func(d *doc) {
		d.text("m:ResponseCode", "NoError")
		d.open("m:Notifications")
		for _, n := range ns {
			d.open("m:Notification")
			d.text("t:SubscriptionId", n.Subscription)
			for _, e := range n.Events {
				writeEvent(d, e)
			}
			d.close("m:Notification")
		}
		d.close("m:Notifications")
	})
}

// writeEvent writes an event; TimeStamp comes first and there is no watermark.
func writeEvent(d *doc, e *exchange.Event) {
	name := "t:" + string(e.Kind)
	d.open(name)
	d.text("t:TimeStamp", e.Time.Format("2006-01-02T15:04:05Z"))
	if e.Item != "" {
		d.empty("t:ItemId", "Id", e.Item, "ChangeKey", e.ItemKey)
	} else {
		d.empty("t:FolderId", "Id", e.Folder, "ChangeKey", e.FolderKey)
	}
	if e.Parent != "" {
		d.empty("t:ParentFolderId", "Id", e.Parent, "ChangeKey", e.ParentKey)
	}
	if e.OldItem != "" {
		d.empty("t:OldItemId", "Id", e.OldItem, "ChangeKey", e.OldItemKey)
		d.empty("t:OldParentFolderId", "Id", e.OldParent, "ChangeKey", e.OldParentKey)
	}
	if e.Unread >= 0 && e.Item == "" {
		d.text("t:UnreadCount", strconv.Itoa(e.Unread))
	}
	d.close(name)
}

// heartbeat says that the stream lives, in the form of the options.
func (o *outlet) heartbeat() error {
	form := o.c.server.options.HeartbeatForm
	if form == HeartbeatNone {
		if o.gone {
			return errGone
		}
		return nil
	}
	if _, ok := o.strike("ews.stream.mute"); ok {
		return nil
	}
	if form == HeartbeatStatus {
		return o.write(o.status("OK"))
	}
	ids := o.stream.Subscriptions()
	return o.write(o.envelope("Success", func(d *doc) {
		d.text("m:ResponseCode", "NoError")
		d.open("m:Notifications")
		for _, id := range ids {
			d.open("m:Notification")
			d.text("t:SubscriptionId", id)
			d.empty("t:StatusEvent")
			d.close("m:Notification")
		}
		d.close("m:Notifications")
	}))
}

// filter lets faults lose events, subscriptions, or put an error in their
// place.
func (o *outlet) filter(ns []exchange.Notification, notices *[]exchange.Notice) []exchange.Notification {
	s := o.c.server
	if s.options.Faults == nil {
		return ns
	}
	kept := ns[:0]
	for _, n := range ns {
		if _, ok := o.strikeFor("ews.subscription.lost", n.Mailbox); ok {
			s.org.ForgetSubscription(n.Subscription)
			continue
		}
		if f, ok := o.strikeFor("ews.stream.error", n.Mailbox); ok {
			code := f.Args["code"]
			if code == "" {
				code = "ErrorReadEventsFailed"
			}
			s.org.ForgetSubscription(n.Subscription)
			*notices = append(*notices, exchange.Notice{Code: code, Text: "The events of the subscription could not be read.", Subscriptions: []string{n.Subscription}, Mailbox: n.Mailbox})
			continue
		}
		var events []*exchange.Event
		for _, e := range n.Events {
			if _, ok := o.strikeFor("ews.stream.lose-event", n.Mailbox); ok {
				o.c.journal(journal.Entry{Kind: "fault", Fault: "ews.stream.lose-event", Mailbox: n.Mailbox, Item: e.Item})
				continue
			}
			events = append(events, e)
		}
		if len(events) > 0 {
			n.Events = events
			kept = append(kept, n)
		}
	}
	return kept
}

// lateness is how long so many notifications are held back, 0 for not at all.
func (o *outlet) lateness(notifications int) time.Duration {
	if notifications == 0 {
		return 0
	}
	if f, ok := o.strike("ews.stream.late"); ok {
		return f.Duration("delay", hostileLateMax)
	}
	s := o.c.server
	if s.draw(o.c, "late", hostileLateOdds) {
		return time.Duration(s.uniform("lateness", o.c.mailbox) * float64(hostileLateMax))
	}
	return 0
}

// batch writes notifications and notices that are due together.
func (o *outlet) batch(ns []exchange.Notification, notices []exchange.Notice) error {
	var envelopes [][]byte
	if len(ns) > 0 {
		envelopes = append(envelopes, o.notifications(ns))
		if _, ok := o.strike("ews.stream.duplicate"); ok || o.c.server.draw(o.c, "twice", hostileTwiceOdds) {
			envelopes = append(envelopes, o.notifications(ns))
		}
	}
	for _, n := range notices {
		envelopes = append(envelopes, o.notice(n))
	}
	if o.split && len(envelopes) > 1 { // several in one chunk
		var joined []byte
		for _, e := range envelopes {
			joined = append(joined, e...)
		}
		envelopes = [][]byte{joined}
	}
	for i, e := range envelopes {
		if i == 0 && o.c.server.options.Profile == faults.Hostile {
			o.remember(ns)
		}
		if err := o.write(e); err != nil {
			return err
		}
		if i == 0 && len(ns) > 0 && !o.silent {
			o.tell(ns)
		}
	}
	for _, n := range notices {
		o.c.journal(journal.Entry{Kind: "stream-error", Reason: n.Code, Mailbox: n.Mailbox})
	}
	return nil
}

func (o *outlet) remember(ns []exchange.Notification) {
	for _, n := range ns {
		for _, e := range n.Events {
			if e.Item != "" {
				o.c.server.recent.add(e.Item)
			}
		}
	}
}

// tell journals what was told, one entry an item.
func (o *outlet) tell(ns []exchange.Notification) {
	if o.c.server.options.Journal == nil {
		return
	}
	for _, n := range ns {
		last := ""
		for _, e := range n.Events {
			if e.Item != "" && e.Item != last {
				o.c.journal(journal.Entry{Kind: "notification", Mailbox: n.Mailbox, Item: e.Item, Detail: map[string]string{"event": string(e.Kind)}})
				last = e.Item
			}
		}
	}
}

// write writes an envelope in a chunk of its own, or lets a fault strike.
func (o *outlet) write(envelope []byte) error {
	if o.silent {
		return nil
	}
	if o.gone {
		return errGone
	}
	magic := o.c.magicPrefix()
	if f, ok := o.strike("ews.stream.cut"); ok {
		if f.Args["how"] == "reset" {
			return errCutReset
		}
		return errCutEOF
	}
	if magic == "cut" && o.stream != nil && o.written+1 >= magicCutAt {
		o.fault = "cut."
		return errCutEOF
	}
	if _, ok := o.strike("ews.stream.cutmid"); ok {
		if err := o.put(envelope[:len(envelope)/2]); err != nil {
			return err
		}
		return errCutReset
	}
	if _, ok := o.strike("ews.stream.silent"); ok || magic == "silent" && o.written >= 1 && o.stream != nil {
		if !ok {
			o.fault = "silent."
		}
		o.silent = true
		return nil
	}
	o.written++
	_, split := o.strike("ews.split")
	if !split && !o.split {
		return o.put(envelope)
	}
	return o.dribble(envelope)
}

// dribble writes an envelope in up to eight pieces cut anywhere, sometimes
// followed by CR LF.
func (o *outlet) dribble(envelope []byte) error {
	const piecesMax = 8
	s, key := o.c.server, o.c.mailbox
	if s.uniform("crlf", key) < 0.3 {
		envelope = append(envelope, '\r', '\n')
	}
	for pieces := 1 + int(s.uniform("pieces", key)*piecesMax); pieces > 1 && len(envelope) > 1; pieces-- {
		n := 1 + int(s.uniform("piece", key)*float64(len(envelope)-1))
		if err := o.put(envelope[:n]); err != nil {
			return err
		}
		envelope = envelope[n:]
	}
	return o.put(envelope)
}

// begin writes the header of the response.
func (o *outlet) begin() {
	if o.begun {
		return
	}
	o.begun = true
	h := o.c.w.Header()
	h.Set("Content-Type", "text/xml; charset=utf-8")
	h.Set("Cache-Control", "private")
	h.Set("X-NoBuffering", "1")
	h.Set("X-AspNet-Version", "4.0.30319")
	h.Set("Transfer-Encoding", "chunked")
	o.c.entry.Status = http.StatusOK
	o.c.w.WriteHeader(http.StatusOK)
}

// put writes bytes and flushes them.
func (o *outlet) put(b []byte) error {
	o.begin()
	// A writer without deadlines (a recorder in a test) does without.
	_ = o.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := o.c.w.Write(b); err != nil {
		return errGone
	}
	if err := o.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return errGone
	}
	return nil
}

// finish ends the response: with the last chunk, or by dropping the
// connection.
func (o *outlet) finish(end ending) {
	if end.reset {
		panic(http.ErrAbortHandler)
	}
	o.begin()
	_ = o.control.SetWriteDeadline(time.Time{})
}
