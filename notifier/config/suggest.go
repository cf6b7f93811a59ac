package config

import (
	"fmt"
	"strings"
)

// didYouMean suggests the word that differs by at most two letters, or the only
// one that begins with what was written; empty when there is none.
func didYouMean(got string, words []string) string {
	const lettersMax, prefixMin = 2, 3
	best, suggestion := lettersMax+1, ""
	var begun []string
	for _, w := range words {
		if strings.HasPrefix(w, got) && len(got) >= prefixMin {
			begun = append(begun, w)
		}
		if abs(len(w)-len(got)) > lettersMax {
			continue
		}
		if n := distance(strings.ToLower(got), w); n < best && n < len(w) {
			best, suggestion = n, w
		}
	}
	if suggestion == "" && len(begun) == 1 {
		suggestion = begun[0]
	}
	if suggestion == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", suggestion)
}

func abs(n int) int { return max(n, -n) }

// distance is the number of letters to change, add or remove (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
