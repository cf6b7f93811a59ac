package ews

import (
	"bytes"
	"time"
)

// envelope walks a SOAP envelope whose root is entered next, and calls message
// for every response message in it, which it has to leave. It returns the SOAP
// fault if it holds one, and how many messages there were; errors stay in
// s.err.
func envelope(s *scanner, response string, message func(*scanner)) (fault *ResponseError, messages int) {
	if !s.root() {
		return nil, 0
	}
	if !s.is("Envelope") {
		s.fail("its root is not a SOAP envelope")
		return nil, 0
	}
	for s.child() {
		if !s.is("Body") {
			s.skip()
			continue
		}
		for s.child() {
			switch string(s.name) {
			case "Fault":
				fault = faultError(s)
			case response:
				messages += responseMessages(s, message)
			default:
				s.fail("it answers another request")
			}
		}
	}
	return fault, messages
}

// responseMessages walks the element of an operation's response.
func responseMessages(s *scanner, message func(*scanner)) (n int) {
	for s.child() {
		if !s.is("ResponseMessages") {
			s.skip()
			continue
		}
		for s.child() {
			n++
			message(s)
		}
	}
	return n
}

// outcome is what all response messages have in common (EWS reference
// "ResponseMessage").
type outcome struct {
	class  string // Success, Warning, Error
	code   string
	text   string
	values values
}

// begin reads what the message's own element says. It comes first.
func (o *outcome) begin(s *scanner) { o.class = word(s.attr("ResponseClass")) }

// take reads the child just entered if it is one of those all messages have,
// and says whether it was.
func (o *outcome) take(s *scanner) bool {
	switch string(s.name) {
	case "ResponseCode":
		o.code = word(s.value())
	case "MessageText":
		o.text = shorten(string(s.value()), errorTextMax)
	case "MessageXml":
		o.values.read(s)
	case "DescriptiveLinkKey":
		s.skip()
	default:
		return false
	}
	return true
}

// err is the error the message stands for; nil for a success. Without a class
// the code decides.
func (o *outcome) err(operation string) *ResponseError {
	if o.class == "Success" || (o.class != "Error" && (o.code == codeNone || o.code == "")) {
		return nil
	}
	return newResponseError(operation, o.code, o.text, o.values)
}

// word is a string of a short vocabulary. The common ones cost no memory.
func word(b []byte) string {
	switch string(b) {
	case "Success":
		return "Success"
	case codeNone:
		return codeNone
	case "Error":
		return "Error"
	case "OK":
		return "OK"
	case "NewMailEvent":
		return "NewMailEvent"
	case "CreatedEvent":
		return "CreatedEvent"
	case "ModifiedEvent":
		return "ModifiedEvent"
	case "StatusEvent":
		return "StatusEvent"
	case "IPM.Note":
		return "IPM.Note"
	case "Normal":
		return "Normal"
	case "SMTP":
		return "SMTP"
	}
	return string(b)
}

// when reads a time (XML Schema Part 2 "dateTime"); zero when it is none.
// Without a zone it is UTC, as everything Exchange sends to callers that name
// no other.
func when(b []byte) time.Time {
	var t time.Time
	if t.UnmarshalText(b) == nil {
		return t.UTC()
	}
	if t, err := time.Parse("2006-01-02T15:04:05.999999999", string(b)); err == nil {
		return t
	}
	return time.Time{}
}

// yes reads a truth value (XML Schema Part 2 "boolean").
func yes(b []byte) bool { return string(b) == "1" || bytes.EqualFold(b, []byte("true")) }

// count reads a number; missing when it is none or negative.
func count(b []byte, missing int) int {
	if len(b) == 0 || len(b) > 9 {
		return missing
	}
	n := 0
	for _, d := range b {
		if d < '0' || d > '9' {
			return missing
		}
		n = n*10 + int(d-'0')
	}
	return n
}

// itemID reads the ID of the element just entered and leaves it.
func itemID(s *scanner) ItemID {
	id := ItemID(s.attr("Id"))
	s.skip()
	return id
}

// folderID is itemID of a folder.
func folderID(s *scanner) string { return string(itemID(s)) }
