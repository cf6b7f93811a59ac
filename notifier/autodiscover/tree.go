package autodiscover

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
)

// element is one element of a document.
type element struct {
	name     xml.Name
	attrs    []xml.Attr
	children []*element
	text     string // between its start and its first child or end; trimmed
	raw      []byte // the text while it is read
}

// child returns the first child with a local name, nil if there is none. It may
// be called on nil.
func (e *element) child(local string) *element {
	if e != nil {
		for _, c := range e.children {
			if c.name.Local == local {
				return c
			}
		}
	}
	return nil
}

// value returns the text of the first child with a local name.
func (e *element) value(local string) string {
	if c := e.child(local); c != nil {
		return c.text
	}
	return ""
}

// attr returns an attribute by local name, in a namespace or in none.
func (e *element) attr(space, local string) string {
	for _, a := range e.attrs {
		if a.Name.Local == local && a.Name.Space == space {
			return a.Value
		}
	}
	return ""
}

var (
	errXML    = errors.New("autodiscover: not a usable XML document")
	errCutOff = fmt.Errorf("%w: it ends too early", errXML)
)

// parseXML reads a document of bounded depth and size. Document type
// definitions are refused, entities beyond XML's own are unknown.
func parseXML(data []byte) (*element, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	d := xml.NewDecoder(bytes.NewReader(data))
	var root *element
	var open []*element
	nodes := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && root != nil && len(open) == 0 {
			return root, nil
		}
		if syntax := (*xml.SyntaxError)(nil); errors.As(err, &syntax) && root != nil && d.InputOffset() >= int64(len(data)) {
			return nil, errCutOff
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errXML, err)
		}
		switch t := token.(type) {
		case xml.Directive:
			return nil, fmt.Errorf("%w: document type definition", errXML)
		case xml.StartElement:
			if nodes++; nodes > nodesMax || len(open) >= depthMax {
				return nil, fmt.Errorf("%w: too many elements, or too deep", errXML)
			}
			e := &element{name: t.Name, attrs: t.Attr} // the decoder does not reuse Attr
			if len(open) > 0 {
				parent := open[len(open)-1]
				parent.children = append(parent.children, e)
			} else if root != nil {
				return nil, fmt.Errorf("%w: two roots", errXML)
			} else {
				root = e
			}
			open = append(open, e)
		case xml.EndElement:
			e := open[len(open)-1]
			e.text, e.raw = string(bytes.TrimSpace(e.raw)), nil
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				if e := open[len(open)-1]; len(e.children) == 0 {
					e.raw = append(e.raw, t...)
				}
			}
		}
	}
}
