package httpauth

import "strings"

// challenge is one scheme that a server offers.
type challenge struct {
	scheme string // canonical where known: NTLM, Negotiate, Basic, Bearer
	rest   string // token or parameters as they stand
}

func (c challenge) String() string {
	if c.rest == "" {
		return c.scheme
	}
	return c.scheme + " " + c.rest
}

// parseChallenges reads the lines of WWW-Authenticate: several lines, several
// challenges on a line, any case. RFC 9110, section 11.6.1: the comma separates
// challenges as well as the parameters of one, so an element that begins with
// "name =" belongs to the challenge before it.
func parseChallenges(lines []string) []challenge {
	var found []challenge
	for _, line := range lines {
		first := true // a parameter cannot continue a challenge of the line before
		for element := range splitList(line) {
			word, rest := cutToken(element)
			switch {
			case word == "":
			case strings.HasPrefix(rest, "="):
				if !first {
					last := &found[len(found)-1]
					if last.rest != "" {
						last.rest += ", "
					}
					last.rest += element
				}
			default:
				found = append(found, challenge{scheme: canonicalScheme(word), rest: rest})
				first = false
			}
		}
	}
	return found
}

// splitList yields the comma-separated elements of s, trimmed, leaving quoted
// strings whole.
func splitList(s string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		start, quoted := 0, false
		for i := 0; i < len(s); i++ {
			switch {
			case quoted && s[i] == '\\':
				i++
			case s[i] == '"':
				quoted = !quoted
			case s[i] == ',' && !quoted:
				if !yield(strings.Trim(s[start:i], " \t")) {
					return
				}
				start = i + 1
			}
		}
		yield(strings.Trim(s[start:], " \t"))
	}
}

// cutToken splits "word rest", where the rest has no leading blanks.
func cutToken(s string) (word, rest string) {
	i := strings.IndexAny(s, " \t=")
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimLeft(s[i:], " \t")
}

func canonicalScheme(s string) string {
	for _, known := range [...]string{"NTLM", "Negotiate", "Basic", "Bearer"} {
		if strings.EqualFold(s, known) {
			return known
		}
	}
	return s
}

func schemes(cs []challenge) []string {
	var names []string
	for _, c := range cs {
		names = append(names, c.scheme)
	}
	return names
}
