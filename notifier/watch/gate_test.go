package watch_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
)

// hook sees a request before it is sent. It may wait, change the URL, and
// answer in the server's place; nil and nil let the request go on.
type hook func(q request) (*http.Response, error)

// request is what a hook needs to know of one.
type request struct {
	*http.Request
	operation string // "Subscribe"
	mailbox   string // impersonated
	body      string
}

// gate shows every request to the stage's hook.
type gate struct {
	s    *stage
	next http.RoundTripper
}

var (
	operationOf = regexp.MustCompile(`Body><m:(\w+)`)
	mailboxOf   = regexp.MustCompile(`<t:SmtpAddress>([^<]*)<`)
	itemsOf     = regexp.MustCompile(`<t:ItemId Id="([^"]*)"`)
)

func (g gate) RoundTrip(r *http.Request) (*http.Response, error) {
	g.s.mu.Lock()
	h := g.s.hook
	g.s.mu.Unlock()
	if h != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		q := request{Request: r, body: string(body)}
		if m := operationOf.FindSubmatch(body); m != nil {
			q.operation = string(m[1])
		}
		if m := mailboxOf.FindSubmatch(body); m != nil {
			q.mailbox = string(m[1])
		}
		if resp, err := h(q); resp != nil || err != nil {
			return resp, err
		}
	}
	return g.next.RoundTrip(r)
}

func (s *stage) hooked(h hook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = h
}

// errRefused is what a host that is gone answers.
var errRefused = errors.New("connection refused")

func answer(q request, status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: q.Request,
		Header: http.Header{"Content-Type": {"text/xml; charset=utf-8"}}, Body: io.NopCloser(strings.NewReader(body)),
	}
}

// faulty answers a SOAP fault.
func faulty(q request, code string) *http.Response {
	return answer(q, 500, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>a:`+code+`</faultcode><faultstring>no</faultstring><detail>`+
		`<e:ResponseCode xmlns:e="http://schemas.microsoft.com/exchange/services/2006/errors">`+code+`</e:ResponseCode></detail></s:Fault></s:Body></s:Envelope>`)
}

// failedItems answers GetItem with an error for every item asked for.
func failedItems(q request, code string) *http.Response {
	var b strings.Builder
	b.WriteString(`<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><m:GetItemResponse xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"><m:ResponseMessages>`)
	for range itemsOf.FindAllString(q.body, -1) {
		fmt.Fprintf(&b, `<m:GetItemResponseMessage ResponseClass="Error"><m:MessageText>no</m:MessageText><m:ResponseCode>%s</m:ResponseCode><m:DescriptiveLinkKey>0</m:DescriptiveLinkKey></m:GetItemResponseMessage>`, code)
	}
	b.WriteString(`</m:ResponseMessages></m:GetItemResponse></s:Body></s:Envelope>`)
	return answer(q, 200, b.String())
}
