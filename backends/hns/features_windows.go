package hns

import (
	hcsshim "github.com/Microsoft/hcsshim/hcn"

	"github.com/hnsim/hnsim/sim/hcn"
)

// ranges are hcsshim's version ranges by the names of its features. Its own
// answer (GetCachedSupportedFeatures) is kept for the life of a process and
// cannot be asked about another version.
var ranges = map[string]hcsshim.VersionRanges{
	hcn.FeatureACL:                hcsshim.HNSVersion1803,
	hcn.FeatureV2Api:              hcsshim.V2ApiSupport,
	hcn.FeatureRemoteSubnet:       hcsshim.RemoteSubnetVersion,
	hcn.FeatureHostRoute:          hcsshim.HostRouteVersion,
	hcn.FeatureDSR:                hcsshim.DSRVersion,
	hcn.FeatureSlash32:            hcsshim.Slash32EndpointPrefixesVersion,
	hcn.FeatureACL252:             hcsshim.AclSupportForProtocol252Version,
	hcn.FeatureVxlanPort:          hcsshim.VxlanPortVersion,
	hcn.FeatureL4Proxy:            hcsshim.L4ProxyPolicyVersion,
	hcn.FeatureIPv6DualStack:      hcsshim.IPv6DualStackVersion,
	hcn.FeatureSessionAffinity:    hcsshim.SessionAffinityVersion,
	hcn.FeatureSetPolicy:          hcsshim.SetPolicyVersion,
	hcn.FeatureL4WfpProxy:         hcsshim.L4WfpProxyPolicyVersion,
	hcn.FeatureTierACL:            hcsshim.TierAclPolicyVersion,
	hcn.FeatureNetworkACL:         hcsshim.NetworkACLPolicyVersion,
	hcn.FeatureNestedIPSet:        hcsshim.NestedIpSetVersion,
	hcn.FeatureDisableHostPort:    hcsshim.DisableHostPortVersion,
	hcn.FeatureModifyLoadBalancer: hcsshim.ModifyLoadbalancerVersion,
	hcn.FeatureAccelnet:           hcsshim.AccelnetVersion,
}

// supported are the features of a version by hcsshim's ranges.
func supported(v hcn.HNSVersion) map[string]bool {
	out := map[string]bool{}
	for name, list := range ranges {
		out[name] = false
		for _, r := range list {
			low := hcn.HNSVersion{Major: uint32(r.MinVersion.Major), Minor: uint32(r.MinVersion.Minor)}
			high := hcn.HNSVersion{Major: uint32(r.MaxVersion.Major), Minor: uint32(r.MaxVersion.Minor)}
			out[name] = out[name] || !v.Less(low) && !high.Less(v)
		}
	}
	return out
}
