package hns

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"

	"github.com/hnsim/hnsim/sim/hcn"
)

// hints remember the numbers of objects by their ids, as they are spelled, so that
// finding one of thousands need not look at all. They are no more than that: who
// follows one checks where it leads, and looks at all if it misleads. States
// share them; nil has none. Safe for concurrent use.
type hints struct {
	mu   sync.RWMutex
	byID map[string]uint32
}

// maxHints bounds them: ids of objects that are gone stay until then.
const maxHints = 1 << 16

func (h *hints) put(id string, num uint32) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.byID == nil || len(h.byID) >= maxHints {
		h.byID = map[string]uint32{}
	}
	h.byID[id] = num
}

func (h *hints) get(id string) (uint32, bool) {
	if h == nil {
		return 0, false
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	num, ok := h.byID[id]
	return num, ok
}

// byNum finds an object of a list, in which numbers nearly always ascend.
func byNum[T any](list []*T, num uint32, of func(*T) uint32) *T {
	if i, ok := slices.BinarySearchFunc(list, num, func(o *T, num uint32) int { return cmp.Compare(of(o), num) }); ok {
		return list[i]
	}
	for _, o := range list {
		if of(o) == num {
			return o
		}
	}
	return nil
}

// byID finds an object of a list by its id, in any case (rule B6).
func byID[T any](h *hints, list []*T, id string, of func(*T) (string, uint32)) *T {
	num, hinted := h.get(id)
	if hinted {
		if i, ok := slices.BinarySearchFunc(list, num, func(o *T, num uint32) int { _, n := of(o); return cmp.Compare(n, num) }); ok {
			if own, _ := of(list[i]); hcn.SameID(own, id) {
				return list[i]
			}
		}
	}
	for _, o := range list {
		if own, num := of(o); hcn.SameID(own, id) {
			h.put(id, num)
			return o
		}
	}
	return nil
}

// NetworkByNum returns the network with that number.
func (s *State) NetworkByNum(num uint32) *Network {
	return byNum(s.Networks, num, func(n *Network) uint32 { return n.Num })
}

// EndpointByNum returns the endpoint with that number.
func (s *State) EndpointByNum(num uint32) *Endpoint {
	return byNum(s.Endpoints, num, func(e *Endpoint) uint32 { return e.Num })
}

// NetworkByID returns the network with that id, in any case (rule B6).
func (s *State) NetworkByID(id string) *Network {
	return byID(s.hints, s.Networks, id, func(n *Network) (string, uint32) { return n.Doc.ID, n.Num })
}

// EndpointByID returns the endpoint with that id, in any case.
func (s *State) EndpointByID(id string) *Endpoint {
	return byID(s.hints, s.Endpoints, id, func(e *Endpoint) (string, uint32) { return e.Doc.ID, e.Num })
}

// NamespaceByID returns the namespace with that id, in any case.
func (s *State) NamespaceByID(id string) *Namespace {
	return byID(s.hints, s.Namespaces, id, func(n *Namespace) (string, uint32) { return n.Doc.ID, n.Num })
}

// EndpointsOf returns the endpoints of a network, in order.
func (s *State) EndpointsOf(network uint32) []*Endpoint {
	out := make([]*Endpoint, 0, s.countOf(network))
	for _, e := range s.Endpoints {
		if e.Network == network {
			out = append(out, e)
		}
	}
	return out
}

// countOf is how many endpoints a network has.
func (s *State) countOf(network uint32) int {
	n := 0
	for _, e := range s.Endpoints {
		if e.Network == network {
			n++
		}
	}
	return n
}

// hasAddress reports whether an endpoint of the network has the address.
func (s *State) hasAddress(n *Network, ip netip.Addr) bool {
	return slices.ContainsFunc(s.Endpoints, func(e *Endpoint) bool { return e.Network == n.Num && e.has(ip) })
}

// hasMAC reports whether an endpoint of the network has the MAC address.
func (s *State) hasMAC(n *Network, mac [6]byte) bool {
	return slices.ContainsFunc(s.Endpoints, func(e *Endpoint) bool { return e.Network == n.Num && e.MAC == mac })
}
