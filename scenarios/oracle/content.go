package oracle

import (
	"strings"
	"unicode"
)

// wrongContent says what is wrong with what a device shows, or nothing. A
// notification may say less than the mail (policy, shortening, generic text),
// never something else: a line that begins like the sender or the subject must
// be it, whole or cut with an ellipsis.
func wrongContent(m Mail, p Push) string {
	if len(p.Lines) == 0 {
		return "the notification is empty"
	}
	for _, line := range p.Lines {
		if strings.ContainsFunc(line, func(r rune) bool { return r == unicode.ReplacementChar }) && !strings.ContainsRune(m.Subject+m.FromName, unicode.ReplacementChar) {
			return "a line was cut inside a character"
		}
	}
	if !mentions(p.Lines, m.Subject) && looksLikeAnother(p.Lines, m) {
		return "the lines show another mail's text"
	}
	return ""
}

// mentions says whether a line is the text, or its beginning with an ellipsis.
func mentions(lines []string, text string) bool {
	want := fold(text)
	for _, l := range lines {
		got := fold(l)
		if got == want {
			return true
		}
		if head, cut := strings.CutSuffix(got, "…"); cut && strings.HasPrefix(want, strings.TrimSpace(head)) {
			return true
		}
	}
	return false
}

// markerPrefix starts the subjects that scenarios and loads make unique, so
// that a mix-up of two mails is seen.
const markerPrefix = "#"

func looksLikeAnother(lines []string, m Mail) bool {
	if !strings.HasPrefix(m.Subject, markerPrefix) {
		return false
	}
	for _, l := range lines {
		if strings.HasPrefix(l, markerPrefix) {
			return true
		}
	}
	return false
}

// fold makes white space comparable.
func fold(s string) string { return strings.Join(strings.Fields(s), " ") }
