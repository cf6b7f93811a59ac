package ews

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// node is an element of a parsed document. Names are local names: prefixes and
// namespaces differ between servers and mean nothing here.
type node struct {
	name  string
	attrs []attr
	kids  []*node
	text  string // character data directly inside, unescaped
}

type attr struct{ name, value string }

// attr is the value of an attribute, empty when absent.
func (n *node) attr(name string) string {
	if n == nil {
		return ""
	}
	for _, a := range n.attrs {
		if a.name == name {
			return a.value
		}
	}
	return ""
}

// child is the first child element of that name, nil when absent.
func (n *node) child(name string) *node {
	if n == nil {
		return nil
	}
	for _, k := range n.kids {
		if k.name == name {
			return k
		}
	}
	return nil
}

// at follows a path of child elements.
func (n *node) at(path ...string) *node {
	for _, name := range path {
		n = n.child(name)
	}
	return n
}

// value is the trimmed text of the element at a path, empty when absent.
func (n *node) value(path ...string) string {
	if n = n.at(path...); n == nil {
		return ""
	}
	return strings.TrimSpace(n.text)
}

// find is the first element of that name in document order, at any depth.
func (n *node) find(name string) *node {
	if n == nil || n.name == name {
		return n
	}
	for _, k := range n.kids {
		if f := k.find(name); f != nil {
			return f
		}
	}
	return nil
}

// parse reads one document. It checks that elements nest, refuses a DOCTYPE,
// bounds depth and number of elements, and replaces characters that XML 1.0
// forbids: Exchange passes them on from subjects.
func parse(b []byte) (*node, error) {
	p := parser{b: bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))}
	for {
		root, err := p.element(0)
		if err != nil {
			return nil, fmt.Errorf("ews: malformed XML at byte %d: %w", p.i, err)
		}
		if root != nil {
			return root, nil
		}
	}
}

type parser struct {
	b        []byte
	i        int
	elements int
}

// element parses the markup at the next '<'. It returns nil after something
// that is no element (a declaration, a comment).
func (p *parser) element(depth int) (*node, error) {
	at := bytes.IndexByte(p.b[p.i:], '<')
	if at < 0 {
		return nil, fmt.Errorf("no element")
	}
	p.i += at
	if skipped, err := p.skipMisc(); skipped || err != nil {
		return nil, err
	}
	if depth >= DepthMax {
		return nil, fmt.Errorf("deeper than %d elements", DepthMax)
	}
	if p.elements++; p.elements > ElementsMax {
		return nil, fmt.Errorf("more than %d elements", ElementsMax)
	}
	p.i++
	full := p.name()
	if full == "" {
		return nil, fmt.Errorf("element without a name")
	}
	n := &node{name: local(full)}
	closed, err := p.attributes(n)
	if err != nil || closed {
		return n, err
	}
	return n, p.content(n, full, depth)
}

// content parses what is inside an element, and its end tag.
func (p *parser) content(n *node, full string, depth int) error {
	var text []byte
	for {
		at := bytes.IndexByte(p.b[p.i:], '<')
		if at < 0 {
			return fmt.Errorf("element %s does not end", n.name)
		}
		if at > 0 {
			text = unescape(text, p.b[p.i:p.i+at])
			p.i += at
		}
		rest := p.b[p.i:]
		switch {
		case bytes.HasPrefix(rest, []byte("</")):
			p.i += 2
			if got := p.name(); got != full {
				return fmt.Errorf("element %s ends as %s", full, got)
			}
			p.space()
			if p.i >= len(p.b) || p.b[p.i] != '>' {
				return fmt.Errorf("end of %s is not closed", full)
			}
			p.i++
			n.text = string(text)
			return nil
		case bytes.HasPrefix(rest, []byte("<![CDATA[")):
			end := bytes.Index(rest, []byte("]]>"))
			if end < 0 {
				return fmt.Errorf("CDATA does not end")
			}
			text = clean(text, rest[len("<![CDATA["):end])
			p.i += end + 3
		default:
			k, err := p.element(depth + 1)
			if err != nil {
				return err
			}
			if k != nil {
				n.kids = append(n.kids, k)
			}
		}
	}
}

// skipMisc passes over a declaration, instruction or comment.
func (p *parser) skipMisc() (bool, error) {
	rest := p.b[p.i:]
	for _, m := range [...]struct{ open, close string }{{"<?", "?>"}, {"<!--", "-->"}} {
		if bytes.HasPrefix(rest, []byte(m.open)) {
			end := bytes.Index(rest, []byte(m.close))
			if end < 0 {
				return false, fmt.Errorf("%s does not end", m.open)
			}
			p.i += end + len(m.close)
			return true, nil
		}
	}
	if bytes.HasPrefix(rest, []byte("<!")) {
		return false, fmt.Errorf("a document type is not accepted")
	}
	return false, nil
}

