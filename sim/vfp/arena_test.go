package vfp

import "testing"

func TestEveryNumberHasAPlaceOfItsOwn(t *testing.T) {
	const n = 3*bulkPages*sheetLen + 3
	var a arena[uint32]
	var stays *uint32
	for id := range uint32(n) {
		a.grow(id)
		if *a.at(id) != 0 {
			t.Fatalf("%d is at the place of %d", id, *a.at(id)-1)
		}
		*a.at(id) = id + 1
		switch {
		case id == 0 && len(a.pages[0]) != firstPage:
			t.Errorf("the first page begins with %d", len(a.pages[0]))
		case id == sheetLen:
			stays = a.at(7)
		}
	}
	room := 0
	for i, p := range a.pages {
		room += len(p)
		for j := range p {
			if id := i*sheetLen + j; id < n && p[j] != uint32(id)+1 {
				t.Fatalf("%d was lost", id)
			}
		}
	}
	if room < n || room >= n+bulkPages*sheetLen {
		t.Errorf("room for %d", room)
	}
	if a.at(7) != stays {
		t.Error("a value has moved")
	}
}
