package fabric

import (
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// Reboot forgets everything that lives in memory only: sockets, connections,
// neighbours, compartments, the switches' flows and MAC tables, WinNAT's
// mappings with the ports that they held. Afterwards the host is as before its
// first program; the caller applies the one that outlives the reboot.
// Administered exclusions and published ports are not WinNAT's and stay.
func (h *Host) Reboot() error {
	now := h.net.Loop.Now()
	for _, k := range h.ifaceKeys() {
		h.removeInterface(now, k)
	}
	h.Stack().RemoveInterface(now, h.cfg.Adapter)
	h.compartments[HostCompartment].ports.gone = true
	h.nat.Close()
	for _, proto := range []uint8{wire.ProtoTCP, wire.ProtoUDP, wire.ProtoICMP} {
		h.ports.ReleaseRange(proto, vfp.PortRange{Lo: 0, Hi: 65535}, socketOwner)
	}
	// What the old stacks still have timers for finds no interface to leave by.
	h.compartments = map[uint32]*Compartment{HostCompartment: h.newCompartment(HostCompartment, h.ports)}
	h.Stack().SetHooks(h.hooks())
	h.retire(nil)
	h.switches, h.prog, h.local = map[string]*hostSwitch{}, &HostProgram{}, nil
	return h.plugNIC()
}
