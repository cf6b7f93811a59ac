package ews

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// ResponseError is a refusal in Exchange's own words, whether it came as a SOAP
// fault, in a response message, or inside a stream.
type ResponseError struct {
	Code       string            // EWS reference "ResponseCode": "ErrorServerBusy"
	Text       string            // the server's text, shortened
	BackOff    time.Duration     // what the server told to wait; 0: nothing
	HTTPStatus int               // of the answer it came in
	Values     map[string]string // MessageXml, by name
}

func (e *ResponseError) Error() string {
	s := e.Code
	if e.Text != "" {
		s += ": " + e.Text
	}
	if e.BackOff > 0 {
		s += fmt.Sprintf(" (wait %v)", e.BackOff)
	}
	return s
}

// HTTPError is an answer that holds no SOAP at all.
type HTTPError struct {
	Status     int
	RetryAfter time.Duration // 0: none told
	Location   string        // of a redirect, which is never followed
	RequestID  string        // of the server, for its administrator
}

func (e *HTTPError) Error() string {
	s := fmt.Sprintf("HTTP status %d without SOAP", e.Status)
	if e.Location != "" {
		s += ", redirects to " + e.Location
	}
	if e.RequestID != "" {
		s += ", request-id " + e.RequestID
	}
	return s
}

func httpError(resp *http.Response) error {
	e := &HTTPError{Status: resp.StatusCode, Location: resp.Header.Get("Location"), RequestID: shorten(resp.Header.Get("request-id"))}
	switch after := resp.Header.Get("Retry-After"); {
	case after == "":
	default:
		if s, err := strconv.Atoi(after); err == nil && s > 0 {
			e.RetryAfter = time.Duration(s) * time.Second
		} else if t, err := http.ParseTime(after); err == nil {
			e.RetryAfter = max(time.Until(t), 0)
		}
	}
	return e
}

// faultError reads a SOAP fault, 1.1 or 1.2. The code stands in the detail, or
// behind the prefix of the faultcode.
func faultError(f *node, status int) error {
	e := &ResponseError{HTTPStatus: status, Code: f.find("ResponseCode").valueOrEmpty(), Text: shorten(f.value("faultstring"))}
	if e.Code == "" {
		code := f.value("faultcode")
		if code == "" {
			code = f.value("Code", "Subcode", "Value")
		}
		e.Code = local(code)
	}
	if e.Text == "" {
		e.Text = shorten(f.value("Reason", "Text"))
	}
	e.details(f)
	return e
}

// messageError is the error of a response message, nil when it is a success.
func messageError(m *node) error {
	code := m.value("ResponseCode")
	if class := m.attr("ResponseClass"); class == "Success" || (class != "Error" && code == "NoError") {
		return nil
	}
	e := &ResponseError{HTTPStatus: http.StatusOK, Code: code, Text: shorten(m.value("MessageText"))}
	if e.Code == "" {
		e.Code = "ErrorWithoutResponseCode"
	}
	e.details(m)
	return e
}

var backOffText = regexp.MustCompile(`(?i)suggested backoff time:? (\d{1,9}) ?ms`)

// details reads MessageXml, and the wait that is told in it or in the text.
func (e *ResponseError) details(n *node) {
	if x := n.find("MessageXml"); x != nil {
		e.Values = map[string]string{}
		for _, v := range x.kids {
			name := v.attr("Name")
			if name == "" {
				name = v.name
			}
			e.Values[name] = shorten(strings.TrimSpace(v.text))
		}
	}
	if ms, err := strconv.Atoi(e.Values["BackOffMilliseconds"]); err == nil && ms > 0 {
		e.BackOff = time.Duration(ms) * time.Millisecond
	} else if m := backOffText.FindStringSubmatch(e.Text + " " + e.Values["ErrorMessage"]); m != nil {
		ms, _ := strconv.Atoi(m[1]) // digits by the pattern
		e.BackOff = time.Duration(ms) * time.Millisecond
	}
}

func (n *node) valueOrEmpty() string {
	if n == nil {
		return ""
	}
	return strings.TrimSpace(n.text)
}

// shorten bounds a server's text.
func shorten(s string) string {
	if utf8.RuneCountInString(s) <= textMax {
		return s
	}
	return string([]rune(s)[:textMax]) + "…"
}
