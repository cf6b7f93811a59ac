package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"mime"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/japanese"
)

// attachmentBytes is the size of the story's attachment, before base64.
const attachmentBytes = 10 << 20

// subjectRunes is the length of the story's long subject.
const subjectRunes = 300

// letter is a mail of the story: what its author meant, and the message as a
// mail program puts it on the wire.
type letter struct {
	About   string // for the reader of the story
	Name    string // of the sender; may be empty
	Address string
	Subject string
	Text    string
	ID      string // Message-ID
	Raw     []byte
}

// letters are the story's mails: the ones that notifications go wrong with.
func letters(seed int64, to []string) ([]letter, error) {
	out := []letter{
		{
			About: "a Japanese subject in ISO-2022-JP", Name: "山田 太郎", Address: "taro.yamada@fabrikam.test",
			Subject: "【重要】来週の定例会議の日程変更について(第三会議室)", Text: "お疲れ様です。来週の会議を木曜日に変更します。",
		},
		{
			About: "emoji in the subject", Name: "Zoë 🦊 Fuchs", Address: "zoe@fabrikam.test",
			Subject: "🎉 Party! 👩‍👩‍👧‍👦 + 👍🏽 = 🇯🇵🇫🇷 ❤️‍🔥", Text: "Bring cake 🍰.",
		},
		{
			About: fmt.Sprintf("a folded subject of %d characters (RFC 2047)", subjectRunes), Name: "Ελένη Müller-Łukasiewicz", Address: "eleni@fabrikam.test",
			Subject: longSubject(), Text: "Sehr lang.",
		},
		{About: "an empty subject", Name: "Ada Example", Address: "ada@fabrikam.test", Text: "I forgot what this is about."},
		{About: "a sender without a name", Address: "no-reply@fabrikam.test", Subject: "Your invoice <2041> & \"more\"", Text: "Thank you."},
		{About: "an attachment of 10 MB", Name: "Scanner, 3rd floor", Address: "scanner@fabrikam.test", Subject: "Scan 0001.tiff", Text: "The scan is attached."},
	}
	for i := range out {
		l := &out[i]
		l.ID = fmt.Sprintf("<story-%d-%d@fabrikam.test>", seed, i+1)
		content, encodeWord := plainContent(l.Text), utf8Word
		var err error
		switch i {
		case 0:
			encodeWord = japaneseWord
			content, err = japaneseContent(l.Text)
		case len(out) - 1:
			content = attachmentContent(l.Text, seed)
		}
		if err == nil {
			l.Raw, err = l.message(to, encodeWord, content)
		}
		if err != nil {
			return nil, fmt.Errorf("letter with %s: %w", l.About, err)
		}
	}
	return out, nil
}

// longSubject is made of letters of several scripts, none of them ASCII only.
func longSubject() string {
	const words = "Übergrößenträger αγαπητοί συνάδελφοι, żółta łódź na jeziorze; съешь ещё этих булок; "
	var b strings.Builder
	n := 0
	for n < subjectRunes {
		for _, r := range words {
			if n++; n > subjectRunes {
				break
			}
			b.WriteRune(r)
		}
	}
	s := b.String()
	if strings.HasSuffix(s, " ") { // a space at the end would not survive any mail program
		s = s[:len(s)-1] + "."
	}
	return s
}

// message is the letter as an RFC 5322 message.
func (l letter) message(to []string, encodeWord func(string) (string, error), content []byte) ([]byte, error) {
	var b bytes.Buffer
	from := " " + l.Address
	if l.Name != "" {
		name, err := encodeWord(l.Name)
		if err != nil {
			return nil, err
		}
		from = phrase(name) + "\r\n <" + l.Address + ">"
	}
	subject, err := encodeWord(l.Subject)
	if err != nil {
		return nil, err
	}
	field := func(name, value string) { b.WriteString(name + ":" + value + "\r\n") }
	field("Date", " "+time.Now().UTC().Format(time.RFC1123Z))
	field("From", from)
	field("To", " "+strings.Join(to, ",\r\n "))
	field("Message-ID", " "+l.ID)
	field("Subject", subject)
	field("MIME-Version", " 1.0")
	b.Write(content)
	return b.Bytes(), nil
}

