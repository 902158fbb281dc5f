package sdn

import (
	"fmt"
	"testing"
)

func TestNumbersStayAreGivenAgainAndEnd(t *testing.T) {
	n := newNumbers(100, 104)
	for i := range 4 {
		if id, ok := n.get(fmt.Sprint(i)); !ok || int(id) != 100+i {
			t.Errorf("%d has %d, %v", i, id, ok)
		}
	}
	if _, ok := n.get("more"); ok {
		t.Error("a fifth number of four")
	}
	n.keep(map[string]bool{"0": true, "3": true})
	if id, _ := n.get("3"); id != 103 {
		t.Errorf("what is wanted has got number %d", id)
	}
	for i, want := range []int{101, 102} {
		if id, ok := n.get(fmt.Sprint("new", i)); !ok || int(id) != want {
			t.Errorf("a free number is %d, %v, want %d", id, ok, want)
		}
	}
	// The last that was freed is not the next that is given.
	n.keep(map[string]bool{"0": true, "3": true, "new0": true})
	n.keep(map[string]bool{"0": true, "3": true})
	if id, _ := n.get("again"); id != 101 {
		t.Errorf("after 102 comes %d", id)
	}
}
