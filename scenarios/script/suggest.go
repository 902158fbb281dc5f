package script

import "strings"

// didYouMean is `; did you mean "x"?` for the closest of the names, or "".
func didYouMean(got string, names []string) string {
	if best := closest(got, names); best != "" {
		return `; did you mean "` + best + `"?`
	}
	return ""
}

// closest is the name that differs in the fewest letters, the first of equals:
// at most half of got's letters, and at most three.
func closest(got string, names []string) string {
	best, least := "", min(3, (len(got)+1)/2)+1
	for _, n := range names {
		if d := distance(strings.ToLower(got), strings.ToLower(n)); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete, replace or swap with a
// neighbour.
func distance(a, b string) int {
	const tooLong = 64
	if len(a) > tooLong || len(b) > tooLong {
		return tooLong
	}
	var rows [3][tooLong + 1]int
	before, above, row := rows[0][:], rows[1][:], rows[2][:]
	for j := range b {
		above[j+1] = j + 1
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}

// Closest is the name most like got, for "did you mean" messages, or "".
func Closest(got string, names []string) string { return closest(got, names) }
