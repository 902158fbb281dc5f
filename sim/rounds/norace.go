//go:build !race

package rounds

// detector is true in builds with the race detector.
const detector = false
