package fakeautodiscover

import (
	"fmt"
	"slices"
	"strings"
)

// Namespaces as they are on the wire (EWS Managed API, "EwsUtilities").
const (
	nsSOAP         = "http://schemas.xmlsoap.org/soap/envelope/"
	nsAddressing   = "http://www.w3.org/2005/08/addressing"
	nsAutodiscover = "http://schemas.microsoft.com/exchange/2010/Autodiscover"
	nsInstance     = "http://www.w3.org/2001/XMLSchema-instance"

	action = nsAutodiscover + "/Autodiscover/GetUserSettings"
)

// versions are the values of RequestedServerVersion (Autodiscover reference
// "RequestedServerVersion (SOAP)"; the last is accepted by Exchange Online).
var versions = []string{
	"Exchange2007_SP1", "Exchange2010", "Exchange2010_SP1", "Exchange2010_SP2", "Exchange2013", "Exchange2013_SP1", "Exchange2016",
}

// getUserSettings is a well-formed request.
type getUserSettings struct {
	users    []string
	settings []string
}

// refusal is why a request is not answered: a SOAP fault, or an error code at
// response level.
type refusal struct {
	fault bool
	code  string // faultcode without prefix, or ErrorCode
	text  string
}

func (r *refusal) Error() string { return r.code + ": " + r.text }

func faultf(format string, args ...any) *refusal {
	return &refusal{fault: true, code: "Client", text: fmt.Sprintf(format, args...)}
}

func invalidRequest(text string) *refusal { return &refusal{code: "InvalidRequest", text: text} }

// read checks an envelope against the rules and takes it apart. It returns
// the users even of a request it refuses, for the journal.
func (s *Server) read(envelope *node) (getUserSettings, *refusal) {
	var q getUserSettings
	if envelope.name.Space != nsSOAP || envelope.name.Local != "Envelope" {
		return q, faultf("The root is {%s}%s, not the Envelope of SOAP 1.1.", envelope.name.Space, envelope.name.Local)
	}
	body := envelope.child(nsSOAP, "Body")
	if body == nil {
		return q, faultf("The envelope has no Body.")
	}
	known := map[string]bool{nsSOAP: true, nsAddressing: true, nsAutodiscover: true}
	if odd := body.strange(known); odd != nil {
		return q, faultf("The element %s is in an unknown namespace, %q.", odd.name.Local, odd.name.Space)
	}
	header := envelope.child(nsSOAP, "Header")
	switch got := header.child(nsAddressing, "Action").value(); got {
	case action:
	case "":
		return q, faultf("The header wsa:Action is missing.")
	default:
		return q, faultf("The action %q is not known.", got)
	}
	message := body.child(nsAutodiscover, "GetUserSettingsRequestMessage")
	if message == nil {
		return q, faultf("The Body holds no GetUserSettingsRequestMessage.")
	}
	request := message.child(nsAutodiscover, "Request")
	for _, u := range request.child(nsAutodiscover, "Users").all(nsAutodiscover, "User") {
		q.users = append(q.users, u.child(nsAutodiscover, "Mailbox").value())
	}
	for _, setting := range request.child(nsAutodiscover, "RequestedSettings").all(nsAutodiscover, "Setting") {
		q.settings = append(q.settings, setting.value())
	}
	if version := header.child(nsAutodiscover, "RequestedServerVersion").value(); !slices.Contains(versions, version) {
		r := invalidRequest("The RequestedServerVersion header is missing or invalid.")
		r.fault = s.options.VersionFault
		if r.fault {
			r.code = "Client"
		}
		return q, r
	}
	switch {
	case len(q.users) == 0:
		return q, invalidRequest("No users were specified.")
	case len(q.settings) == 0:
		return q, invalidRequest("No settings were requested.")
	case len(q.users) > s.options.UsersMax:
		return q, invalidRequest(fmt.Sprintf("The request has %d users, the maximum is %d.", len(q.users), s.options.UsersMax))
	}
	return q, nil
}

// isTextXML accepts what SOAP 1.1 is posted as.
func isTextXML(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(media), "text/xml")
}
