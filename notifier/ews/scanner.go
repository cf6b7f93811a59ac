package ews

import (
	"bytes"
	"fmt"
	"io"
)

// SyntaxError says that what a server sent is no EWS answer.
type SyntaxError struct {
	Operation string
	Offset    int64 // bytes of the answer or stream before the trouble
	Reason    string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("ews: %s: not an EWS answer, at byte %d: %s", e.Operation, e.Offset, e.Reason)
}

// scanner reads XML, one token at a time, from a whole document or from a
// stream of documents that comes in pieces. It asks the stream for more only
// when the token at hand needs it, so that the last end tag of a document is
// seen as soon as it has come.
//
// It knows elements by their local names, checks that they nest, and refuses
// document types; beyond that it is no validator. What it gives out points into
// its buffer and is good until the next document begins.
//
// Its callers walk the tree:
//
//	for s.child() {
//		switch string(s.name) {
//		case "Subject":
//			subject = string(s.content())
//		default:
//			s.skip()
//		}
//	}
//
// Every child entered has to be left again by content, skip or a loop of its
// own. The first error ends all loops and stays in err.
type scanner struct {
	src   io.Reader // where more comes from; nil: buf is all there is
	buf   []byte
	pos   int   // in buf: the next byte to look at
	doc   int   // in buf: where the current document begins
	base  int64 // bytes that came before buf[0]
	limit int   // bytes a document of a stream may have
	late  error // of src, to be told when buf is used up
	err   error // the first error; io.EOF: src ended between documents

	name       []byte      // local name of the element that began or ended last
	attrs      []attribute // of the element that began last
	raw        []byte      // the last character data, as it is written
	cdata      bool        // raw is a CDATA section
	selfClosed bool        // the element that began last has no end tag

	open    [DepthMax][]byte // qualified names of the elements not ended yet
	depth   int              // how many they are
	scratch []byte           // resolved text
}

type attribute struct{ name, value []byte } // local name; value as it is written

type token uint8

const (
	noToken token = iota // there is an error
	startToken
	endToken
	textToken
)

// scanBytes scans a document that is at hand.
func scanBytes(document []byte) *scanner { return &scanner{buf: document} }

// scanStream scans a stream of documents.
func scanStream(src io.Reader, limit int) *scanner {
	return &scanner{src: src, limit: limit, buf: make([]byte, 0, readSize)}
}

// root enters the next document's root element. It returns false when there is
// none: with err io.EOF when src ended before anything of one had come.
func (s *scanner) root() bool {
	switch {
	case s.src == nil:
	case s.pos == len(s.buf):
		s.drop()
		if cap(s.buf) > readKeepMax {
			s.buf = make([]byte, 0, readSize)
		}
	case s.pos > cap(s.buf)/2:
		s.drop()
	}
	s.doc = s.pos
	return s.next() == startToken
}

// drop forgets what has been looked at.
func (s *scanner) drop() {
	s.base += int64(s.pos)
	n := copy(s.buf, s.buf[s.pos:])
	s.buf, s.pos = s.buf[:n], 0
}

// child enters the next child of the element entered last and not left. When
// there is none it leaves that element and returns false.
func (s *scanner) child() bool {
	for {
		switch s.next() {
		case startToken:
			return true
		case endToken, noToken:
			return false
		}
	}
}

// is says whether the element just entered has that local name.
func (s *scanner) is(name string) bool { return string(s.name) == name }

// attr is the value of an attribute of the element just entered, by its local
// name; nil when absent. It is good until the next call of attr or content.
func (s *scanner) attr(name string) []byte {
	for _, a := range s.attrs {
		if string(a.name) == name {
			if plain(a.value) {
				return a.value
			}
			s.scratch = appendText(s.scratch[:0], a.value, true)
			return s.scratch
		}
	}
	return nil
}

// skip leaves the element just entered with all it holds.
func (s *scanner) skip() {
	for depth := s.depth; s.depth >= depth; {
		if s.next() == noToken {
			return
		}
	}
}

// content leaves the element just entered and returns its text, without that
// of elements in it. It is good until the next call of attr or content.
func (s *scanner) content() []byte {
	var only []byte // the first piece, if it stands for itself
	s.scratch = s.scratch[:0]
	for {
		switch s.next() {
		case startToken:
			s.skip()
		case textToken:
			if only == nil && len(s.scratch) == 0 && plain(s.raw) {
				only = s.raw
				continue
			}
			s.scratch = append(s.scratch, only...)
			only = nil
			s.scratch = appendText(s.scratch, s.raw, !s.cdata)
		case endToken:
			if only != nil {
				return only
			}
			return s.scratch
		default:
			return nil
		}
	}
}

