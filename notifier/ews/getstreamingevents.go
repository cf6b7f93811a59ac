package ews

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// StreamRequest asks for the events of some subscriptions.
type StreamRequest struct {
	// Subscriptions are 1 to SubscriptionsPerStreamMax subscriptions of the
	// calling account that live on one server. None of them may be on a stream
	// that is still healthy: the new stream would take it away.
	Subscriptions []SubscriptionID
	// Timeout is how long the stream shall live, from StreamTimeoutMin to
	// StreamTimeoutMax; whole minutes count, the rest is cut off.
	Timeout time.Duration
	// SilenceMax is how long to wait for the next byte before the stream is taken
	// for dead; 0: SilenceMaxDefault.
	SilenceMax time.Duration
}

func (q StreamRequest) validate() error {
	switch {
	case len(q.Subscriptions) == 0 || len(q.Subscriptions) > SubscriptionsPerStreamMax:
		return fmt.Errorf("ews: GetStreamingEvents: StreamRequest.Subscriptions: %d, want 1 to %d", len(q.Subscriptions), SubscriptionsPerStreamMax)
	case q.Timeout < StreamTimeoutMin || q.Timeout > StreamTimeoutMax:
		return fmt.Errorf("ews: GetStreamingEvents: StreamRequest.Timeout %v: want %v to %v", q.Timeout, StreamTimeoutMin, StreamTimeoutMax)
	case q.SilenceMax < 0:
		return errors.New("ews: GetStreamingEvents: StreamRequest.SilenceMax: must not be negative")
	}
	for _, id := range q.Subscriptions {
		if id == "" {
			return errors.New("ews: GetStreamingEvents: StreamRequest.Subscriptions: one of them is empty")
		}
	}
	return nil
}

// GetStreamingEvents opens a stream (EWS reference "GetStreamingEvents
// operation"). It returns as soon as the server has begun to answer; refusals
// of subscriptions come as messages of the stream. The open stream is charged to
// the mailbox impersonated, or else to the account.
//
// The stream lives until ctx ends, its end is read, or it is closed, and has
// to be closed in any case.
func (c *Client) GetStreamingEvents(ctx context.Context, who Caller, q StreamRequest) (*Stream, error) {
	if err := q.validate(); err != nil {
		return nil, err
	}
	if q.SilenceMax == 0 {
		q.SilenceMax = SilenceMaxDefault
	}
	ctx, cancel := context.WithCancelCause(ctx)
	began := time.Now()
	r, err := c.request(ctx, who, streamRequest(c.version, who, q))
	if err != nil {
		cancel(err)
		return nil, fmt.Errorf("ews: %s: %w", opStream, err)
	}
	// Until the header of the answer is there, this is a request like any other.
	opening := time.AfterFunc(c.timeout, func() { cancel(c.late) })
	resp, err := c.streams.RoundTrip(r)
	if err != nil {
		opening.Stop()
		err = transportError(ctx, opStream, err)
		cancel(err)
		return nil, c.told(r, opStream, began, err)
	}
	who.Affinity.keep(resp, c.host)
	if resp.StatusCode != http.StatusOK {
		a := c.borrow()
		defer c.giveBack(a)
		err = a.failure(ctx, opStream, resp)
	} else {
		err = encodingError(opStream, resp)
	}
	if err != nil {
		opening.Stop()
		_ = resp.Body.Close()
		cancel(err)
		return nil, c.told(r, opStream, began, err)
	}
	if !opening.Stop() {
		_ = resp.Body.Close()
		return nil, c.told(r, opStream, began, transportError(ctx, opStream, c.late))
	}
	_ = c.told(r, opStream, began, nil)
	return newStream(ctx, cancel, resp, q), nil
}

const opStream = "GetStreamingEvents"

