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

// maxLines is more than a batch has; a power of two.
const maxLines = 16 * BatchSize

// add notes the line of p.
func (l *lines) add(p unsafe.Pointer) {
	l.at[l.n&(maxLines-1)] = uintptr(p)
	l.n++
}

// prefetch asks for all lines at once and forgets them.
func (l *lines) prefetch() {
	prefetch(&l.at, min(l.n, maxLines))
	l.n = 0
}
