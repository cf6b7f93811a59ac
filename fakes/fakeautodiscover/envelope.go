package fakeautodiscover

import (
	"encoding/xml"
	"slices"
	"strconv"
	"strings"
)

// writer writes envelopes in one style.
type writer struct {
	strings.Builder
	style Style
}

// envelope is the response message: an error code for the whole and a
// userAnswer for each user answered.
func (s *Server) envelope(style Style, code, text string, users []userAnswer) string {
	w := &writer{style: style}
	if style.Declaration {
		w.WriteString(`<?xml version="1.0" encoding="utf-8"?>` + "\n")
	}
	w.WriteString(`<s:Envelope xmlns:s="` + nsSOAP + `" xmlns:a="` + nsAddressing + `"><s:Header>` +
		`<a:Action s:mustUnderstand="1">` + action + `Response</a:Action>`)
	w.version(s.options.Version)
	w.WriteString(`</s:Header><s:Body>`)
	w.open("GetUserSettingsResponseMessage", ` `+w.xmlns()+`="`+nsAutodiscover+`"`)
	w.open("Response", ` xmlns:i="`+nsInstance+`"`)
	w.element("ErrorCode", code)
	w.element("ErrorMessage", text)
	w.list("UserResponses", len(users), func(i int) { w.user(users[i]) })
	w.close("Response")
	w.close("GetUserSettingsResponseMessage")
	w.WriteString(`</s:Body></s:Envelope>`)
	return w.String()
}

func (w *writer) version(v ServerVersion) {
	w.WriteString(`<h:ServerVersionInfo xmlns:h="` + nsAutodiscover + `" xmlns:i="` + nsInstance + `">` +
		`<h:MajorVersion>` + strconv.Itoa(v.Major) + `</h:MajorVersion><h:MinorVersion>` + strconv.Itoa(v.Minor) +
		`</h:MinorVersion><h:MajorBuildNumber>` + strconv.Itoa(v.Build) + `</h:MajorBuildNumber><h:MinorBuildNumber>` +
		strconv.Itoa(v.Revision) + `</h:MinorBuildNumber><h:Version>` + escape(v.Label) + `</h:Version></h:ServerVersionInfo>`)
}

func (w *writer) user(u userAnswer) {
	w.open("UserResponse", "")
	w.element("ErrorCode", u.code)
	w.element("ErrorMessage", u.text)
	if u.redirect == "" {
		w.empty("RedirectTarget", ` i:nil="true"`)
	} else {
		w.element("RedirectTarget", u.redirect)
	}
	w.list("UserSettingErrors", len(u.errors), func(i int) {
		w.open("UserSettingError", "")
		w.element("ErrorCode", u.errors[i].code)
		w.element("ErrorMessage", u.errors[i].text)
		w.element("SettingName", u.errors[i].name)
		w.close("UserSettingError")
	})
	values := u.values
	if w.style.Reverse {
		values = slices.Clone(values)
		slices.Reverse(values)
	}
	unasked := w.style.Unasked && u.code == "NoError"
	if unasked {
		values = append([]settingValue{{"ExternalMailboxServerRequiresSSL", "True"}}, values...)
	}
	w.list("UserSettings", len(values), func(i int) {
		if unasked && i == 1 {
			w.webClient()
		}
		w.open("UserSetting", ` i:type="`+w.prefix()+`StringSetting"`)
		w.element("Name", values[i].name)
		w.element("Value", values[i].value)
		w.close("UserSetting")
	})
	w.close("UserResponse")
}

// webClient is a setting that is no string, with Name and Value deeper inside.
func (w *writer) webClient() {
	w.open("UserSetting", ` i:type="`+w.prefix()+`WebClientUrlCollectionSetting"`)
	w.element("Name", "ExternalWebClientUrls")
	w.open("WebClientUrls", "")
	w.open("WebClientUrl", "")
	w.element("AuthenticationMethods", "Fba")
	w.element("Url", "https://mail.contoso.test/owa/")
	w.close("WebClientUrl")
	w.close("WebClientUrls")
	w.close("UserSetting")
}

func (w *writer) xmlns() string {
	if w.style.Prefix == "" {
		return "xmlns"
	}
	return "xmlns:" + w.style.Prefix
}

func (w *writer) prefix() string {
	if w.style.Prefix == "" {
		return ""
	}
	return w.style.Prefix + ":"
}

func (w *writer) open(name, attributes string) {
	w.WriteString("<" + w.prefix() + name + attributes + ">")
}

func (w *writer) close(name string) { w.WriteString("</" + w.prefix() + name + ">") }

func (w *writer) empty(name, attributes string) {
	if w.style.OpenEmpty {
		w.open(name, attributes)
		w.close(name)
		return
	}
	w.WriteString("<" + w.prefix() + name + attributes + "/>")
}

func (w *writer) element(name, text string) {
	if text == "" {
		w.empty(name, "")
		return
	}
	w.open(name, "")
	w.WriteString(escape(text))
	w.close(name)
}

func (w *writer) list(name string, n int, item func(i int)) {
	if n == 0 {
		w.empty(name, "")
		return
	}
	w.open(name, "")
	for i := range n {
		item(i)
	}
	w.close(name)
}

// soapFault is a SOAP 1.1 fault.
func soapFault(code, text string) string {
	return `<s:Envelope xmlns:s="` + nsSOAP + `"><s:Body><s:Fault><faultcode>s:` + escape(code) +
		`</faultcode><faultstring xml:lang="en-US">` + escape(text) + `</faultstring></s:Fault></s:Body></s:Envelope>`
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder does not fail
	return b.String()
}
