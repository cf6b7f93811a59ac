package fakeews

import (
	"fmt"
	"reflect"
	"testing"
)

// documents that scan reads, and that it leaves to encoding/xml.
var (
	scanned = []string{
		`<a/>`,
		"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<s:Envelope xmlns:s=\"x\">\n <s:Body a='1' t:b=\"2&amp;3\"><m:Op>one &lt; two<b/>three</m:Op ></s:Body>\n</s:Envelope>\n",
		`<a b="x"><b c="&quot;&apos;">&gt;></b><b/></a>`,
	}
	left = []string{
		``, `<a>`, `<a></b>`, `<a/><b/>`, `x<a/>`, `<a b=1/>`, `<a b="1"c="2"/>`, `<a:b:c/>`, `<:a/>`, `<1/>`, `<a>&#65;</a>`, `<a>&nbsp;</a>`,
		`<a>&lt</a>`, `<a>]]></a>`, `<a b="<"/>`, "<a>\r\n</a>", "<a>\x01</a>", `<a>ü</a>`, "\ufeff<a/>", `<a><!-- c --></a>`, `<a><![CDATA[x]]></a>`,
		`<!DOCTYPE a><a/>`, `<?xml version="1.1"?><a/>`, `<a><?p i?></a>`, `<a b="1" b="2"`,
	}
)

func TestRequestsInEarnestAreScannedAndTheRestIsLeftToEncodingXML(t *testing.T) {
	for _, text := range scanned {
		if _, ok := scan([]byte(text)); !ok {
			t.Errorf("not scanned: %s", text)
		}
	}
	for _, text := range left {
		if root, ok := scan([]byte(text)); ok {
			t.Errorf("scanned: %s as %+v", text, root)
		}
	}
	if _, ok := scan([]byte(ask{as: ada, version: "Exchange2013_SP1"}.envelope(subscribeRequest(inbox, "NewMailEvent")))); !ok {
		t.Error("not scanned: a Subscribe request")
	}
}

// FuzzScan: what is scanned, encoding/xml reads as the same nodes, at the same
// places.
func FuzzScan(f *testing.F) {
	for _, text := range append(scanned, left...) {
		f.Add([]byte(text))
	}
	f.Add([]byte(ask{as: ada, version: "Exchange2013_SP1"}.envelope(streamRequest(1, "AAA-"))))
	f.Fuzz(func(t *testing.T, document []byte) {
		got, ok := scan(document)
		if !ok {
			return
		}
		want, err := parseAnyXML(document)
		if err != nil {
			t.Fatalf("scanned what is not well-formed: %v", err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s differs:\n%s\n%s", document, dump(got), dump(want))
		}
	})
}

func dump(n *node) string {
	s := fmt.Sprintf("%s@%d:%d %v %q [", n.name, n.line, n.col, n.attrs, n.text)
	for _, c := range n.children {
		s += dump(c)
	}
	return s + "]"
}
