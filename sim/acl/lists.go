package acl

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/hnsim/hnsim/sim/vfp"
)

// Lists is everything that decides about an endpoint's traffic: the rules of
// its network (NetworkACL, rule ACL-32), its tiers (TierAcl, rule ACL-30) and
// its own rules. A packet meets one list after the other; Allow and Block end
// that, Pass and no match go on, and behind the last list stands the default
// posture (rule ACL-31).
type Lists struct {
	Network  []Rule
	Tiers    []Tier
	Endpoint []Rule
}

// Tier is one list of a direction. Its rules' Dir is ignored: the tier's
// counts. Rules of tiers are Switch rules.
type Tier struct {
	Name  string
	Dir   vfp.Dir
	Order uint16 // lower runs first; equal ones in the order of Lists.Tiers
	Rules []Rule
}

// Precedence says which lists come first; sources are silent about it, so it
// is a knob (aclPrecedence). The endpoint's own rules are always last.
type Precedence uint8

const (
	NetworkFirst Precedence = iota // network, tiers, endpoint
	TiersFirst                     // tiers, network, endpoint
)

// maxLists bounds the lists of an endpoint, so that every one has a group
// priority of its own.
const maxLists = 1000

// ErrTiers is the error for more lists than an endpoint may have.
var ErrTiers = errors.New("too many tiers")

// list is rules that are evaluated together.
type list struct {
	name  string // part of the names of its groups: "NETWORK", "TIER_20_admin"
	cite  string // contract rule of rules that name none
	rules []Rule
}

// ordered puts the lists in the order of evaluation.
func (l Lists) ordered(opt Options) ([]list, error) {
	if len(l.Tiers) > maxLists-2 {
		return nil, fmt.Errorf("%w: %d, at most %d are supported", ErrTiers, len(l.Tiers), maxLists-2)
	}
	network := list{"NETWORK", "ACL-32", l.Network}
	tiers := slices.Clone(l.Tiers)
	slices.SortStableFunc(tiers, func(a, b Tier) int {
		if opt.TiersDescending {
			a, b = b, a
		}
		return cmp.Compare(a.Order, b.Order)
	})
	var out []list
	if opt.Precedence == NetworkFirst {
		out = append(out, network)
	}
	for _, t := range tiers {
		out = append(out, t.list())
	}
	if opt.Precedence == TiersFirst {
		out = append(out, network)
	}
	return append(out, list{"ENDPOINT", "ACL-05", l.Endpoint}), nil
}

// list turns the tier's rules in its direction.
func (t Tier) list() list {
	l := list{fmt.Sprintf("TIER_%d_%s", t.Order, t.Name), "ACL-30", slices.Clone(t.Rules)}
	for i := range l.rules {
		r := &l.rules[i]
		r.Dir, r.RuleType = t.Dir, Switch
	}
	return l
}

func haveType(lists []list, t RuleType) bool {
	return slices.ContainsFunc(lists, func(l list) bool {
		return slices.ContainsFunc(l.rules, func(r Rule) bool { return r.RuleType == t })
	})
}
