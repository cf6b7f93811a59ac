package ews

// Namespaces as they are on the wire; published examples have some of them
// wrong (https instead of http).
const (
	nsSOAP     = "http://schemas.xmlsoap.org/soap/envelope/"
	nsMessages = "http://schemas.microsoft.com/exchange/services/2006/messages"
	nsTypes    = "http://schemas.microsoft.com/exchange/services/2006/types"
)

// envelope writes a request around its operation.
func (c *Client) envelope(who Caller, operation func([]byte) []byte) []byte {
	b := make([]byte, 0, 2048)
	b = append(b, `<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="`+nsSOAP+`" xmlns:m="`+nsMessages+`" xmlns:t="`+nsTypes+`"><s:Header><t:RequestServerVersion Version="`...)
	b = escape(b, string(c.opt.Version))
	b = append(b, `"/>`...)
	if who.Impersonate != "" {
		b = append(b, `<t:ExchangeImpersonation><t:ConnectingSID><t:SmtpAddress>`...)
		b = escape(b, who.Impersonate)
		b = append(b, `</t:SmtpAddress></t:ConnectingSID></t:ExchangeImpersonation>`...)
	}
	b = append(b, `</s:Header><s:Body>`...)
	b = operation(b)
	return append(b, `</s:Body></s:Envelope>`...)
}
