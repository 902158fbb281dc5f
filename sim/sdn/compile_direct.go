package sdn

import (
	"net/netip"

	"github.com/hnsim/hnsim/sim/slb"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/vnet"
)

// directsOf is what the host with a provider address knows of flows between
// virtual addresses.
func (c *Compiler) directsOf(pa netip.Addr) *vnet.Directs {
	if c.directs[pa] == nil {
		c.directs[pa] = vnet.NewDirects()
	}
	return c.directs[pa]
}

// Learn tells the hosts of both sides of a flow where the other side is (rule
// SDN-14). No packet may be under way.
func (c *Compiler) Learn(now int64, r slb.Redirect) {
	from, to := machineOf(r.From), machineOf(r.To)
	c.directsOf(from.PA).Learn(now, vnet.VirtualFlow{Proto: r.Proto, Src: r.Src, Dst: r.Dst}, from, to)
	c.directsOf(to.PA).Learn(now, vnet.VirtualFlow{Proto: r.Proto, Src: r.Dst, Dst: r.Src}, to, from)
}

func machineOf(m slb.Machine) vnet.Machine {
	return vnet.Machine{MAC: m.MAC, VSID: m.VSID, PA: m.PA, Kind: m.Kind}
}

// machinesSeenBy are all machines, with their ports on a host. One that moves is
// another machine: flows to where it was go through multiplexers again.
func (k *compilation) machinesSeenBy(h *HostInfo) map[vnet.Machine]vfp.PortID {
	if k.eastWest[h.Name] != nil {
		return k.eastWest[h.Name]
	}
	out := map[vnet.Machine]vfp.PortID{}
	for nic, at := range k.places {
		m := vnet.Machine{MAC: nic.MAC, VSID: nic.Subnet.VSID, PA: at.pa, Kind: nic.Subnet.Network.Kind}
		out[m] = 0
		if at.host == h {
			out[m] = at.port
		}
	}
	k.eastWest[h.Name] = out
	return out
}
