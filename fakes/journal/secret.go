package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// BodyKeptMax bounds the body of one entry, in bytes. It is above what APNs
// (5,120) and WNS (5,000) accept; only what they refuse is cut.
const BodyKeptMax = 16 << 10

// secretKept is how much of a secret stays: enough to tell two apart.
const secretKept = 6

// secretNames are the fields whose values are secrets, in lower case, without
// the marks that separate words. Device tokens and channel URIs are not among
// them: a journal without them could not say who got what.
var secretNames = map[string]bool{
	"password": true, "passwd": true, "secret": true, "clientsecret": true, "authorization": true, "accesstoken": true, "refreshtoken": true,
	"idtoken": true, "assertion": true, "clientassertion": true, "bearer": true, "privatekey": true, "apikey": true, "cookie": true, "setcookie": true,
}

// hints are parts of words next to which secrets stand; without their first
// letter they are found whether it is a capital or not. Every entry is searched
// for them, so this is no regular expression.
var hints = []string{"assword", "ASSWORD", "asswd", "ecret", "ECRET", "uthorization", "UTHORIZATION", "ken", "KEN", "ssertion", "earer", "EARER", "asic ", "rivate", "pikey", "pi_key", "ookie"}

// hinted says whether a text is worth a closer look.
func hinted(s string) bool {
	for _, h := range hints {
		if strings.Contains(s, h) {
			return true
		}
	}
	return false
}

func hintedBytes(b []byte) bool {
	for _, h := range hints {
		if bytes.Contains(b, []byte(h)) {
			return true
		}
	}
	return false
}

// inText finds a secret in text that is no JSON: a scheme with its credential,
// or name=value.
var inText = regexp.MustCompile(`(?i)\b(bearer|basic)\s+([A-Za-z0-9._~+/=-]{8,})|\b((?:client_)?(?:secret|assertion)|password|(?:access|refresh|id)_token)=([^&\s"'<>]+)`)

// Shorten returns the entry with its secrets shortened to their first
// characters, in Detail and in Body, and with a body that is cut to
// BodyKeptMax. What is not changed is shared with e.
func Shorten(e Entry) Entry {
	copied := false
	for name, value := range e.Detail {
		kept := value
		if secret(name) {
			kept = short(value)
		} else if hinted(value) {
			kept = shortText(value)
		}
		if kept == value {
			continue
		}
		if !copied {
			detail := make(map[string]string, len(e.Detail))
			for k, v := range e.Detail {
				detail[k] = v
			}
			e.Detail, copied = detail, true
		}
		e.Detail[name] = kept
	}
	if len(e.Body) == 0 {
		return e
	}
	if hintedBytes(e.Body) {
		e.Body = shortBody(e.Body)
	}
	if len(e.Body) > BodyKeptMax {
		text := strings.ToValidUTF8(string(e.Body[:BodyKeptMax]), "")
		e.Body, _ = json.Marshal(fmt.Sprintf("%s… (%d bytes)", text, len(e.Body))) // a string has a JSON form
	}
	return e
}

func secret(name string) bool {
	return hinted(name) && secretNames[plain.Replace(strings.ToLower(name))]
}

var plain = strings.NewReplacer("_", "", "-", "")

// short is the beginning of a secret and its length.
func short(s string) string {
	if strings.Contains(s, "…") {
		return s // shortened before
	}
	n := min(secretKept, len(s)/2)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…(" + strconv.Itoa(len(s)) + ")"
}

func shortText(s string) string {
	return inText.ReplaceAllStringFunc(s, func(found string) string {
		at := strings.LastIndexAny(found, " \t=")
		if i := strings.IndexByte(found, '='); i >= 0 && !strings.ContainsAny(found[:i], " \t") {
			at = i // name=value, whose value may have = and blanks in it
		} else if i := strings.IndexAny(found, " \t"); i >= 0 {
			at = i
		}
		return found[:at+1] + short(found[at+1:])
	})
}

// shortBody shortens within JSON of any depth; the order of fields and the form
// of numbers stay. A body without a secret comes back as it was.
func shortBody(body json.RawMessage) json.RawMessage {
	c := copier{in: json.NewDecoder(bytes.NewReader(body))}
	c.in.UseNumber()
	if err := c.value(false, 0); err != nil || !c.changed {
		return body
	}
	return c.out.Bytes()
}

// depthMax bounds the nesting that is followed.
const depthMax = 100

// copier copies JSON and shortens the secrets in it.
type copier struct {
	in      *json.Decoder
	out     bytes.Buffer
	changed bool
}

func (c *copier) value(isSecret bool, depth int) error {
	if depth > depthMax {
		return fmt.Errorf("journal: body nested deeper than %d", depthMax)
	}
	t, err := c.in.Token()
	if err != nil {
		return err
	}
	switch t := t.(type) {
	case json.Delim:
		return c.inside(t, isSecret, depth)
	case string:
		kept := shortText(t)
		if isSecret {
			kept = short(t)
		}
		c.changed = c.changed || kept != t
		c.write(kept)
	default:
		c.write(t)
	}
	return nil
}

// inside copies what an array or an object holds, and its end.
func (c *copier) inside(open json.Delim, isSecret bool, depth int) error {
	c.out.WriteString(open.String())
	for first := true; c.in.More(); first = false {
		if !first {
			c.out.WriteByte(',')
		}
		inner := isSecret
		if open == '{' {
			name, err := c.in.Token()
			if err != nil {
				return err
			}
			key, _ := name.(string)
			inner = isSecret || secret(key)
			c.write(key)
			c.out.WriteByte(':')
		}
		if err := c.value(inner, depth+1); err != nil {
			return err
		}
	}
	end, err := c.in.Token()
	if err != nil {
		return err
	}
	c.out.WriteString(fmt.Sprint(end))
	return nil
}

// write writes a key or a scalar, as plainly as JSON allows.
func (c *copier) write(v any) {
	e := json.NewEncoder(&c.out)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)                 // tokens of a decoder have a JSON form
	c.out.Truncate(c.out.Len() - 1) // without the encoder's line feed
}
