package exchange

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"sort"
)

// ChangeKind is a kind of change in SyncFolderItems.
type ChangeKind string

// The change kinds, by element name.
const (
	Create         ChangeKind = "Create"
	Update         ChangeKind = "Update"
	DeleteChange   ChangeKind = "Delete"
	ReadFlagChange ChangeKind = "ReadFlagChange"
)

// Change is one change; of a deleted item only ID and ChangeKey are known.
type Change struct {
	Kind ChangeKind
	Item Item

	seq uint64
}

// SyncPage is the answer to Sync.
type SyncPage struct {
	State   string
	Last    bool
	Changes []Change
}

// syncState is where a client stands. The first walk through the folder goes
// from the newest item to the oldest (2010 SP2 and later); what changes
// meanwhile is told after it.
type syncState struct {
	mailbox guid
	folder  uint64
	since   uint64 // changes up to here are known
	walking bool
	below   uint64 // while walking: items from this arrival number on were told
}

var syncMagic = []byte{0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 4, 0} // states of real servers are gzip'd: H4sIAAAAAAAEA…

func (s syncState) String() string {
	b := append([]byte(nil), syncMagic...)
	b = append(b, s.mailbox[:]...)
	b = binary.LittleEndian.AppendUint64(b, s.folder)
	b = binary.LittleEndian.AppendUint64(b, s.since)
	b = binary.LittleEndian.AppendUint64(b, s.below)
	if s.walking {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return base64.StdEncoding.EncodeToString(b)
}

func parseSyncState(text string) (syncState, bool) {
	const length = 10 + 16 + 8 + 8 + 8 + 1 + 4
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b) != length || crc32.ChecksumIEEE(b[:length-4]) != binary.LittleEndian.Uint32(b[length-4:]) {
		return syncState{}, false
	}
	b = b[len(syncMagic):]
	var s syncState
	copy(s.mailbox[:], b)
	s.folder = binary.LittleEndian.Uint64(b[16:])
	s.since = binary.LittleEndian.Uint64(b[24:])
	s.below = binary.LittleEndian.Uint64(b[32:])
	s.walking = b[40] == 1
	return s, true
}

// Sync returns the changes of a folder since a state, at most max; the empty
// state means from the beginning.
func (o *Organisation) Sync(address string, ref FolderRef, state string, max int) (SyncPage, *Error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	m, err := o.open(address)
	if err != nil {
		return SyncPage{}, err
	}
	f := m.folder(ref)
	if f == nil {
		return SyncPage{}, refuse(CodeSyncFolderNotFound)
	}
	s := syncState{mailbox: m.id, folder: f.number, since: m.changes, walking: true, below: m.made + 1}
	if state != "" {
		var ok bool
		if s, ok = parseSyncState(state); !ok || s.mailbox != m.id || s.folder != f.number || s.since > m.changes || s.since < f.dropped {
			return SyncPage{}, refuse(CodeInvalidSyncState)
		}
	}
	max = min(max, SyncChangesMax)
	var page SyncPage
	if s.walking {
		// By arrival number, newest first; items sorted by received time come
		// in nearly that order.
		var left []*item
		for _, it := range f.items {
			if it.number < s.below && it.created <= s.since {
				left = append(left, it)
			}
		}
		sort.Slice(left, func(i, j int) bool { return left[i].number > left[j].number })
		for _, it := range left[:min(max, len(left))] {
			page.Changes = append(page.Changes, Change{Kind: Create, Item: it.snapshot()})
			s.below = it.number
		}
		if len(left) > max {
			page.State = s.String()
			return page, nil
		}
		s.walking = false
		page.State, page.Last = s.String(), s.since == m.changes
		return page, nil
	}
	changes := f.since(s.since)
	page.Last = len(changes) <= max
	if !page.Last {
		changes = changes[:max]
		s.since = changes[max-1].seq
	} else {
		s.since = m.changes
	}
	page.Changes, page.State = changes, s.String()
	return page, nil
}

// since are the folder's changes after a sequence number, in order.
func (f *folder) since(seq uint64) []Change {
	var out []Change
	for _, it := range f.items {
		c := Change{seq: max(it.created, it.modified, it.flagged)}
		if c.seq <= seq {
			continue
		}
		switch {
		case it.created > seq:
			c.Kind = Create
		case it.modified > seq:
			c.Kind = Update
		default:
			c.Kind = ReadFlagChange
		}
		c.Item = it.snapshot()
		out = append(out, c)
	}
	for _, d := range f.deleted {
		if d.seq > seq && d.created <= seq {
			out = append(out, Change{Kind: DeleteChange, Item: Item{ID: d.id, ChangeKey: d.key}, seq: d.seq})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].seq < out[j].seq })
	return out
}
