package backends

import "time"

// Measurer is a world that has measured how long its control plane took until
// what it had accepted was there. They are results, not checks: nothing is
// expected of them.
type Measurer interface {
	// Measurements are durations on the wall clock by what was waited for, such
	// as "endpoint.ready"; of several, the longest.
	Measurements() map[string]time.Duration
}