// value is content without white space around it: for codes, numbers and IDs.
func (s *scanner) value() []byte { return bytes.TrimSpace(s.content()) }

// next moves to the next token. Comments and processing instructions are
// passed over wherever they stand, XML declarations too: some servers put one
// before every document of a stream.
func (s *scanner) next() token {
	if s.err != nil {
		return noToken
	}
	if s.selfClosed {
		s.selfClosed = false
		s.depth--
		s.name = localName(s.open[s.depth])
		return endToken
	}
	for {
		if s.depth == 0 && !s.toMarkup() || !s.has(0) {
			return noToken
		}
		if s.buf[s.pos] != '<' {
			return s.text()
		}
		if !s.has(1) {
			return noToken
		}
		switch s.buf[s.pos+1] {
		case '/':
			return s.endTag()
		case '?':
			if !s.pass(2, "?>") {
				return noToken
			}
		case '!':
			switch {
			case !s.has(3):
				return noToken
			case string(s.buf[s.pos:s.pos+4]) == "<!--":
				if !s.pass(4, "-->") {
					return noToken
				}
			default:
				return s.cdataSection()
			}
		default:
			return s.startTag()
		}
	}
}

// toMarkup passes over what may stand between documents: white space and byte
// order marks.
func (s *scanner) toMarkup() bool {
	for {
		for s.pos < len(s.buf) {
			switch s.buf[s.pos] {
			case '<':
				return true
			case ' ', '\t', '\r', '\n', 0xEF, 0xBB, 0xBF:
				s.pos++
			default:
				return s.fail("text outside of an element")
			}
		}
		if !s.fill() {
			return false
		}
	}
}

func (s *scanner) text() token {
	end := s.index(0, '<')
	if end < 0 {
		return noToken
	}
	s.raw, s.cdata = s.buf[s.pos:s.pos+end], false
	s.pos += end
	return textToken
}

func (s *scanner) cdataSection() token {
	const opening = "<![CDATA["
	if !s.has(len(opening)-1) || string(s.buf[s.pos:s.pos+len(opening)]) != opening {
		if s.err == nil {
			s.fail("a document type or other declaration, which is not accepted")
		}
		return noToken
	}
	if s.depth == 0 {
		s.fail("text outside of an element")
		return noToken
	}
	begin := s.pos
	if !s.pass(len(opening), "]]>") {
		return noToken
	}
	s.raw, s.cdata = s.buf[begin+len(opening):s.pos-len("]]>")], true
	return textToken
}

func (s *scanner) endTag() token {
	end := s.index(2, '>')
	if end < 0 {
		return noToken
	}
	name := s.buf[s.pos+2 : s.pos+end]
	for len(name) > 0 && isSpace(name[len(name)-1]) {
		name = name[:len(name)-1]
	}
	if s.depth == 0 || !bytes.Equal(name, s.open[s.depth-1]) {
		s.fail("an end tag that no start tag belongs to")
		return noToken
	}
	s.pos += end + 1
	s.depth--
	s.name = localName(name)
	return endToken
}

func (s *scanner) startTag() token {
	end := s.tagEnd()
	if end < 0 {
		return noToken
	}
	tag := s.buf[s.pos+1 : s.pos+end]
	s.selfClosed = len(tag) > 0 && tag[len(tag)-1] == '/'
	if s.selfClosed {
		tag = tag[:len(tag)-1]
	}
	n := nameLen(tag)
	switch {
	case n == 0:
		s.fail("a tag without a name")
	case s.depth == DepthMax:
		s.fail(fmt.Sprintf("elements nested more than %d deep", DepthMax))
	case s.attributes(tag[n:]):
		s.open[s.depth] = tag[:n]
		s.depth++
		s.name = localName(tag[:n])
		s.pos += end + 1
		return startToken
	}
	s.selfClosed = false
	return noToken
}

// tagEnd is how far it is to the > of the tag at pos; -1 with an error. A > in
// a quoted value ends no tag.
func (s *scanner) tagEnd() int {
	for i := 1; s.has(i); {
		for _, c := range s.buf[s.pos+i:] {
			if c == '>' {
				return i
			}
			if c == '"' || c == '\'' {
				if i = s.index(i+1, c); i < 0 {
					return -1
				}
				i++
				break
			}
			if c == '<' {
				s.fail("a < within a tag")
				return -1
			}
			i++
		}
	}
	return -1
}

