package sim

import (
	"net/netip"

	"github.com/hnsim/hnsim/sim/wire"
)

// Interface is a network interface as programs on a host see it.
type Interface struct {
	Name  string         `json:"name"` // "vEthernet (nat)"
	MAC   wire.MAC       `json:"mac"`
	MTU   int            `json:"mtu"` // of an IP packet, in bytes
	Up    bool           `json:"up"`
	Addrs []netip.Prefix `json:"addresses"`
}

// Interfaces are those of the host's own compartment, without loopback, in the
// order in which they came.
func (h *Host) Interfaces() []Interface {
	out := []Interface{}
	for _, i := range h.Stack().Interfaces() {
		if !i.IsLoopback() {
			out = append(out, Interface{Name: i.Name(), MAC: i.MAC(), MTU: i.MTU(), Up: i.Up(), Addrs: i.Addrs()})
		}
	}
	return out
}
