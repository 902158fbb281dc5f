package hns

import (
	"context"
	"fmt"
	"io"
	"runtime"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
)

// Options are what the user of a machine allows.
type Options struct {
	// DryRun, if there is one, is told every operation instead of HNS.
	DryRun io.Writer
	// AllowExternal allows networks that take over a network adapter, which
	// interrupts the machine's own connections (rule VS-04).
	AllowExternal bool
	// Adapter is the network adapter that external networks use; empty is the
	// one that HNS picks.
	Adapter string
}

// Backend runs scenarios on this machine's HNS.
type Backend struct{ Options Options }

var (
	_ backends.Backend   = Backend{}
	_ backends.Explainer = Backend{}
)

// Name is "hns".
func (Backend) Name() string { return "hns" }

// needsWindows is why there are no worlds on other systems.
const needsWindows = "backend hns needs Windows with the Host Networking Service; this is " + runtime.GOOS + "/" + runtime.GOARCH +
	": use --backend sim here, or run hnsim.exe on a Windows machine"

// machine is what a world of this machine is made of.
type machine interface {
	capabilities(Options) []backends.Capability
	whyNot(backends.Capability, Options) string
	dropNames() []string // nil: not known
	// version is that of the HNS that worlds of a profile talk to.
	version(profile string) (v hcn.HNSVersion, osBuild int, err error)
	open(ctx context.Context, cfg backends.WorldConfig, opt Options) (backends.World, error)
}

// Capabilities are those of the machine; none where it cannot have worlds.
func (b Backend) Capabilities() []backends.Capability {
	m, err := thisMachine()
	if err != nil {
		return nil
	}
	return m.capabilities(b.Options)
}

// WhyNot says what is missing.
func (b Backend) WhyNot(c backends.Capability) string {
	m, err := thisMachine()
	if err != nil {
		return err.Error()
	}
	return m.whyNot(c, b.Options)
}

// DropNames are the drop reasons of the machine, where it knows all of them.
func (Backend) DropNames() []string {
	if m, err := thisMachine(); err == nil {
		return m.dropNames()
	}
	return nil
}

// Check says why this machine cannot have worlds; "" means that it can.
func Check() string {
	if _, err := thisMachine(); err != nil {
		return err.Error()
	}
	return ""
}

// Features asks the machine's HNS for its version, and hcsshim what that
// version supports. The profile must be the machine's.
func (Backend) Features(profile string) (backends.FeatureSet, error) {
	p, err := hcn.ProfileByName(profile)
	if err != nil {
		return backends.FeatureSet{}, &backends.UsageError{Msg: err.Error()}
	}
	m, err := thisMachine()
	if err != nil {
		return backends.FeatureSet{}, &backends.UnsupportedError{Msg: err.Error()}
	}
	v, build, err := m.version(p.Name)
	if err != nil {
		return backends.FeatureSet{}, err
	}
	fs := backends.FeatureSet{HNSVersion: v.String(), OSBuild: build, Supported: supported(v), Ranges: map[string]string{}}
	for _, f := range hcn.Features() {
		fs.Ranges[f.Name] = f.RangeText()
	}
	return fs, nil
}

// profileOf is the profile for a build of Windows: the newest that is not
// newer.
func profileOf(build int) (hcn.Profile, error) {
	var best hcn.Profile
	for _, name := range hcn.ProfileNames() {
		p, err := hcn.ProfileByName(name)
		if err == nil && p.Name != hcn.StrictRFC && p.OSBuild <= build && p.OSBuild > best.OSBuild {
			best = p
		}
	}
	if best.OSBuild == 0 {
		return best, fmt.Errorf("build %d of Windows is older than every profile", build)
	}
	return best, nil
}

// Open makes an empty world on this machine.
func (b Backend) Open(ctx context.Context, cfg backends.WorldConfig) (backends.World, error) {
	m, err := thisMachine()
	if err != nil {
		return nil, &backends.UnsupportedError{Msg: err.Error()}
	}
	return m.open(ctx, cfg, b.Options)
}

// OneAtATime reports whether worlds share this machine, so that there can be
// but one at a time.
func OneAtATime() bool {
	m, err := thisMachine()
	if err != nil {
		return false
	}
	_, many := m.(*standIn)
	return !many
}
