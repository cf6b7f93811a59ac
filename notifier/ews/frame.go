package ews

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// framer cuts a stream of documents, one after the other, into documents. It
// finds their ends by following the markup byte by byte, so it does not matter
// how the bytes arrive.
type framer struct {
	r   *bufio.Reader
	buf []byte
}

func newFramer(r io.Reader) *framer { return &framer{r: bufio.NewReaderSize(r, frameBuffer)} }

// frameBuffer is what is read at a time. 150 idle streams hold one each.
const frameBuffer = 8 << 10

// next returns the next whole document, valid until the following call. At the
// end of the stream it returns io.EOF between documents, io.ErrUnexpectedEOF
// within one.
func (f *framer) next() ([]byte, error) {
	f.buf = f.buf[:0]
	depth, begun := 0, false
	for {
		text, err := f.until('<')
		if err != nil {
			if errors.Is(err, io.EOF) && begun {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		if !begun {
			if len(bytes.Trim(text, " \t\r\n\xef\xbb\xbf<")) > 0 {
				return nil, fmt.Errorf("ews: stream: text outside of an envelope")
			}
			f.buf = append(f.buf[:0], '<')
		}
		tag, err := f.markup()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		switch tag {
		case tagOpen:
			begun = true
			if depth++; depth > DepthMax {
				return nil, fmt.Errorf("ews: stream: deeper than %d elements", DepthMax)
			}
		case tagClose:
			depth--
		case tagEmpty:
			begun = true
		}
		if begun && depth <= 0 {
			return f.buf, nil
		}
	}
}

// tag is what a piece of markup does to the depth.
type tag uint8

const (
	tagOther tag = iota // declaration, comment, CDATA
	tagOpen
	tagClose
	tagEmpty
)

// until reads up to and with delim, appends to buf, and returns what it read.
func (f *framer) until(delim byte) ([]byte, error) {
	from := len(f.buf)
	for {
		part, err := f.r.ReadSlice(delim)
		f.buf = append(f.buf, part...)
		if len(f.buf) > EnvelopeMax {
			return nil, fmt.Errorf("ews: stream: envelope of more than %d bytes", EnvelopeMax)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		return f.buf[from:], err
	}
}

// untilText reads up to and with a closing mark such as "-->".
func (f *framer) untilText(mark string) error {
	from := len(f.buf)
	for {
		if _, err := f.until('>'); err != nil {
			return err
		}
		if bytes.HasSuffix(f.buf[from:], []byte(mark)) {
			return nil
		}
	}
}

// markup reads the rest of the markup whose '<' was read.
func (f *framer) markup() (tag, error) {
	from := len(f.buf)
	if _, err := f.byte(); err != nil {
		return 0, err
	}
	switch f.buf[from] {
	case '?':
		return tagOther, f.untilText("?>")
	case '!':
		return tagOther, f.declaration(from)
	case '/':
		_, err := f.until('>')
		return tagClose, err
	case '>':
		return 0, fmt.Errorf("ews: stream: element without a name")
	}
	quote := byte(0)
	for {
		c, err := f.byte()
		switch {
		case err != nil:
			return 0, err
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			if f.buf[len(f.buf)-2] == '/' {
				return tagEmpty, nil
			}
			return tagOpen, nil
		}
	}
}

// declaration passes over a comment or CDATA section and refuses the rest.
func (f *framer) declaration(from int) error {
	for _, d := range [...]struct{ open, close string }{{"!--", "-->"}, {"![CDATA[", "]]>"}} {
		for len(f.buf)-from < len(d.open) && bytes.HasPrefix([]byte(d.open), f.buf[from:]) {
			if _, err := f.byte(); err != nil {
				return err
			}
		}
		if string(f.buf[from:]) == d.open {
			return f.untilText(d.close)
		}
	}
	return fmt.Errorf("ews: stream: a document type is not accepted")
}

func (f *framer) byte() (byte, error) {
	c, err := f.r.ReadByte()
	if err != nil {
		return 0, err
	}
	if len(f.buf) >= EnvelopeMax {
		return 0, fmt.Errorf("ews: stream: envelope of more than %d bytes", EnvelopeMax)
	}
	f.buf = append(f.buf, c)
	return c, nil
}
