package fakeews

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"mailbell/fakes/exchange"
)

// findItem serves FindItem with Shallow traversal, an indexed page, and
// restrictions made of comparisons.
func (c *call) findItem() ([]byte, *fault) {
	body := c.request.body
	s, f := c.readShape(body.child("ItemShape"))
	if f != nil {
		return nil, f
	}
	switch body.attr("Traversal") {
	case "Shallow":
	case "SoftDeleted", "Associated":
	default:
		return nil, invalid(body, "The 'Traversal' attribute is invalid - The value '%s' is invalid according to its datatype.", body.attr("Traversal"))
	}
	parents := body.child("ParentFolderIds")
	if parents == nil {
		return nil, invalid(body, "The element 'FindItem' has incomplete content. List of possible elements expected: 'ParentFolderIds'.")
	}
	refs, f := references(parents)
	if f != nil {
		return nil, f
	}
	if len(refs) == 0 {
		return nil, invalid(parents, "The element 'ParentFolderIds' has incomplete content.")
	}
	var q exchange.FindQuery
	if view := body.child("IndexedPageItemView"); view != nil {
		var err1, err2 error
		q.Offset, err1 = strconv.Atoi(view.attr("Offset"))
		if text := view.attr("MaxEntriesReturned"); text != "" {
			q.Max, err2 = strconv.Atoi(text)
			if q.Max <= 0 {
				return nil, invalid(view, "The 'MaxEntriesReturned' attribute is invalid.")
			}
		}
		if err1 != nil || err2 != nil || q.Offset < 0 {
			return nil, invalid(view, "An attribute of 'IndexedPageItemView' is no number.")
		}
		switch view.attr("BasePoint") {
		case "Beginning":
		case "End":
			q.FromEnd = true
		default:
			return nil, invalid(view, "The 'BasePoint' attribute is invalid - The value '%s' is invalid according to its datatype.", view.attr("BasePoint"))
		}
	}
	if order := body.child("SortOrder", "FieldOrder"); order != nil {
		q.Ascending = order.attr("Order") == "Ascending"
	}
	if restriction := body.child("Restriction"); restriction != nil {
		if len(restriction.children) != 1 {
			return nil, invalid(restriction, "The element 'Restriction' must hold one expression.")
		}
		if q.Match, f = restrict(restriction.children[0]); f != nil {
			return nil, f
		}
	}
	d := answer(c.form, c.server.behaviour, "FindItem")
	d.open("m:ResponseMessages")
	for _, ref := range refs {
		target, e := c.target([]reference{ref})
		if e == nil {
			e = c.refusal()
		}
		var page exchange.FindPage
		if e == nil {
			q.Folder = ref.folder
			if body.attr("Traversal") != "Shallow" {
				q.Match = func(exchange.Item) bool { return false } // nothing is kept of deleted or associated items
			}
			page, e = c.server.org.Find(target, q)
		}
		if e != nil {
			c.entry.Reason = e.Code
			d.refusal("FindItem", e)
			continue
		}
		d.success("FindItem")
		d.open("m:RootFolder", "IndexedPagingOffset", fmt.Sprint(page.Next), "TotalItemsInView", fmt.Sprint(page.Total), "IncludesLastItemInRange", fmt.Sprint(page.Last))
		if len(page.Items) == 0 {
			d.empty("t:Items")
		} else {
			d.open("t:Items")
			for _, it := range page.Items {
				c.item(d, it, s, false)
			}
			d.close("t:Items")
		}
		d.close("m:RootFolder")
		d.close("m:FindItemResponseMessage")
		c.entry.Detail["items"] = fmt.Sprint(len(page.Items))
	}
	d.close("m:ResponseMessages")
	return d.finish("FindItem"), nil
}

// restrict makes a predicate of a restriction.
func restrict(n *node) (func(exchange.Item) bool, *fault) {
	switch n.name {
	case "And", "Or":
		var parts []func(exchange.Item) bool
		for _, child := range n.children {
			p, f := restrict(child)
			if f != nil {
				return nil, f
			}
			parts = append(parts, p)
		}
		and := n.name == "And"
		return func(it exchange.Item) bool {
			for _, p := range parts {
				if p(it) != and {
					return !and
				}
			}
			return and
		}, nil
	case "Not":
		if len(n.children) != 1 {
			return nil, invalid(n, "The element 'Not' must hold one expression.")
		}
		p, f := restrict(n.children[0])
		if f != nil {
			return nil, f
		}
		return func(it exchange.Item) bool { return !p(it) }, nil
	case "Contains":
		want := strings.ToLower(n.child("Constant").attr("Value"))
		if n.child("FieldURI").attr("FieldURI") != "item:Subject" {
			return nil, newFault("ErrorUnsupportedPathForQuery", "The property can not be used with this type of restriction.")
		}
		return func(it exchange.Item) bool { return strings.Contains(strings.ToLower(it.Message.Subject), want) }, nil
	case "IsEqualTo", "IsNotEqualTo", "IsGreaterThan", "IsGreaterThanOrEqualTo", "IsLessThan", "IsLessThanOrEqualTo":
		return comparison(n)
	}
	return nil, invalid(n, "The element 'Restriction' has invalid child element '%s'.", n.name)
}

func comparison(n *node) (func(exchange.Item) bool, *fault) {
	constant := n.child("FieldURIOrConstant", "Constant")
	if constant == nil {
		return nil, invalid(n, "The element '%s' has incomplete content.", n.name)
	}
	value := constant.attr("Value")
	var compare func(exchange.Item) int
	switch n.child("FieldURI").attr("FieldURI") {
	case "item:DateTimeReceived", "item:DateTimeCreated":
		at, err := time.Parse(time.RFC3339, value)
		if err != nil {
			return nil, newFault("ErrorInvalidValueForProperty", "The specified value is invalid for property.")
		}
		at = at.Truncate(time.Second)
		compare = func(it exchange.Item) int { return it.Received.Compare(at) }
	case "message:IsRead":
		compare = func(it exchange.Item) int {
			if fmt.Sprint(it.Read) == strings.ToLower(value) {
				return 0
			}
			return 1
		}
	case "item:Subject":
		compare = func(it exchange.Item) int { return strings.Compare(it.Message.Subject, value) }
	case "item:ItemClass":
		compare = func(it exchange.Item) int { return strings.Compare(it.Message.Class, value) }
	case "message:InternetMessageId":
		compare = func(it exchange.Item) int { return strings.Compare(it.Message.MessageID, value) }
	default:
		return nil, newFault("ErrorUnsupportedPathForQuery", "The property can not be used with this type of restriction.")
	}
	holds := map[string]func(int) bool{
		"IsEqualTo":              func(i int) bool { return i == 0 },
		"IsNotEqualTo":           func(i int) bool { return i != 0 },
		"IsGreaterThan":          func(i int) bool { return i > 0 },
		"IsGreaterThanOrEqualTo": func(i int) bool { return i >= 0 },
		"IsLessThan":             func(i int) bool { return i < 0 },
		"IsLessThanOrEqualTo":    func(i int) bool { return i <= 0 },
	}[n.name]
	return func(it exchange.Item) bool { return holds(compare(it)) }, nil
}
