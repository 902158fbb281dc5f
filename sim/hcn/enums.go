package hcn

import (
	"strconv"
	"strings"
)

// An enumeration is text or an integer on input (rule B3). Text types below
// hold the canonical spelling when the value is known and the input as it was
// otherwise: whether an unknown value is an error is for validation to say,
// because the code depends on what is validated.

// NetworkType is NetworkMode of the schema.
type NetworkType string

// Network types, in the order of their integers 0 to 10.
const (
	NAT            NetworkType = "NAT"
	ICS            NetworkType = "ICS"
	Transparent    NetworkType = "Transparent"
	L2Bridge       NetworkType = "L2Bridge"
	L2Tunnel       NetworkType = "L2Tunnel"
	Overlay        NetworkType = "Overlay"
	Private        NetworkType = "Private"
	Internal       NetworkType = "Internal"
	Mirrored       NetworkType = "Mirrored"
	Infiniband     NetworkType = "Infiniband"
	ConstrainedICS NetworkType = "ConstrainedICS"
)

var networkTypes = textTable{{"NAT", 0}, {"ICS", 1}, {"Transparent", 2}, {"L2Bridge", 3}, {"L2Tunnel", 4},
	{"Overlay", 5}, {"Private", 6}, {"Internal", 7}, {"Mirrored", 8}, {"Infiniband", 9}, {"ConstrainedICS", 10}}

// External reports whether networks of this type have an uplink.
func (t NetworkType) External() bool {
	switch t {
	case Transparent, L2Bridge, L2Tunnel, Overlay:
		return true
	}
	return false
}

// UsesVFP reports whether the forwarding extension forwards for this type.
func (t NetworkType) UsesVFP() bool { return t == L2Bridge || t == L2Tunnel || t == Overlay }

// Known reports whether t is a type of the schema, canonically spelled.
func (t NetworkType) Known() bool { return networkTypes.has(string(t)) }

// NetworkTypes lists the types of the schema.
func NetworkTypes() []NetworkType {
	out := make([]NetworkType, len(networkTypes))
	for i, e := range networkTypes {
		out[i] = NetworkType(e.text)
	}
	return out
}

// IpamType is Static or Dhcp.
type IpamType string

// NamespaceType says whose compartment a namespace is (rule CMP-06).
type NamespaceType string

// Namespace types.
const (
	HostNamespace         NamespaceType = "Host"
	HostDefaultNamespace  NamespaceType = "HostDefault"
	GuestNamespace        NamespaceType = "Guest"
	GuestDefaultNamespace NamespaceType = "GuestDefault"
)

// NamespaceResourceType is Container or Endpoint.
type NamespaceResourceType string

// Namespace resource types.
const (
	ContainerResource NamespaceResourceType = "Container"
	EndpointResource  NamespaceResourceType = "Endpoint"
)

// ActionType of an ACL.
type ActionType string

// ACL actions; Pass is for tiers only (rule ACL-30).
const (
	Allow ActionType = "Allow"
	Block ActionType = "Block"
	Pass  ActionType = "Pass"
)

// Direction of an ACL, relative to the endpoint.
type Direction string

// Directions.
const (
	In  Direction = "In"
	Out Direction = "Out"
)

// RuleType of an ACL: enforced by the host firewall or by VFP (rule ACL-08).
type RuleType string

// Rule types.
const (
	HostRule   RuleType = "Host"
	SwitchRule RuleType = "Switch"
)

// SetPolicyType is IPSET or NESTEDIPSET.
type SetPolicyType string

// Set types.
const (
	IPSet       SetPolicyType = "IPSET"
	NestedIPSet SetPolicyType = "NESTEDIPSET"
)

// RequestType of a modify request.
type RequestType string

// Request types, in the order of their integers 0 to 4.
const (
	RequestAdd     RequestType = "Add"
	RequestRemove  RequestType = "Remove"
	RequestUpdate  RequestType = "Update"
	RequestRefresh RequestType = "Refresh"
	RequestReset   RequestType = "Reset"
)

