package ews

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Item is what a notification can need of an item. What the server leaves out
// is the zero value.
type Item struct {
	ID            ItemID
	ChangeKey     string
	ParentFolder  string
	Class         string // "IPM.Note"
	Subject       string
	Preview       string // first 256 characters of the text; none on Exchange 2010
	Received      time.Time
	Importance    string // "Low", "Normal", "High"
	FromName      string
	FromAddress   string
	SenderName    string
	SenderAddress string
	RoutingType   string // of From: "SMTP", or "EX" where FromAddress is a legacy name
	Read          bool
}

// ItemResult is the outcome for one id.
type ItemResult struct {
	Item Item
	Err  error // *ResponseError, such as ErrorItemNotFound
}

// batchesMax bounds how often ids that a server left untried are asked again.
const batchesMax = 5

// GetItem reads items of the mailbox impersonated, in the order of ids (EWS
// reference "GetItem operation"). An error concerns the whole call; what is
// wrong with one item stands in its result.
func (c *Client) GetItem(ctx context.Context, who Caller, ids []ItemID) ([]ItemResult, error) {
	out := make([]ItemResult, 0, len(ids))
	untried := 0
	for len(ids) > 0 {
		part := ids[:min(len(ids), ItemsPerRequestMax)]
		got, err := c.getItems(ctx, who, part)
		if err != nil {
			return nil, err
		}
		if len(got) == 0 {
			if untried++; untried >= batchesMax {
				return nil, fmt.Errorf("ews: GetItem: the server leaves items untried")
			}
			continue
		}
		untried = 0
		out, ids = append(out, got...), ids[len(got):]
	}
	return out, nil
}

// getItems makes one request; it returns fewer results than ids when the server
// stopped before the end.
func (c *Client) getItems(ctx context.Context, who Caller, ids []ItemID) ([]ItemResult, error) {
	payload, err := c.call(ctx, who, "GetItem", c.envelope(who, func(b []byte) []byte {
		b = append(b, `<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>`...)
		for _, f := range [...]string{"item:Subject", "item:DateTimeReceived", "item:Importance", "item:ItemClass", "item:ParentFolderId", "message:From", "message:Sender", "message:IsRead"} {
			b = append(b, `<t:FieldURI FieldURI="`+f+`"/>`...)
		}
		if c.opt.Version.preview() {
			b = append(b, `<t:FieldURI FieldURI="item:Preview"/>`...)
		}
		b = append(b, `</t:AdditionalProperties></m:ItemShape><m:ItemIds>`...)
		for _, id := range ids {
			b = append(b, `<t:ItemId Id="`...)
			b = escape(b, string(id))
			b = append(b, `"/>`...)
		}
		return append(b, `</m:ItemIds></m:GetItem>`...)
	}))
	if err != nil {
		return nil, err
	}
	list := messages(payload)
	if len(list) > len(ids) {
		return nil, fmt.Errorf("ews: GetItem: %d response messages for %d ids", len(list), len(ids))
	}
	var out []ItemResult
	for i, m := range list {
		if m.value("ResponseCode") == "ErrorBatchProcessingStopped" {
			return out, nil
		}
		if err := messageError(m); err != nil {
			out = append(out, ItemResult{Item: Item{ID: ids[i]}, Err: err})
			continue
		}
		items := m.child("Items")
		if items == nil || len(items.kids) == 0 {
			return nil, fmt.Errorf("ews: GetItem: success without an item")
		}
		out = append(out, ItemResult{Item: itemOf(items.kids[0])})
	}
	if len(out) < len(ids) && len(list) < len(ids) && len(out) == 0 {
		return nil, fmt.Errorf("ews: GetItem: %d response messages for %d ids", len(list), len(ids))
	}
	return out, nil
}

// itemOf reads an item of whatever element name: it follows the item class.
func itemOf(n *node) Item {
	return Item{
		ID: ItemID(n.child("ItemId").attr("Id")), ChangeKey: n.child("ItemId").attr("ChangeKey"),
		ParentFolder: n.child("ParentFolderId").attr("Id"), Class: n.value("ItemClass"),
		Subject: text(n, "Subject"), Preview: text(n, "Preview"), Received: parseTime(n.value("DateTimeReceived")), Importance: n.value("Importance"),
		FromName: n.value("From", "Mailbox", "Name"), FromAddress: n.value("From", "Mailbox", "EmailAddress"), RoutingType: n.value("From", "Mailbox", "RoutingType"),
		SenderName: n.value("Sender", "Mailbox", "Name"), SenderAddress: n.value("Sender", "Mailbox", "EmailAddress"),
		Read: truth(n.value("IsRead")),
	}
}

// text is a child's text as it is, white space included.
func text(n *node, name string) string {
	if k := n.child(name); k != nil {
		return k.text
	}
	return ""
}

// truth reads an xs:boolean.
func truth(s string) bool { return s == "1" || strings.EqualFold(s, "true") }
