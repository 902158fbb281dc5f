package vfp

import (
	"math/bits"
	"unsafe"
)

// An arena holds values by number, in chunks that never move: a pointer to a
// value stays good. Chunks double in size up to maxChunk, so that a port with
// few flows is small, and one with many has memory in large pieces, which new
// values take one at a time.
type arena[E any] struct{ chunks [][]E }

const (
	minChunkBits = 4
	maxChunkBits = 12
	minChunk     = 1 << minChunkBits
	maxChunk     = 1 << maxChunkBits
	// chunkSteps is the number of chunks that are smaller than maxChunk.
	chunkSteps = maxChunkBits - minChunkBits
)

// place is where value id lies: the chunk and its index there.
func place(id uint32) (chunk, at uint32) {
	n := id + minChunk
	if n < 2*maxChunk {
		k := uint32(bits.Len32(n)) - 1
		return k - minChunkBits, n - 1<<k
	}
	return chunkSteps - 1 + n>>maxChunkBits, n & (maxChunk - 1)
}

// at is the value with a number below that of the last grow.
func (a *arena[E]) at(id uint32) *E {
	c, i := place(id)
	return &a.chunks[c][i]
}

// grow makes room for value id, which is the next after the last one.
func (a *arena[E]) grow(id uint32) {
	c, _ := place(id)
	if int(c) < len(a.chunks) {
		return
	}
	a.chunks = append(a.chunks, newHuge[E](minChunk<<min(c, chunkSteps)))
}

// newHuge is make([]E, n) with large pages if it is long.
func newHuge[E any](n int) []E {
	s := make([]E, n)
	adviseHuge(unsafe.Pointer(unsafe.SliceData(s)), uintptr(n)*unsafe.Sizeof(s[0]))
	return s
}
