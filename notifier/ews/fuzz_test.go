package ews

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// seeds adds all messages of testdata.
func seeds(f *testing.F, add func([]byte)) {
	f.Helper()
	files, err := filepath.Glob("testdata/*.xml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		add(b)
	}
}

// FuzzStream holds that a stream means the same in whatever pieces it comes.
func FuzzStream(f *testing.F) {
	seeds(f, func(b []byte) { f.Add(b, uint16(1)); f.Add(b, uint16(700)) })
	f.Add([]byte("\ufeff <Envelope/>\r\n<Envelope><Body/></Envelope>"), uint16(3))
	f.Fuzz(func(t *testing.T, text []byte, size uint16) {
		want, wantErr := all(open(t, bytes.NewReader(text)))
		got, err := all(open(t, &pieces{text, int(size)%1500 + 1}))
		if !reflect.DeepEqual(got, want) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Errorf("in pieces of %d: %+v, %v\nwhole: %+v, %v", int(size)%1500+1, got, err, want, wantErr)
		}
		if React(err) == Nothing && err != nil {
			if e, ok := err.(*ResponseError); !ok || !e.Known() {
				t.Errorf("error %v comes to nothing", err)
			}
		}
	})
}

type pieces struct {
	text []byte
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.text) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.text[:min(p.size, len(p.text))])
	p.text = p.text[n:]
	return n, nil
}

// FuzzResponse holds that every operation survives every answer, and that what
// it makes of it is in order.
func FuzzResponse(f *testing.F) {
	seeds(f, func(b []byte) { f.Add(b, uint16(200)); f.Add(b, uint16(500)) })
	f.Fuzz(func(t *testing.T, body []byte, status uint16) {
		c, err := NewClient(Options{URL: "https://mail.contoso.test/", Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: int(status), Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
		})})
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		for _, op := range operations {
			if err := op.call(ctx, c, Caller{}); err != nil && len(err.Error()) > 8*errorTextMax {
				t.Errorf("%s: an error of %d bytes", op.name, len(err.Error()))
			}
		}
		if items, err := c.GetItem(ctx, Caller{}, []ItemID{"a", "b"}); err == nil {
			for _, it := range items {
				if (it.Err == nil) != (it.Item.ID != "") {
					t.Errorf("result %+v is neither an item nor an error", it)
				}
				if s := it.Item.Subject; strings.ToValidUTF8(s, "") != s || strings.ContainsFunc(s, func(r rune) bool { return !allowed(r) }) {
					t.Errorf("subject %q holds what XML forbids", s)
				}
			}
		}
		if page, err := c.FindItems(ctx, Caller{}, FindRequest{Offset: 3}); err == nil && page.NextOffset < 3+len(page.Items) {
			t.Errorf("page %+v leads back", page)
		}
	})
}

// FuzzScanner holds that what encoding/xml takes for well-formed is read as
// encoding/xml reads it.
func FuzzScanner(f *testing.F) {
	seeds(f, func(b []byte) { f.Add(b) })
	for _, s := range []string{
		"<a:b c:d='e'>&lt;<!-- x -->\r\n<![CDATA[ ]]]></a:b>", "<a b=\"&#x1F600;\r\"/>", "<?x?><é/>", "<:a/>", "<a:/>", "<a b='>'/>", "<a>&#13;\n</a>",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		want, ok := byEncodingXML(text)
		got, err := trace(scanStream(bytes.NewReader(text), 1<<20))
		if !ok {
			return // not well-formed, or beyond what the scanner takes: it must only come to an end
		}
		if err != io.EOF || got != want {
			t.Errorf("%q:\n got %s, %v\nwant %s", text, got, err, want)
		}
	})
}

// byEncodingXML is trace by encoding/xml. It is not ok for what the scanner
// refuses on purpose: document types, text outside of elements, too much
// nesting and too many attributes.
func byEncodingXML(text []byte) (string, bool) {
	var b strings.Builder
	d := xml.NewDecoder(bytes.NewReader(text))
	for depth := 0; ; {
		tok, err := d.Token()
		if err == io.EOF {
			return b.String(), true
		}
		if err != nil {
			return "", false
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if depth++; depth > DepthMax || len(tok.Attr) > AttributesMax {
				return "", false
			}
			fmt.Fprintf(&b, "<%s", tok.Name.Local)
			for _, a := range tok.Attr {
				fmt.Fprintf(&b, " %s=%q", a.Name.Local, a.Value)
			}
			b.WriteString(">")
		case xml.EndElement:
			depth--
			fmt.Fprintf(&b, "</%s>", tok.Name.Local)
		case xml.CharData:
			switch {
			case depth > 0:
				b.Write(tok)
			case len(bytes.Trim(tok, " \t\n")) > 0 || bytes.Contains(text, []byte("<![CDATA[")):
				return "", false // white space too, where it might be a CDATA section
			}
		case xml.Directive:
			return "", false
		}
	}
}