// EndpointState is HNS's EndpointState (rule CMP-08).
type EndpointState uint16

// Endpoint states; packets flow only in Attached and AttachedSharing.
const (
	EndpointUninitialized   EndpointState = 0
	EndpointCreated         EndpointState = 1
	EndpointAttached        EndpointState = 2
	EndpointAttachedSharing EndpointState = 3
	EndpointDetached        EndpointState = 4
	EndpointDegraded        EndpointState = 5
	EndpointDestroyed       EndpointState = 6
)

// NetworkFlags of a network.
type NetworkFlags uint32

// Network flags (section B.2).
const (
	EnableDnsProxy      NetworkFlags = 1
	EnableDhcpServer    NetworkFlags = 2
	NetEnableMirroring  NetworkFlags = 4
	EnableNonPersistent NetworkFlags = 8
	EnablePersistent    NetworkFlags = 16
	IsolateVSwitch      NetworkFlags = 256
	DisableHostPort     NetworkFlags = 1024
	EnableIov           NetworkFlags = 8192
)

// SubnetFlags of a subnet.
type SubnetFlags uint32

// DoNotReserveGatewayAddress lets an endpoint have the gateway's address.
const DoNotReserveGatewayAddress SubnetFlags = 1

// IPSubnetFlags of an IP subnet.
type IPSubnetFlags uint32

// IP subnet flags.
const (
	EnableBroadcast       IPSubnetFlags = 1
	ReserveNetworkAddress IPSubnetFlags = 2
)

// EndpointFlags of an endpoint.
type EndpointFlags uint32

// Endpoint flags (section B.3).
const (
	RemoteEndpoint         EndpointFlags = 1
	DisableICC             EndpointFlags = 2
	EnableMirroring        EndpointFlags = 4
	EnableLowMetric        EndpointFlags = 8
	OverrideDNSServerOrder EndpointFlags = 16
	EnableDhcp             EndpointFlags = 32
)

// LoadBalancerFlags of a load balancer.
type LoadBalancerFlags uint32

// Load balancer flags.
const (
	EnableDSR LoadBalancerFlags = 1
	LBIPv6    LoadBalancerFlags = 2
)

// PortMappingFlags of a load balancer's port.
type PortMappingFlags uint32

// Port mapping flags of load balancers (section B.5).
const (
	EnableILB     PortMappingFlags = 1
	LocalRouted   PortMappingFlags = 2
	UseMux        PortMappingFlags = 4 // accepted without effect (D-14)
	PreserveDIP   PortMappingFlags = 8
	VipExternalIP PortMappingFlags = 16
)

// NatFlags of PortMapping and OutBoundNAT policies.
type NatFlags uint32

// NAT flags.
const (
	NatLocalRoutedVip       NatFlags = 1
	NatIPv6                 NatFlags = 2
	NatExternalPortReserved NatFlags = 4
)

// DistributionType selects the tuple that chooses a backend (rule LB-05).
type DistributionType uint32

// Distribution types.
const (
	PerConnection        DistributionType = 0
	PerSourceIPProtocol  DistributionType = 1
	PerSourceIP          DistributionType = 2
	maxKnownDistribution                  = 2
)

// ProtocolNumber is an IP protocol number.
type ProtocolNumber uint32

// Protocols of the schema's ProtocolType.
const (
	ProtoICMPv4 ProtocolNumber = 1
	ProtoIGMP   ProtocolNumber = 2
	ProtoTCP    ProtocolNumber = 6
	ProtoUDP    ProtocolNumber = 17
	ProtoICMPv6 ProtocolNumber = 58
)

// String names the protocol as v1 documents do.
func (p ProtocolNumber) String() string {
	if t, ok := protocolNames.text(int64(p)); ok {
		return t
	}
	return strconv.FormatUint(uint64(p), 10)
}

