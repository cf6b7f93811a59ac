package fakeews

import (
	"encoding/xml"
	"strings"
)

// declarations are the XML declarations that scan knows.
var declarations = []string{
	`<?xml version="1.0" encoding="utf-8"?>`,
	`<?xml version="1.0" encoding="UTF-8"?>`,
	`<?xml version='1.0' encoding='utf-8'?>`,
	`<?xml version="1.0"?>`,
}

// scan reads the documents that clients send in earnest: well-formed, in ASCII,
// of elements, attributes and text. It says no to everything else, what is wrong
// included, and leaves that to encoding/xml, which takes ten times as long; for
// what it reads the nodes are the same.
func scan(document []byte) (*node, bool) {
	s := scanner{in: string(document)}
	for _, d := range declarations {
		if strings.HasPrefix(s.in, d) {
			s.at = len(d)
			break
		}
	}
	s.space()
	root, ok := s.element(0)
	s.space()
	return root, ok && s.at == len(s.in)
}

type scanner struct {
	in        string
	at        int
	count     int // elements so far
	line      int // newlines before lineStart
	lineStart int
	looked    int // newlines have been looked for up to here
}

// next is the byte at hand; 0, which no document may hold, at the end.
func (s *scanner) next() byte {
	if s.at < len(s.in) {
		return s.in[s.at]
	}
	return 0
}

func (s *scanner) space() (any bool) {
	for ; ; s.at++ {
		switch s.next() {
		case ' ', '\t', '\n':
			any = true
		default:
			return any
		}
	}
}

// is takes text if it comes next.
func (s *scanner) is(text string) bool {
	if !strings.HasPrefix(s.in[s.at:], text) {
		return false
	}
	s.at += len(text)
	return true
}

// word is a name without a colon; empty if there is none.
func (s *scanner) word() string {
	begin := s.at
	for {
		switch c := s.next(); {
		case c|0x20 >= 'a' && c|0x20 <= 'z', c == '_':
		case s.at > begin && (c >= '0' && c <= '9' || c == '-' || c == '.'):
		default:
			return s.in[begin:s.at]
		}
		s.at++
	}
}

// name is a name with or without prefix, as it stands and its parts.
func (s *scanner) name() (whole, prefix, local string) {
	begin := s.at
	local = s.word()
	if s.next() == ':' && local != "" {
		s.at++
		prefix, local = local, s.word()
	}
	if local == "" || s.next() == ':' {
		return "", "", ""
	}
	return s.in[begin:s.at], prefix, local
}

// element reads one with all that is in it.
func (s *scanner) element(depth int) (*node, bool) {
	if !s.is("<") {
		return nil, false
	}
	whole, _, local := s.name()
	if s.count++; whole == "" || s.count > nodesMax || depth >= depthMax {
		return nil, false
	}
	n := &node{name: local}
	closed, ok := s.attributes(n)
	if !ok {
		return nil, false
	}
	for n.line, n.col = s.position(); !closed; {
		text, ok := s.text('<')
		if !ok {
			return nil, false
		}
		if n.text += text; s.is("</") {
			end, _, _ := s.name()
			s.space()
			return n, end == whole && s.is(">")
		}
		child, ok := s.element(depth + 1)
		if !ok {
			return nil, false
		}
		n.children = append(n.children, child)
	}
	return n, true
}

// attributes reads the rest of a start tag.
func (s *scanner) attributes(n *node) (closed, ok bool) {
	for {
		apart := s.space()
		switch {
		case s.is("/>"):
			return true, true
		case s.is(">"):
			return false, true
		}
		whole, prefix, local := s.name()
		if whole == "" || !apart || !s.is("=") {
			return false, false
		}
		quote := s.next()
		if quote != '"' && quote != '\'' {
			return false, false
		}
		s.at++
		value, ok := s.text(quote)
		if !ok {
			return false, false
		}
		s.at++
		if prefix != "xmlns" && local != "xmlns" {
			n.attrs = append(n.attrs, xml.Attr{Name: xml.Name{Space: prefix, Local: local}, Value: value})
		}
	}
}

var entities = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&", "&quot;", `"`, "&apos;", "'")

// text reads up to end, which has to come.
func (s *scanner) text(end byte) (string, bool) {
	begin, coded := s.at, false
	for ; ; s.at++ {
		switch c := s.next(); {
		case c == end:
			text := s.in[begin:s.at]
			if coded {
				if !onlyPlainEntities(text) {
					return "", false
				}
				text = entities.Replace(text)
			}
			return text, !strings.Contains(text, "]]>")
		case c == '&':
			coded = true
		case c == '<', c < ' ' && c != '\t' && c != '\n', c >= 0x7F:
			return "", false
		}
	}
}

// onlyPlainEntities says whether every & begins one of the five that XML has.
func onlyPlainEntities(text string) bool {
	for {
		_, after, found := strings.Cut(text, "&")
		if !found {
			return true
		}
		name, rest, ended := strings.Cut(after, ";")
		switch name {
		case "lt", "gt", "amp", "quot", "apos":
		default:
			return false
		}
		if !ended {
			return false
		}
		text = rest
	}
}

// position is the line and column, both from 1 on, as encoding/xml counts them.
func (s *scanner) position() (line, col int) {
	passed := s.in[s.looked:s.at]
	if last := strings.LastIndexByte(passed, '\n'); last >= 0 {
		s.line += strings.Count(passed, "\n")
		s.lineStart = s.looked + last + 1
	}
	s.looked = s.at
	return s.line + 1, s.at - s.lineStart + 1
}
