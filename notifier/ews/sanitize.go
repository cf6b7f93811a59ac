package ews

import (
	"bytes"
	"unicode/utf8"
)

// Exchange passes on characters of a subject that XML 1.0 cannot hold, as raw
// bytes and as references ("&#x1F;"). A parser that refuses them loses the
// whole batch the mail is in, for ever. Here they become U+FFFD instead.

// referenceLenMax bounds a reference between & and ;. The longest that means
// anything is #x10FFFF, leading zeros aside.
const referenceLenMax = 16

// allowed says whether XML 1.0 can hold the character (Extensible Markup
// Language 1.0, section 2.2 "Characters": Char).
func allowed(r rune) bool {
	switch {
	case r < 0x20:
		return r == '\t' || r == '\n' || r == '\r'
	case r <= 0xD7FF:
		return true
	case r < 0xE000:
		return false
	default:
		return r != 0xFFFE && r != 0xFFFF && r <= utf8.MaxRune
	}
}

// plain says whether text stands for itself, byte for byte: no reference, no
// line end to normalise, nothing outside of printable ASCII.
func plain(text []byte) bool {
	for _, b := range text {
		if b == '&' || b >= utf8.RuneSelf || (b < 0x20 && b != '\t' && b != '\n') {
			return false
		}
	}
	return true
}

// appendText appends character data: references resolved (unless it comes from
// a CDATA section), line ends as \n (Extensible Markup Language 1.0, section
// 2.11), what XML cannot hold as U+FFFD. A reference to an entity nobody
// declared stays as it is.
func appendText(dst, text []byte, references bool) []byte {
	for i := 0; i < len(text); {
		b := text[i]
		switch {
		case b == '&' && references:
			r, size := reference(text[i:])
			if size == 0 {
				dst = append(dst, '&')
				size = 1
			} else {
				dst = utf8.AppendRune(dst, r)
			}
			i += size
		case b == '\r':
			dst = append(dst, '\n')
			i++
			if i < len(text) && text[i] == '\n' {
				i++
			}
		case b < utf8.RuneSelf:
			if allowed(rune(b)) {
				dst = append(dst, b)
			} else {
				dst = utf8.AppendRune(dst, utf8.RuneError)
			}
			i++
		default:
			r, size := utf8.DecodeRune(text[i:])
			if !allowed(r) {
				r = utf8.RuneError
			}
			dst = utf8.AppendRune(dst, r)
			i += size
		}
	}
	return dst
}

// reference resolves the reference that text begins with and says how long it
// is; 0 when it is none that is known.
func reference(text []byte) (r rune, size int) {
	end := bytes.IndexByte(text[:min(len(text), referenceLenMax)], ';')
	if end < 2 {
		return 0, 0
	}
	name := text[1:end]
	size = end + 1
	if name[0] == '#' {
		if r, ok := charReference(name[1:]); ok {
			return r, size
		}
		return 0, 0
	}
	switch string(name) {
	case "amp":
		return '&', size
	case "lt":
		return '<', size
	case "gt":
		return '>', size
	case "quot":
		return '"', size
	case "apos":
		return '\'', size
	}
	return 0, 0
}

// charReference reads "65" or "x41".
func charReference(digits []byte) (rune, bool) {
	base := rune(10)
	if len(digits) > 0 && digits[0] == 'x' {
		base, digits = 16, digits[1:]
	}
	if len(digits) == 0 {
		return 0, false
	}
	var v rune
	for _, d := range digits {
		switch {
		case d >= '0' && d <= '9':
			d -= '0'
		case base == 16 && d >= 'a' && d <= 'f':
			d -= 'a' - 10
		case base == 16 && d >= 'A' && d <= 'F':
			d -= 'A' - 10
		default:
			return 0, false
		}
		if v = v*base + rune(d); v > utf8.MaxRune {
			v = utf8.MaxRune + 1 // stays there: no overflow
		}
	}
	if !allowed(v) {
		return utf8.RuneError, true
	}
	return v, true
}

// shorten cuts a server's text to max bytes at a character's border, on one
// line, for errors.
func shorten(s string, max int) string {
	if len(s) > max {
		for max > 0 && !utf8.RuneStart(s[max]) {
			max--
		}
		s = s[:max] + "…"
	}
	b := []byte(s)
	for i, c := range b {
		if c < 0x20 || c == 0x7F {
			b[i] = ' '
		}
	}
	return string(b)
}
