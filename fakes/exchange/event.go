package exchange

import "time"

// EventKind is an event type by the name of its element. EWS reference
// "EventType".
type EventKind string

// The event kinds.
const (
	NewMailEvent         EventKind = "NewMailEvent"
	CreatedEvent         EventKind = "CreatedEvent"
	DeletedEvent         EventKind = "DeletedEvent"
	ModifiedEvent        EventKind = "ModifiedEvent"
	MovedEvent           EventKind = "MovedEvent"
	CopiedEvent          EventKind = "CopiedEvent"
	FreeBusyChangedEvent EventKind = "FreeBusyChangedEvent"
)

// Event is something that happened to an item or a folder. It is shared
// between subscriptions and must not be changed.
type Event struct {
	Kind                    EventKind
	Time                    time.Time // UTC, whole seconds
	Raised                  time.Time // the exact moment, for measurements and delays
	Item, ItemKey           string    // empty for an event about a folder
	Folder, FolderKey       string    // the folder itself, of a folder event
	Parent, ParentKey       string
	OldItem, OldItemKey     string
	OldParent, OldParentKey string
	Unread                  int // of a folder event; else -1

	in   *folder // the folder whose watchers hear of it
	also *folder // a second one, of a move
}

func itemEvent(kind EventKind, it *item) *Event {
	t := time.Now()
	return &Event{
		Kind: kind, Time: t.UTC().Truncate(time.Second), Raised: t, Item: it.id, ItemKey: it.key,
		Parent: it.folder.id, ParentKey: it.folder.key, Unread: -1, in: it.folder,
	}
}

func folderEvent(m *mailbox, f *folder) *Event {
	t := time.Now()
	e := &Event{
		Kind: ModifiedEvent, Time: t.UTC().Truncate(time.Second), Raised: t, Folder: f.id, FolderKey: f.key,
		Unread: f.unread, in: f,
	}
	if p := m.wellKnown(f.parent); p != nil {
		e.Parent, e.ParentKey = p.id, p.key
	}
	return e
}

// freeBusyEvent tells that the owner's free and busy times have changed.
func (m *mailbox) freeBusyEvent(calendar *folder) *Event {
	e := folderEvent(m, calendar)
	e.Kind, e.Unread = FreeBusyChangedEvent, -1
	return e
}

// raise queues events with the mailbox's subscriptions that asked for them.
func (m *mailbox) raise(events ...*Event) {
	for _, sub := range m.subs {
		for _, e := range events {
			if sub.wants(e) {
				sub.push(e)
			}
		}
	}
}
