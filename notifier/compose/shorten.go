package compose

import (
	"strings"

	"github.com/rivo/uniseg"
)

// ellipsis stands for what was cut off.
const ellipsis = "…"

// cost is how many bytes a text takes once it is encoded. It must add up: the
// cost of two texts one after the other is the sum of theirs.
type cost func(string) int

// shorten returns s if it costs at most budget, and otherwise its longest
// beginning that does together with an ellipsis, cut at a border between
// grapheme clusters (Unicode "Text Segmentation") and without spaces at its
// end. When not even the ellipsis fits it returns nothing.
func shorten(s string, budget int, of cost) string {
	if of(s) <= budget {
		return s
	}
	budget -= of(ellipsis)
	if budget < 0 {
		return ""
	}
	keep, state := 0, -1
	for rest := s; rest != ""; {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if budget -= of(cluster); budget < 0 {
			break
		}
		if strings.TrimSpace(cluster) != "" {
			keep = len(s) - len(rest)
		}
	}
	return s[:keep] + ellipsis
}

// fit gives what render makes of texts, shortened, the first first, until that has
// at most limit bytes or nothing is left to cut; then it is nil.
func fit(limit int, render func() []byte, of cost, texts ...*string) []byte {
	out := render()
	for _, t := range texts {
		over := len(out) - limit
		if over <= 0 {
			return out
		}
		*t = shorten(*t, of(*t)-over, of)
		out = render()
	}
	if len(out) > limit {
		return nil
	}
	return out
}
