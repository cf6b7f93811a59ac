package ews

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"
)

// How a stream can end, besides orderly with io.EOF.
var (
	// ErrStreamCut means that the answer ended without ConnectionStatus Closed.
	// Events that were under way are lost.
	ErrStreamCut = errors.New("ews: stream cut")
	// ErrStreamSilent means that no byte came for the silence allowed.
	ErrStreamSilent = errors.New("ews: stream silent")
	// ErrStreamClosed means that Close was called.
	ErrStreamClosed = errors.New("ews: stream closed by the client")
)

// ConnectionStatus is what the server says of the stream.
type ConnectionStatus string

// The connection statuses (EWS reference "ConnectionStatus").
const (
	ConnectionOK     ConnectionStatus = "OK"
	ConnectionClosed ConnectionStatus = "Closed" // the stream's time is up; subscriptions live on
)

// StreamMessage is one response message of a stream.
type StreamMessage struct {
	Status             ConnectionStatus // empty when the message has none
	Notifications      []Notification
	Err                *ResponseError // about ErrorSubscriptions
	ErrorSubscriptions []SubscriptionID
}

// Notification is what happened to one subscription.
type Notification struct {
	Subscription SubscriptionID
	Events       []Event
}

// Event is one thing that happened. It is about an item, or about a folder.
type Event struct {
	Type            EventType
	Time            time.Time // whole seconds: good for people, not for bookmarks
	Item            ItemID
	Folder          string
	ParentFolder    string
	OldItem         ItemID
	OldParentFolder string
	UnreadCount     int // of Folder; -1 when not told
}

// Stream is an open streaming connection. Next belongs to one goroutine; Close
// may be called from any.
type Stream struct {
	cancel   context.CancelCauseFunc
	ctx      context.Context
	watchdog *time.Timer
	silence  time.Duration
	body     io.ReadCloser
	frames   *framer
	closed   bool // ConnectionStatus Closed was seen
	waiting  []StreamMessage
	once     sync.Once
}

func newStream(ctx context.Context, cancel context.CancelCauseFunc, watchdog *time.Timer, silence time.Duration, body io.ReadCloser) *Stream {
	s := &Stream{ctx: ctx, cancel: cancel, watchdog: watchdog, silence: silence, body: body}
	s.frames = newFramer(feeding{s})
	return s
}

// feeding reads the body and feeds the watchdog.
type feeding struct{ s *Stream }

func (f feeding) Read(p []byte) (int, error) {
	n, err := f.s.body.Read(p)
	if n > 0 {
		f.s.watchdog.Reset(f.s.silence)
	}
	return n, err
}

// Next waits for the next message. It returns io.EOF after an orderly end, and
// ErrStreamCut, ErrStreamSilent, ErrStreamClosed or what the transport said
// otherwise. After an error the stream is over.
func (s *Stream) Next() (StreamMessage, error) {
	for len(s.waiting) == 0 {
		frame, err := s.frames.next()
		if err != nil {
			return StreamMessage{}, s.ended(err)
		}
		s.waiting, err = streamMessages(frame)
		if err != nil {
			s.Close()
			return StreamMessage{}, err
		}
	}
	m := s.waiting[0]
	s.waiting = s.waiting[1:]
	if m.Status == ConnectionClosed {
		s.closed = true
	}
	return m, nil
}

func (s *Stream) ended(err error) error {
	cause := context.Cause(s.ctx)
	s.Close()
	switch {
	case errors.Is(cause, ErrStreamSilent), errors.Is(cause, ErrStreamClosed):
		return cause
	case cause != nil:
		return fmt.Errorf("ews: stream: %w", cause)
	case errors.Is(err, io.EOF) && s.closed:
		return io.EOF
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ErrStreamCut
	}
	return fmt.Errorf("ews: stream: %w", err)
}

// Close ends the stream; a waiting Next returns. It may be called again.
func (s *Stream) Close() error {
	var err error
	s.once.Do(func() {
		s.watchdog.Stop()
		s.cancel(ErrStreamClosed)
		err = s.body.Close()
	})
	return err
}

// streamMessages reads the messages of one envelope. A fault in the middle of a
// stream is an error of the whole.
func streamMessages(frame []byte) ([]StreamMessage, error) {
	doc, err := parse(frame)
	if err != nil {
		return nil, err
	}
	body := doc.child("Body")
	if f := body.child("Fault"); f != nil {
		return nil, faultError(f, 200)
	}
	list := messages(body.child("GetStreamingEventsResponse"))
	out := make([]StreamMessage, 0, len(list))
	for _, m := range list {
		out = append(out, streamMessage(m))
	}
	if len(out) == 0 {
		return nil, errors.New("ews: stream: envelope without a response message")
	}
	return out, nil
}

func streamMessage(m *node) StreamMessage {
	msg := StreamMessage{Status: ConnectionStatus(m.value("ConnectionStatus"))}
	if err := messageError(m); err != nil {
		msg.Err, _ = errors.AsType[*ResponseError](err)
		if ids := m.child("ErrorSubscriptionIds"); ids != nil {
			for _, id := range ids.kids {
				msg.ErrorSubscriptions = append(msg.ErrorSubscriptions, SubscriptionID(id.valueOrEmpty()))
			}
		}
	}
	if all := m.child("Notifications"); all != nil {
		for _, n := range all.kids {
			msg.Notifications = append(msg.Notifications, notificationOf(n))
		}
	}
	return msg
}

func notificationOf(n *node) Notification {
	out := Notification{Subscription: SubscriptionID(n.value("SubscriptionId"))}
	for _, e := range n.kids {
		switch t := EventType(e.name); t {
		case NewMailEvent, CreatedEvent, DeletedEvent, ModifiedEvent, MovedEvent, CopiedEvent, StatusEvent:
			out.Events = append(out.Events, eventOf(t, e))
		}
	}
	return out
}

func eventOf(t EventType, e *node) Event {
	ev := Event{
		Type: t, Time: parseTime(e.value("TimeStamp")), Item: ItemID(e.child("ItemId").attr("Id")), Folder: e.child("FolderId").attr("Id"),
		ParentFolder: e.child("ParentFolderId").attr("Id"), OldItem: ItemID(e.child("OldItemId").attr("Id")), OldParentFolder: e.child("OldParentFolderId").attr("Id"),
		UnreadCount: -1,
	}
	if n, err := strconv.Atoi(e.value("UnreadCount")); err == nil {
		ev.UnreadCount = n
	}
	return ev
}
