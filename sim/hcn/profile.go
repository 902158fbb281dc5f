package hcn

import (
	"fmt"
	"strings"
)

// Profile is a build of Windows, or the strict reading of the RFCs: what the
// service supports and the defaults of everything that may differ.
type Profile struct {
	Name    string
	Doc     string
	OSBuild int // 20348
	Version HNSVersion
	// Schema is the newest document schema of the build (appendix 1 of the
	// control-plane contract).
	Schema SchemaVersion
	Knobs  Knobs
}

// Names of the profiles.
const (
	WS2016    = "ws2016"
	WS2019    = "ws2019"
	WS2022    = "ws2022"
	WS2025    = "ws2025"
	StrictRFC = "strict-rfc"
)

// DefaultProfile is the reference profile of the knob appendix.
const DefaultProfile = WS2022

// profileTable has the facts; knobs come from knobDefs. strict-rfc is a model
// of the newest service whose data plane follows the RFCs where real builds
// do not.
var profileTable = []Profile{
	{Name: WS2016, Doc: "Windows Server 2016 (RS1)", OSBuild: 14393, Version: HNSVersion{1, 1}, Schema: SchemaVersion{1, 0}},
	{Name: WS2019, Doc: "Windows Server 2019", OSBuild: 17763, Version: HNSVersion{9, 2}, Schema: SchemaVersion{2, 0}},
	{Name: WS2022, Doc: "Windows Server 2022", OSBuild: 20348, Version: HNSVersion{13, 3}, Schema: SchemaVersion{2, 11}},
	{Name: WS2025, Doc: "Windows Server 2025", OSBuild: 26100, Version: HNSVersion{16, 0}, Schema: SchemaVersion{2, 16}},
	{Name: StrictRFC, Doc: "the newest service with RFC behaviour", OSBuild: 26100, Version: HNSVersion{16, 0}, Schema: SchemaVersion{2, 16}},
}

// ProfileNames lists the profiles, oldest build first.
func ProfileNames() []string {
	out := make([]string, len(profileTable))
	for i, p := range profileTable {
		out[i] = p.Name
	}
	return out
}

// ProfileByName returns a profile with its own copy of the default knobs. ""
// is the default profile.
func ProfileByName(name string) (Profile, error) {
	if name == "" {
		name = DefaultProfile
	}
	for _, p := range profileTable {
		if strings.EqualFold(p.Name, name) {
			p.Knobs = defaultKnobs(p)
			return p, nil
		}
	}
	return Profile{}, fmt.Errorf("no profile %q: expected one of %s", name, strings.Join(ProfileNames(), ", "))
}

// MustProfile is ProfileByName for names that are constants.
func MustProfile(name string) Profile {
	p, err := ProfileByName(name)
	if err != nil {
		panic(err)
	}
	return p
}

// Supports reports whether the profile's service has a feature.
func (p *Profile) Supports(feature string) bool { return Supports(feature, p.Version) }
