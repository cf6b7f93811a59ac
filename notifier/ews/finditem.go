package ews

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// FindRequest asks for a page of the Inbox.
type FindRequest struct {
	Offset int // rows to pass over, from the newest
	Max    int // rows to return at most; 0: FindRowsDefault
}

// FindPage is a page of the Inbox, newest first. The server may return fewer
// rows than asked for: only Last says that there are no more.
type FindPage struct {
	Items      []FoundItem
	NextOffset int // of the next page; more than the page's own unless it was empty
	Last       bool
	Total      int // items in the Inbox
}

// FoundItem is a row of a page, of FindItems or SyncFolderItems.
type FoundItem struct {
	ID       ItemID
	Received time.Time // UTC, whole seconds; zero when it was never received
	Read     bool
	Draft    bool // only SyncFolderItems tells
	Class    string
}

// FindItems lists the Inbox, newest first (EWS reference "FindItem operation").
// There is no restriction: the order by DateTimeReceived is a view the store
// keeps, while a restriction would make a search folder and bring 250 rows at
// most. Mail that arrives between two pages shifts the second one.
func (c *Client) FindItems(ctx context.Context, who Caller, q FindRequest) (FindPage, error) {
	const operation = "FindItem"
	if q.Max == 0 {
		q.Max = FindRowsDefault
	}
	switch {
	case q.Offset < 0:
		return FindPage{}, errors.New("ews: FindItem: FindRequest.Offset: must not be negative")
	case q.Max < 0 || q.Max > FindRowsMax:
		return FindPage{}, fmt.Errorf("ews: FindItem: FindRequest.Max %d: want 1 to %d", q.Max, FindRowsMax)
	}
	var o outcome
	var page FindPage
	there := false
	err := c.postOne(ctx, who, operation, findItemRequest(c.version, who, q), &o, func(s *scanner) {
		if !s.is("RootFolder") {
			s.skip()
			return
		}
		there = true
		page.NextOffset = count(s.attr("IndexedPagingOffset"), 0)
		page.Total = count(s.attr("TotalItemsInView"), 0)
		page.Last = yes(s.attr("IncludesLastItemInRange"))
		for s.child() {
			if !s.is("Items") {
				s.skip()
				continue
			}
			for s.child() {
				page.Items = append(page.Items, readFound(s))
			}
		}
	})
	switch {
	case err != nil:
		return FindPage{}, err
	case !there:
		return FindPage{}, &SyntaxError{Operation: operation, Reason: "a success without a RootFolder"}
	}
	page.NextOffset = max(page.NextOffset, q.Offset+len(page.Items))
	return page, nil
}

// findItemRequest writes the elements in the order of the schema: ItemShape,
// view, SortOrder, ParentFolderIds.
func findItemRequest(v Version, who Caller, q FindRequest) []byte {
	b := beginEnvelope(v, who.Impersonate)
	b = append(b, `<m:FindItem Traversal="Shallow"><m:ItemShape>`...)
	b = appendFields(b, "item:DateTimeReceived", "item:ItemClass", "message:IsRead")
	b = append(b, `</m:ItemShape><m:IndexedPageItemView MaxEntriesReturned="`...)
	b = strconv.AppendInt(b, int64(q.Max), 10)
	b = append(b, `" Offset="`...)
	b = strconv.AppendInt(b, int64(q.Offset), 10)
	b = append(b, `" BasePoint="Beginning"/>`+
		`<m:SortOrder><t:FieldOrder Order="Descending"><t:FieldURI FieldURI="item:DateTimeReceived"/></t:FieldOrder></m:SortOrder>`+
		`<m:ParentFolderIds>`+inbox+`</m:ParentFolderIds></m:FindItem>`...)
	return endEnvelope(b)
}

func readFound(s *scanner) FoundItem {
	var it FoundItem
	for s.child() {
		switch string(s.name) {
		case "ItemId":
			it.ID = itemID(s)
		case "DateTimeReceived":
			it.Received = when(s.value())
		case "IsRead":
			it.Read = yes(s.value())
		case "IsDraft":
			it.Draft = yes(s.value())
		case "ItemClass":
			it.Class = word(s.value())
		default:
			s.skip()
		}
	}
	return it
}
