package exchange

import (
	"encoding/base64"
	"fmt"
	"time"

	"mailbell/fakes/journal"
)

// Item is a snapshot of an item in a folder. Message is shared and must not
// be changed.
type Item struct {
	ID, ChangeKey       string
	ParentID, ParentKey string
	Received            time.Time // UTC, whole seconds
	Read, Draft         bool
	Message             *Message
}

type item struct {
	id, key  string
	folder   *folder
	number   uint64
	received time.Time
	read     bool
	draft    bool // saved in Drafts, never sent
	message  *Message

	created  uint64 // sequence of its arrival in the folder
	modified uint64 // of its last change of content
	flagged  uint64 // of its last change of read state
}

// before orders by received time, then arrival.
func (it *item) before(other *item) bool {
	if !it.received.Equal(other.received) {
		return it.received.Before(other.received)
	}
	return it.number < other.number
}

func (it *item) snapshot() Item {
	return Item{
		ID: it.id, ChangeKey: it.key, ParentID: it.folder.id, ParentKey: it.folder.key,
		Received: it.received, Read: it.read, Draft: it.draft, Message: it.message,
	}
}

// add puts a message into a folder as a new item.
func (m *mailbox) add(f *folder, message *Message, received time.Time, read bool) *item {
	m.made++
	m.changes++
	it := &item{
		id: itemID(m.id, f.number, m.made), key: changeKey(changeKeyItem, m.id, m.changes),
		folder: f, number: m.made, received: received, read: read, message: message,
		created: m.changes, modified: m.changes,
	}
	m.items[it.id] = it
	f.insert(it)
	f.touch(m)
	return it
}

// GetItem is a snapshot of the item with that id, compared with case.
func (o *Organisation) GetItem(address, id string) (Item, *Error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	m, err := o.open(address)
	if err != nil {
		return Item{}, err
	}
	if it := m.items[id]; it != nil {
		return it.snapshot(), nil
	}
	if b, decode := base64.StdEncoding.DecodeString(id); decode != nil || len(b) < 8 || len(id) > ItemIDLenMax {
		return Item{}, refuse(CodeInvalidIDMalformed)
	}
	return Item{}, refuse(CodeItemNotFound)
}

// change finds a mailbox and an item of it for one of the user actions below.
func (o *Organisation) change(address, id string) (*mailbox, *item, error) {
	m := o.find(address)
	if m == nil {
		return nil, nil, fmt.Errorf("%w: %s", ErrNoMailbox, address)
	}
	it := m.items[id]
	if it == nil {
		return nil, nil, fmt.Errorf("exchange: mailbox %s: %w", m.address, refuse(CodeItemNotFound))
	}
	return m, it, nil
}

// MarkRead marks an item read, as its owner would.
func (o *Organisation) MarkRead(address, id string) error { return o.setRead(address, id, true) }

// MarkUnread marks an item unread.
func (o *Organisation) MarkUnread(address, id string) error { return o.setRead(address, id, false) }

func (o *Organisation) setRead(address, id string, read bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	m, it, err := o.change(address, id)
	if err != nil {
		return err
	}
	m.setRead(it, read)
	return nil
}

func (m *mailbox) setRead(it *item, read bool) {
	if it.read == read {
		return
	}
	it.read = read
	if read {
		it.folder.unread--
	} else {
		it.folder.unread++
	}
	m.changes++
	it.flagged = m.changes
	it.key = changeKey(changeKeyItem, m.id, m.changes)
	it.folder.touch(m)
	m.raise(itemEvent(ModifiedEvent, it), folderEvent(m, it.folder))
	kind := "read"
	if !read {
		kind = "unread"
	}
	m.org.record(journal.Entry{Kind: kind, Mailbox: m.address, Item: it.id})
}

// Touch changes an item without changing its read state, as a flag or a
// category does.
func (o *Organisation) Touch(address, id string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	m, it, err := o.change(address, id)
	if err != nil {
		return err
	}
	m.changes++
	it.modified = m.changes
	it.key = changeKey(changeKeyItem, m.id, m.changes)
	it.folder.touch(m)
	m.raise(itemEvent(ModifiedEvent, it), folderEvent(m, it.folder))
	return nil
}

// Delete deletes an item for good.
func (o *Organisation) Delete(address, id string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	m, it, err := o.change(address, id)
	if err != nil {
		return err
	}
	it.folder.remove(m, it)
	it.folder.touch(m)
	delete(m.items, it.id)
	m.raise(itemEvent(DeletedEvent, it), folderEvent(m, it.folder))
	o.record(journal.Entry{Kind: "delete", Mailbox: m.address, Item: id})
	return nil
}

// MoveItem moves an item to another folder of the mailbox and returns its new
// id; the old one is gone.
func (o *Organisation) MoveItem(address, id, folderName string) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	m, it, err := o.change(address, id)
	if err != nil {
		return "", err
	}
	to := m.folder(FolderRef{Distinguished: folderName})
	if to == nil {
		return "", fmt.Errorf("exchange: mailbox %s has no folder %q", m.address, folderName)
	}
	moved := m.moveItem(it, to)
	o.record(journal.Entry{Kind: "move-item", Mailbox: m.address, Item: moved.id, Detail: map[string]string{"from": id, "folder": to.name}})
	return moved.id, nil
}

func (m *mailbox) moveItem(it *item, to *folder) *item {
	from := it.folder
	from.remove(m, it)
	from.touch(m)
	delete(m.items, it.id)
	moved := m.add(to, it.message, it.received, it.read)
	moved.draft = it.draft
	e := itemEvent(MovedEvent, moved)
	e.OldItem, e.OldItemKey, e.OldParent, e.OldParentKey = it.id, it.key, from.id, from.key
	e.also = from
	m.raise(e, folderEvent(m, from), folderEvent(m, to))
	return moved
}

// CopyItem copies an item into a folder of the mailbox and returns the copy's
// id.
func (o *Organisation) CopyItem(address, id, folderName string) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	m, it, err := o.change(address, id)
	if err != nil {
		return "", err
	}
	to := m.folder(FolderRef{Distinguished: folderName})
	if to == nil {
		return "", fmt.Errorf("exchange: mailbox %s has no folder %q", m.address, folderName)
	}
	c := m.add(to, it.message, it.received, it.read)
	c.draft = it.draft
	e := itemEvent(CopiedEvent, c)
	e.OldItem, e.OldItemKey, e.OldParent, e.OldParentKey = it.id, it.key, it.folder.id, it.folder.key
	m.raise(e, itemEvent(CreatedEvent, c), folderEvent(m, to))
	return c.id, nil
}

// CreateItem puts a message into a folder as a program does by CreateItem or a
// user by saving a draft: no NewMailEvent, no rules.
func (o *Organisation) CreateItem(address, folderName string, raw []byte) (string, error) {
	message := Parse(raw)
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.find(address)
	if m == nil {
		return "", fmt.Errorf("%w: %s", ErrNoMailbox, address)
	}
	to := m.folder(FolderRef{Distinguished: folderName})
	if to == nil {
		return "", fmt.Errorf("exchange: mailbox %s has no folder %q", m.address, folderName)
	}
	o.raw.keep(message)
	it := m.add(to, message, now(), to.name == SentItems || to.name == Drafts)
	it.draft = to.name == Drafts
	m.raise(itemEvent(CreatedEvent, it), folderEvent(m, to))
	o.record(journal.Entry{Kind: "create", Mailbox: m.address, Item: it.id, Detail: map[string]string{"folder": to.name}})
	return it.id, nil
}
