package fakeews

import (
	"fmt"
	"strings"

	"mailbell/fakes/exchange"
)

// convertID serves ConvertId as far as clients use it to learn the version:
// ids come back as they were when they exist in form, else malformed.
func (c *call) convertID() ([]byte, *fault) {
	body := c.request.body
	sources := body.child("SourceIds")
	if sources == nil || len(sources.children) == 0 || body.attr("DestinationFormat") == "" {
		return nil, invalid(body, "The element 'ConvertId' has incomplete content.")
	}
	d := answer(c.form, c.server.behaviour, "ConvertId")
	d.open("m:ResponseMessages")
	for _, n := range sources.children {
		id := n.attr("Id")
		if !strings.HasPrefix(id, "AAMk") && !strings.HasPrefix(id, "AQMk") {
			c.entry.Reason = exchange.CodeInvalidIDMalformed
			d.refusal("ConvertId", &exchange.Error{Code: exchange.CodeInvalidIDMalformed, Text: "Id is malformed."})
			continue
		}
		d.success("ConvertId")
		d.empty("m:AlternateId", "xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance", "xsi:type", d.form.t+":AlternateIdType",
			"Format", body.attr("DestinationFormat"), "Id", id, "Mailbox", n.attr("Mailbox"))
		d.close("m:ConvertIdResponseMessage")
	}
	d.close("m:ResponseMessages")
	return d.finish("ConvertId"), nil
}

// resolveNames serves ResolveNames from the directory. Several matches are a
// Warning, none is an Error.
func (c *call) resolveNames() ([]byte, *fault) {
	entry := c.request.body.child("UnresolvedEntry")
	if entry.value() == "" {
		return nil, invalid(c.request.body, "The element 'ResolveNames' has incomplete content. List of possible elements expected: 'UnresolvedEntry'.")
	}
	found := c.server.org.Search(entry.value(), candidatesMax+1)
	d := answer(c.form, c.server.behaviour, "ResolveNames")
	d.open("m:ResponseMessages")
	const name = "m:ResolveNamesResponseMessage"
	switch {
	case len(found) == 0:
		c.entry.Reason = "ErrorNameResolutionNoResults"
		d.refusal("ResolveNames", &exchange.Error{Code: c.entry.Reason, Text: "No results were found."})
	default:
		if len(found) > 1 {
			d.open(name, "ResponseClass", "Warning")
			d.failure("ErrorNameResolutionMultipleResults", "Multiple results were found.", nil)
		} else {
			d.success("ResolveNames")
		}
		last := len(found) <= candidatesMax
		found = found[:min(len(found), candidatesMax)]
		d.open("m:ResolutionSet", "TotalItemsInView", fmt.Sprint(len(found)), "IncludesLastItemInRange", fmt.Sprint(last))
		for _, m := range found {
			d.open("t:Resolution")
			d.open("t:Mailbox")
			d.text("t:Name", m.DisplayName)
			d.text("t:EmailAddress", m.Address)
			d.text("t:RoutingType", "SMTP")
			d.text("t:MailboxType", "Mailbox")
			d.close("t:Mailbox")
			d.close("t:Resolution")
		}
		d.close("m:ResolutionSet")
		d.close(name)
	}
	d.close("m:ResponseMessages")
	return d.finish("ResolveNames"), nil
}

// timeZones are the zones the fake knows: UTC, which is all it uses.
var timeZones = []struct{ id, name string }{
	{"UTC", "(UTC) Coordinated Universal Time"},
	{"GMT Standard Time", "(UTC+00:00) Dublin, Edinburgh, Lisbon, London"},
}

// getServerTimeZones serves GetServerTimeZones with zones that have no
// transitions.
func (c *call) getServerTimeZones() ([]byte, *fault) {
	wanted := map[string]bool{}
	for _, id := range c.request.body.child("Ids").all("Id") {
		wanted[id.value()] = true
	}
	d := answer(c.form, c.server.behaviour, "GetServerTimeZones")
	d.message("GetServerTimeZones", nil, func() {
		d.open("m:TimeZoneDefinitions")
		for _, z := range timeZones {
			if len(wanted) > 0 && !wanted[z.id] {
				continue
			}
			d.open("t:TimeZoneDefinition", "Id", z.id, "Name", z.name)
			d.open("t:Periods")
			d.empty("t:Period", "Bias", "PT0S", "Name", "Standard", "Id", "std")
			d.close("t:Periods")
			d.open("t:TransitionsGroups")
			d.open("t:TransitionsGroup", "Id", "0")
			d.open("t:Transition")
			d.text("t:To", "std", "Kind", "Period")
			d.close("t:Transition")
			d.close("t:TransitionsGroup")
			d.close("t:TransitionsGroups")
			d.open("t:Transitions")
			d.open("t:Transition")
			d.text("t:To", "0", "Kind", "Group")
			d.close("t:Transition")
			d.close("t:Transitions")
			d.close("t:TimeZoneDefinition")
		}
		d.close("m:TimeZoneDefinitions")
	})
	return d.finish("GetServerTimeZones"), nil
}
