package exchange

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"
)

var wordDecoder = mime.WordDecoder{CharsetReader: charset.Reader}

// DecodeWords decodes the encoded words of an unstructured header field (RFC
// 2047 "MIME Part Three", section 6.2): white space between two encoded words
// is dropped, and neighbours of one charset are joined before decoding, since
// many mailers cut characters in two. Bytes outside ASCII that are not
// encoded are taken for UTF-8, else for ISO-2022-JP where its escapes show,
// else for Windows-1252.
func DecodeWords(field string) string {
	var out strings.Builder
	var pending []byte // bytes of encoded words of one charset
	var pendingCharset string
	after := false // the last thing read was an encoded word
	flush := func() {
		if len(pending) > 0 {
			out.WriteString(decodeCharset(pendingCharset, pending))
			pending = nil
		}
	}
	for field != "" {
		i := strings.Index(field, "=?")
		if i < 0 {
			break
		}
		set, data, length, ok := encodedWord(field[i:])
		gap := field[:i]
		if !ok {
			flush()
			out.WriteString(plainText(field[:i+2]))
			field = field[i+2:]
			after = false
			continue
		}
		if !after || strings.Trim(gap, " \t\r\n") != "" {
			flush()
			out.WriteString(plainText(gap))
		}
		if !strings.EqualFold(set, pendingCharset) {
			flush()
		}
		pendingCharset = set
		pending = append(pending, data...)
		after = true
		field = field[i+length:]
	}
	flush()
	out.WriteString(plainText(field))
	return out.String()
}

// encodedWord reads one encoded word at the beginning of s.
func encodedWord(s string) (set string, data []byte, length int, ok bool) {
	const wordMax = 4096 // RFC 2047 says 75; real mailers exceed it
	rest := s[2:]
	set, rest, ok1 := strings.Cut(rest, "?")
	encoding, rest, ok2 := strings.Cut(rest, "?")
	if !ok1 || !ok2 || set == "" || len(encoding) != 1 {
		return "", nil, 0, false
	}
	end := strings.Index(rest, "?=")
	if end < 0 || end > wordMax {
		return "", nil, 0, false
	}
	text := rest[:end]
	length = len(s) - len(rest) + end + 2
	set, _, _ = strings.Cut(set, "*") // RFC 2231: language after the charset
	switch encoding {
	case "b", "B":
		var err error
		if data, err = base64.StdEncoding.DecodeString(text); err != nil {
			if data, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "=")); err != nil {
				return "", nil, 0, false
			}
		}
	case "q", "Q":
		data = decodeQ(text)
	default:
		return "", nil, 0, false
	}
	return set, data, length, true
}

func decodeQ(text string) []byte {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '_':
			out = append(out, ' ')
		case c == '=' && i+2 < len(text) && unhex(text[i+1]) >= 0 && unhex(text[i+2]) >= 0:
			out = append(out, byte(unhex(text[i+1])<<4|unhex(text[i+2])))
			i += 2
		default:
			out = append(out, c)
		}
	}
	return out
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// plainText is header text outside encoded words.
func plainText(s string) string {
	if strings.Contains(s, "\x1b$") || strings.Contains(s, "\x1b(") {
		return decodeCharset("iso-2022-jp", []byte(s))
	}
	if utf8.ValidString(s) {
		return s
	}
	return decodeCharset("windows-1252", []byte(s))
}

// decodeCharset decodes bytes as far as they go; an unknown charset is taken
// for UTF-8 with replacement characters.
func decodeCharset(name string, b []byte) string {
	if strings.EqualFold(name, "utf-8") || strings.EqualFold(name, "utf8") || strings.EqualFold(name, "us-ascii") {
		return strings.ToValidUTF8(string(b), "\ufffd")
	}
	r, err := charset.Reader(name, bytes.NewReader(b))
	if err != nil {
		return strings.ToValidUTF8(string(b), "\ufffd")
	}
	out, err := io.ReadAll(r)
	if err != nil && len(out) == 0 {
		return strings.ToValidUTF8(string(b), "\ufffd")
	}
	return strings.ToValidUTF8(string(out), "\ufffd")
}
