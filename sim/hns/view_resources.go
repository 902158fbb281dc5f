package hns

import (
	"encoding/json"
	"fmt"
	"net/netip"

	"github.com/hnsim/hnsim/sim/hcn"
)

// Resources is what an object consists of below the control plane (F.3). The
// field names are those of the service, its spelling mistake included.

type resources struct {
	AdditionalParams         struct{}
	AllocationOrder          int
	Allocators               []any
	CompartmentOperationTime uint64
	Flags                    uint32
	Health                   json.RawMessage
	ID                       string
	PortOperationTime        uint64
	State                    uint16
	SwitchOperationTime      uint64
	VfpOperationTime         uint64
	ParentID                 string `json:"parentId"`
}

// allocator has the members of every allocator.
type allocator struct {
	AdditionalParams struct{}
	AllocationOrder  int
	Health           json.RawMessage
	ID               string
	IsPolicy         bool
	State            uint16
	Tag              string
}

type portAllocator struct {
	allocator
	AdapterNetCfgInstanceId   string
	CompartmendId             uint32 // sic
	Connected                 bool
	DevicelessNic             bool
	DhcpDisabled              bool
	EndpointNicGuid           string
	EndpointPortGuid          string
	InterfaceGuid             string
	IsolationId               uint32
	MacAddress                string
	ManagementPort            bool
	NcfHidden                 bool
	NicFriendlyName           string
	NlmHidden                 bool
	PreferredPortFriendlyName string
	SwitchId                  string
}

type natAllocator struct {
	allocator
	Prefix               int
	PrivateInterfaceGUID string
	SubnetIPAddress      string
}

type rdidAllocator struct {
	allocator
	Isolation0 uint32 `json:"Isolation_0"`
	PortId     string
	RDID       string
	SwitchId   string
}

type adapterAllocator struct {
	allocator
	ExternalNicPortGuid string
	SwitchId            string
}

type aclAllocator struct {
	allocator
	Rules []aclEntry
}

type aclEntry struct {
	Type      string
	Action    hcn.ActionType
	Direction hcn.Direction
	Priority  uint16
}

type vnetAllocator struct {
	allocator
	CA, PA  string
	IsLocal bool
	Type    int
}

func (v *view) networkResources(n *Network) json.RawMessage {
	at := health(n.createdAt)
	alloc := func(order int, id, tag string) allocator {
		return allocator{AllocationOrder: order, Health: at, ID: upper(id), State: 3, Tag: tag}
	}
	r := resources{Allocators: []any{}, Health: at, ID: upper(n.ids.activity), State: 1, ParentID: upper(n.LayerGUID)}
	switch n.Type {
	case hcn.NAT, hcn.ICS, hcn.Internal:
		r.Allocators = append(r.Allocators, v.hostNIC(n, alloc(0, n.ids.hostAlloc, "Host Vnic")))
		if n.Type != hcn.Internal && len(n.Subnets) > 0 {
			a := natAllocator{allocator: alloc(1, n.ids.natAlloc, v.natTag(n)), Prefix: n.Subnets[0].Prefix.Bits(),
				PrivateInterfaceGUID: upper(n.ids.iface), SubnetIPAddress: n.Subnets[0].Prefix.Addr().String()}
			r.Allocators = append(r.Allocators, a)
		}
	case hcn.Overlay:
		for i, s := range n.Subnets {
			r.Allocators = append(r.Allocators, rdidAllocator{allocator: alloc(i, n.ids.hostAlloc, "RDID"), Isolation0: s.VSID,
				PortId: upper(n.ids.hostPort), RDID: upper(n.Doc.ID), SwitchId: upper(n.ids.switchID)})
		}
	}
	r.AllocationOrder = len(r.Allocators)
	return mustJSON(r)
}

// layer is what a detailed query shows of the switch that a network is on:
// captureNetworkFlows.ps1 reads the names of VFP ports there (F.3).
func (v *view) layer(n *Network) json.RawMessage {
	owner := v.switchOwner(n)
	at := health(owner.createdAt)
	r := resources{Allocators: []any{}, Health: at, ID: upper(owner.ids.activity), State: 1, ParentID: hcn.ZeroGUID}
	if n.Type != hcn.Private {
		r.Allocators = append(r.Allocators, v.hostNIC(owner, allocator{Health: at, ID: upper(owner.ids.hostAlloc), State: 3, Tag: "Host Vnic"}))
	}
	if n.Uplink != "" {
		r.Allocators = append(r.Allocators, adapterAllocator{
			allocator:           allocator{AllocationOrder: 1, Health: at, ID: upper(owner.ids.natAlloc), State: 3, Tag: "External Adapter Info"},
			ExternalNicPortGuid: upper(owner.ids.iface), SwitchId: upper(owner.ids.switchID)})
	}
	r.AllocationOrder = len(r.Allocators)
	return mustJSON(struct {
		ID        string
		Resources resources
	}{upper(n.LayerGUID), r})
}

