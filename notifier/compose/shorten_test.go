package compose

import (
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"pgregory.net/rapid"

	"mailbell/notifier"
)

func TestShortenCutsAtGraphemeBorders(t *testing.T) {
	plain := func(s string) int { return len(s) }
	for _, c := range []struct {
		name, in string
		budget   int
		want     string
	}{
		{"what fits stays whole", "abc", 3, "abc"},
		{"the ellipsis counts", "abcdef", 5, "ab…"},
		{"room for the ellipsis alone", "abcdef", 3, "…"},
		{"room for nothing", "abcdef", 2, ""},
		{"no space before the ellipsis", "ab cdefg", 6, "ab…"},
		{"a letter keeps its accent", "e\u0301e\u0301e\u0301", 8, "e\u0301…"},
		{"a family stays together", "a👨‍👩‍👧b", 19, "a…"},
		{"a flag is not halved", "🇩🇪🇫🇷", 12, "🇩🇪…"},
		{"a letter in need of three bytes", "日本語", 8, "日…"},
	} {
		if got := shorten(c.in, c.budget, plain); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// anyText draws texts with much that is hard to cut or to encode.
func anyText() *rapid.Generator[string] {
	pieces := []string{
		"a", " ", "<", "&", `"`, `\`, "'", "é", "e\u0301\u0323", "日", "本", "👩‍💻", "👨‍👩‍👧‍👦", "🇯🇵", "🇩🇪", "🏳️‍🌈", "नि", "กำ", "각", "ᄀ", "ᅡ", "\u200d", "\ufe0f", "\u2028", "\u00a0", "…", "\ufffd",
	}
	return rapid.Map(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 400), func(p []string) string { return strings.Join(p, "") })
}

func TestShorteningKeepsItsPromises(t *testing.T) {
	costs := map[string]cost{"json": jsonCost, "xml": xmlCost}
	rapid.Check(t, func(t *rapid.T) {
		s := anyText().Draw(t, "text")
		of := costs[rapid.SampledFrom([]string{"json", "xml"}).Draw(t, "encoding")]
		budget := rapid.IntRange(0, 1500).Draw(t, "budget")
		got := shorten(s, budget, of)
		if !utf8.ValidString(got) {
			t.Fatalf("%q is not UTF-8", got)
		}
		if of(got) > budget {
			t.Fatalf("costs %d of %d", of(got), budget)
		}
		if got == s || got == "" {
			return
		}
		head, ok := strings.CutSuffix(got, ellipsis)
		if !ok || !strings.HasPrefix(s, head) {
			t.Fatalf("%q is not the beginning of %q", got, s)
		}
		if !atBorder(s, len(head)) {
			t.Fatalf("%q was cut inside a grapheme: %q", s, got)
		}
	})
}

func atBorder(s string, at int) bool {
	pos := 0
	for g := uniseg.NewGraphemes(s); pos < at && g.Next(); {
		pos += len(g.Str())
	}
	return pos == at
}

func TestPayloadsStayWithinTheirLimitsWhateverTheMail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		long := func(label string) string {
			return strings.Repeat(anyText().Draw(t, label), rapid.IntRange(0, 20).Draw(t, label+" times"))
		}
		m := mail()
		m.Item = notifier.ItemID(rapid.StringMatching(`[A-Za-z0-9+/=]{1,512}`).Draw(t, "item"))
		m.FromName, m.Subject, m.Preview = long("sender"), long("subject"), long("preview")
		n := notification(m)
		d := Decision{Notify: true, Show: ShowEverything, Preview: rapid.Bool().Draw(t, "preview"), Sound: SoundDefault}
		words := newLanguages().of("ja").compose(m, d)

		payload, err := renderAPNs(n, d, words)
		if err != nil || len(payload) > APNsPayloadMax || !json.Valid(payload) {
			t.Fatalf("APNs: %v, %d bytes, valid %v", err, len(payload), json.Valid(payload))
		}
		var p apnsPayload
		if err := json.Unmarshal(payload, &p); err != nil || p.Mailbell.Item != m.Item {
			t.Fatalf("APNs: %v, item %q", err, p.Mailbell.Item)
		}
		checkShown(t, p.APS.Alert.Title, words.sender)

		payload, err = renderWNS(n, d, words)
		if err != nil || len(payload) > WNSPayloadMax {
			t.Fatalf("WNS: %v, %d bytes", err, len(payload))
		}
		var x toast
		if err := xml.Unmarshal(payload, &x); err != nil {
			t.Fatalf("WNS: %v", err)
		}
		if texts := x.Binding.Texts; len(texts) < 3 || len(texts) > 4 {
			t.Fatalf("WNS: %d texts", len(texts))
		} else {
			checkShown(t, texts[0].Text, words.sender)
			checkShown(t, texts[1].Text, words.subject)
		}
	})
}

func checkShown(t *rapid.T, shown, whole string) {
	if head, cut := strings.CutSuffix(shown, ellipsis); shown != whole && (!cut || !strings.HasPrefix(whole, head)) {
		t.Fatalf("shown %q of %q", shown, whole)
	}
}

func TestThePreviewIsCutFirstThenTheSubjectThenTheSender(t *testing.T) {
	d := Decision{Notify: true, Show: ShowEverything, Preview: true, Sound: SoundDefault}
	long := func(n int) string { return strings.Repeat("<", n) }
	for _, c := range []struct {
		name                              string
		sender, subject, preview          int
		senderCut, subjectCut, previewCut bool
	}{
		{"everything fits", 100, 100, 100, false, false, false},
		{"a long preview", 100, 100, 9000, false, false, true},
		{"a long subject and preview", 100, 9000, 9000, false, true, true},
		{"all long", 9000, 9000, 9000, true, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			words := text{long(c.sender), long(c.subject), long(c.preview)}
			n := notification(mail())
			payload, err := renderAPNs(n, d, words)
			if err != nil {
				t.Fatal(err)
			}
			var p apnsPayload
			if err := json.Unmarshal(payload, &p); err != nil {
				t.Fatal(err)
			}
			a := p.APS.Alert
			if cut := [3]bool{a.Title != words.sender, a.Subtitle != words.subject, a.Body != words.preview}; cut != [3]bool{c.senderCut, c.subjectCut, c.previewCut} {
				t.Errorf("APNs cut sender, subject, preview: %v", cut)
			}
			if len(payload) < APNsPayloadMax-8 && c.previewCut {
				t.Errorf("APNs: %d bytes, more was cut than needed", len(payload))
			}
			if strings.Contains(string(payload), `\u003c`) {
				t.Error("APNs: < takes six bytes")
			}

			payload, err = renderWNS(n, d, words)
			if err != nil {
				t.Fatal(err)
			}
			var x toast
			if err := xml.Unmarshal(payload, &x); err != nil {
				t.Fatal(err)
			}
			shown := x.Binding.Texts
			if cut := [3]bool{shown[0].Text != words.sender, shown[1].Text != words.subject, shown[2].Text != words.preview}; cut != [3]bool{c.senderCut, c.subjectCut, c.previewCut} {
				t.Errorf("WNS cut sender, subject, preview: %v", cut)
			}
			if len(payload) < WNSPayloadMax-16 && c.previewCut {
				t.Errorf("WNS: %d bytes, more was cut than needed", len(payload))
			}
		})
	}
}

func TestIdentifiersThatFillThePayloadAreAnError(t *testing.T) {
	m := mail()
	m.Item = notifier.ItemID(strings.Repeat("x", 6000))
	d := Decision{Notify: true, Show: ShowEverything}
	if _, err := renderAPNs(notification(m), d, text{sender: "a", subject: "b"}); err == nil {
		t.Error("APNs: no error")
	}
	if _, err := renderWNS(notification(m), d, text{sender: "a", subject: "b"}); err == nil {
		t.Error("WNS: no error")
	}
}
