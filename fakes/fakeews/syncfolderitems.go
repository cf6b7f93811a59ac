package fakeews

import (
	"fmt"
	"strconv"

	"mailbell/fakes/exchange"
)

// syncFolderItems serves SyncFolderItems.
func (c *call) syncFolderItems() ([]byte, *fault) {
	body := c.request.body
	s, f := c.readShape(body.child("ItemShape"))
	if f != nil {
		return nil, f
	}
	folder := body.child("SyncFolderId")
	if folder == nil {
		return nil, invalid(body, "The element 'SyncFolderItems' has incomplete content. List of possible elements expected: 'SyncFolderId'.")
	}
	refs, f := references(folder)
	if f != nil {
		return nil, f
	}
	if len(refs) != 1 {
		return nil, invalid(folder, "The element 'SyncFolderId' must hold one folder.")
	}
	limit := body.child("MaxChangesReturned")
	n, err := strconv.Atoi(limit.value())
	if err != nil || n < maxChangesMin || n > maxChangesMax {
		return nil, invalid(limit, "The 'MaxChangesReturned' element is invalid - The value '%s' is invalid according to its datatype.", limit.value())
	}
	target, e := c.target(refs)
	if e == nil {
		e = c.refusal()
	}
	if e == nil {
		var release func()
		if release, e = c.server.org.BeginSync(c.identity.Account, target); e == nil {
			defer release()
		}
	}
	var page exchange.SyncPage
	if e == nil {
		page, e = c.server.org.Sync(target, refs[0].folder, body.child("SyncState").value(), n)
	}
	if e != nil {
		c.entry.Reason = e.Code
	}
	d := answer(c.form, c.server.behaviour, "SyncFolderItems")
	d.message("SyncFolderItems", e, func() {
		d.text("m:SyncState", page.State)
		d.text("m:IncludesLastItemInRange", fmt.Sprint(page.Last))
		if len(page.Changes) == 0 {
			d.empty("m:Changes")
			return
		}
		d.open("m:Changes")
		for _, change := range page.Changes {
			name := "t:" + string(change.Kind)
			d.open(name)
			switch change.Kind {
			case exchange.Create, exchange.Update:
				c.item(d, change.Item, s, false)
			case exchange.ReadFlagChange:
				d.empty("t:ItemId", "Id", change.Item.ID, "ChangeKey", change.Item.ChangeKey)
				d.text("t:IsRead", fmt.Sprint(change.Item.Read))
			default:
				d.empty("t:ItemId", "Id", change.Item.ID, "ChangeKey", change.Item.ChangeKey)
			}
			d.close(name)
		}
		d.close("m:Changes")
	})
	c.entry.Detail["items"] = fmt.Sprint(len(page.Changes))
	return d.finish("SyncFolderItems"), nil
}
