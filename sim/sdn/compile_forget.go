package sdn

import "strconv"

// forget drops what the plan does not need any more.
func (k *compilation) forget() {
	c := k.c
	for key, p := range c.pools {
		if !c.inUse[key] {
			p.Close()
			delete(c.pools, key)
		}
	}
	for key := range c.leases {
		if !c.leased[key] {
			delete(c.leases, key)
		}
	}
	for key := range c.shapers {
		if !c.shaped[key] {
			delete(c.shapers, key)
		}
	}
	for i := range k.inv.Hosts {
		machines := map[string]bool{}
		for _, vm := range k.inv.Hosts[i].VMs {
			machines[vm.Name] = true
		}
		c.ports[k.inv.Hosts[i].Name].keep(machines)
	}
	subnets := map[string]bool{}
	for _, n := range k.m.Networks {
		for _, s := range n.Subnets {
			subnets[strconv.FormatUint(uint64(s.VSID), 10)] = true
		}
	}
	c.agents.keep(subnets)
}
