package exchange

import (
	"fmt"
	"sort"
	"strings"
	"time"
)

// The distinguished folders that exist in every mailbox.
const (
	Root         = "root"
	MsgRoot      = "msgfolderroot"
	Inbox        = "inbox"
	Drafts       = "drafts"
	SentItems    = "sentitems"
	DeletedItems = "deleteditems"
	JunkEmail    = "junkemail"
	Calendar     = "calendar"
)

// distinguished lists them with what GetFolder shows; the position is the
// folder's counter in its id.
var distinguished = []struct{ name, display, parent string }{
	{Root, "root", ""},
	{MsgRoot, "Top of Information Store", Root},
	{Inbox, "Inbox", MsgRoot},
	{Drafts, "Drafts", MsgRoot},
	{SentItems, "Sent Items", MsgRoot},
	{DeletedItems, "Deleted Items", MsgRoot},
	{JunkEmail, "Junk Email", MsgRoot},
	{Calendar, "Calendar", MsgRoot},
}

// folder holds its items sorted by received time and arrival, oldest first.
type folder struct {
	number  uint64
	name    string // key
	display string
	parent  string // key
	id      string
	key     string // change key
	items   []*item
	unread  int
	changed time.Time
	deleted []deletion // oldest first, at most DeletionsKeptMax
	dropped uint64     // highest sequence dropped from deleted
	gone    int        // deletions ever: PR_DELETED_COUNT_TOTAL
}

type deletion struct {
	id, key string
	seq     uint64
	created uint64 // sequence of the item's arrival in the folder
}

// FolderRef names a folder: by distinguished name or by id.
type FolderRef struct {
	Distinguished string
	ID            string
}

// Folder is a snapshot of a folder.
type Folder struct {
	ID, ChangeKey, DisplayName string
	Distinguished              string // empty for folders people made
	ParentID, ParentKey        string
	Total, Unread, Children    int
	Changed                    time.Time // last change of its contents; PR_LOCAL_COMMIT_TIME_MAX
	Deleted                    int       // deletions ever; PR_DELETED_COUNT_TOTAL
}

// wellKnown is the distinguished folder of that name, made at first use, or
// nil.
func (m *mailbox) wellKnown(name string) *folder {
	if f := m.folders[name]; f != nil {
		return f
	}
	for i, d := range distinguished {
		if d.name == name {
			return m.addFolder(uint64(i+1), d.name, d.display, d.parent)
		}
	}
	return nil
}

func (m *mailbox) addFolder(number uint64, name, display, parent string) *folder {
	f := &folder{
		number: number, name: name, display: display, parent: parent,
		id: folderID(m.id, number), key: changeKey(changeKeyFolder, m.id, number), changed: now(),
	}
	m.folders[name], m.byID[f.id] = f, f
	return f
}

// folder finds a folder by reference, or nil.
func (m *mailbox) folder(ref FolderRef) *folder {
	if ref.ID == "" {
		name := strings.ToLower(ref.Distinguished)
		if f := m.wellKnown(name); f != nil {
			return f
		}
		return m.folders[name]
	}
	if f := m.byID[ref.ID]; f != nil {
		return f
	}
	for _, d := range distinguished {
		m.wellKnown(d.name)
	}
	return m.byID[ref.ID]
}

// AddFolder makes a folder below the Inbox. Other methods take its name like a
// distinguished one.
func (o *Organisation) AddFolder(address, name string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.find(address)
	if m == nil {
		return fmt.Errorf("%w: %s", ErrNoMailbox, address)
	}
	key := strings.ToLower(name)
	if key == "" || m.folder(FolderRef{Distinguished: key}) != nil {
		return fmt.Errorf("exchange: folder %q of %s is unnamed or exists", name, m.address)
	}
	m.made2++
	m.addFolder(uint64(len(distinguished))+m.made2, key, name, Inbox)
	return nil
}

// GetFolder is a snapshot of a folder.
func (o *Organisation) GetFolder(address string, ref FolderRef) (Folder, *Error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	m, err := o.open(address)
	if err != nil {
		return Folder{}, err
	}
	f := m.folder(ref)
	if f == nil {
		return Folder{}, refuse(CodeFolderNotFound)
	}
	out := Folder{
		ID: f.id, ChangeKey: f.key, DisplayName: f.display, Total: len(f.items), Unread: f.unread,
		Changed: f.changed, Deleted: f.gone,
	}
	if f.number <= uint64(len(distinguished)) {
		out.Distinguished = f.name
	}
	if p := m.wellKnown(f.parent); p != nil {
		out.ParentID, out.ParentKey = p.id, p.key
	}
	for _, c := range m.folders {
		if c.parent == f.name {
			out.Children++
		}
	}
	return out, nil
}

// touch notes a change of the folder's contents.
func (f *folder) touch(m *mailbox) {
	f.changed = now()
	f.key = changeKey(changeKeyFolder, m.id, m.changes)
}

func (f *folder) insert(it *item) {
	i := len(f.items)
	if i > 0 && it.before(f.items[i-1]) {
		i = sort.Search(len(f.items), func(i int) bool { return it.before(f.items[i]) })
	}
	f.items = append(f.items, nil)
	copy(f.items[i+1:], f.items[i:])
	f.items[i] = it
	if !it.read {
		f.unread++
	}
}

func (f *folder) remove(m *mailbox, it *item) {
	i := sort.Search(len(f.items), func(i int) bool { return !f.items[i].before(it) })
	if i == len(f.items) || f.items[i] != it {
		return
	}
	copy(f.items[i:], f.items[i+1:])
	f.items[len(f.items)-1] = nil
	f.items = f.items[:len(f.items)-1]
	if !it.read {
		f.unread--
	}
	f.gone++
	m.changes++
	if len(f.deleted) >= DeletionsKeptMax {
		cut := DeletionsKeptMax / 10
		f.dropped = f.deleted[cut-1].seq
		f.deleted = append(f.deleted[:0:0], f.deleted[cut:]...)
	}
	f.deleted = append(f.deleted, deletion{id: it.id, key: it.key, seq: m.changes, created: it.created})
}
