package hcn

import (
	"fmt"
	"strconv"
	"strings"
)

// HNSVersion is the version of the service, which decides what it supports.
type HNSVersion struct{ Major, Minor uint32 }

// ParseHNSVersion reads "13.3".
func ParseHNSVersion(s string) (HNSVersion, error) {
	major, minor, ok := strings.Cut(s, ".")
	a, err1 := strconv.ParseUint(major, 10, 32)
	b, err2 := strconv.ParseUint(minor, 10, 32)
	if !ok || err1 != nil || err2 != nil {
		return HNSVersion{}, fmt.Errorf("%q is no HNS version: expected major.minor, such as 13.3", s)
	}
	return HNSVersion{uint32(a), uint32(b)}, nil
}

func (v HNSVersion) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// Less orders versions.
func (v HNSVersion) Less(o HNSVersion) bool {
	return v.Major < o.Major || v.Major == o.Major && v.Minor < o.Minor
}

// AtLeast reports whether v is not older than major.minor.
func (v HNSVersion) AtLeast(major, minor uint32) bool { return !v.Less(HNSVersion{major, minor}) }

// Object is the Version member of objects: major<<32 | minor.
func (v HNSVersion) Object() uint64 { return uint64(v.Major)<<32 | uint64(v.Minor) }

// VersionRange is an inclusive range of versions. Open has no upper end;
// otherwise the range ends with the last minor version of Min.Major.
type VersionRange struct {
	Min  HNSVersion
	Open bool
}

// Contains reports whether the range has the version.
func (r VersionRange) Contains(v HNSVersion) bool {
	return !v.Less(r.Min) && (r.Open || v.Major == r.Min.Major)
}

func (r VersionRange) String() string {
	if r.Open {
		return ">= " + r.Min.String()
	}
	return fmt.Sprintf("%s to %d.x", r.Min, r.Min.Major)
}

// Feature is something that only some versions have. The ranges have holes:
// a fix that went into the updates of an old release is missing in the first
// versions of the next one.
type Feature struct {
	Name   string // as hcsshim's SupportedFeatures names it
	Doc    string
	Ranges []VersionRange
}

// Supports reports whether a version has the feature.
func (f Feature) Supports(v HNSVersion) bool {
	for _, r := range f.Ranges {
		if r.Contains(v) {
			return true
		}
	}
	return false
}

// RangeText is the ranges for people: "9.3 to 9.x, >= 10.2".
func (f Feature) RangeText() string {
	parts := make([]string, len(f.Ranges))
	for i, r := range f.Ranges {
		parts[i] = r.String()
	}
	return strings.Join(parts, ", ")
}

func since(major, minor uint32) []VersionRange {
	return []VersionRange{{Min: HNSVersion{major, minor}, Open: true}}
}

func within(major, minor uint32) VersionRange {
	return VersionRange{Min: HNSVersion{major, minor}}
}

// Feature names.
const (
	FeatureACL                = "ACL"
	FeatureV2Api              = "V2Api"
	FeatureRemoteSubnet       = "RemoteSubnet"
	FeatureHostRoute          = "HostRoute"
	FeatureDSR                = "DSR"
	FeatureSlash32            = "Slash32EndpointPrefixes"
	FeatureACL252             = "AclSupportForProtocol252"
	FeatureVxlanPort          = "VxlanPort"
	FeatureL4Proxy            = "L4Proxy"
	FeatureIPv6DualStack      = "IPv6DualStack"
	FeatureSessionAffinity    = "SessionAffinity"
	FeatureSetPolicy          = "SetPolicy"
	FeatureL4WfpProxy         = "L4WfpProxy"
	FeatureTierACL            = "TierAcl"
	FeatureNetworkACL         = "NetworkACL"
	FeatureNestedIPSet        = "NestedIpSet"
	FeatureDisableHostPort    = "DisableHostPort"
	FeatureModifyLoadBalancer = "ModifyLoadbalancer"
	FeatureAccelnet           = "Accelnet"
)

// features are those of section B.9, in the order of their first version.
var features = []Feature{
	{FeatureACL, "ACL policies with address lists, port ranges, ids", since(7, 2)},
	{FeatureV2Api, "HCN functions and the v2 schema", since(9, 2)},
	{FeatureRemoteSubnet, "RemoteSubnetRoute policies on overlay networks", since(9, 2)},
	{FeatureHostRoute, "HostRoute policies: the host reaches its own pods", since(9, 2)},
	{FeatureDSR, "direct server return of load balancers", append([]VersionRange{within(9, 3)}, since(10, 2)...)},
	{FeatureSlash32, "endpoints with /32 prefixes", append([]VersionRange{within(9, 3)}, since(10, 4)...)},
	{FeatureL4Proxy, "L4Proxy policies in VFP", append([]VersionRange{within(9, 5), within(10, 5), within(11, 11), within(12, 1)}, since(13, 1)...)},
	{FeatureVxlanPort, "VxlanPort policies: another UDP port than 4789", since(10, 3)},
	{FeatureACL252, "ACL protocol 252: VXLAN", since(11, 0)},
	{FeatureIPv6DualStack, "endpoints with IPv4 and IPv6 addresses", since(11, 10)},
	{FeatureSessionAffinity, "load balancer distribution by source address", since(12, 0)},
	{FeatureSetPolicy, "SetPolicy policies: named address sets", since(13, 0)},
	{FeatureL4WfpProxy, "L4WFPPROXY policies in the compartment", since(13, 2)},
	{FeatureTierACL, "TierAcl policies", since(14, 0)},
	{FeatureNetworkACL, "NetworkACL policies on networks", since(15, 0)},
	{FeatureNestedIPSet, "sets of sets", since(15, 0)},
	{FeatureDisableHostPort, "networks without a host port", since(15, 1)},
	{FeatureModifyLoadBalancer, "load balancers change in place", since(15, 4)},
	{FeatureAccelnet, "accelerated networking MAC addresses", since(15, 4)},
}

// Features lists every feature in the order of its first version.
func Features() []Feature { return append([]Feature(nil), features...) }

// FindFeature returns the feature with that name, in any case.
func FindFeature(name string) (Feature, bool) {
	for _, f := range features {
		if equalFold(f.Name, name) {
			return f, true
		}
	}
	return Feature{}, false
}

// Supports reports whether a version of the service has the named feature.
// An unknown name is not supported.
func Supports(feature string, v HNSVersion) bool {
	f, ok := FindFeature(feature)
	return ok && f.Supports(v)
}
