package vfp

import "unsafe"

// An arena holds values by number, in pages. The first page doubles until it is
// full, so that a port with few flows is small; from then on a pointer to a
// value stays good. Many values have their pages in large pieces, which new
// values take one at a time.
type arena[E any] struct{ pages [][]E }

const (
	sheetBits = 8
	sheetLen  = 1 << sheetBits
	firstPage = 16
	bulkPages = 16 // pages of a piece, when there are as many already
)

// at is the value with a number below that of the last grow.
func (a *arena[E]) at(id uint32) *E { return &a.pages[id>>sheetBits][id&(sheetLen-1)] }

// grow makes room for value id, which is the next after the last one.
func (a *arena[E]) grow(id uint32) {
	page := int(id >> sheetBits)
	switch {
	case page < len(a.pages) && int(id&(sheetLen-1)) < len(a.pages[page]):
	case page < len(a.pages):
		first := make([]E, 2*len(a.pages[0]))
		copy(first, a.pages[0])
		a.pages[0] = first
	case page == 0:
		a.pages = append(a.pages, make([]E, firstPage))
	case page < bulkPages:
		a.pages = append(a.pages, make([]E, sheetLen))
	default:
		piece := MakeHuge[E](bulkPages * sheetLen)
		for ; len(piece) > 0; piece = piece[sheetLen:] {
			a.pages = append(a.pages, piece[:sheetLen:sheetLen])
		}
	}
}

// MakeHuge is make([]E, n) with large pages if it is long.
func MakeHuge[E any](n int) []E {
	s := make([]E, n)
	adviseHuge(unsafe.Pointer(unsafe.SliceData(s)), uintptr(n)*unsafe.Sizeof(s[0]))
	return s
}

// Arena is an arena for other packages.
type Arena[E any] struct{ a arena[E] }

// At is the value with a number below that of the last Grow. It stays where it
// is, unless it is one of the first few.
func (a *Arena[E]) At(id uint32) *E { return a.a.at(id) }

// Grow makes room for value id, the next after the last one. It moves no more
// than the first few.
func (a *Arena[E]) Grow(id uint32) { a.a.grow(id) }
