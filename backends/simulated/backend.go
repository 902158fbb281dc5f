package simulated

import (
	"context"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/vfp"
)

// Backend makes simulated worlds. The zero value is ready.
type Backend struct{}

var _ backends.Backend = Backend{}

// Name is "sim".
func (Backend) Name() string { return "sim" }

// Capabilities are all there are.
func (Backend) Capabilities() []backends.Capability {
	return backends.Capabilities()
}

// Features are those of the profile's HNS version (contract B.9).
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
	}
	return fs, nil
}

// DropNames are the model's drop reasons.
func (Backend) DropNames() []string {
	var out []string
	for _, d := range vfp.Drops() {
		out = append(out, d.Name)
	}
	return out
}

// Open makes an empty world.
func (Backend) Open(_ context.Context, cfg backends.WorldConfig) (backends.World, error) {
	return newWorld(cfg)
}
