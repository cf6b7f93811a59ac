package fakeautodiscover

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// node is an XML element with its resolved name.
type node struct {
	name     xml.Name
	text     string
	children []*node
}

// parse reads one document. A document type declaration is refused.
func parse(r io.Reader) (*node, error) {
	d := xml.NewDecoder(r)
	var root *node
	var open []*node
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			if root == nil || len(open) > 0 {
				return nil, io.ErrUnexpectedEOF
			}
			return root, nil
		}
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.Directive:
			return nil, errors.New("document type declarations are not allowed")
		case xml.StartElement:
			n := &node{name: token.Name}
			switch {
			case len(open) > 0:
				parent := open[len(open)-1]
				parent.children = append(parent.children, n)
			case root != nil:
				return nil, errors.New("more than one root element")
			default:
				root = n
			}
			if open = append(open, n); len(open) > RequestDepthMax {
				return nil, fmt.Errorf("elements nested deeper than %d", RequestDepthMax)
			}
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].text += string(token)
			}
		}
	}
}

// child is the first child of that name, or nil. A nil node has none.
func (n *node) child(space, local string) *node {
	for _, c := range n.all(space, local) {
		return c
	}
	return nil
}

func (n *node) all(space, local string) (out []*node) {
	if n == nil {
		return nil
	}
	for _, c := range n.children {
		if c.name.Space == space && c.name.Local == local {
			out = append(out, c)
		}
	}
	return out
}

// value is the trimmed text, "" for nil.
func (n *node) value() string {
	if n == nil {
		return ""
	}
	return strings.TrimSpace(n.text)
}

// strange is the first element below n, n included, whose namespace is none of
// known; nil when all are.
func (n *node) strange(known map[string]bool) *node {
	if !known[n.name.Space] {
		return n
	}
	for _, c := range n.children {
		if s := c.strange(known); s != nil {
			return s
		}
	}
	return nil
}
