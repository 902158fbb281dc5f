package script

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
)

// environment is what conditions and requirements ask about.
type environment struct {
	backend  string
	caps     []backends.Capability
	whyNot   func(backends.Capability) string // nil: nothing to say
	features backends.FeatureSet
	profile  hcn.Profile // with the knobs of scenario and options
	variant  map[string]string
	noTables bool // the unified flow tables are off
}

func newEnvironment(sc *Scenario, b backends.Backend, opt Options) (*environment, error) {
	e := &environment{backend: b.Name(), caps: b.Capabilities(), noTables: opt.NoFlowCache}
	if x, ok := b.(backends.Explainer); ok {
		e.whyNot = x.WhyNot
	}
	var err error
	if e.profile, err = hcn.ProfileByName(opt.Profile); err != nil {
		return nil, err
	}
	for _, knobs := range []map[string]string{sc.Knobs, opt.Knobs} {
		for _, name := range wordNames(knobs) {
			if err := e.profile.Knobs.Set(name, knobs[name]); err != nil {
				return nil, err
			}
		}
	}
	if e.features, err = b.Features(e.profile.Name); err != nil {
		return nil, fmt.Errorf("features of profile %s: %w", e.profile.Name, err)
	}
	if sc.program.variant != nil {
		e.variant = sc.program.variant.Values
	}
	return e, nil
}

// lacks says why a requirement is not met, in words for a report, or "".
func (e *environment) lacks(req string) string {
	kindOf, name, _ := strings.Cut(req, ":")
	switch kindOf {
	case "capability":
		if !slices.Contains(e.caps, backends.Capability(name)) {
			if e.whyNot != nil {
				if why := e.whyNot(backends.Capability(name)); why != "" {
					// The reason need not be the backend's.
					return fmt.Sprintf("needs capability %s: %s", name, why)
				}
			}
			return fmt.Sprintf("needs capability %s, which backend %s lacks", name, e.backend)
		}
	case "feature":
		if e.features.Supported[name] {
			return ""
		}
		when := e.features.Ranges[name]
		if f, ok := hcn.FindFeature(name); ok && when == "" {
			when = f.RangeText()
		}
		return fmt.Sprintf("needs feature %s (HNS %s); profile %s has HNS %s", name, when, e.profile.Name, e.features.HNSVersion)
	case "profile":
		if names, err := profileSet(name); err != nil || !slices.Contains(names, e.profile.Name) {
			return fmt.Sprintf("needs profile %s; this is %s", name, e.profile.Name)
		}
	}
	return ""
}

// unmet is the reason to skip the whole scenario, or "".
func (e *environment) unmet(sc *Scenario) string {
	if len(sc.Profiles) > 0 && !slices.Contains(sc.Profiles, e.profile.Name) {
		return fmt.Sprintf("is for profiles %s; this is %s", strings.Join(sc.Profiles, ", "), e.profile.Name)
	}
	for _, req := range sc.Requires {
		if reason := e.lacks(req); reason != "" {
			return reason
		}
	}
	return ""
}

// conditionDoc describes a condition, for the reference.
type conditionDoc struct{ form, meaning string }

// condition prefixes, in the order of the reference.
var conditionKinds = []string{"profile", "feature", "capability", "knob", "matrix", "flowtables"}

var conditionDocs = []conditionDoc{
	{"profile:EXPR", "the build profile is one of EXPR: ws2022, ws2019,ws2022, >=ws2022, <=ws2019 (strict-rfc counts as newest)"},
	{"feature:NAME", "the control plane has the feature"},
	{"capability:NAME", "the backend has the capability"},
	{"knob:NAME=VALUE", "the contract knob has that value in this run"},
	{"matrix:NAME=VALUE", "this is a variant with that value"},
	{"flowtables:on|off", "the unified flow tables are on or off: for counters that only they have, never for packets"},
}

// checkCondition checks a condition's form and names.
func checkCondition(tag string, variants []Variant) error {
	kindOf, rest, _ := strings.Cut(tag, ":")
	switch kindOf {
	case "profile", "feature", "capability":
		_, err := parseRequirement(tag)
		return err
	case "knob":
		name, value, ok := strings.Cut(rest, "=")
		if !ok {
			return fmt.Errorf("found condition [%s], expected [knob:name=value]", tag)
		}
		var k hcn.Knobs
		return k.Set(name, value)
	case "matrix":
		name, value, ok := strings.Cut(rest, "=")
		var names []string
		for _, v := range variants {
			names = append(names, wordNames(v.Values)...)
			if ok && v.Values[name] == value {
				return nil
			}
		}
		return fmt.Errorf("no variant has %s%s", quoteShort(rest), didYouMean(name, slices.Compact(sorted(names))))
	case "flowtables":
		if rest != "on" && rest != "off" {
			return fmt.Errorf("found condition [%s], expected [flowtables:on] or [flowtables:off]", tag)
		}
		return nil
	}
	return fmt.Errorf("unknown condition [%s]%s; there are %s", tag, didYouMean(kindOf, conditionKinds), strings.Join(conditionKinds, ", "))
}

// holds evaluates a condition that was checked.
func (e *environment) holds(kindOf, rest string) (bool, error) {
	switch kindOf {
	case "knob":
		name, value, _ := strings.Cut(rest, "=")
		want := e.profile.Knobs
		if err := want.Set(name, value); err != nil {
			return false, err
		}
		return want == e.profile.Knobs, nil
	case "matrix":
		name, value, _ := strings.Cut(rest, "=")
		return e.variant[name] == value, nil
	case "flowtables":
		return e.noTables == (rest == "off"), nil
	}
	req, err := parseRequirement(kindOf + ":" + rest)
	return err == nil && e.lacks(req) == "", err
}