// textTable maps the texts of an enumeration to integers, in order.
type textTable []struct {
	text string
	num  int64
}

func (t textTable) text(num int64) (string, bool) {
	for _, e := range t {
		if e.num == num {
			return e.text, true
		}
	}
	return "", false
}

func (t textTable) lookup(text string) (string, int64, bool) {
	for _, e := range t {
		if strings.EqualFold(e.text, text) {
			return e.text, e.num, true
		}
	}
	return "", 0, false
}

func (t textTable) has(text string) bool {
	for _, e := range t {
		if e.text == text {
			return true
		}
	}
	return false
}

// list names the values for error messages.
func (t textTable) list() string {
	var b strings.Builder
	for i, e := range t {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(e.text)
	}
	return b.String()
}

var (
	ipamTypes         = textTable{{"Static", 0}, {"Dhcp", 1}}
	namespaceTypes    = textTable{{"Host", 0}, {"HostDefault", 1}, {"Guest", 2}, {"GuestDefault", 3}}
	nsResourceTypes   = textTable{{"Container", 0}, {"Endpoint", 1}}
	actionTypes       = textTable{{"Allow", 0}, {"Block", 1}, {"Pass", 2}}
	directionTypes    = textTable{{"In", 0}, {"Out", 1}}
	ruleTypes         = textTable{{"Host", 0}, {"Switch", 1}}
	setPolicyTypes    = textTable{{"IPSET", 0}, {"NESTEDIPSET", 1}}
	requestTypes      = textTable{{"Add", 0}, {"Remove", 1}, {"Update", 2}, {"Refresh", 3}, {"Reset", 4}}
	firewallVMTypes   = textTable{{"Invalid", 0}, {"Host", 1}, {"WSA", 2}, {"WSL", 3}}
	protocolNames     = textTable{{"ICMPv4", 1}, {"IGMP", 2}, {"TCP", 6}, {"UDP", 17}, {"ICMPv6", 58}}
	distributionNames = textTable{{"None", 0}, {"SourceIPProtocol", 1}, {"SourceIP", 2}}
)

var (
	networkFlagNames = textTable{{"EnableDnsProxy", 1}, {"EnableDhcpServer", 2}, {"EnableMirroring", 4},
		{"EnableNonPersistent", 8}, {"EnablePersistent", 16}, {"IsolateVSwitch", 256}, {"DisableHostPort", 1024}, {"EnableIov", 8192}}
	subnetFlagNames   = textTable{{"DoNotReserveGatewayAddress", 1}}
	ipSubnetFlagNames = textTable{{"EnableBroadcast", 1}, {"ReserveNetworkAddress", 2}}
	endpointFlagNames = textTable{{"RemoteEndpoint", 1}, {"DisableInterComputeCommunication", 2}, {"EnableMirroring", 4},
		{"EnableLowInterfaceMetric", 8}, {"OverrideDNSServerOrder", 16}, {"EnableDhcp", 32}}
	lbFlagNames          = textTable{{"EnableDirectServerReturn", 1}, {"IPv6", 2}}
	portMappingFlagNames = textTable{{"EnableInternalLoadBalancer", 1}, {"LocalRoutedVip", 2}, {"UseMux", 4},
		{"EnablePreserveDip", 8}, {"VipExternalIP", 16}}
	natFlagNames      = textTable{{"LocalRoutedVip", 1}, {"IPv6", 2}, {"ExternalPortReserved", 4}}
	firewallFlagNames = textTable{{"ConstrainedInterface", 1}}
)

func equalFold(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }

// String returns the value.
func (t NetworkType) String() string { return string(t) }

// String returns the value.
func (d Direction) String() string { return string(d) }

// String returns the value.
func (a ActionType) String() string { return string(a) }

// String returns the value.
func (t PolicyType) String() string { return string(t) }
