package bench

import (
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/hnsim/hnsim/reports"
)

var started = time.Now()

func wallTime() time.Duration { return time.Since(started) }

// machine says where this runs.
func machine() reports.BenchMachine {
	return reports.BenchMachine{OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: cpuName(), Cores: runtime.NumCPU(), Runtime: runtime.Version(), Cycles: cyclesCounted()}
}

// cpuName is the processor's name where the system has a file with it.
func cpuName() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
