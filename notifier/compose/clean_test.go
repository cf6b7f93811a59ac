package compose

import (
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestCleanMakesOneHarmlessLine(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain text stays", "Figures for March", "Figures for March"},
		{"inner spaces stay", "a  b", "a  b"},
		{"spaces at the ends go", "  a ", "a"},
		{"a break becomes a space", "a\r\n b\tc", "a b c"},
		{"breaks at the ends go", "\n\na\n", "a"},
		{"a break after a space adds none", "a \nb", "a b"},
		{"line and paragraph separators are breaks", "a\u2028b\u2029c\u0085d", "a b c d"},
		{"control characters go", "a\x00\x07\x1b[31mb\x7f", "a[31mb"},
		{"writing direction is not for strangers to change", "invoice\u202egpj.exe\u2066\u200f\u061c", "invoicegpj.exe"},
		{"what XML forbids goes", "a\ufffe\uffffb", "ab"},
		{"noncharacters go", "a\ufdd0\U0001fffeb", "ab"},
		{"bytes that are not UTF-8 are marked", "a\xffb", "a\ufffdb"},
		{"a lone surrogate in UTF-8 is marked", "a\xed\xa0\x80b", "a\ufffd\ufffd\ufffdb"},
		{"joiners stay", "👩\u200d💻 می\u200cخواهم ❤\ufe0f", "👩\u200d💻 می\u200cخواهم ❤\ufe0f"},
		{"a flag of tags stays", "🏴\U000e0067\U000e0062\U000e007f", "🏴\U000e0067\U000e0062\U000e007f"},
		{"Japanese stays", "【重要】会議の件　ご確認", "【重要】会議の件　ご確認"},
		{"nothing is left of nothing", " \u202e\x00\n", ""},
	} {
		if got := clean(c.in); got != c.want {
			t.Errorf("%s: %q became %q, want %q", c.name, c.in, got, c.want)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"a\r\nb", "\u202e", "\xff", "👩‍💻", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s)
		if !utf8.ValidString(got) {
			t.Errorf("%q became %q, which is not UTF-8", s, got)
		}
		for _, r := range got {
			if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == 0xfffe || r == 0xffff {
				t.Errorf("%q became %q with %U", s, got, r)
			}
		}
		if again := clean(got); again != got {
			t.Errorf("%q became %q, and that %q", s, got, again)
		}
	})
}
