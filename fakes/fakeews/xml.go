package fakeews

import (
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"mailbell/fakes/exchange"
)

// The namespaces. SOAP 1.1, and the EWS schemas messages.xsd and types.xsd.
const (
	nsSOAP     = "http://schemas.xmlsoap.org/soap/envelope/"
	nsMessages = "http://schemas.microsoft.com/exchange/services/2006/messages"
	nsTypes    = "http://schemas.microsoft.com/exchange/services/2006/types"
	nsErrors   = "http://schemas.microsoft.com/exchange/services/2006/errors"

	declaration = `<?xml version="1.0" encoding="utf-8"?>`
)

// form is how a document is written.
type form struct {
	m, t       string // prefixes of the two namespaces
	env        string // prefix of the SOAP envelope
	reversed   bool   // attributes in reverse order
	illegal    bool   // characters illegal in XML as references, else U+FFFD
	streamSOAP bool   // stream envelopes with a prefix
	idInTypes  bool   // t:SubscriptionId in ErrorSubscriptionIds
}

var plain = form{m: "m", t: "t", env: "s"}

// doc writes a document. Names are given with the prefixes m: and t:, which
// stand for the namespaces and are written as the form says.
type doc struct {
	b    []byte
	form form
}

func newDoc(f form) *doc {
	b := documents.Get().(*[]byte) // New makes nothing else
	return &doc{b: (*b)[:0], form: f}
}

// documents is memory for documents, used again and again.
var documents = sync.Pool{New: func() any { b := make([]byte, 0, 2048); return &b }}

// recycle takes back what newDoc gave, when nobody reads it any more.
func recycle(document []byte) {
	const worthKeeping = 256 << 10
	if cap(document) <= worthKeeping {
		documents.Put(&document)
	}
}

func (d *doc) raw(s string) { d.b = append(d.b, s...) }

func (d *doc) name(n string) {
	switch {
	case strings.HasPrefix(n, "m:"):
		d.raw(d.form.m)
		d.raw(n[1:])
	case strings.HasPrefix(n, "t:"):
		d.raw(d.form.t)
		d.raw(n[1:])
	default:
		d.raw(n)
	}
}

// attrs are pairs of name and value.
func (d *doc) attrs(pairs []string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		j := i
		if d.form.reversed {
			j = len(pairs) - 2 - i
		}
		d.raw(" " + pairs[j] + `="`)
		d.escape(pairs[j+1])
		d.raw(`"`)
	}
}

func (d *doc) open(name string, attrs ...string) {
	d.raw("<")
	d.name(name)
	d.attrs(attrs)
	d.raw(">")
}

func (d *doc) close(name string) {
	d.raw("</")
	d.name(name)
	d.raw(">")
}

func (d *doc) empty(name string, attrs ...string) {
	d.raw("<")
	d.name(name)
	d.attrs(attrs)
	d.raw("/>")
}

func (d *doc) text(name, value string, attrs ...string) {
	if value == "" {
		d.empty(name, attrs...)
		return
	}
	d.open(name, attrs...)
	d.escape(value)
	d.close(name)
}

// escape writes text. What XML 1.0 cannot hold becomes U+FFFD, or, in a form
// with illegal, the character reference real servers are known to let out.
func (d *doc) escape(s string) {
	start := 0
	for i := 0; i < len(s); {
		if asIs[s[i]] {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		var with string
		switch {
		case r == '&':
			with = "&amp;"
		case r == '<':
			with = "&lt;"
		case r == '>':
			with = "&gt;"
		case r == '"':
			with = "&quot;"
		case r == '\r':
			with = "&#xD;"
		case r == utf8.RuneError && size == 1:
			with = "\ufffd"
		case r < ' ' && r != '\t' && r != '\n', r == 0xFFFE, r == 0xFFFF:
			if d.form.illegal {
				with = fmt.Sprintf("&#x%X;", r)
			} else {
				with = "\ufffd"
			}
		default:
			i += size
			continue
		}
		d.raw(s[start:i])
		d.raw(with)
		i += size
		start = i
	}
	d.raw(s[start:])
}

// asIs are the bytes of text that are written as they are.
var asIs = func() (t [256]bool) {
	for c := byte(' '); c < utf8.RuneSelf; c++ {
		t[c] = !strings.ContainsRune(`&<>"`, rune(c))
	}
	t['\t'], t['\n'] = true, true
	return t
}()

func versionInfo(b exchange.Behaviour) []string {
	return []string{
		"MajorVersion", fmt.Sprint(b.Major), "MinorVersion", fmt.Sprint(b.Minor),
		"MajorBuildNumber", fmt.Sprint(b.Build), "MinorBuildNumber", fmt.Sprint(b.Revision), "Version", b.Label,
	}
}

// answer begins an ordinary answer of an operation.
func answer(f form, b exchange.Behaviour, operation string) *doc {
	d := newDoc(f)
	d.raw(declaration + `<` + f.env + `:Envelope xmlns:` + f.env + `="` + nsSOAP + `"><` + f.env + `:Header>`)
	d.empty("h:ServerVersionInfo", append(versionInfo(b), "xmlns:h", nsTypes)...)
	d.raw(`</` + f.env + `:Header><` + f.env + `:Body>`)
	d.open("m:"+operation+"Response", "xmlns:"+f.m, nsMessages, "xmlns:"+f.t, nsTypes)
	return d
}

func (d *doc) finish(operation string) []byte {
	d.close("m:" + operation + "Response")
	d.raw(`</` + d.form.env + `:Body></` + d.form.env + `:Envelope>`)
	return d.b
}

// failure writes what an error message begins with: MessageText, ResponseCode,
// DescriptiveLinkKey, MessageXml, in the order of the schema.
func (d *doc) failure(code, text string, values []exchange.Value) {
	d.text("m:MessageText", text)
	d.text("m:ResponseCode", code)
	d.text("m:DescriptiveLinkKey", "0")
	if len(values) > 0 {
		d.open("m:MessageXml")
		for _, v := range values {
			d.text("t:Value", v.Text, "Name", v.Name)
		}
		d.close("m:MessageXml")
	}
}

// refusal is a whole response message that says no.
func (d *doc) refusal(operation string, e *exchange.Error, extras ...string) {
	name := "m:" + operation + "ResponseMessage"
	d.open(name, "ResponseClass", "Error")
	d.failure(e.Code, e.Text, e.Values)
	for _, x := range extras {
		d.empty(x)
	}
	d.close(name)
}

// success opens a response message that says yes; the caller closes it.
func (d *doc) success(operation string) {
	d.open("m:"+operation+"ResponseMessage", "ResponseClass", "Success")
	d.text("m:ResponseCode", "NoError")
}

// message writes an operation's only response message: a refusal, or what
// write adds to a success.
func (d *doc) message(operation string, e *exchange.Error, write func(), extras ...string) {
	d.open("m:ResponseMessages")
	if e != nil {
		d.refusal(operation, e, extras...)
	} else {
		d.success(operation)
		write()
		d.close("m:" + operation + "ResponseMessage")
	}
	d.close("m:ResponseMessages")
}
