package ews

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// trace writes what a scanner sees: <name attr="value"> text </name>.
func trace(s *scanner) (string, error) {
	var b strings.Builder
	for {
		switch s.next() {
		case startToken:
			fmt.Fprintf(&b, "<%s", s.name)
			for _, a := range s.attrs {
				fmt.Fprintf(&b, " %s=%q", a.name, appendText(nil, a.value, true))
			}
			b.WriteString(">")
		case endToken:
			fmt.Fprintf(&b, "</%s>", s.name)
			if s.depth == 0 && s.src == nil {
				return b.String(), nil
			}
		case textToken:
			b.Write(appendText(nil, s.raw, !s.cdata))
		default:
			return b.String(), s.err
		}
	}
}

func TestScannerReadsWhatXMLAllows(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"local names", `<s:a xmlns:s="u" s:b="1"><c:d/></s:a>`, `<a s="u" b="1"><d></d></a>`},
		{"white space in tags", "<a\n b = '1'\tc=\"2\" ></a >", `<a b="1" c="2"></a>`},
		{"no white space between attributes", `<a b="1"c="2"/>`, `<a b="1" c="2"></a>`},
		{"the other quotes, and > in a value", `<a b="it's > " c='"/>'>x</a>`, `<a b="it's > " c="\"/>">x</a>`},
		{"declaration, comment and instruction", "\ufeff<?xml version=\"1.0\"?><!-- <b> -- > --><a><?php ?>x<!--</a>-->y</a>", `<a>xy</a>`},
		{"references", `<a b="&lt;&#65;">&amp;&gt;&quot;&apos;&#x20AC;&#0065;</a>`, `<a b="<A">&>"'€A</a>`},
		{"references to nothing", `<a>& &; &&amp; &nbsp; &#; &#x; &#xG; &unbelievablylong;</a>`, `<a>& &; && &nbsp; &#; &#x; &#xG; &unbelievablylong;</a>`},
		{"CDATA", `<a>x<![CDATA[<b>&amp;]]]]><![CDATA[>]]></a>`, `<a>x<b>&amp;]]></a>`},
		{"line ends", "<a>1\r\n2\r3\n4&#xD;5</a>", "<a>1\n2\n3\n4\r5</a>"},
		{"characters that XML forbids", "<a>\x00\x1f\x7f&#0;&#x1F;&#xFFFE;&#xD800;&#x110000;&#99999999999;\ufffe\xff\xc3</a>", "<a>\ufffd\ufffd\x7f\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd</a>"},
		{"text beyond ASCII", "<ä b=\"ö\">日本語 😀 \u202e</ä>", "<ä b=\"ö\">日本語 😀 \u202e</ä>"},
		{"text beyond ASCII in CDATA", "<a><![CDATA[日\x01&#1;]]></a>", "<a>日\ufffd&#1;</a>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := trace(scanBytes([]byte(tt.in))); err != nil || got != tt.want {
				t.Errorf("at hand:\n got %s, %v\nwant %s", got, err, tt.want)
			}
			if got, err := trace(scanStream(iotest.OneByteReader(strings.NewReader(tt.in)), 1<<20)); err != io.EOF || got != tt.want {
				t.Errorf("a byte at a time:\n got %s, %v\nwant %s", got, err, tt.want)
			}
		})
	}
}

func TestScannerRefusesWhatDoesNotNest(t *testing.T) {
	for _, in := range []string{
		"", " ", "x", "<", "<a", "<a>", "<a></b>", "</a>", "<a><b></a></b>", "<a></a", "<a b>", "<a b=>", "<a b=c>", `<a b="c>`, `<a b="<"/>`, "<a <b/>>",
		"< a/>", "<1/>", `<a ="b"/>`, "<a/ >", "<a b='c'd/>", "<!DOCTYPE a><a/>", "<!ELEMENT a>", "<a><!ELEMENT b></a>", "<!-- -->", "<!--", "<!-", "<![CDATA[x]]>", "<a><![CDATA[", "<a><![cdata[]]></a>", "<?xml", "<a>&amp;",
		"<a:b></c:b>", "x<a/>", "<>", "</>", "<a></ a>",
	} {
		if got, err := trace(scanBytes([]byte(in))); err == nil {
			t.Errorf("%q is read as %s", in, got)
		} else if _, ok := errors.AsType[*SyntaxError](err); !ok {
			t.Errorf("%q: error %v, want a SyntaxError", in, err)
		}
	}
}

