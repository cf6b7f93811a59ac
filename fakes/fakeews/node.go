package fakeews

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// node is an element of a request, by local name: prefixes and namespaces do
// not matter.
type node struct {
	name      string
	attrs     []xml.Attr
	text      string
	children  []*node
	line, col int
}

// syntaxError says where a document is not what it should be.
type syntaxError struct {
	line, col int
	text      string
}

func (e *syntaxError) Error() string { return e.text }

// parseXML reads a document into nodes. Document type definitions are refused
// as .NET refuses them. The nodes hold on to the document's text.
func parseXML(document []byte) (*node, error) {
	if root, ok := scan(document); ok {
		return root, nil
	}
	return parseAnyXML(document)
}

// parseAnyXML reads what scan does not, and says what is wrong.
func parseAnyXML(document []byte) (*node, error) {
	d := xml.NewDecoder(bytes.NewReader(document))
	var root *node
	var stack []*node
	var open []xml.Name // as written, with their prefixes
	count := 0
	fail := func(format string, args ...any) error {
		line, col := d.InputPos()
		return &syntaxError{line, col, fmt.Sprintf(format, args...)}
	}
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fail("the request is not well-formed XML")
		}
		switch t := token.(type) {
		case xml.StartElement:
			if count++; count > nodesMax || len(stack) >= depthMax {
				return nil, fail("the request nests too deep or has too many elements")
			}
			line, col := d.InputPos()
			n := &node{name: t.Name.Local, line: line, col: col}
			for _, a := range t.Attr {
				if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
					n.attrs = append(n.attrs, a)
				}
			}
			switch {
			case len(stack) > 0:
				top := stack[len(stack)-1]
				top.children = append(top.children, n)
			case root == nil:
				root = n
			default:
				return nil, fail("there are multiple root elements")
			}
			stack, open = append(stack, n), append(open, t.Name)
		case xml.EndElement:
			if len(stack) == 0 || open[len(open)-1] != t.Name {
				return nil, fail("the end tag '%s' matches no start tag", t.Name.Local)
			}
			stack, open = stack[:len(stack)-1], open[:len(open)-1]
		case xml.CharData:
			if len(stack) > 0 {
				stack[len(stack)-1].text += string(t)
			} else if strings.TrimSpace(strings.TrimPrefix(string(t), "\ufeff")) != "" {
				return nil, fail("data at the root level is invalid")
			}
		case xml.Directive:
			return nil, fail("document type definitions are prohibited")
		}
	}
	if root == nil || len(stack) > 0 {
		return nil, fail("root element is missing or not closed")
	}
	return root, nil
}

// child is the first child of that name, or nil; a nil node has none.
func (n *node) child(names ...string) *node {
	for _, name := range names {
		if n == nil {
			return nil
		}
		var found *node
		for _, c := range n.children {
			if c.name == name {
				found = c
				break
			}
		}
		n = found
	}
	return n
}

// all are the children of that name.
func (n *node) all(name string) []*node {
	if n == nil {
		return nil
	}
	var out []*node
	for _, c := range n.children {
		if c.name == name {
			out = append(out, c)
		}
	}
	return out
}

// attr is the value of an attribute, "" when absent.
func (n *node) attr(name string) string {
	if n == nil {
		return ""
	}
	for _, a := range n.attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// value is the text without surrounding white space.
func (n *node) value() string {
	if n == nil {
		return ""
	}
	return strings.TrimSpace(n.text)
}
