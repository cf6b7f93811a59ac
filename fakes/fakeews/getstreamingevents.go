package fakeews

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"mailbell/fakes/exchange"
	"mailbell/fakes/journal"
)

// getStreamingEvents serves GetStreamingEvents: checks, budget, then a stream.
// EWS reference "GetStreamingEvents".
func (c *call) getStreamingEvents() {
	body, s := c.request.body, c.server
	if !c.atLeast("Exchange2010_SP1") {
		c.fault(newFault("ErrorIncorrectSchemaVersion", "GetStreamingEvents needs Exchange2010_SP1 or later."))
		return
	}
	var ids []string
	for _, n := range body.child("SubscriptionIds").all("SubscriptionId") {
		ids = append(ids, n.value())
	}
	if len(ids) == 0 {
		c.fault(invalid(body, "The element 'GetStreamingEvents' has incomplete content. List of possible elements expected: 'SubscriptionId'."))
		return
	}
	timeout := body.child("ConnectionTimeout")
	minutes, err := strconv.Atoi(timeout.value())
	if err != nil || minutes < connectionTimeoutMin || minutes > connectionTimeoutMax {
		at := timeout
		if at == nil {
			at = body
		}
		c.fault(invalid(at, "The 'ConnectionTimeout' element is invalid - The value '%s' is invalid according to its datatype.", timeout.value()))
		return
	}
	if len(ids) > SubscriptionsPerStreamMax {
		c.fault(newFault(s.options.TooManyIDs, fmt.Sprintf("At most %d subscription ids are allowed in one request.", SubscriptionsPerStreamMax)))
		return
	}
	c.entry.Detail["subscriptions"] = fmt.Sprint(len(ids))
	c.entry.Detail["minutes"] = fmt.Sprint(minutes)
	charge := exchange.AccountCharge(c.identity.Account)
	if c.asked {
		charge = exchange.MailboxCharge(c.mailbox)
	}
	if e := c.refusal(); e != nil {
		c.bad([]exchange.Notice{{Code: e.Code, Text: e.Text, Subscriptions: ids}})
		return
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		c.entry.Reason = "closing"
		c.plainText(503, "text/html", "Service Unavailable")
		return
	}
	s.streams.Add(1)
	s.mu.Unlock()
	defer s.streams.Done()
	c.delay()
	stream, notices, refused := s.org.OpenStream(exchange.StreamRequest{
		Server: c.host, Account: c.identity.Account, Charge: charge, Subscriptions: ids,
	})
	switch {
	case refused != nil:
		c.fault(faultOf(refused))
	case len(notices) > 0:
		c.bad(notices)
	default:
		c.stream(stream, time.Duration(minutes)*time.Minute)
	}
}

// bad answers a request some ids of which are not good: errors, Closed, end;
// the good ids get nothing.
func (c *call) bad(notices []exchange.Notice) {
	c.entry.Reason = notices[0].Code
	o := newOutlet(c, nil)
	for _, n := range notices {
		if err := o.write(o.notice(n)); err != nil {
			c.record()
			o.finish(endingOf(err))
			return
		}
	}
	end := endEmpty
	if err := o.write(o.status("Closed")); err != nil {
		end = endingOf(err)
	}
	c.record()
	o.finish(end)
}

// stream serves an open stream until its time is up or something ends it.
func (c *call) stream(st *exchange.Stream, timeout time.Duration) {
	defer st.Close()
	o := newOutlet(c, st)
	end := c.serveStream(st, o, timeout)
	st.Close()
	c.record()
	c.journal(journal.Entry{
		Kind: "stream-end", Reason: end.reason, Fault: o.fault,
		Detail: map[string]string{"server": c.host, "envelopes": fmt.Sprint(o.written), "took": time.Since(c.began).String()},
	})
	o.finish(end)
}

// ending is how a stream ends: the reason is for the journal; a reset ends the
// connection without the last chunk.
type ending struct {
	reason string
	reset  bool
}