// streamRequest writes the IDs in the namespace of types, while Unsubscribe has
// them in that of messages.
func streamRequest(v Version, who Caller, q StreamRequest) []byte {
	b := beginEnvelope(v, who.Impersonate)
	b = append(b, `<m:GetStreamingEvents><m:SubscriptionIds>`...)
	for _, id := range q.Subscriptions {
		b = appendElement(b, "t:SubscriptionId", string(id))
	}
	b = append(b, `</m:SubscriptionIds><m:ConnectionTimeout>`...)
	b = strconv.AppendInt(b, int64(q.Timeout/time.Minute), 10)
	b = append(b, `</m:ConnectionTimeout></m:GetStreamingEvents>`...)
	return endEnvelope(b)
}

// ConnectionStatus is what a message says of its stream (EWS reference
// "ConnectionStatus").
type ConnectionStatus string

// The statuses. A message that says nothing of it has the empty one.
const (
	OK     ConnectionStatus = "OK"     // first message, and heartbeat
	Closed ConnectionStatus = "Closed" // last message, at the stream's time-out; the subscriptions live on
)

// StreamMessage is one message of a stream. One without notifications and
// error is a heartbeat.
type StreamMessage struct {
	Status        ConnectionStatus
	Notifications []Notification
	// Err is a refusal of some subscriptions, which ErrorSubscriptions names. The
	// stream may go on, but those of its subscriptions that were refused at its
	// opening may keep it from serving the others.
	Err                *ResponseError
	ErrorSubscriptions []SubscriptionID
}

// Notification is what happened to one subscription.
type Notification struct {
	Subscription SubscriptionID
	Events       []Event
}

// Event is something that happened. It is a hint: the mailbox is the truth.
type Event struct {
	Type         EventType
	Time         time.Time // UTC, whole seconds; zero in a heartbeat
	Item         ItemID    // empty when it happened to a folder
	Folder       string    // empty when it happened to an item
	ParentFolder string
	// OldItem and OldParentFolder are where a moved or copied item came from.
	OldItem         ItemID
	OldParentFolder string
	UnreadCount     int // of Folder; -1: not told
}

// readStreamMessage reads the response message just entered. known holds the
// stream's subscriptions, so that their IDs need not be copied each time.
func readStreamMessage(s *scanner, known map[string]SubscriptionID) StreamMessage {
	var m StreamMessage
	var o outcome
	o.begin(s)
	for s.child() {
		switch {
		case o.take(s):
		case s.is("ConnectionStatus"):
			m.Status = ConnectionStatus(word(s.value()))
		case s.is("Notifications"):
			for s.child() {
				m.Notifications = append(m.Notifications, readNotification(s, known))
			}
		case s.is("ErrorSubscriptionIds"):
			for s.child() {
				m.ErrorSubscriptions = append(m.ErrorSubscriptions, subscriptionID(s, known))
			}
		default:
			s.skip()
		}
	}
	m.Err = o.err(opStream)
	return m
}

func subscriptionID(s *scanner, known map[string]SubscriptionID) SubscriptionID {
	b := s.value()
	if id, ok := known[string(b)]; ok {
		return id
	}
	return SubscriptionID(b)
}

func readNotification(s *scanner, known map[string]SubscriptionID) Notification {
	var n Notification
	for s.child() {
		switch string(s.name) {
		case "SubscriptionId":
			n.Subscription = subscriptionID(s, known)
		case "PreviousWatermark", "MoreEvents":
			s.skip()
		default:
			n.Events = append(n.Events, readEvent(s))
		}
	}
	return n
}

func readEvent(s *scanner) Event {
	e := Event{Type: EventType(word(s.name)), UnreadCount: -1}
	for s.child() {
		switch string(s.name) {
		case "TimeStamp":
			e.Time = when(s.value())
		case "ItemId":
			e.Item = itemID(s)
		case "FolderId":
			e.Folder = folderID(s)
		case "ParentFolderId":
			e.ParentFolder = folderID(s)
		case "OldItemId":
			e.OldItem = itemID(s)
		case "OldParentFolderId":
			e.OldParentFolder = folderID(s)
		case "UnreadCount":
			e.UnreadCount = count(s.value(), -1)
		default:
			s.skip()
		}
	}
	return e
}
