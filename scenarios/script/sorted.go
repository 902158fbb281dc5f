package script

import "slices"

// sorted sorts in place and returns its argument.
func sorted(s []string) []string {
	slices.Sort(s)
	return s
}
