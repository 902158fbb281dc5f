package hns

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/hnsim/hnsim/sim/hcn"
)

// Rule ACL-33: sets that contain each other have the members of both, whichever
// is resolved first.
func TestSetsThatContainEachOtherHaveTheSameMembers(t *testing.T) {
	n := &Network{Doc: &hcn.Network{}}
	for _, s := range []hcn.SetPolicySettings{
		{ID: "a", Name: "a", Type: hcn.NestedIPSet, Values: "b,one"},
		{ID: "b", Name: "b", Type: hcn.NestedIPSet, Values: "a,two,nobody"},
		{ID: "one", Name: "one", Type: hcn.IPSet, Values: "10.0.0.1"},
		{ID: "two", Name: "two", Type: hcn.IPSet, Values: "10.0.0.2"},
	} {
		n.Doc.Policies = append(n.Doc.Policies, hcn.NewPolicy(hcn.PolicySetPolicy, s))
	}
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("10.0.0.2/32")}
	for range 64 { // a map's order is another one every time
		sets := setsOf(n)
		for _, id := range []string{"a", "b"} {
			got := slices.SortedFunc(slices.Values(sets[id].Prefixes), func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
			if !slices.Equal(got, want) {
				t.Fatalf("set %s has %v, expected %v", id, got, want)
			}
		}
	}
}
