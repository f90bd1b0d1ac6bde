package caddyl402

import (
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// unknownOption refuses a line of a block. It names the option that was probably meant, or else all
// that there are: one of them is what the operator was looking for.
func unknownOption(d *caddyfile.Dispenser, block string, known ...string) error {
	option := d.Val()
	slices.Sort(known)
	if meant := nearest(option, known); meant != "" {
		return d.Errf("unknown option %q of %s: did you mean `%s`?", option, block, meant)
	}
	return d.Errf("unknown option %q of %s; there is %s", option, block, strings.Join(known, ", "))
}

// optionNames are the names in a table of options.
func optionNames[V any](table map[string]V) []string { return slices.Collect(maps.Keys(table)) }

// nearest is the name that a word was meant to be: one that is as good as the same, or that the word
// begins or continues. It is empty where none or several would do.
func nearest(word string, names []string) string {
	word = strings.ToLower(strings.ReplaceAll(word, "-", "_"))
	best, fewest, several := "", math.MaxInt, false
	for _, name := range names {
		n := slips(word, name)
		switch {
		case n > len(name)/3 && !related(word, name):
			continue
		case n < fewest:
			best, fewest, several = name, n, false
		case n == fewest:
			several = true
		}
	}
	if several {
		return ""
	}
	return best
}

// related tells whether one of the words begins with the other: "validity" and "valid". Less than
// three letters say too little.
func related(a, b string) bool {
	return min(len(a), len(b)) > 2 && (strings.HasPrefix(a, b) || strings.HasPrefix(b, a))
}

// slips counts the letters that have to be put in, left out or changed to make one word of another
// (Levenshtein's distance). Words of a configuration file are short; very long ones are no slips.
func slips(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	row := make([]int, len(b)+1)
	for i := range row {
		row[i] = i
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
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
