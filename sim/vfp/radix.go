package vfp

import (
	"math/bits"
	"sort"
)

// A radix finds the piece of a dimension that a value lies in, a byte of the
// value at a time. Only bytes at which many pieces begin have a node of their
// own; among the few that are left in a slot the last steps are single ones. A
// binary search of a thousand pieces takes four times as many instructions.
type radix struct {
	starts   []uint64 // ascending; the first is 0
	min, max uint64   // second and last of starts: what is outside needs no node
	shift    uint8    // of the root's byte
	nodes    []radixNode
}

// radixNode has for each byte the number of another node, marked, or of the
// piece in which the byte's first value lies.
type radixNode [256]uint32

const (
	radixChild = 1 << 31
	radixSteps = 8       // more pieces than these in a slot get a node
	radixNodes = 1 << 13 // of 1 KB each, at most
)

// newRadix indexes the starts, at least two; nil if that takes too much memory.
func newRadix(starts []uint64) *radix {
	r := &radix{starts: starts, min: starts[1], max: starts[len(starts)-1]}
	// The root's byte is the highest one in which they differ.
	width := max(bits.Len64(r.min^r.max), 1)
	r.shift = uint8((width-1)/8) * 8
	if !r.node(r.min>>r.shift&^0xff<<r.shift, r.shift) {
		return nil
	}
	return r
}

// node makes the node for the 256 slots of 1<<shift values from first on.
func (r *radix) node(first uint64, shift uint8) bool {
	if len(r.nodes) == radixNodes {
		return false
	}
	at := len(r.nodes)
	r.nodes = append(r.nodes, radixNode{})
	for s := range uint64(256) {
		lo := first + s<<shift
		hi := lo + (1<<shift - 1)
		from, to := r.search(lo), r.search(hi)
		if to-from <= radixSteps || shift == 0 {
			r.nodes[at][s] = uint32(from)
			continue
		}
		r.nodes[at][s] = radixChild | uint32(len(r.nodes))
		if !r.node(lo, shift-8) {
			return false
		}
	}
	return true
}

// search is the last start that is not above v.
func (r *radix) search(v uint64) int {
	return sort.Search(len(r.starts)-1, func(i int) bool { return r.starts[i+1] > v })
}

// find is search, quickly.
func (r *radix) find(v uint64) int {
	switch {
	case v < r.min:
		return 0
	case v >= r.max:
		return len(r.starts) - 1
	}
	shift := r.shift & 63
	e := r.nodes[0][v>>shift&0xff]
	for e&radixChild != 0 {
		shift -= 8
		e = r.nodes[e&^radixChild][v>>(shift&63)&0xff]
	}
	i := int(e)
	for i+1 < len(r.starts) && r.starts[i+1] <= v {
		i++
	}
	return i
}
