package ews

import (
	"context"
	"fmt"
	"strconv"
)

// SyncRequest asks for what has changed in the Inbox.
type SyncRequest struct {
	State SyncState // of the last page; empty: from the beginning
	Max   int       // changes to return at most; 0: SyncChangesMax
}

// SyncPage is some of what has changed. State is to be kept only when the
// page's changes have been dealt with.
type SyncPage struct {
	State            SyncState
	Last             bool // there are no more changes for now
	Created, Updated []FoundItem
	Deleted          []ItemID
	ReadFlags        map[ItemID]bool // items whose read flag is all that changed: read now or not
}

// SyncFolderItems tells exactly what has changed in the Inbox since a state
// (EWS reference "SyncFolderItems operation"). "Created" includes what was moved
// or copied in. Without a state it walks the whole folder, newest first: there
// is no way to ask for the state of now. A state that is damaged or of another
// mailbox is answered with ErrorInvalidSyncStateData.
func (c *Client) SyncFolderItems(ctx context.Context, who Caller, q SyncRequest) (SyncPage, error) {
	const operation = "SyncFolderItems"
	if q.Max == 0 {
		q.Max = SyncChangesMax
	}
	if q.Max < 1 || q.Max > SyncChangesMax {
		return SyncPage{}, fmt.Errorf("ews: SyncFolderItems: SyncRequest.Max %d: want 1 to %d", q.Max, SyncChangesMax)
	}
	var o outcome
	var page SyncPage
	err := c.postOne(ctx, who, operation, syncRequest(c.version, who, q), &o, func(s *scanner) {
		switch string(s.name) {
		case "SyncState":
			page.State = SyncState(s.value())
		case "IncludesLastItemInRange":
			page.Last = yes(s.value())
		case "Changes":
			for s.child() {
				page.readChange(s)
			}
		default:
			s.skip()
		}
	})
	switch {
	case err != nil:
		return SyncPage{}, err
	case page.State == "":
		return SyncPage{}, &SyntaxError{Operation: operation, Reason: "a success without a SyncState"}
	}
	return page, nil
}

func syncRequest(v Version, who Caller, q SyncRequest) []byte {
	b := beginEnvelope(v, who.Impersonate)
	b = append(b, `<m:SyncFolderItems><m:ItemShape>`...)
	b = appendFields(b, "item:DateTimeReceived", "item:ItemClass", "item:IsDraft", "message:IsRead")
	b = append(b, `</m:ItemShape><m:SyncFolderId>`+inbox+`</m:SyncFolderId>`...)
	if q.State != "" {
		b = appendElement(b, "m:SyncState", string(q.State))
	}
	b = append(b, `<m:MaxChangesReturned>`...)
	b = strconv.AppendInt(b, int64(q.Max), 10)
	b = append(b, `</m:MaxChangesReturned><m:SyncScope>NormalItems</m:SyncScope></m:SyncFolderItems>`...)
	return endEnvelope(b)
}

// readChange reads the change just entered. Create and Update hold a whole
// item, Delete and ReadFlagChange an ID.
func (p *SyncPage) readChange(s *scanner) {
	var kind string
	switch string(s.name) {
	case "Create":
		kind = "Create"
	case "Update":
		kind = "Update"
	case "Delete":
		kind = "Delete"
	case "ReadFlagChange":
		kind = "ReadFlagChange"
	default:
		s.skip()
		return
	}
	var it FoundItem
	for s.child() {
		switch string(s.name) {
		case "ItemId":
			it.ID = itemID(s)
		case "IsRead":
			it.Read = yes(s.value())
		default:
			if inner := readFound(s); inner.ID != "" {
				it = inner
			}
		}
	}
	switch {
	case it.ID == "":
	case kind == "Create":
		p.Created = append(p.Created, it)
	case kind == "Update":
		p.Updated = append(p.Updated, it)
	case kind == "Delete":
		p.Deleted = append(p.Deleted, it.ID)
	default:
		if p.ReadFlags == nil {
			p.ReadFlags = map[ItemID]bool{}
		}
		p.ReadFlags[it.ID] = it.Read
	}
}
