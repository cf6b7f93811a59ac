package fakeews

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"mailbell/fakes/exchange"
)

// shape is what a request wants of items or folders.
type shape struct {
	fields   map[string]bool // FieldURI
	extended []extended
	body     string // BodyType: Text, HTML or Best
}

// extended is an ExtendedFieldURI by property tag.
type extended struct {
	tag  uint64
	node *node
}

// readShape reads an ItemShape or FolderShape.
func (c *call) readShape(n *node) (shape, *fault) {
	if n == nil {
		return shape{}, invalid(c.request.body, "The element '%s' has incomplete content: the shape is missing.", c.request.operation)
	}
	s := shape{fields: map[string]bool{}, body: "Best"}
	base := n.child("BaseShape")
	switch base.value() {
	case "IdOnly":
	case "Default", "AllProperties":
		for _, f := range []string{
			"item:Subject", "item:DateTimeReceived", "item:Importance", "item:ItemClass", "item:ParentFolderId",
			"item:Sensitivity", "item:Size", "item:HasAttachments", "item:DateTimeSent", "item:DateTimeCreated",
			"message:From", "message:Sender", "message:IsRead", "message:InternetMessageId", "message:ToRecipients", "message:CcRecipients",
			"folder:DisplayName", "folder:TotalCount", "folder:UnreadCount", "folder:ChildFolderCount", "folder:ParentFolderId", "folder:FolderClass",
		} {
			s.fields[f] = true
		}
		if c.request.operation == "GetItem" {
			s.fields["item:Body"] = true
		}
	default:
		return s, invalid(n, "The 'BaseShape' element is invalid - The value '%s' is invalid according to its datatype.", base.value())
	}
	if t := n.child("BodyType").value(); t != "" {
		s.body = t
	}
	if n.child("IncludeMimeContent").value() == "true" {
		s.fields["item:MimeContent"] = true
	}
	extra := n.child("AdditionalProperties")
	if extra == nil {
		return s, nil
	}
	for _, p := range extra.children {
		switch p.name {
		case "FieldURI":
			uri := p.attr("FieldURI")
			if uri == "item:Preview" {
				if !c.server.behaviour.Preview {
					return s, invalid(p, "The 'FieldURI' attribute is invalid - The value 'item:Preview' is invalid according to its datatype.")
				}
				if !c.atLeast("Exchange2013") {
					return s, newFault("ErrorIncorrectSchemaVersion", "The property item:Preview needs Exchange2013 or later.")
				}
			}
			if !strings.Contains(uri, ":") {
				return s, invalid(p, "The 'FieldURI' attribute is invalid - The value '%s' is invalid according to its datatype.", uri)
			}
			s.fields[uri] = true
		case "ExtendedFieldURI":
			// Hexadecimal with 0x, or decimal as the Managed API writes it.
			if tag, err := strconv.ParseUint(p.attr("PropertyTag"), 0, 32); err == nil {
				s.extended = append(s.extended, extended{tag, p})
			}
		case "IndexedFieldURI":
		default:
			return s, invalid(p, "The element 'AdditionalProperties' has invalid child element '%s'.", p.name)
		}
	}
	return s, nil
}

// element is the name of an item's element, by its class.
func element(class string) string {
	switch {
	case class == "IPM.Schedule.Meeting.Request":
		return "t:MeetingRequest"
	case class == "IPM.Schedule.Meeting.Canceled":
		return "t:MeetingCancellation"
	case strings.HasPrefix(class, "IPM.Schedule.Meeting.Resp"):
		return "t:MeetingResponse"
	case class == "IPM.Appointment":
		return "t:CalendarItem"
	case class == "IPM.Post":
		return "t:PostItem"
	}
	return "t:Message"
}

