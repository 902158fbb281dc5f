package hcn

import "encoding/json"

// PolicyType is the canonical name of a policy.
type PolicyType string

// Policies of endpoints, networks and subnets. Some exist on several kinds.
const (
	PolicyPortMapping         PolicyType = "PortMapping"
	PolicyACL                 PolicyType = "ACL"
	PolicyQOS                 PolicyType = "QOS"
	PolicyL2Driver            PolicyType = "L2Driver"
	PolicyOutBoundNAT         PolicyType = "OutBoundNAT"
	PolicySDNRoute            PolicyType = "SDNRoute"
	PolicyL4Proxy             PolicyType = "L4Proxy"
	PolicyL4WFPProxy          PolicyType = "L4WFPPROXY"
	PolicyProviderAddress     PolicyType = "ProviderAddress"
	PolicyPortName            PolicyType = "PortName"
	PolicyEncapOverhead       PolicyType = "EncapOverhead"
	PolicyInterfaceConstraint PolicyType = "InterfaceConstraint"
	PolicyEncryption          PolicyType = "Encryption"
	PolicyVLAN                PolicyType = "VLAN"
	PolicyVSID                PolicyType = "VSID"
	PolicyInterfaceParameters PolicyType = "InterfaceParameters"
	PolicyIov                 PolicyType = "Iov"
	PolicyTierACL             PolicyType = "TierAcl"
	PolicyFirewall            PolicyType = "Firewall"
	PolicySourceMacAddress    PolicyType = "SourceMacAddress"
	PolicyNetAdapterName      PolicyType = "NetAdapterName"
	PolicyVSwitchExtension    PolicyType = "VSwitchExtension"
	PolicyDrMacAddress        PolicyType = "DrMacAddress"
	PolicyAutomaticDNS        PolicyType = "AutomaticDNS"
	PolicyRemoteSubnetRoute   PolicyType = "RemoteSubnetRoute"
	PolicyVxlanPort           PolicyType = "VxlanPort"
	PolicyHostRoute           PolicyType = "HostRoute"
	PolicySetPolicy           PolicyType = "SetPolicy"
	PolicyLayerConstraint     PolicyType = "LayerConstraint"
	PolicyNetworkACL          PolicyType = "NetworkACL"
	PolicyNeighborDiscovery   PolicyType = "NeighborDiscovery"
	PolicyIsolation           PolicyType = "Isolation" // v1 only
	PolicyVNET                PolicyType = "VNET"      // v1 only
)

// Policy of a network, a subnet or an endpoint. Type has the canonical
// spelling when the type is known, else the spelling of the document.
// Settings is the settings object of the v2 shape whatever the shape of the
// document was; nil when there is none.
type Policy struct {
	Type     PolicyType
	Settings json.RawMessage
	Extras   Extras
}

// DecodeSettings decodes the policy's settings into T, one of the Settings
// structs. Errors are INVALID_POLICY with a path that starts at Settings.
func DecodeSettings[T any](p Policy) (T, error) {
	var out T
	err := decodeSettings(p, &out)
	return out, err
}

// NewPolicy makes a policy from one of the Settings structs.
func NewPolicy(t PolicyType, settings any) Policy {
	return Policy{Type: t, Settings: encodeSettings(settings)}
}

// FindPolicies returns the policies of a type, in order.
func FindPolicies(list []Policy, t PolicyType) []Policy {
	var out []Policy
	for _, p := range list {
		if p.Type == t {
			out = append(out, p)
		}
	}
	return out
}

// FindPolicy returns the first policy of a type.
func FindPolicy(list []Policy, t PolicyType) (Policy, bool) {
	for _, p := range list {
		if p.Type == t {
			return p, true
		}
	}
	return Policy{}, false
}
