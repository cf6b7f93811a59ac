package main

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/japanese"
)

func storyLetters(t *testing.T) []letter {
	t.Helper()
	list, err := letters(7, []string{"taro@contoso.test", "ada@contoso.test"})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// The standard library knows neither the fakes nor the notifier: it reads the
// letters as a third party.
func TestLettersSayOnTheWireWhatTheirAuthorMeant(t *testing.T) {
	words := mime.WordDecoder{CharsetReader: func(charset string, r io.Reader) (io.Reader, error) {
		if charset != "iso-2022-jp" {
			t.Errorf("charset %s", charset)
		}
		return japanese.ISO2022JP.NewDecoder().Reader(r), nil
	}}
	for _, l := range storyLetters(t) {
		t.Run(l.About, func(t *testing.T) {
			head, _, _ := bytes.Cut(l.Raw, []byte("\r\n\r\n"))
			for line := range strings.SplitSeq(string(head), "\r\n") {
				if len(line) > 78 || strings.ContainsFunc(line, func(r rune) bool { return r >= utf8.RuneSelf }) {
					t.Errorf("header line %q: at most 78 characters of ASCII", line)
				}
			}
			m, err := netmail.ReadMessage(bytes.NewReader(l.Raw))
			if err != nil {
				t.Fatal(err)
			}
			subject, err := words.DecodeHeader(m.Header.Get("Subject"))
			if err != nil || subject != l.Subject {
				t.Errorf("subject %q, %v; want %q", subject, err, l.Subject)
			}
			from, err := (&netmail.AddressParser{WordDecoder: &words}).Parse(m.Header.Get("From"))
			if err != nil || from.Name != l.Name || from.Address != l.Address {
				t.Errorf("from %v, %v; want %q <%s>", from, err, l.Name, l.Address)
			}
		})
	}
}

func TestLettersAreTheOnesThatNotificationsGoWrongWith(t *testing.T) {
	list := storyLetters(t)
	if !bytes.Contains(list[0].Raw, []byte("=?ISO-2022-JP?B?")) || !bytes.Contains(list[0].Raw, []byte("\x1b$B")) {
		t.Error("the Japanese letter is not in ISO-2022-JP, subject and text")
	}
	long := list[2]
	if n := utf8.RuneCountInString(long.Subject); n != subjectRunes || strings.TrimSpace(long.Subject) != long.Subject {
		t.Errorf("the long subject has %d characters", n)
	}
	if n := bytes.Count(long.Raw, []byte("\r\n =?utf-8?b?")); n < 3 {
		t.Errorf("the long subject is folded %d times", n)
	}
	if list[3].Subject != "" || list[4].Name != "" {
		t.Error("no letter without subject, or none without the sender's name")
	}
	m, err := netmail.ReadMessage(bytes.NewReader(list[5].Raw))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	if _, err := parts.NextPart(); err != nil {
		t.Fatal(err)
	}
	scan, err := parts.NextPart()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, scan); err != nil || n < attachmentBytes*4/3 {
		t.Errorf("the attachment has %d bytes of base64, %v", n, err)
	}
}
