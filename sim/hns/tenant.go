package hns

import (
	"fmt"
	"net/netip"

	"github.com/hnsim/hnsim/sim/hcn"
)

// tenantPool is the addresses that a network controller gave the host, a
// tenant's virtual machine, for its containers (rule SDN-01). ok is false on
// other hosts, and for networks whose addresses are no business of the machine's
// network.
func (t *tx) tenantPool(n *Network) (pool []netip.Addr, ok bool) {
	if t.s.cfg.TenantAddresses == nil || n.Type != hcn.L2Bridge && n.Type != hcn.L2Tunnel {
		return nil, false
	}
	return t.s.cfg.TenantAddresses()
}

// tenantAddress chooses the first free address of the controller's, in its
// order: the private-cloud plug-in asks the physical host for one (SDN-01).
func (t *tx) tenantAddress(n *Network, subnet int, pool []netip.Addr) (netip.Addr, error) {
	taken := map[netip.Addr]bool{n.ManagementIP: true}
	for _, e := range t.next.Endpoints {
		for _, a := range e.Addrs {
			taken[a.IP] = true
		}
	}
	p := n.Subnets[subnet].Prefix
	for _, a := range pool {
		if p.Contains(a) && !taken[a] && n.reserved(subnet, a) == "" {
			return a, nil
		}
	}
	return netip.Addr{}, hcn.ErrorAt(t.knobs().PoolExhausted, "IpConfigurations[0].IpAddress",
		fmt.Sprintf("no free one of the %d addresses that the network controller gave this machine in %s", len(pool), p), "another IP configuration of its NIC")
}

// noStatic refuses an address that a v1 document brings to a network whose
// addresses are the controller's to assign (SDN-01). Drivers on HCN v2 have
// address management of their own (SDN-22).
func (t *tx) noStatic(n *Network, doc *hcn.Endpoint, shape hcn.Shape) error {
	if _, ok := t.tenantPool(n); !ok || shape != hcn.V1 || doc.Flags&hcn.RemoteEndpoint != 0 {
		return nil
	}
	for i, c := range doc.IpConfigurations {
		if c.IpAddress != "" {
			return hcn.ErrorAt(hcn.ErrAddrInvalidOrReserved, fmt.Sprintf("IpConfigurations[%d].IpAddress", i), fmt.Sprintf("%q", c.IpAddress),
				"none: the network controller assigns it")
		}
	}
	return nil
}