func TestNestingIsBounded(t *testing.T) {
	nested := func(n int) []byte { return []byte(strings.Repeat("<a>", n) + strings.Repeat("</a>", n)) }
	if _, err := trace(scanBytes(nested(DepthMax))); err != nil {
		t.Error(err)
	}
	if _, err := trace(scanBytes(nested(DepthMax + 1))); err == nil {
		t.Errorf("%d elements deep is accepted", DepthMax+1)
	}
	attrs := func(n int) []byte { return []byte("<a" + strings.Repeat(" b=''", n) + "/>") }
	if _, err := trace(scanBytes(attrs(AttributesMax))); err != nil {
		t.Error(err)
	}
	if _, err := trace(scanBytes(attrs(AttributesMax + 1))); err == nil {
		t.Errorf("%d attributes are accepted", AttributesMax+1)
	}
}

func TestSyntaxErrorsSayWhere(t *testing.T) {
	first := strings.Repeat("<a>x</a>", 5000)
	s := scanStream(strings.NewReader(first+"<b></c>"), 1<<20)
	for s.root() {
		s.skip()
	}
	e, ok := errors.AsType[*SyntaxError](s.err)
	if !ok || e.Offset != int64(len(first)+len("<b>")) {
		t.Errorf("error %#v, want offset %d", s.err, len(first)+3)
	}
}

func TestWalkLeavesWhatItDoesNotKnow(t *testing.T) {
	s := scanBytes([]byte(`<r><skip><v>1</v><x/></skip><v> a<b>not</b>c&amp;<![CDATA[&]]> </v><e/><v id="&#x41;"/></r>`))
	var got []string
	if !s.root() {
		t.Fatal(s.err)
	}
	for s.child() {
		switch string(s.name) {
		case "v":
			got = append(got, string(s.attr("id"))+"|"+string(s.content()))
		case "e":
			if v := s.content(); len(v) != 0 {
				t.Errorf("empty element holds %q", v)
			}
		default:
			s.skip()
		}
	}
	if want := []string{"| ac&& ", "A|"}; s.err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, %v; want %q", got, s.err, want)
	}
}

func TestTimesAndNumbersAreReadGenerously(t *testing.T) {
	for in, want := range map[string]string{
		"2025-03-04T09:15:27Z": "2025-03-04T09:15:27Z", "2025-03-04T09:15:27.123Z": "2025-03-04T09:15:27.123Z",
		"2025-03-04T10:15:27+01:00": "2025-03-04T09:15:27Z", "2025-03-04T09:15:27": "2025-03-04T09:15:27Z",
		"": "0001-01-01T00:00:00Z", "yesterday": "0001-01-01T00:00:00Z",
	} {
		if got := when([]byte(in)).Format("2006-01-02T15:04:05.999Z07:00"); got != want {
			t.Errorf("time %q is read as %s, want %s", in, got, want)
		}
	}
	for in, want := range map[string]int{"0": 0, "42": 42, "999999999": 999999999, "": -1, "-3": -1, "x": -1, "9999999999": -1} {
		if got := count([]byte(in), -1); got != want {
			t.Errorf("number %q is read as %d, want %d", in, got, want)
		}
	}
	for in, want := range map[string]bool{"true": true, "1": true, "True": true, "false": false, "0": false, "": false} {
		if got := yes([]byte(in)); got != want {
			t.Errorf("truth %q is read as %v", in, got)
		}
	}
}
