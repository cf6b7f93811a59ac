package ews

import (
	"context"
	"errors"
)

// EventType is a kind of event (EWS reference "EventType").
type EventType string

// The kinds of events. StatusEvent is a heartbeat; it comes unasked.
const (
	NewMailEvent         EventType = "NewMailEvent" // delivered by the transport; not moved, copied or put there
	CreatedEvent         EventType = "CreatedEvent"
	DeletedEvent         EventType = "DeletedEvent"
	ModifiedEvent        EventType = "ModifiedEvent" // of the folder: with its unread count
	MovedEvent           EventType = "MovedEvent"
	CopiedEvent          EventType = "CopiedEvent"
	FreeBusyChangedEvent EventType = "FreeBusyChangedEvent"
	StatusEvent          EventType = "StatusEvent"
)

// Subscribe makes a streaming subscription to the Inbox (EWS reference
// "Subscribe operation"). It belongs to the account that calls, lives on the
// server that answers, and is charged to the mailbox. From now on the server
// keeps the events for a stream.
func (c *Client) Subscribe(ctx context.Context, who Caller, events ...EventType) (SubscriptionID, error) {
	const operation = "Subscribe"
	if len(events) == 0 {
		return "", errors.New("ews: Subscribe: no event types; name at least one")
	}
	var o outcome
	var id SubscriptionID
	err := c.postOne(ctx, who, operation, subscribeRequest(c.version, who, events), &o, func(s *scanner) {
		if s.is("SubscriptionId") {
			id = SubscriptionID(s.value())
		} else {
			s.skip()
		}
	})
	switch {
	case err != nil:
		return "", err
	case id == "":
		return "", &SyntaxError{Operation: operation, Reason: "a success without a SubscriptionId"}
	}
	return id, nil
}

func subscribeRequest(v Version, who Caller, events []EventType) []byte {
	b := beginEnvelope(v, who.Impersonate)
	b = append(b, `<m:Subscribe><m:StreamingSubscriptionRequest><t:FolderIds>`+inbox+`</t:FolderIds><t:EventTypes>`...)
	for _, e := range events {
		b = appendElement(b, "t:EventType", string(e))
	}
	b = append(b, `</t:EventTypes></m:StreamingSubscriptionRequest></m:Subscribe>`...)
	return endEnvelope(b)
}
