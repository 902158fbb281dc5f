package bench

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// counter counts CPU cycles of the thread that opened it, in user space.
type counter struct{ fd int }

// openCounter opens it; without the right to or without the hardware it reads
// zero.
func openCounter() counter {
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_HARDWARE, Config: unix.PERF_COUNT_HW_CPU_CYCLES,
		Bits: unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv}
	attr.Size = uint32(unsafe.Sizeof(attr))
	fd, err := unix.PerfEventOpen(&attr, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return counter{-1}
	}
	return counter{fd}
}

func (c counter) read() uint64 {
	var b [8]byte
	if c.fd < 0 {
		return 0
	}
	if n, err := unix.Read(c.fd, b[:]); err != nil || n != len(b) {
		return 0
	}
	return binary.NativeEndian.Uint64(b[:])
}

func (c counter) close() {
	if c.fd >= 0 {
		unix.Close(c.fd)
	}
}

// cpuTime is what the process has computed so far: other programs of a busy
// machine take time away, but not this. The collector's work counts.
func cpuTime() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t) != nil {
		return wallTime()
	}
	return time.Duration(t.Nano())
}

// clockName says what times of one worker are.
const clockName = "times are the process's CPU time"

// cyclesCounted says whether cycles are counted here, or why not.
var cyclesCounted = sync.OnceValue(func() string {
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_HARDWARE, Config: unix.PERF_COUNT_HW_CPU_CYCLES,
		Bits: unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv}
	attr.Size = uint32(unsafe.Sizeof(attr))
	fd, err := unix.PerfEventOpen(&attr, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return fmt.Sprintf("not counted: perf_event_open: %v", err)
	}
	unix.Close(fd)
	return "counted"
})
