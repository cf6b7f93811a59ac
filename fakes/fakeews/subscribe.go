package fakeews

import (
	"strings"

	"mailbell/fakes/exchange"
)

// subscribe serves Subscribe for streaming subscriptions. EWS reference
// "StreamingSubscriptionRequest": event types, and folders of one mailbox or
// SubscribeToAllFolders.
func (c *call) subscribe() ([]byte, *fault) {
	body := c.request.body
	q := body.child("StreamingSubscriptionRequest")
	if q == nil {
		if body.child("PullSubscriptionRequest") != nil || body.child("PushSubscriptionRequest") != nil {
			return nil, newFault("ErrorInvalidOperation", "Only streaming subscriptions are served here.")
		}
		return nil, invalid(body, "The element 'Subscribe' has incomplete content.")
	}
	if !c.atLeast("Exchange2010_SP1") {
		return nil, newFault("ErrorIncorrectSchemaVersion", "Streaming subscriptions need Exchange2010_SP1 or later.")
	}
	request := exchange.SubscribeRequest{Account: c.identity.Account, Server: c.host}
	request.All = strings.EqualFold(q.attr("SubscribeToAllFolders"), "true") || q.attr("SubscribeToAllFolders") == "1"
	types := q.child("EventTypes").all("EventType")
	if len(types) == 0 {
		return nil, invalid(q, "The element 'StreamingSubscriptionRequest' has incomplete content. List of possible elements expected: 'EventTypes'.")
	}
	for _, t := range types {
		switch kind := exchange.EventKind(t.value()); kind {
		case exchange.NewMailEvent, exchange.CreatedEvent, exchange.DeletedEvent, exchange.ModifiedEvent,
			exchange.MovedEvent, exchange.CopiedEvent, exchange.FreeBusyChangedEvent:
			request.Kinds = append(request.Kinds, kind)
		default:
			return nil, invalid(t, "The 'EventType' element is invalid - The value '%s' is invalid according to its datatype.", t.value())
		}
	}
	respond := func(e *exchange.Error, id string) []byte {
		if e != nil {
			c.entry.Reason = e.Code
		}
		d := answer(c.form, c.server.behaviour, "Subscribe")
		d.message("Subscribe", e, func() { d.text("m:SubscriptionId", id) })
		return d.finish("Subscribe")
	}
	var refs []reference
	if folders := q.child("FolderIds"); folders != nil && !request.All {
		var f *fault
		if refs, f = references(folders); f != nil {
			return nil, f
		}
	}
	if len(refs) == 0 && !request.All {
		return nil, invalid(q, "The element 'StreamingSubscriptionRequest' has incomplete content. List of possible elements expected: 'FolderIds'.")
	}
	target, e := c.target(refs)
	switch {
	case e != nil && e.Code == exchange.CodeAccessDenied:
		e = &exchange.Error{Code: "ErrorSubscriptionDelegateAccessNotSupported", Text: "Delegate access is not supported for subscriptions."}
	case e == nil && target == severalMailboxes:
		e = &exchange.Error{Code: "ErrorInvalidSubscriptionRequest", Text: "A subscription must be for folders of one mailbox."}
	case e == nil:
		e = c.refusal()
	}
	if e != nil {
		return respond(e, ""), nil
	}
	request.Mailbox = target
	for _, r := range refs {
		request.Folders = append(request.Folders, r.folder)
	}
	id, refused := c.server.org.Subscribe(request)
	if refused == nil {
		c.entry.Detail["subscription"] = id
	}
	return respond(refused, id), nil
}

// unsubscribe serves Unsubscribe; a second time is ErrorSubscriptionNotFound.
func (c *call) unsubscribe() ([]byte, *fault) {
	id := c.request.body.child("SubscriptionId")
	if id == nil {
		return nil, invalid(c.request.body, "The element 'Unsubscribe' has incomplete content. List of possible elements expected: 'SubscriptionId'.")
	}
	refused := c.refusal()
	if refused == nil {
		var mailbox string
		mailbox, refused = c.server.org.Unsubscribe(c.host, c.identity.Account, id.value())
		if mailbox != "" {
			c.entry.Detail["of"] = mailbox
		}
	}
	if refused != nil {
		c.entry.Reason = refused.Code
	}
	c.entry.Detail["subscription"] = id.value()
	d := answer(c.form, c.server.behaviour, "Unsubscribe")
	d.message("Unsubscribe", refused, func() {})
	return d.finish("Unsubscribe"), nil
}
