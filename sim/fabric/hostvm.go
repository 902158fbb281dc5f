package fabric

import (
	"fmt"

	"github.com/hnsim/hnsim/sim/vfp"
)

// VMPort says which virtual machine is behind a port of a switch.
type VMPort struct {
	Port vfp.PortID
	VM   string // the name that PlugVM was given
}

// vmCable joins a virtual machine's NIC to a physical host: a segment of its
// own between the two.
type vmCable struct {
	name string
	nic  *NIC // the host's end
}

// vmMTU lets everything through: what a virtual NIC may send is limited by its
// own MTU, and what it gets by the switch's.
const vmMTU = 65535 - 18

// PlugVM makes a place for a virtual machine's NIC and returns the segment that
// the NIC is to be plugged into; there is nothing else on it. The segment is the
// machine's: one that moves finds its next host there. What the machine sends
// enters the switch whose program names it (SwitchProgram.VMs). Without such a
// port its frames are dropped with PortBlocked.
func (h *Host) PlugVM(vm string) (segment string, err error) {
	if h.vms[vm] != nil {
		return "", fmt.Errorf("host %s has a virtual machine %s already", h.cfg.Name, vm)
	}
	c := &vmCable{name: vm}
	segment = vm + "/vnic"
	// The wire is inside the host: it is observed apart from the host's own.
	c.nic, err = h.net.AddNIC(segment, NICConfig{
		Node: h.cfg.Name + "/vms", Name: vm, MTU: vmMTU,
		Receive: func(now int64, frame []byte, id uint64) { h.fromVM(now, c, frame, id) },
	})
	if err != nil {
		return "", err
	}
	if h.vms == nil {
		h.vms = map[string]*vmCable{}
	}
	h.vms[vm] = c
	return segment, nil
}

// UnplugVM takes the place away again.
func (h *Host) UnplugVM(vm string) {
	if c := h.vms[vm]; c != nil {
		h.net.RemoveNIC(c.nic)
		delete(h.vms, vm)
	}
}

func (h *Host) fromVM(now int64, c *vmCable, frame []byte, id uint64) {
	for i := range h.prog.Switches {
		sp := &h.prog.Switches[i]
		for _, v := range sp.VMs {
			if v.VM == c.name {
				h.switches[sp.Config.Name].enter(now, v.Port, frame, id)
				return
			}
		}
	}
	h.net.dropAt(now, h.cfg.Name, c.name, vfp.DropPortBlocked, frame, id)
}

// vmBehind is the cable of the virtual machine at a port, or nil.
func (s *hostSwitch) vmBehind(port vfp.PortID) *vmCable {
	for _, v := range s.prog.VMs {
		if v.Port == port {
			return s.h.vms[v.VM]
		}
	}
	return nil
}
