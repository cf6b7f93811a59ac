package ews

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// Item is what a notification needs to know of an item of any class. What the
// server left out is empty: mail without a subject, drafts and reports without
// an author. Texts hold no character that XML forbids; such a one in a subject
// has become U+FFFD.
type Item struct {
	ID           ItemID
	ChangeKey    string
	ParentFolder string
	Class        string // IPM.Note and others (EWS reference "ItemClass")
	Subject      string
	Preview      string    // the first 256 characters of the text; none before Exchange 2013
	Received     time.Time // UTC, whole seconds
	Importance   string    // Low, Normal, High

	FromName, FromAddress     string // who it is from (EWS reference "From")
	SenderName, SenderAddress string // who sent it for them (EWS reference "Sender")
	// RoutingType is that of FromAddress or, without an author, of
	// SenderAddress: SMTP; or EX, and the address is a legacy DN, not to be shown.
	RoutingType string

	Read bool
}

// ItemResult is what became of one item asked for: Err is nil, or a
// *ResponseError about this item alone.
type ItemResult struct {
	Item Item
	Err  error
}

// GetItem reads items of one mailbox (EWS reference "GetItem operation"): one
// result for every ID, in their order. It asks for at most ItemsPerRequestMax
// at a time, one request after the other, and asks again for those that the
// server left untried (ErrorBatchProcessingStopped) as long as each answer gets
// some further.
//
// An error is about the whole call and leaves nothing known.
func (c *Client) GetItem(ctx context.Context, who Caller, ids []ItemID) ([]ItemResult, error) {
	results := make([]ItemResult, len(ids))
	for from := 0; from < len(ids); from += ItemsPerRequestMax {
		to := min(from+ItemsPerRequestMax, len(ids))
		if err := c.getBatch(ctx, who, ids[from:to], results[from:to]); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// getBatch fills the results of a batch. Every round but the last settles at
// least one item, so there are at most as many rounds as items.
func (c *Client) getBatch(ctx context.Context, who Caller, ids []ItemID, results []ItemResult) error {
	for len(ids) > 0 {
		tried, err := c.getItems(ctx, who, ids, results)
		if err != nil {
			return err
		}
		if tried == 0 {
			return nil // the results say that nothing was tried
		}
		ids, results = ids[tried:], results[tried:]
	}
	return nil
}

// getItems makes one request. It returns how many items, from the first on,
// the server has tried.
func (c *Client) getItems(ctx context.Context, who Caller, ids []ItemID, results []ItemResult) (tried int, err error) {
	const operation = "GetItem"
	answered, stopped := 0, false
	err = c.post(ctx, who, operation, getItemRequest(c.version, who, ids), func(s *scanner) {
		if answered == len(results) {
			s.fail("more response messages than items asked for")
			return
		}
		r := &results[answered]
		*r = ItemResult{}
		var o outcome
		o.begin(s)
		for s.child() {
			switch {
			case o.take(s):
			case s.is("Items"):
				for s.child() {
					r.Item = readItem(s)
				}
			default:
				s.skip()
			}
		}
		answered++
		e := o.err(operation)
		switch {
		case e != nil:
			e.HTTPStatus = http.StatusOK
			r.Err = e
			r.Item = Item{}
		case s.err == nil && r.Item.ID == "":
			s.fail("a success without an item")
		}
		if stopped = stopped || (e != nil && e.Code == codeBatchStopped); !stopped {
			tried++
		}
	})
	if err == nil && answered < len(ids) {
		err = &SyntaxError{Operation: operation, Reason: fmt.Sprintf("%d response messages for %d items", answered, len(ids))}
	}
	return tried, err
}

func getItemRequest(v Version, who Caller, ids []ItemID) []byte {
	b := beginEnvelope(v, who.Impersonate)
	b = append(b, `<m:GetItem><m:ItemShape>`...)
	fields := []string{
		"item:Subject", "item:DateTimeReceived", "item:Importance", "item:ItemClass", "item:ParentFolderId",
		"message:From", "message:Sender", "message:IsRead", "item:Preview",
	}
	if !v.hasPreview() {
		fields = fields[:len(fields)-1]
	}
	b = appendFields(b, fields...)
	b = append(b, `</m:ItemShape><m:ItemIds>`...)
	for _, id := range ids {
		b = append(b, `<t:ItemId Id="`...)
		b = appendEscaped(b, string(id))
		b = append(b, `"/>`...)
	}
	b = append(b, `</m:ItemIds></m:GetItem>`...)
	return endEnvelope(b)
}

// readItem reads the item just entered: the element's name depends on its
// class (Message, MeetingRequest, PostItem, …), its children do not.
func readItem(s *scanner) Item {
	var it Item
	var senderRouting string
	for s.child() {
		switch string(s.name) {
		case "ItemId":
			it.ChangeKey = string(s.attr("ChangeKey"))
			it.ID = itemID(s)
		case "ParentFolderId":
			it.ParentFolder = folderID(s)
		case "ItemClass":
			it.Class = word(s.value())
		case "Subject":
			it.Subject = string(s.content())
		case "Preview":
			it.Preview = string(s.content())
		case "DateTimeReceived":
			it.Received = when(s.value())
		case "Importance":
			it.Importance = word(s.value())
		case "From":
			it.FromName, it.FromAddress, it.RoutingType = readMailbox(s)
		case "Sender":
			it.SenderName, it.SenderAddress, senderRouting = readMailbox(s)
		case "IsRead":
			it.Read = yes(s.value())
		default:
			s.skip()
		}
	}
	if it.FromName == "" && it.FromAddress == "" {
		it.RoutingType = senderRouting
	}
	return it
}

// readMailbox reads the Mailbox in the element just entered (EWS reference
// "Mailbox").
func readMailbox(s *scanner) (name, address, routing string) {
	for s.child() {
		if !s.is("Mailbox") {
			s.skip()
			continue
		}
		for s.child() {
			switch string(s.name) {
			case "Name":
				name = string(s.content())
			case "EmailAddress":
				address = string(s.value())
			case "RoutingType":
				routing = word(s.value())
			default:
				s.skip()
			}
		}
	}
	return name, address, routing
}
