package hcntest

import "github.com/hnsim/hnsim/sim/hcn"

// SupportedFeatures are what a version of HNS has.
type SupportedFeatures struct {
	Acl                      AclFeatures `json:"ACL"`
	Api                      ApiSupport  `json:"API"`
	RemoteSubnet             bool        `json:"RemoteSubnet"`
	HostRoute                bool        `json:"HostRoute"`
	DSR                      bool        `json:"DSR"`
	Slash32EndpointPrefixes  bool        `json:"Slash32EndpointPrefixes"`
	AclSupportForProtocol252 bool        `json:"AclSupportForProtocol252"`
	SessionAffinity          bool        `json:"SessionAffinity"`
	IPv6DualStack            bool        `json:"IPv6DualStack"`
	SetPolicy                bool        `json:"SetPolicy"`
	VxlanPort                bool        `json:"VxlanPort"`
	L4Proxy                  bool        `json:"L4Proxy"`
	L4WfpProxy               bool        `json:"L4WfpProxy"`
	TierAcl                  bool        `json:"TierAcl"`
	NetworkACL               bool        `json:"NetworkACL"`
	NestedIpSet              bool        `json:"NestedIpSet"`
	DisableHostPort          bool        `json:"DisableHostPort"`
	ModifyLoadbalancer       bool        `json:"ModifyLoadbalancer"`
	Accelnet                 bool        `json:"Accelnet"`
}

// AclFeatures are what ACLs may say.
type AclFeatures struct {
	AclAddressLists       bool `json:"AclAddressLists"`
	AclNoHostRulePriority bool `json:"AclHostRulePriority"`
	AclPortRanges         bool `json:"AclPortRanges"`
	AclRuleId             bool `json:"AclRuleId"`
}

// ApiSupport says which interfaces there are.
type ApiSupport struct {
	V1 bool `json:"V1"`
	V2 bool `json:"V2"`
}

// featuresOf decides by version, as hcsshim does.
func featuresOf(v Version) SupportedFeatures {
	has := func(name string) bool {
		return hcn.Supports(name, hcn.HNSVersion{Major: uint32(v.Major), Minor: uint32(v.Minor)})
	}
	acl := has(hcn.FeatureACL)
	return SupportedFeatures{
		Acl:          AclFeatures{AclAddressLists: acl, AclNoHostRulePriority: acl, AclPortRanges: acl, AclRuleId: acl},
		Api:          ApiSupport{V1: true, V2: has(hcn.FeatureV2Api)},
		RemoteSubnet: has(hcn.FeatureRemoteSubnet), HostRoute: has(hcn.FeatureHostRoute), DSR: has(hcn.FeatureDSR),
		Slash32EndpointPrefixes: has(hcn.FeatureSlash32), AclSupportForProtocol252: has(hcn.FeatureACL252),
		SessionAffinity: has(hcn.FeatureSessionAffinity), IPv6DualStack: has(hcn.FeatureIPv6DualStack),
		SetPolicy: has(hcn.FeatureSetPolicy), VxlanPort: has(hcn.FeatureVxlanPort), L4Proxy: has(hcn.FeatureL4Proxy),
		L4WfpProxy: has(hcn.FeatureL4WfpProxy), TierAcl: has(hcn.FeatureTierACL), NetworkACL: has(hcn.FeatureNetworkACL),
		NestedIpSet: has(hcn.FeatureNestedIPSet), DisableHostPort: has(hcn.FeatureDisableHostPort),
		ModifyLoadbalancer: has(hcn.FeatureModifyLoadBalancer), Accelnet: has(hcn.FeatureAccelnet),
	}
}
