package linux

import _ "embed"

//go:embed deviations.expect
var deviations []byte

// Deviations is the expectation file of what the kernel does differently from
// Windows by nature.
func (Backend) Deviations() (file string, text []byte) {
	return "backends/linux/deviations.expect", deviations
}
