package ews

import (
	"context"
	"fmt"
	"strconv"
)

// SyncRequest asks what changed in the Inbox since a state.
type SyncRequest struct {
	State SyncState // empty: from the beginning, the whole folder
	Max   int       // changes at most, 1 to 512; 0: 512
}

// SyncPage is what changed.
type SyncPage struct {
	State     SyncState // to go on from; keep it only when the changes are dealt with
	Last      bool      // there is no more
	Created   []ItemID
	Updated   []ItemID
	Deleted   []ItemID
	ReadFlags map[ItemID]bool
}

// SyncFolderItems walks the changes of the Inbox exactly (EWS reference
// "SyncFolderItems operation"). A damaged state gives
// ErrorInvalidSyncStateData: start anew.
func (c *Client) SyncFolderItems(ctx context.Context, who Caller, r SyncRequest) (SyncPage, error) {
	if r.Max == 0 {
		r.Max = SyncChangesMax
	}
	if r.Max < 1 || r.Max > SyncChangesMax {
		return SyncPage{}, fmt.Errorf("ews: SyncFolderItems: Max %d; 1 to %d is allowed", r.Max, SyncChangesMax)
	}
	payload, err := c.call(ctx, who, "SyncFolderItems", c.envelope(who, func(b []byte) []byte {
		b = append(b, `<m:SyncFolderItems><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape><m:SyncFolderId><t:DistinguishedFolderId Id="inbox"/></m:SyncFolderId>`...)
		if r.State != "" {
			b = append(b, `<m:SyncState>`...)
			b = escape(b, string(r.State))
			b = append(b, `</m:SyncState>`...)
		}
		b = append(b, `<m:MaxChangesReturned>`...)
		b = strconv.AppendInt(b, int64(r.Max), 10)
		return append(b, `</m:MaxChangesReturned><m:SyncScope>NormalItems</m:SyncScope></m:SyncFolderItems>`...)
	}))
	if err != nil {
		return SyncPage{}, err
	}
	m, err := only("SyncFolderItems", payload)
	if err != nil {
		return SyncPage{}, err
	}
	page := SyncPage{State: SyncState(m.value("SyncState")), Last: truth(m.value("IncludesLastItemInRange")), ReadFlags: map[ItemID]bool{}}
	if page.State == "" {
		return SyncPage{}, fmt.Errorf("ews: SyncFolderItems: success without a SyncState")
	}
	changes := m.child("Changes")
	if changes == nil {
		return page, nil
	}
	for _, ch := range changes.kids {
		id := ItemID(ch.find("ItemId").attr("Id"))
		switch ch.name {
		case "Create":
			page.Created = append(page.Created, id)
		case "Update":
			page.Updated = append(page.Updated, id)
		case "Delete":
			page.Deleted = append(page.Deleted, id)
		case "ReadFlagChange":
			page.ReadFlags[id] = truth(ch.value("IsRead"))
		}
	}
	return page, nil
}