// attributes takes what stands in a start tag after the name.
func (s *scanner) attributes(text []byte) bool {
	s.attrs = s.attrs[:0]
	for {
		text = trimLeft(text)
		if len(text) == 0 {
			return true
		}
		n := nameLen(text)
		if n == 0 {
			return s.fail("an attribute without a name")
		}
		a := attribute{name: localName(text[:n])}
		text = trimLeft(text[n:])
		if len(text) == 0 || text[0] != '=' {
			return s.fail("an attribute without a value")
		}
		text = trimLeft(text[1:])
		if len(text) == 0 || (text[0] != '"' && text[0] != '\'') {
			return s.fail("an attribute whose value is not quoted")
		}
		end := bytes.IndexByte(text[1:], text[0])
		if end < 0 {
			return s.fail("an attribute whose value does not end")
		}
		a.value, text = text[1:1+end], text[end+2:]
		if bytes.IndexByte(a.value, '<') >= 0 {
			return s.fail("a < within an attribute")
		}
		if len(s.attrs) == AttributesMax {
			return s.fail(fmt.Sprintf("an element with more than %d attributes", AttributesMax))
		}
		s.attrs = append(s.attrs, a)
	}
}

// isSpace says whether b is white space (Extensible Markup Language 1.0,
// section 2.3: S).
func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' }

func trimLeft(text []byte) []byte {
	for len(text) > 0 && isSpace(text[0]) {
		text = text[1:]
	}
	return text
}

// nameLen is the length of the name that text begins with; 0 when it is none.
func nameLen(text []byte) int {
	for i, b := range text {
		switch {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b == '_', b == ':', b >= 0x80:
		case i > 0 && (b >= '0' && b <= '9' || b == '-' || b == '.'):
		default:
			return i
		}
	}
	return len(text)
}

// localName is the name without its prefix.
func localName(name []byte) []byte {
	if i := bytes.IndexByte(name, ':'); i > 0 && i < len(name)-1 {
		return name[i+1:]
	}
	return name
}

// pass moves behind the next end that begins at or after from.
func (s *scanner) pass(from int, end string) bool {
	for {
		if s.pos+from < len(s.buf) {
			if i := bytes.Index(s.buf[s.pos+from:], []byte(end)); i >= 0 {
				s.pos += from + i + len(end)
				return true
			}
			from = max(from, len(s.buf)-s.pos-len(end)+1)
		}
		if !s.fill() {
			return false
		}
	}
}

// index is how far it is from pos to the next c at or after from; -1 with an
// error.
func (s *scanner) index(from int, c byte) int {
	for {
		if s.pos+from < len(s.buf) {
			if i := bytes.IndexByte(s.buf[s.pos+from:], c); i >= 0 {
				return from + i
			}
			from = len(s.buf) - s.pos
		}
		if !s.fill() {
			return -1
		}
	}
}

// has says whether there is a byte at pos+i, reading as far as it must.
func (s *scanner) has(i int) bool {
	for s.pos+i >= len(s.buf) {
		if !s.fill() {
			return false
		}
	}
	return true
}

// fill reads at least one more byte. It never moves what buf holds within its
// array, so that tokens given out stay good.
func (s *scanner) fill() bool {
	switch {
	case s.err != nil:
		return false
	case s.src == nil:
		return s.fail("it ends too early")
	case s.late != nil:
		return s.ended(s.late)
	case len(s.buf)-s.doc >= s.limit:
		return s.fail(fmt.Sprintf("more than %d bytes", s.limit))
	case len(s.buf) == cap(s.buf):
		s.buf = append(make([]byte, 0, max(readSize, 2*cap(s.buf))), s.buf...)
	}
	for range readsEmptyMax {
		n, err := s.src.Read(s.buf[len(s.buf):cap(s.buf)])
		s.buf = s.buf[:len(s.buf)+n]
		if n > 0 {
			s.late = err
			return true
		}
		if err != nil {
			return s.ended(err)
		}
	}
	return s.ended(io.ErrNoProgress)
}

// ended notes that src has ended. Within a document that is never the plain
// io.EOF.
func (s *scanner) ended(err error) bool {
	if err == io.EOF && (s.depth > 0 || s.pos < len(s.buf)) {
		err = io.ErrUnexpectedEOF
	}
	s.err = err
	return false
}

func (s *scanner) fail(reason string) bool {
	if s.err == nil {
		s.err = &SyntaxError{Offset: s.base + int64(s.pos), Reason: reason}
	}
	return false
}
