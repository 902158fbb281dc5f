//go:build !linux

package bench

import "time"

func cpuTime() time.Duration { return wallTime() }

// clockName says what times of one worker are.
const clockName = "times are those of the clock: a busy machine makes them longer"

// counter counts CPU cycles where the system lets it.
type counter struct{}

func openCounter() counter { return counter{} }

func (counter) read() uint64 { return 0 }
func (counter) close()       {}

func cyclesCounted() string { return "not counted: only on Linux" }
