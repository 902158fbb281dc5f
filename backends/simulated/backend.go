package simulated

import (
	"context"
	"slices"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/standin/wine"
	"github.com/hnsim/hnsim/sim/vfp"
)

// Backend makes simulated worlds. The zero value is ready.
type Backend struct {
	// DLLs is the folder with the stand-in's DLLs, for Windows programs; empty
	// builds them from this program's own sources when they are first needed.
	DLLs string
}

var (
	_ backends.Backend   = Backend{}
	_ backends.Explainer = Backend{}
	_ backends.DropNamer = Backend{}

	_ backends.TimeScaler = Backend{}
)

// Name is "sim".
func (Backend) Name() string { return "sim" }

// ScalesTime: time is virtual here. All timers and every Advance divided by
// one number would be the same run, read off another clock.
func (Backend) ScalesTime() {}

// Capabilities are all there are; running programs takes wine and the
// stand-in's DLLs or the compiler for them.
func (b Backend) Capabilities() []backends.Capability {
	all := backends.Capabilities()
	if b.launcher().Missing() != nil {
		all = slices.DeleteFunc(all, func(c backends.Capability) bool { return c == backends.Programs })
	}
	return all
}

// WhyNot says what programs need that is not here.
func (b Backend) WhyNot(c backends.Capability) string {
	if c != backends.Programs {
		return ""
	}
	if err := b.launcher().Missing(); err != nil {
		return err.Error()
	}
	return ""
}

func (b Backend) launcher() *wine.Run { return &wine.Run{DLLs: b.DLLs} }

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
func (b Backend) Open(_ context.Context, cfg backends.WorldConfig) (backends.World, error) {
	w, err := newWorld(cfg)
	if err != nil {
		return nil, err
	}
	w.launcher = b.launcher()
	return w, nil
}
