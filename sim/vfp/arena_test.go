package vfp

import "testing"

func TestEveryNumberHasAPlaceOfItsOwn(t *testing.T) {
	var a arena[uint32]
	var first *uint32
	for id := range uint32(5*maxChunk + 3) {
		a.grow(id)
		if *a.at(id) != 0 {
			t.Fatalf("%d is at the place of %d", id, *a.at(id)-1)
		}
		*a.at(id) = id + 1
		if id == 0 {
			first = a.at(0)
		}
	}
	room := 0
	for _, c := range a.chunks {
		room += len(c)
	}
	if room < 5*maxChunk+3 || room > 6*maxChunk {
		t.Errorf("room for %d", room)
	}
	if a.at(0) != first {
		t.Error("the first value has moved")
	}
	if n := len(a.chunks[0]); n != minChunk {
		t.Errorf("the first chunk holds %d", n)
	}
}