// activities are the resources of every object, by activity (A.5). That the
// list consists of these is inferred: no client reads more than its length.
func (v *view) activities() []json.RawMessage {
	list := []json.RawMessage{}
	for _, n := range v.cur.Networks {
		list = append(list, v.networkResources(n))
	}
	for _, e := range v.cur.Endpoints {
		list = append(list, v.endpointResources(v.cur.NetworkByNum(e.Network), e))
	}
	return list
}

func (v *view) hostNIC(n *Network, a allocator) portAllocator {
	name := n.Doc.Name
	if len(name) > 15 {
		name = name[:15]
	}
	return portAllocator{allocator: a, AdapterNetCfgInstanceId: "{" + upper(n.ids.iface) + "}", Connected: true, DevicelessNic: true,
		DhcpDisabled: true, EndpointNicGuid: upper(n.ids.hostNIC), EndpointPortGuid: upper(n.ids.hostPort),
		InterfaceGuid: upper(n.ids.iface), IsolationId: uint32(n.NATVLAN), MacAddress: hcn.FormatMAC(n.HostMAC), ManagementPort: true,
		NicFriendlyName: name, NlmHidden: true, PreferredPortFriendlyName: "Container NIC " + n.ids.hostAlloc[:8],
		SwitchId: upper(n.ids.switchID)}
}

func (v *view) endpointResources(n *Network, e *Endpoint) json.RawMessage {
	at := health(e.createdAt)
	r := resources{Allocators: []any{}, Health: at, ID: upper(e.ids.activity), State: 1, ParentID: upper(n.ids.activity)}
	next := func(id, tag string, policy bool) allocator {
		a := allocator{AllocationOrder: len(r.Allocators), Health: at, ID: upper(id), IsPolicy: policy, State: 3, Tag: tag}
		return a
	}
	if e.AttachedTo != NotAttached {
		r.Allocators = append(r.Allocators, portAllocator{allocator: next(e.ids.alloc, "Endpoint Port", false),
			AdapterNetCfgInstanceId: "{" + upper(e.ids.iface) + "}", CompartmendId: e.Compartment, Connected: true,
			EndpointNicGuid: upper(e.ids.nic), EndpointPortGuid: upper(e.ids.port), InterfaceGuid: upper(e.ids.iface),
			IsolationId: v.isolationOf(n, e), MacAddress: hcn.FormatMAC(e.MAC), NicFriendlyName: e.Doc.Name,
			PreferredPortFriendlyName: v.endpointCase(e.Doc.ID), SwitchId: upper(n.ids.switchID)})
		r.Allocators = append(r.Allocators, aclAllocator{allocator: next(e.ids.alloc, "ACL Policy", true), Rules: []aclEntry{
			{"ACL", hcn.Allow, hcn.In, defaultACLPriority}, {"ACL", hcn.Allow, hcn.Out, defaultACLPriority}}})
	}
	if e.Remote && n.Type == hcn.Overlay {
		r.Allocators = append(r.Allocators, vnetAllocator{allocator: next(e.ids.alloc, "VNET Policy", true),
			CA: addrText(e.Addr()), PA: addrText(e.PA), Type: 3})
	}
	r.AllocationOrder = len(r.Allocators)
	return mustJSON(r)
}

// defaultACLPriority is that of the allow rules that HNS adds itself (C.6).
const defaultACLPriority = 65500

func (v *view) isolationOf(n *Network, e *Endpoint) uint32 {
	for _, a := range e.Addrs {
		if a.Subnet >= 0 && a.Subnet < len(n.Subnets) {
			s := n.Subnets[a.Subnet]
			if s.VSID != 0 {
				return s.VSID
			}
			return uint32(s.VLAN)
		}
	}
	return uint32(n.NATVLAN)
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// statsDocument is the answer to /endpointstats/{id}.
func (s *Service) statsDocument(e *Endpoint) json.RawMessage {
	var c EndpointStats
	if s.cfg.Stats != nil {
		c = s.cfg.Stats(e.Doc.ID)
	}
	return mustJSON(struct {
		EndpointStats
		EndpointID string `json:"EndpointId"`
		InstanceID string `json:"InstanceId"`
	}{c, upper(e.Doc.ID), fmt.Sprintf("Host Vnic %d", e.Num)})
}
