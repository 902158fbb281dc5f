package winnat

import "github.com/hnsim/hnsim/sim/vfp"

// list is a growing list whose growth moves nothing, so that no packet waits
// for it.
type list[E any] struct {
	a vfp.Arena[E]
	n int
}

func (l *list[E]) len() int { return l.n }

// at is the i'th element, good until the next push.
func (l *list[E]) at(i uint32) *E { return l.a.At(i) }

// push adds an element and returns its place.
func (l *list[E]) push(e E) uint32 {
	i := uint32(l.n)
	l.a.Grow(i)
	*l.a.At(i) = e
	l.n++
	return i
}

// pop removes the last element; the list must not be empty.
func (l *list[E]) pop() E {
	l.n--
	return *l.a.At(uint32(l.n))
}
