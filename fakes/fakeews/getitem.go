package fakeews

import (
	"fmt"

	"mailbell/fakes/exchange"
)

// getItem serves GetItem: one response message an id, in request order, each
// with its own fate.
func (c *call) getItem() ([]byte, *fault) {
	body := c.request.body
	s, f := c.readShape(body.child("ItemShape"))
	if f != nil {
		return nil, f
	}
	ids := body.child("ItemIds").all("ItemId")
	if len(ids) == 0 {
		return nil, invalid(body, "The element 'ItemIds' has incomplete content. List of possible elements expected: 'ItemId'.")
	}
	if len(ids) > idsPerRequestMax {
		return nil, invalid(body, "The element 'ItemIds' has more than %d children.", idsPerRequestMax)
	}
	target, refused := c.target(nil)
	if refused == nil {
		refused = c.refusal()
	}
	c.entry.Item = ids[0].attr("Id")
	c.entry.Detail["items"] = fmt.Sprint(len(ids))
	d := answer(c.form, c.server.behaviour, "GetItem")
	d.open("m:ResponseMessages")
	for _, n := range ids {
		id := n.attr("Id")
		e := refused
		var it exchange.Item
		if e == nil {
			it, e = c.server.org.GetItem(target, id)
		}
		if e == nil && c.forgotten(id) {
			e = &exchange.Error{Code: exchange.CodeItemNotFound, Text: "The specified object was not found in the store."}
		}
		if e != nil {
			c.entry.Reason = e.Code
			d.refusal("GetItem", e, "m:Items")
			continue
		}
		d.success("GetItem")
		d.open("m:Items")
		c.item(d, it, s, true)
		d.close("m:Items")
		d.close("m:GetItemResponseMessage")
	}
	d.close("m:ResponseMessages")
	return d.finish("GetItem"), nil
}

// forgotten says whether a fault hides an item that is there.
func (c *call) forgotten(id string) bool {
	s := c.server
	if s.strikes(c, "ews.item.notfound") {
		return true
	}
	if c.magicPrefix() == "gone" && s.magic.count("gone", id) == 1 {
		c.entry.Fault = "gone."
		return true
	}
	return s.recent.within(id, forgetFor) && s.draw(c, "forgotten", hostileForgetOdds)
}
