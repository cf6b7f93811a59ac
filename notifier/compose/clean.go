package compose

import (
	"strings"
	"unicode"
)

// clean makes one line of a text that strangers wrote. It drops what a device
// cannot show and what can disguise a text: control characters, the controls
// of writing direction (Unicode "Bidirectional Algorithm", table 1), and what
// XML 1.0 forbids ("Extensible Markup Language", production Char), and with it
// the other noncharacters. Every break of lines becomes one space, and takes
// in the spaces around it; other spaces stay as they are, save at both ends. Bytes that are not UTF-8 become
// U+FFFD. Joiners and variation selectors stay: emoji and some scripts need
// them.
func clean(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	gap := false // a break of lines is to become a space
	for _, r := range s {
		switch {
		case breaksLine(r):
			gap = true
			continue
		case disturbs(r):
			continue
		}
		if gap && r == ' ' {
			continue
		}
		if gap && !endsInSpace(b.String()) {
			b.WriteByte(' ')
		}
		gap = false
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

func breaksLine(r rune) bool {
	switch r {
	case '\t', '\n', '\v', '\f', '\r', 0x85, 0x2028, 0x2029:
		return true
	}
	return false
}

func disturbs(r rune) bool {
	switch {
	case unicode.Is(unicode.Cc, r), unicode.Is(unicode.Bidi_Control, r), unicode.Is(unicode.Noncharacter_Code_Point, r):
		return true
	case r == 0xfeff, r >= 0xfff9 && r <= 0xfffb: // byte order mark, interlinear annotation
		return true
	}
	return false
}

func endsInSpace(s string) bool { return s == "" || s[len(s)-1] == ' ' }
