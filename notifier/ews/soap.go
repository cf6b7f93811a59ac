package ews

import "unicode/utf8"

// The namespaces as they are on the wire. Published examples were rewritten to
// https in places; no server speaks those.
const (
	nsSOAP     = "http://schemas.xmlsoap.org/soap/envelope/"
	nsMessages = "http://schemas.microsoft.com/exchange/services/2006/messages"
	nsTypes    = "http://schemas.microsoft.com/exchange/services/2006/types"
)

// The folder all operations are about.
const inbox = `<t:DistinguishedFolderId Id="inbox"/>`

// requestSize is what a request is first given room for, in bytes: all but
// those with many IDs fit.
const requestSize = 2048

// beginEnvelope begins a request up to the operation's element.
//
// The header names the schema (EWS reference "RequestServerVersion") and the
// mailbox acted for (EWS reference "ExchangeImpersonation"; by SmtpAddress,
// which takes any of a mailbox's addresses, unlike PrimarySmtpAddress).
func beginEnvelope(v Version, impersonate string) []byte {
	b := make([]byte, 0, requestSize)
	b = append(b, `<?xml version="1.0" encoding="utf-8"?>`+
		`<s:Envelope xmlns:s="`+nsSOAP+`" xmlns:m="`+nsMessages+`" xmlns:t="`+nsTypes+`">`+
		`<s:Header><t:RequestServerVersion Version="`...)
	b = appendEscaped(b, string(v))
	b = append(b, `"/>`...)
	if impersonate != "" {
		b = append(b, `<t:ExchangeImpersonation><t:ConnectingSID>`...)
		b = appendElement(b, "t:SmtpAddress", impersonate)
		b = append(b, `</t:ConnectingSID></t:ExchangeImpersonation>`...)
	}
	return append(b, `</s:Header><s:Body>`...)
}

// endEnvelope ends what beginEnvelope began.
func endEnvelope(b []byte) []byte { return append(b, `</s:Body></s:Envelope>`...) }

// appendElement writes an element that holds text.
func appendElement(b []byte, name, text string) []byte {
	b = append(b, '<')
	b = append(b, name...)
	b = append(b, '>')
	b = appendEscaped(b, text)
	b = append(b, "</"...)
	b = append(b, name...)
	return append(b, '>')
}

// appendFields writes the properties an answer shall hold beyond the IDs (EWS
// reference "AdditionalProperties").
func appendFields(b []byte, fields ...string) []byte {
	b = append(b, `<t:BaseShape>IdOnly</t:BaseShape>`...)
	if len(fields) == 0 {
		return b
	}
	b = append(b, `<t:AdditionalProperties>`...)
	for _, f := range fields {
		b = append(b, `<t:FieldURI FieldURI="`...)
		b = append(b, f...)
		b = append(b, `"/>`...)
	}
	return append(b, `</t:AdditionalProperties>`...)
}

// appendEscaped writes text so that it can stand in an element or a quoted
// attribute and is read back unchanged. What XML cannot hold becomes U+FFFD.
func appendEscaped(b []byte, text string) []byte {
	for _, r := range text {
		switch {
		case r == '&':
			b = append(b, "&amp;"...)
		case r == '<':
			b = append(b, "&lt;"...)
		case r == '>':
			b = append(b, "&gt;"...)
		case r == '"':
			b = append(b, "&quot;"...)
		case r == '\t':
			b = append(b, "&#x9;"...)
		case r == '\n':
			b = append(b, "&#xA;"...)
		case r == '\r':
			b = append(b, "&#xD;"...)
		case allowed(r):
			b = utf8.AppendRune(b, r)
		default:
			b = utf8.AppendRune(b, utf8.RuneError)
		}
	}
	return b
}
