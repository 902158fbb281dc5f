package vfp

import "unsafe"

// lineSize is that of a cache line, in bytes.
const lineSize = 64

// lines collects addresses of cache lines that will be read soon. They are
// numbers, not references: a hint that is out of date does no harm.
type lines struct {
	n  int
	at [maxLines]uintptr
}

const maxLines = 4 * BatchSize

// add notes the line of p, and begins when there are many.
func (l *lines) add(p unsafe.Pointer) {
	if l.n == maxLines {
		l.prefetch()
	}
	l.at[l.n&(maxLines-1)] = uintptr(p)
	l.n++
}

// prefetch asks for all lines at once and forgets them.
func (l *lines) prefetch() {
	if l.n > 0 {
		prefetch(&l.at, l.n)
	}
	l.n = 0
}