// phrase quotes a name that has specials in it (RFC 5322 "Quoted Strings").
func phrase(name string) string {
	if strings.ContainsAny(name, `()<>[]:;@\,."`) && !strings.Contains(name, "=?") {
		return ` "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(strings.TrimSpace(name)) + `"`
	}
	return name
}

// utf8Word encodes a text for a header field (RFC 2047), with the space or fold
// before it: one encoded word a line, so that no line exceeds 76 characters.
// Plain ASCII stays as it is.
func utf8Word(s string) (string, error) {
	word := mime.BEncoding.Encode("utf-8", s)
	if !strings.HasPrefix(word, "=?") {
		return " " + word, nil
	}
	return "\r\n " + strings.ReplaceAll(word, "?= =?", "?=\r\n =?"), nil
}

// japaneseWordRunes is how many characters of ISO-2022-JP fit into an encoded
// word of 75 characters (RFC 2047 "Syntax of encoded-words"): two bytes each,
// escape sequences before and after, in base64.
const japaneseWordRunes = 15

// japaneseWord encodes as Japanese mail programs do: each encoded word begins
// and ends in ASCII (RFC 1468 "Formal Syntax").
func japaneseWord(s string) (string, error) {
	var words []string
	for s != "" {
		end, n := 0, 0
		for end < len(s) && n < japaneseWordRunes {
			_, size := utf8.DecodeRuneInString(s[end:])
			end += size
			n++
		}
		raw, err := japanese.ISO2022JP.NewEncoder().Bytes([]byte(s[:end]))
		if err != nil {
			return "", err
		}
		words = append(words, "\r\n =?ISO-2022-JP?B?"+base64.StdEncoding.EncodeToString(raw)+"?=")
		s = s[end:]
	}
	return strings.Join(words, ""), nil
}

// Bodies, with their header fields.

func plainContent(text string) []byte {
	return []byte("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" + lines([]byte(text)))
}

func japaneseContent(text string) ([]byte, error) {
	raw, err := japanese.ISO2022JP.NewEncoder().Bytes([]byte(text))
	if err != nil {
		return nil, err
	}
	return append([]byte("Content-Type: text/plain; charset=ISO-2022-JP\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"), append(raw, "\r\n"...)...), nil
}

func attachmentContent(text string, seed int64) []byte {
	const boundary = "=_story"
	scan := make([]byte, attachmentBytes)
	var key [32]byte
	copy(key[:], fmt.Sprint(seed))
	_, _ = rand.NewChaCha8(key).Read(scan) // never fails
	var b bytes.Buffer
	b.WriteString("Content-Type: multipart/mixed; boundary=\"" + boundary + "\"\r\n\r\n--" + boundary + "\r\n")
	b.Write(plainContent(text))
	b.WriteString("--" + boundary + "\r\nContent-Type: image/tiff\r\nContent-Disposition: attachment; filename=\"scan.tiff\"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	b.WriteString(lines(scan))
	b.WriteString("--" + boundary + "--\r\n")
	return b.Bytes()
}

// lineMax is the length of a line of base64 (RFC 2045 "Base64
// Content-Transfer-Encoding").
const lineMax = 76

// lines is base64 in lines.
func lines(data []byte) string {
	text := base64.StdEncoding.EncodeToString(data)
	var b strings.Builder
	b.Grow(len(text) + len(text)/lineMax*2 + 2)
	for len(text) > 0 {
		n := min(lineMax, len(text))
		b.WriteString(text[:n] + "\r\n")
		text = text[n:]
	}
	return b.String()
}
