package autodiscover

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
)

// The namespaces as they are on the wire. Published examples that write them
// with https are wrong.
const (
	soapNamespace = "http://schemas.xmlsoap.org/soap/envelope/"
	adNamespace   = "http://schemas.microsoft.com/exchange/2010/Autodiscover"
	wsaNamespace  = "http://www.w3.org/2005/08/addressing"
	xsiNamespace  = "http://www.w3.org/2001/XMLSchema-instance"

	// requestedVersion is the value of RequestedServerVersion that every supported
	// server knows. It is not a version of the EWS schema.
	requestedVersion = "Exchange2010_SP2"
)

// reply is an answer about one or more users, in the order they were asked
// about. It may be shorter than the question.
type reply struct {
	code, text string // of the whole
	users      []userReply
}

// userReply is the answer about one user.
type userReply struct {
	code, text string
	target     string // address or URL of a redirect
	values     map[string]string
	errors     map[string]string // code by the setting's name
}

// soapRequest writes a GetUserSettings request.
func soapRequest(to string, addresses, settings []string) []byte {
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="utf-8"?>` + "\n" +
		`<soap:Envelope xmlns:soap="` + soapNamespace + `" xmlns:a="` + adNamespace + `" xmlns:wsa="` + wsaNamespace + `" xmlns:xsi="` + xsiNamespace + `">` + "\n" +
		"  <soap:Header>\n" +
		"    <a:RequestedServerVersion>" + requestedVersion + "</a:RequestedServerVersion>\n" +
		"    <wsa:Action>" + adNamespace + "/Autodiscover/GetUserSettings</wsa:Action>\n" +
		"    <wsa:To>" + escape(to) + "</wsa:To>\n" +
		"  </soap:Header>\n" +
		"  <soap:Body>\n" +
		"    <a:GetUserSettingsRequestMessage>\n" +
		"      <a:Request>\n" +
		"        <a:Users>\n")
	for _, address := range addresses {
		b.WriteString("          <a:User><a:Mailbox>" + escape(address) + "</a:Mailbox></a:User>\n")
	}
	b.WriteString("        </a:Users>\n        <a:RequestedSettings>\n")
	for _, name := range settings {
		b.WriteString("          <a:Setting>" + name + "</a:Setting>\n")
	}
	b.WriteString("        </a:RequestedSettings>\n" +
		"      </a:Request>\n" +
		"    </a:GetUserSettingsRequestMessage>\n" +
		"  </soap:Body>\n" +
		"</soap:Envelope>\n")
	return b.Bytes()
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder does not fail
	return b.String()
}

// faultError is a SOAP fault.
type faultError struct{ code, text string }

func (e *faultError) Error() string { return "autodiscover: fault " + e.code + ": " + e.text }

// byServer reports whether the server blames itself.
func (e *faultError) byServer() bool {
	switch e.code {
	case "Server", "Receiver", "InternalServiceFault", "InternalServerError", "ServerBusy":
		return true
	}
	return false
}

// parseSOAP reads a GetUserSettings response to a question about at most asked
// users. A fault is a *faultError.
func parseSOAP(data []byte, asked int) (reply, error) {
	root, err := parseXML(data)
	if err != nil {
		return reply{}, err
	}
	if root.name != (xml.Name{Space: soapNamespace, Local: "Envelope"}) {
		return reply{}, fmt.Errorf("%w: no SOAP envelope", errXML)
	}
	body := root.child("Body")
	if fault := body.child("Fault"); fault != nil {
		return reply{}, &faultError{code: localPart(fault.value("faultcode")), text: shorten(fault.value("faultstring"))}
	}
	response := body.child("GetUserSettingsResponseMessage").child("Response")
	if response == nil {
		return reply{}, fmt.Errorf("%w: no GetUserSettings response", errXML)
	}
	r := reply{code: response.value("ErrorCode"), text: shorten(response.value("ErrorMessage"))}
	if users := response.child("UserResponses"); users != nil {
		for _, e := range users.children {
			if e.name.Local == "UserResponse" {
				r.users = append(r.users, newUserReply(e))
			}
		}
	}
	if len(r.users) > asked {
		return reply{}, fmt.Errorf("%w: %d answers to a question about %d users", errXML, len(r.users), asked)
	}
	return r, nil
}

func newUserReply(e *element) userReply {
	u := userReply{
		code:   e.value("ErrorCode"),
		text:   shorten(e.value("ErrorMessage")),
		target: e.value("RedirectTarget"),
		values: map[string]string{},
		errors: map[string]string{},
	}
	if settings := e.child("UserSettings"); settings != nil {
		for _, s := range settings.children {
			// The other types of setting hold collections; none of them is asked for.
			if kind := localPart(s.attr(xsiNamespace, "type")); kind == "" || kind == "StringSetting" {
				if name := s.value("Name"); name != "" {
					u.values[name] = s.value("Value")
				}
			}
		}
	}
	if failed := e.child("UserSettingErrors"); failed != nil {
		for _, s := range failed.children {
			if name := s.value("SettingName"); name != "" {
				u.errors[name] = s.value("ErrorCode")
			}
		}
	}
	return u
}

// localPart cuts the prefix off a qualified name.
func localPart(s string) string {
	if _, local, ok := strings.Cut(s, ":"); ok {
		return local
	}
	return s
}

// shorten keeps the first part of a server's text, on one line.
func shorten(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return strings.ToValidUTF8(s[:min(len(s), messageTextMax)], "")
}
