package ews

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// StreamRequest asks for the events of subscriptions that live on one server.
type StreamRequest struct {
	Subscriptions []SubscriptionID // 1 to SubscriptionsPerStreamMax
	Timeout       time.Duration    // life of the stream: whole minutes, rounded up, 1 to 30
	SilenceMax    time.Duration    // without a byte for this long it is dead; 0: SilenceMaxDefault
}

// GetStreamingEvents opens a stream (EWS reference "GetStreamingEvents
// operation"). It returns when the server has begun to answer; the stream then
// lives until its time is up, it is closed, or ctx ends.
func (c *Client) GetStreamingEvents(ctx context.Context, who Caller, r StreamRequest) (*Stream, error) {
	switch {
	case len(r.Subscriptions) == 0 || len(r.Subscriptions) > SubscriptionsPerStreamMax:
		return nil, fmt.Errorf("ews: GetStreamingEvents: %d subscriptions; 1 to %d are allowed", len(r.Subscriptions), SubscriptionsPerStreamMax)
	case r.Timeout < StreamTimeoutMin || r.Timeout > StreamTimeoutMax:
		return nil, fmt.Errorf("ews: GetStreamingEvents: Timeout %v; %v to %v is allowed", r.Timeout, StreamTimeoutMin, StreamTimeoutMax)
	}
	if r.SilenceMax == 0 {
		r.SilenceMax = SilenceMaxDefault
	}
	ctx, cancel := context.WithCancelCause(ctx)
	watchdog := time.AfterFunc(r.SilenceMax, func() { cancel(ErrStreamSilent) })
	fail := func(err error) (*Stream, error) {
		watchdog.Stop()
		if cause := context.Cause(ctx); errors.Is(cause, ErrStreamSilent) {
			err = cause
		}
		cancel(nil)
		return nil, fmt.Errorf("ews: GetStreamingEvents: %w", err)
	}
	req, err := c.request(ctx, who, c.envelope(who, func(b []byte) []byte {
		b = append(b, `<m:GetStreamingEvents><m:SubscriptionIds>`...)
		for _, id := range r.Subscriptions {
			b = append(b, `<t:SubscriptionId>`...)
			b = escape(b, string(id))
			b = append(b, `</t:SubscriptionId>`...)
		}
		b = append(b, `</m:SubscriptionIds><m:ConnectionTimeout>`...)
		b = strconv.AppendInt(b, int64((r.Timeout+time.Minute-1)/time.Minute), 10)
		return append(b, `</m:ConnectionTimeout></m:GetStreamingEvents>`...)
	}))
	if err != nil {
		return fail(err)
	}
	resp, err := c.opt.StreamTransport.RoundTrip(req)
	if err != nil {
		return fail(err)
	}
	who.Affinity.keep(resp)
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		text, err := readAll(resp.Body, AnswerMax)
		if err == nil {
			_, err = answer(resp, text)
		}
		if err == nil {
			err = httpError(resp)
		}
		return fail(err)
	}
	return newStream(ctx, cancel, watchdog, r.SilenceMax, resp.Body), nil
}
