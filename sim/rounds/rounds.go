package rounds

import "testing"

// Few reports whether tests should repeat themselves less: under the race
// detector and with go test -short.
func Few() bool { return detector || testing.Short() }

// Of is the number of rounds of a property test: all, or few where Few says so.
func Of(all, few int) int {
	if Few() {
		return few
	}
	return all
}
