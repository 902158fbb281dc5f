package sdn

import "github.com/hnsim/hnsim/sim/vfp"

// numbers gives names port numbers, which stay the same from plan to plan as
// long as the name is wanted. A number that is free again comes last, so that a
// host which missed a plan does not take a new machine for an old one.
type numbers struct {
	first, end vfp.PortID // from first, below end
	next       vfp.PortID
	of         map[string]vfp.PortID
	taken      map[vfp.PortID]bool
}

func newNumbers(first, end vfp.PortID) *numbers {
	return &numbers{first: first, end: end, next: first, of: map[string]vfp.PortID{}, taken: map[vfp.PortID]bool{}}
}

// get is the number of a name; ok is false if there are none left.
func (n *numbers) get(name string) (id vfp.PortID, ok bool) {
	if id, ok := n.of[name]; ok {
		return id, true
	}
	if len(n.of) >= int(n.end-n.first) {
		return 0, false
	}
	for n.taken[n.next] || n.next == n.end {
		if n.next++; n.next >= n.end {
			n.next = n.first
		}
	}
	id = n.next
	n.of[name], n.taken[id] = id, true
	n.next++
	return id, true
}

// keep forgets the names that are not wanted any more.
func (n *numbers) keep(wanted map[string]bool) {
	for name, id := range n.of {
		if !wanted[name] {
			delete(n.of, name)
			delete(n.taken, id)
		}
	}
}