// item writes an item. FindItem and SyncFolderItems give only the names of
// people, and no bodies; full is GetItem. The order is that of the schema.
func (c *call) item(d *doc, it exchange.Item, s shape, full bool) {
	m := it.Message
	name := element(m.Class)
	when := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
	want := func(uri string) bool { return s.fields[uri] }
	d.open(name)
	if full && want("item:MimeContent") {
		if raw := c.server.org.Raw(m); raw != nil {
			d.text("t:MimeContent", base64.StdEncoding.EncodeToString(raw), "CharacterSet", "UTF-8")
		}
	}
	d.empty("t:ItemId", "Id", it.ID, "ChangeKey", it.ChangeKey)
	if want("item:ParentFolderId") {
		d.empty("t:ParentFolderId", "Id", it.ParentID, "ChangeKey", it.ParentKey)
	}
	if want("item:ItemClass") {
		d.text("t:ItemClass", m.Class)
	}
	if want("item:Subject") && m.HasSubject {
		d.text("t:Subject", m.Subject)
	}
	if want("item:Sensitivity") {
		d.text("t:Sensitivity", m.Sensitivity)
	}
	if full && (want("item:Body") || want("item:TextBody")) {
		if s.body == "Text" || m.HTML == "" && s.body == "Best" || want("item:TextBody") {
			d.text("t:Body", m.Text, "BodyType", "Text")
		} else {
			html := m.HTML
			if html == "" {
				html = "<html><body><pre>" + strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(m.Text) + "</pre></body></html>"
			}
			d.text("t:Body", html, "BodyType", "HTML")
		}
	}
	if want("item:DateTimeReceived") {
		d.text("t:DateTimeReceived", when(it.Received))
	}
	if want("item:Size") {
		d.text("t:Size", fmt.Sprint(m.Size))
	}
	if want("item:Importance") {
		d.text("t:Importance", m.Importance)
	}
	if want("item:IsDraft") {
		d.text("t:IsDraft", fmt.Sprint(it.Draft))
	}
	if want("item:DateTimeSent") && !m.Sent.IsZero() {
		d.text("t:DateTimeSent", when(m.Sent))
	}
	if want("item:DateTimeCreated") {
		d.text("t:DateTimeCreated", when(it.Received))
	}
	if want("item:DisplayTo") {
		var names []string
		for _, a := range m.To {
			names = append(names, display(a))
		}
		d.text("t:DisplayTo", strings.Join(names, "; "))
	}
	if want("item:HasAttachments") {
		d.text("t:HasAttachments", fmt.Sprint(m.Attachments))
	}
	if want("item:Preview") {
		d.text("t:Preview", m.Preview)
	}
	if want("message:Sender") && m.HasFrom {
		c.person(d, "t:Sender", full, m.Sender)
	}
	if full && want("message:ToRecipients") {
		c.person(d, "t:ToRecipients", full, m.To...)
	}
	if full && want("message:CcRecipients") {
		c.person(d, "t:CcRecipients", full, m.Cc...)
	}
	if want("message:From") && m.HasFrom {
		c.person(d, "t:From", full, m.From)
	}
	if want("message:InternetMessageId") && m.MessageID != "" {
		d.text("t:InternetMessageId", m.MessageID)
	}
	if want("message:IsRead") {
		d.text("t:IsRead", fmt.Sprint(it.Read))
	}
	d.close(name)
}

// person writes mailboxes. Exchange shows the address as the name of who has
// none.
func (c *call) person(d *doc, name string, full bool, people ...exchange.Address) {
	if len(people) == 0 {
		return
	}
	d.open(name)
	for _, a := range people {
		d.open("t:Mailbox")
		d.text("t:Name", display(a))
		if full {
			if a.Address != "" {
				d.text("t:EmailAddress", a.Address)
			}
			d.text("t:RoutingType", "SMTP")
			if _, err := c.server.org.Lookup(exchange.SMTPAddress, a.Address); err == nil {
				d.text("t:MailboxType", "Mailbox")
			} else {
				d.text("t:MailboxType", "OneOff")
			}
		}
		d.close("t:Mailbox")
	}
	d.close(name)
}

func display(a exchange.Address) string {
	if a.Name == "" {
		return a.Address
	}
	return a.Name
}
