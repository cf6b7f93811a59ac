package ews

import (
	"context"
	"errors"
)

// EventType is a kind of event that a subscription can ask for (EWS reference
// "EventType").
type EventType string

// The event types. StatusEvent is a heartbeat and is never asked for.
const (
	NewMailEvent  EventType = "NewMailEvent"
	CreatedEvent  EventType = "CreatedEvent"
	DeletedEvent  EventType = "DeletedEvent"
	ModifiedEvent EventType = "ModifiedEvent"
	MovedEvent    EventType = "MovedEvent"
	CopiedEvent   EventType = "CopiedEvent"
	StatusEvent   EventType = "StatusEvent"
)

// Subscribe makes a streaming subscription to the Inbox (EWS reference
// "Subscribe operation"). It belongs to the calling account and lives on the
// server that answered.
func (c *Client) Subscribe(ctx context.Context, who Caller, events ...EventType) (SubscriptionID, error) {
	if len(events) == 0 {
		return "", errors.New("ews: Subscribe: no event types")
	}
	payload, err := c.call(ctx, who, "Subscribe", c.envelope(who, func(b []byte) []byte {
		b = append(b, `<m:Subscribe><m:StreamingSubscriptionRequest><t:FolderIds><t:DistinguishedFolderId Id="inbox"/></t:FolderIds><t:EventTypes>`...)
		for _, e := range events {
			b = append(b, `<t:EventType>`...)
			b = escape(b, string(e))
			b = append(b, `</t:EventType>`...)
		}
		return append(b, `</t:EventTypes></m:StreamingSubscriptionRequest></m:Subscribe>`...)
	}))
	if err != nil {
		return "", err
	}
	m, err := only("Subscribe", payload)
	if err != nil {
		return "", err
	}
	id := m.value("SubscriptionId")
	if id == "" {
		return "", errors.New("ews: Subscribe: success without a SubscriptionId")
	}
	return SubscriptionID(id), nil
}

// Unsubscribe ends a subscription (EWS reference "Unsubscribe operation").
func (c *Client) Unsubscribe(ctx context.Context, who Caller, id SubscriptionID) error {
	payload, err := c.call(ctx, who, "Unsubscribe", c.envelope(who, func(b []byte) []byte {
		b = append(b, `<m:Unsubscribe><m:SubscriptionId>`...)
		b = escape(b, string(id))
		return append(b, `</m:SubscriptionId></m:Unsubscribe>`...)
	}))
	if err != nil {
		return err
	}
	_, err = only("Unsubscribe", payload)
	return err
}