var (
	endTimeout = ending{reason: "timeout"}              // ConnectionTimeout: Closed was sent
	endEmpty   = ending{reason: "empty"}                // no subscription is left: Closed was sent
	endCut     = ending{reason: "cut", reset: true}     // the organisation cut it
	endClient  = ending{reason: "client", reset: true}  // the client went, or does not read
	endFault   = ending{reason: "fault"}                // a named fault ended it, with the last chunk
	endReset   = ending{reason: "fault", reset: true}   // a named fault ended it, without
	endClosing = ending{reason: "closing", reset: true} // Server.Close
)

func (c *call) serveStream(st *exchange.Stream, o *outlet, timeout time.Duration) ending {
	s := c.server
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	heartbeat := time.NewTimer(s.period(c))
	defer heartbeat.Stop()
	release := time.NewTimer(timeout)
	release.Stop()
	defer release.Stop()

	if err := o.write(o.status("OK")); err != nil {
		return endingOf(err)
	}
	c.record()

	gone := c.r.Context().Done()
	var late []exchange.Notification // held back
	for {
		select {
		case <-st.Wake():
			if s.options.Latency > 0 && !c.pause(s.options.Latency) {
				return endClosing
			}
			if end, over := c.serveEvents(st, o, &late, release); over {
				return end
			}
			heartbeat.Reset(s.period(c))
		case <-release.C:
			if err := o.batch(late, nil); err != nil {
				return endingOf(err)
			}
			late = nil
			heartbeat.Reset(s.period(c))
		case <-heartbeat.C:
			if err := o.heartbeat(); err != nil {
				return endingOf(err)
			}
			heartbeat.Reset(s.period(c))
		case <-deadline.C:
			if o.silent {
				return endReset
			}
			if err := o.batch(late, nil); err != nil { // the queue is the subscription's, nothing of it ends with the stream
				return endingOf(err)
			}
			return c.closeStream(st, o, endTimeout)
		case <-gone:
			gone = nil
			o.gone = true
			if s.options.FreeAbandoned {
				return endClient
			}
		case <-s.closing:
			return endClosing
		}
	}
}

// serveEvents tells what the stream has to say; over means that it ends.
// Notifications that a fault makes late are added to late, and all that come
// while some are held, so that order is kept; release is set to when they are
// due.
func (c *call) serveEvents(st *exchange.Stream, o *outlet, late *[]exchange.Notification, release *time.Timer) (end ending, over bool) {
	for more := true; more; {
		b := st.Take()
		if b.Cut {
			return endCut, true
		}
		more = b.More
		b.Notifications = o.filter(b.Notifications, &b.Notices)
		if len(*late) > 0 {
			*late = append(*late, b.Notifications...)
			b.Notifications = nil
		} else if d := o.lateness(len(b.Notifications)); d > 0 {
			release.Reset(d)
			*late = b.Notifications
			b.Notifications = nil
		}
		if err := o.batch(b.Notifications, b.Notices); err != nil {
			return endingOf(err), true
		}
		if len(b.Notices) > 0 && len(*late) == 0 && len(st.Subscriptions()) == 0 {
			return c.closeStream(st, o, endEmpty), true
		}
	}
	return ending{}, false
}

// closeStream says Closed. The place in the budget is free, and the ids are,
// before the client can come back for them.
func (c *call) closeStream(st *exchange.Stream, o *outlet, end ending) ending {
	st.Close()
	if err := o.write(o.status("Closed")); err != nil {
		return endingOf(err)
	}
	return end
}

func endingOf(err error) ending {
	switch {
	case errors.Is(err, errCutEOF):
		return endFault
	case errors.Is(err, errCutReset):
		return endReset
	}
	return endClient
}

// pause waits; false means that the server closes.
func (c *call) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.server.closing:
		return false
	}
}

// period is the time to the next heartbeat: irregular except in profile calm.
func (s *Server) period(c *call) time.Duration {
	if s.options.Profile == calm {
		return s.options.Heartbeat
	}
	const least = 0.8
	share := least + (1-least)*s.uniform("heartbeat", c.mailbox)
	return time.Duration(float64(s.options.Heartbeat) * share)
}

func (c *call) journal(e journal.Entry) {
	if c.server.options.Journal == nil {
		return
	}
	e.Server, e.Account, e.Conn, e.Operation = "ews", c.entry.Account, c.entry.Conn, c.entry.Operation
	if e.Mailbox == "" {
		e.Mailbox = c.entry.Mailbox
	}
	c.server.options.Journal.Append(e)
}