// attributes parses up to the end of a start tag; true: the element is empty.
func (p *parser) attributes(n *node) (bool, error) {
	for {
		p.space()
		if p.i >= len(p.b) {
			return false, fmt.Errorf("start of %s is not closed", n.name)
		}
		switch p.b[p.i] {
		case '>':
			p.i++
			return false, nil
		case '/':
			if p.i+1 >= len(p.b) || p.b[p.i+1] != '>' {
				return false, fmt.Errorf("stray / in %s", n.name)
			}
			p.i += 2
			return true, nil
		}
		name := p.name()
		p.space()
		if name == "" || p.i >= len(p.b) || p.b[p.i] != '=' {
			return false, fmt.Errorf("attribute of %s without a value", n.name)
		}
		p.i++
		p.space()
		if p.i >= len(p.b) || (p.b[p.i] != '"' && p.b[p.i] != '\'') {
			return false, fmt.Errorf("attribute of %s is not quoted", n.name)
		}
		end := bytes.IndexByte(p.b[p.i+1:], p.b[p.i])
		if end < 0 {
			return false, fmt.Errorf("attribute of %s does not end", n.name)
		}
		if len(n.attrs) >= AttributesMax {
			return false, fmt.Errorf("%s has more than %d attributes", n.name, AttributesMax)
		}
		n.attrs = append(n.attrs, attr{local(name), string(unescape(nil, p.b[p.i+1:p.i+1+end]))})
		p.i += end + 2
	}
}

func (p *parser) space() {
	for p.i < len(p.b) && (p.b[p.i] == ' ' || p.b[p.i] == '\t' || p.b[p.i] == '\r' || p.b[p.i] == '\n') {
		p.i++
	}
}

// name reads a qualified name.
func (p *parser) name() string {
	from := p.i
	for p.i < len(p.b) && !strings.ContainsRune(" \t\r\n<>/='\"", rune(p.b[p.i])) {
		p.i++
	}
	return string(p.b[from:p.i])
}

func local(name string) string {
	if i := strings.IndexByte(name, ':'); i >= 0 {
		return name[i+1:]
	}
	return name
}

// unescape appends text with its references resolved. What cannot stand in XML
// becomes U+FFFD; an unknown reference stays as it is.
func unescape(dst, text []byte) []byte {
	for {
		at := bytes.IndexByte(text, '&')
		if at < 0 {
			return clean(dst, text)
		}
		dst = clean(dst, text[:at])
		text = text[at:]
		end := bytes.IndexByte(text, ';')
		if end < 0 || end > referenceLenMax {
			dst = append(dst, '&')
			text = text[1:]
			continue
		}
		if r, ok := reference(string(text[1:end])); ok {
			dst = utf8.AppendRune(dst, r)
		} else {
			dst = append(dst, text[:end+1]...)
		}
		text = text[end+1:]
	}
}

// referenceLenMax is the longest reference, &#x10FFFF; with some zeros.
const referenceLenMax = 16

func reference(name string) (rune, bool) {
	switch name {
	case "amp":
		return '&', true
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	digits, ok := strings.CutPrefix(name, "#")
	if !ok {
		return 0, false
	}
	base := 10
	if hex, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = hex, 16
	}
	v, err := strconv.ParseUint(digits, base, 32)
	if err != nil {
		return 0, false
	}
	if r := rune(v); v <= utf8.MaxRune && allowed(r) {
		return r, true
	}
	return utf8.RuneError, true
}

// allowed says whether XML 1.0 allows the character (section 2.2, Char).
func allowed(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || (r >= 0x20 && r <= 0xd7ff) || (r >= 0xe000 && r <= 0xfffd) || (r >= 0x10000 && r <= utf8.MaxRune)
}

// clean appends text with forbidden characters and broken UTF-8 replaced.
func clean(dst, text []byte) []byte {
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if (r == utf8.RuneError && size == 1) || !allowed(r) {
			dst = append(dst, "\uFFFD"...)
		} else {
			dst = append(dst, text[:size]...)
		}
		text = text[size:]
	}
	return dst
}

// escape appends text so that it can stand in an element or attribute.
func escape(dst []byte, text string) []byte {
	for _, r := range text {
		switch r {
		case '&':
			dst = append(dst, "&amp;"...)
		case '<':
			dst = append(dst, "&lt;"...)
		case '>':
			dst = append(dst, "&gt;"...)
		case '"':
			dst = append(dst, "&quot;"...)
		default:
			if allowed(r) {
				dst = utf8.AppendRune(dst, r)
			}
		}
	}
	return dst
}
