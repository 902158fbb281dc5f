package linux

import (
	"context"
	"slices"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
)

// Backend makes worlds of network namespaces. The zero value is ready.
type Backend struct{}

var _ backends.TimeScaler = Backend{}

// Name is "linux".
func (Backend) Name() string { return "linux" }

// ScalesTime: see README.md, Time.
func (Backend) ScalesTime() {}

// Capabilities are what the kernel's own networking can show.
func (Backend) Capabilities() []backends.Capability {
	return []backends.Capability{
		backends.RawFrames, backends.DropReasons, backends.Knobs, backends.Wires,
		backends.NATNetwork, backends.TransparentNetwork, backends.L2BridgeNetwork, backends.OverlayNetwork,
		backends.InternalNetwork, backends.PrivateNetwork,
	}
}

// missing are features of the profile's HNS that this backend has no kernel
// objects for; scenarios that need one are skipped with its name.
var missing = []string{
	hcn.FeatureTierACL, hcn.FeatureL4Proxy, hcn.FeatureL4WfpProxy, hcn.FeatureIPv6DualStack,
}

// Features are those of the profile's HNS version (contract B.9) without those
// that have no counterpart here.
func (Backend) Features(profile string) (backends.FeatureSet, error) {
	p, err := hcn.ProfileByName(profile)
	if err != nil {
		return backends.FeatureSet{}, &backends.UsageError{Msg: err.Error()}
	}
	fs := backends.FeatureSet{
		HNSVersion: p.Version.String(), OSBuild: p.OSBuild,
		Supported: map[string]bool{}, Ranges: map[string]string{},
	}
	for _, f := range hcn.Features() {
		fs.Supported[f.Name] = f.Supports(p.Version)
		fs.Ranges[f.Name] = f.RangeText()
		if slices.Contains(missing, f.Name) {
			fs.Supported[f.Name] = false
			fs.Ranges[f.Name] = "any version, but not on the Linux backend"
		}
	}
	return fs, nil
}

// Open makes an empty world.
func (Backend) Open(ctx context.Context, cfg backends.WorldConfig) (backends.World, error) {
	return open(ctx, cfg)
}
