package fakeews

import (
	"errors"
	"fmt"

	"mailbell/fakes/exchange"
)

// fault is a SOAP fault.
type fault struct {
	code, text string
	values     []exchange.Value // MessageXml as t:Value
	schema     *syntaxError     // MessageXml of a schema fault
}

func newFault(code, text string, values ...exchange.Value) *fault {
	return &fault{code: code, text: text, values: values}
}

// faultOf makes a fault of a refusal.
func faultOf(e *exchange.Error) *fault { return newFault(e.Code, e.Text, e.Values...) }

func schemaFault(err error) *fault {
	where := &syntaxError{text: err.Error()}
	errors.As(err, &where)
	return &fault{code: "ErrorSchemaValidation", text: "The request failed schema validation: " + where.text, schema: where}
}

// invalid is the schema fault about an element.
func invalid(n *node, format string, args ...any) *fault {
	e := &syntaxError{line: 1, text: fmt.Sprintf(format, args...)}
	if n != nil {
		e.line, e.col = n.line, n.col
	}
	return schemaFault(e)
}

// write words the fault. No header: real servers send none with a fault.
func (f *fault) write() []byte {
	d := newDoc(plain)
	d.raw(declaration)
	d.raw(`<s:Envelope xmlns:s="` + nsSOAP + `"><s:Body><s:Fault>`)
	d.raw(`<faultcode xmlns:a="` + nsTypes + `">a:`)
	d.escape(f.code)
	d.raw(`</faultcode><faultstring xml:lang="en-US">`)
	d.escape(f.text)
	d.raw(`</faultstring><detail><e:ResponseCode xmlns:e="` + nsErrors + `">`)
	d.escape(f.code)
	d.raw(`</e:ResponseCode><e:Message xmlns:e="` + nsErrors + `">`)
	d.escape(f.text)
	d.raw(`</e:Message>`)
	if len(f.values) > 0 || f.schema != nil {
		d.raw(`<t:MessageXml xmlns:t="` + nsTypes + `">`)
		for _, v := range f.values {
			d.text("t:Value", v.Text, "Name", v.Name)
		}
		if f.schema != nil {
			d.text("t:LineNumber", fmt.Sprint(f.schema.line))
			d.text("t:LinePosition", fmt.Sprint(f.schema.col))
			d.text("t:Violation", f.schema.text)
		}
		d.raw(`</t:MessageXml>`)
	}
	d.raw(`</detail></s:Fault></s:Body></s:Envelope>`)
	return d.b
}
