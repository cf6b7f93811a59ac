package ews

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ResponseError is a refusal by Exchange, in whichever of its shapes: a SOAP
// fault, a response message of an ordinary answer, or one of a stream.
type ResponseError struct {
	Operation string
	// Code is the EWS response code ("ErrorServerBusy"). Of an
	// ErrorInternalServerError that names another code as its reason it is that
	// other code (EWS "EWS throttling in Exchange", table 4).
	Code string
	// Text is the server's explanation, shortened: for people only, its wording
	// changes.
	Text string
	// BackOff is how long to wait at least before the next try: what the server
	// asked for, else what the code is known to need, else 0.
	BackOff time.Duration
	// HTTPStatus is the status the answer came with; 0 within a stream.
	HTTPStatus int
	// Values are those of MessageXml by name, such as Policy and
	// MaxConcurrencyLimit of throttling, LineNumber and Violation of a schema
	// fault; nil when there are none.
	Values map[string]string
}

func (e *ResponseError) Error() string {
	var b strings.Builder
	b.WriteString("ews: " + e.Operation + ": " + e.Code)
	if e.Text != "" {
		b.WriteString(": " + e.Text)
	}
	for _, name := range [...]string{"Policy", "MaxConcurrencyLimit", "Violation"} {
		if v := e.Values[name]; v != "" {
			b.WriteString(" (" + name + " " + v + ")")
		}
	}
	if e.BackOff > 0 {
		b.WriteString(" (back off " + e.BackOff.String() + ")")
	}
	return b.String()
}

// Known says whether the code is one that this package has a reaction for.
func (e *ResponseError) Known() bool {
	_, ok := codes[e.Code]
	return ok
}

// newResponseError reads the finer points out of a refusal.
func newResponseError(operation, code, text string, vals values) *ResponseError {
	e := &ResponseError{Operation: operation, Code: shorten(code, errorNameMax), Text: text, Values: vals}
	if e.Code == "" {
		e.Code = "ErrorWithoutCode"
	}
	if e.Code == codeInternal {
		if inner := innerCode(text, vals); inner != "" {
			e.Code = inner
		}
	}
	e.BackOff = backOffTold(text, vals)
	if e.BackOff == 0 {
		e.BackOff = codes[e.Code].wait
	}
	return e
}

// innerCode looks for the reason of an ErrorInternalServerError.
func innerCode(text string, vals values) string {
	if strings.Contains(text, codeBusy) {
		return codeBusy
	}
	for _, v := range vals {
		if v == codeBusy {
			return codeBusy
		}
	}
	return ""
}

// backOffTold is the wait that the server asks for, by value or in words:
// "Suggested backoff time 5000 ms."
func backOffTold(text string, vals values) time.Duration {
	if ms, err := strconv.ParseInt(strings.TrimSpace(vals["BackOffMilliseconds"]), 10, 64); err == nil {
		return boundedWait(ms, time.Millisecond)
	}
	for _, t := range [...]string{text, vals["ErrorMessage"]} {
		_, rest, ok := strings.Cut(t, "Suggested backoff time ")
		if !ok {
			continue
		}
		if digits, _, ok := strings.Cut(rest, " ms"); ok {
			if ms, err := strconv.ParseInt(digits, 10, 64); err == nil {
				return boundedWait(ms, time.Millisecond)
			}
		}
	}
	return 0
}

// boundedWait is n units, at least 0 and at most backOffMax.
func boundedWait(n int64, unit time.Duration) time.Duration {
	switch {
	case n <= 0:
		return 0
	case n >= int64(backOffMax/unit):
		return backOffMax
	}
	return time.Duration(n) * unit
}

// values are the named values of a MessageXml. The namespaces of both types
// and errors are in use for it.
type values map[string]string

// read takes the MessageXml just entered. Throttling uses Value elements with
// a Name; schema faults use elements of their own name.
func (v *values) read(s *scanner) {
	for s.child() {
		name := string(s.name)
		if name == "Value" {
			name = string(s.attr("Name"))
		}
		text := string(s.value())
		if name == "" || len(name) > errorNameMax || len(*v) == errorValuesMax {
			continue
		}
		if *v == nil {
			*v = values{}
		}
		(*v)[name] = shorten(text, errorTextMax)
	}
}

// faultError reads the Fault just entered, of SOAP 1.1 or 1.2. The detail says
// the code best; faultcode and Subcode are what servers without a detail have.
func faultError(s *scanner) *ResponseError {
	var detail, code, text string
	var vals values
	for s.child() {
		switch string(s.name) {
		case "faultcode": // SOAP 1.1: a:ErrorServerBusy
			code = string(localName(s.value()))
		case "Code": // SOAP 1.2
			code = faultCode12(s)
		case "faultstring":
			text = string(s.value())
		case "Reason":
			for s.child() {
				if s.is("Text") && text == "" {
					text = string(s.value())
				} else {
					s.skip()
				}
			}
		case "detail", "Detail":
			for s.child() {
				switch string(s.name) {
				case "ResponseCode":
					detail = string(s.value())
				case "Message":
					if t := string(s.value()); t != "" {
						text = t
					}
				case "MessageXml":
					vals.read(s)
				default:
					s.skip()
				}
			}
		default:
			s.skip()
		}
	}
	if detail != "" {
		code = detail
	}
	return newResponseError("", code, shorten(text, errorTextMax), vals)
}

// faultCode12 reads the Code of a SOAP 1.2 fault: the innermost Value says most.
func faultCode12(s *scanner) string {
	var code, sub string
	for s.child() {
		switch string(s.name) {
		case "Value":
			code = string(localName(s.value()))
		case "Subcode":
			sub = faultCode12(s)
		default:
			s.skip()
		}
	}
	if sub != "" {
		return sub
	}
	return code
}

// HTTPError is an answer that is no EWS answer: a status that says it all, or
// a page for people.
type HTTPError struct {
	Operation  string
	Status     int
	RetryAfter time.Duration // wait asked for, 0 when none was
	HTML       bool          // the body was a page
	Location   string        // of a redirect: scheme, host and path
	CASError   string        // X-CasErrorCode: the front end's own word, for logs
}

func (e *HTTPError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "ews: %s: http status %d", e.Operation, e.Status)
	if text := http.StatusText(e.Status); text != "" {
		b.WriteString(" " + text)
	}
	if e.HTML {
		b.WriteString(" with a page instead of an answer")
	}
	if e.Location != "" {
		b.WriteString(", leads to " + e.Location)
	}
	if e.CASError != "" {
		b.WriteString(", front end says " + e.CASError)
	}
	if e.RetryAfter > 0 {
		b.WriteString(" (retry after " + e.RetryAfter.String() + ")")
	}
	return b.String()
}

func newHTTPError(operation string, resp *http.Response, html bool) *HTTPError {
	e := &HTTPError{
		Operation: operation, Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header), HTML: html,
		CASError: shorten(resp.Header.Get("X-CasErrorCode"), errorNameMax),
	}
	if e.Status >= 300 && e.Status < 400 {
		// A query can hold what must not be logged.
		where, _, _ := strings.Cut(resp.Header.Get("Location"), "?")
		e.Location = shorten(where, errorNameMax)
	}
	return e
}

// retryAfter reads the header of that name (RFC 9110 "HTTP Semantics", section
// 10.2.3): seconds or a date.
func retryAfter(h http.Header) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	if n, err := strconv.ParseInt(v, 10, 64); err == nil {
		return boundedWait(n, time.Second)
	}
	if t, err := http.ParseTime(v); err == nil {
		return boundedWait(int64(time.Until(t)), 1)
	}
	return 0
}
