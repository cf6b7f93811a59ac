package ews

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// FindRequest asks for a page of the Inbox, newest first.
type FindRequest struct {
	Offset int // rows to pass over
	Max    int // rows at most; 0: 50
}

// FindPage is a page of the Inbox.
type FindPage struct {
	Items      []FoundItem
	NextOffset int  // where the next page begins
	Last       bool // there is no further page
	Total      int  // rows in the view
}

// FoundItem is one row.
type FoundItem struct {
	ID       ItemID
	Received time.Time
	Read     bool
	Class    string
}

// findRowsDefault is the page size when none is asked for.
const findRowsDefault = 50

// FindItems lists the Inbox by received time, newest first, without a
// restriction (EWS reference "FindItem operation"): the order has a view in the
// store, a restriction would make a search folder. A page may be shorter than
// asked for and still not the last.
func (c *Client) FindItems(ctx context.Context, who Caller, r FindRequest) (FindPage, error) {
	if r.Max == 0 {
		r.Max = findRowsDefault
	}
	if r.Max < 1 || r.Max > FindRowsMax || r.Offset < 0 {
		return FindPage{}, fmt.Errorf("ews: FindItem: Max %d, Offset %d; 1 to %d rows from 0 on are allowed", r.Max, r.Offset, FindRowsMax)
	}
	payload, err := c.call(ctx, who, "FindItem", c.envelope(who, func(b []byte) []byte {
		b = append(b, `<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties><t:FieldURI FieldURI="item:DateTimeReceived"/><t:FieldURI FieldURI="item:ItemClass"/><t:FieldURI FieldURI="message:IsRead"/></t:AdditionalProperties></m:ItemShape><m:IndexedPageItemView MaxEntriesReturned="`...)
		b = strconv.AppendInt(b, int64(r.Max), 10)
		b = append(b, `" Offset="`...)
		b = strconv.AppendInt(b, int64(r.Offset), 10)
		return append(b, `" BasePoint="Beginning"/><m:SortOrder><t:FieldOrder Order="Descending"><t:FieldURI FieldURI="item:DateTimeReceived"/></t:FieldOrder></m:SortOrder><m:ParentFolderIds><t:DistinguishedFolderId Id="inbox"/></m:ParentFolderIds></m:FindItem>`...)
	}))
	if err != nil {
		return FindPage{}, err
	}
	m, err := only("FindItem", payload)
	if err != nil {
		return FindPage{}, err
	}
	root := m.child("RootFolder")
	if root == nil {
		return FindPage{}, fmt.Errorf("ews: FindItem: answer without a RootFolder")
	}
	page := FindPage{Last: truth(root.attr("IncludesLastItemInRange"))}
	page.NextOffset, _ = strconv.Atoi(root.attr("IndexedPagingOffset")) // absent: counted below
	page.Total, _ = strconv.Atoi(root.attr("TotalItemsInView"))
	if items := root.child("Items"); items != nil {
		for _, n := range items.kids {
			page.Items = append(page.Items, FoundItem{
				ID: ItemID(n.child("ItemId").attr("Id")), Received: parseTime(n.value("DateTimeReceived")), Read: truth(n.value("IsRead")), Class: n.value("ItemClass"),
			})
		}
	}
	if page.NextOffset <= r.Offset {
		page.NextOffset = r.Offset + len(page.Items)
	}
	return page, nil
}
