package autodiscover

import (
	"fmt"
	"strings"
)

const (
	poxRequestNamespace  = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
	poxResponseNamespace = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
)

// poxRequest writes a request of the plain XML dialect ("plain old XML"), which
// concerns one user and always returns everything.
func poxRequest(address string) []byte {
	return []byte(`<?xml version="1.0" encoding="utf-8"?>
<Autodiscover xmlns="` + poxRequestNamespace + `">
  <Request>
    <EMailAddress>` + escape(address) + `</EMailAddress>
    <AcceptableResponseSchema>` + poxResponseNamespace + `</AcceptableResponseSchema>
  </Request>
</Autodiscover>
`)
}

// parsePOX reads the answer, in the terms of the SOAP dialect. Namespaces are not
// looked at: servers disagree about that of an error.
func parsePOX(data []byte) (reply, error) {
	root, err := parseXML(data)
	if err != nil {
		return reply{}, err
	}
	response := root.child("Response")
	if root.name.Local != "Autodiscover" || response == nil {
		return reply{}, fmt.Errorf("%w: no Autodiscover response", errXML)
	}
	if e := response.child("Error"); e != nil {
		return poxReply(userReply{code: "Error" + shorten(e.value("ErrorCode")), text: shorten(e.value("Message"))}), nil
	}
	account := response.child("Account")
	switch action := account.value("Action"); {
	case strings.EqualFold(action, "redirectAddr"):
		return poxReply(userReply{code: "RedirectAddress", target: account.value("RedirectAddr")}), nil
	case strings.EqualFold(action, "redirectUrl"):
		return poxReply(userReply{code: "RedirectUrl", target: account.value("RedirectUrl")}), nil
	case !strings.EqualFold(action, "settings"):
		return reply{}, fmt.Errorf("%w: neither settings nor redirect", errXML)
	}
	inside, outside := poxProtocol(account, "EXCH"), poxProtocol(account, "EXPR")
	user := response.child("User")
	return poxReply(userReply{code: "NoError", values: map[string]string{
		"ExternalEwsUrl":          firstOf(outside.value("EwsUrl"), outside.value("ASUrl")),
		"InternalEwsUrl":          firstOf(inside.value("EwsUrl"), inside.value("ASUrl")),
		"GroupingInformation":     outside.value("GroupingInformation"),
		"UserDisplayName":         user.value("DisplayName"),
		"AutoDiscoverSMTPAddress": user.value("AutoDiscoverSMTPAddress"),
	}}), nil
}

func poxReply(u userReply) reply { return reply{code: "NoError", users: []userReply{u}} }

// poxProtocol returns the first Protocol of a type, nil if there is none. Only
// direct children count: type WEB has others inside.
func poxProtocol(account *element, kind string) *element {
	if account != nil {
		for _, p := range account.children {
			if p.name.Local == "Protocol" && p.value("Type") == kind {
				return p
			}
		}
	}
	return nil
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
