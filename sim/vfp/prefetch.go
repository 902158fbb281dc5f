package vfp

import "unsafe"

// lineSize is that of a cache line, in bytes.
const lineSize = 64

// Lines collects addresses of cache lines that will be read soon. They are
// numbers, not references: a hint that is out of date does no harm.
type Lines struct {
	n  int
	at [maxLines]uintptr
}

// maxLines is more than a batch has; a power of two.
const maxLines = 16 * BatchSize

// Add notes the line of p.
func (l *Lines) Add(p unsafe.Pointer) {
	l.at[l.n&(maxLines-1)] = uintptr(p)
	l.n++
}

// Prefetch asks for all lines at once and forgets them.
func (l *Lines) Prefetch() {
	prefetch(&l.at, min(l.n, maxLines))
	l.n = 0
}
