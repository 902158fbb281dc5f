package conformance

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/reports"
)

func mkSpec(id, path string, rules ...string) *Spec {
	area, _, _ := strings.Cut(path, "/")
	labels := []string{"area:" + area}
	for _, r := range rules {
		labels = append(labels, "rule:"+r)
	}
	base, _, _ := strings.Cut(id, "/")
	return &Spec{Scenario: reports.Scenario{ID: id, Area: area, Rules: rules, Labels: labels}, Path: path, Base: base}
}

func mkSpecs() []*Spec {
	return []*Spec{
		mkSpec("S-NAT-01", "nat/tcp-outbound", "NAT-10", "NAT-17"),
		mkSpec("S-NAT-02", "nat/inbound/eim", "NAT-13"),
		mkSpec("S-OV-01", "overlay/remote-subnet", "OV-08"),
		mkSpec("S-OV-11", "overlay/dr-mac", "OV-08", "OV-09"),
	}
}

func ids(specs []*Spec) string {
	var out []string
	for _, s := range specs {
		out = append(out, s.ID)
	}
	return strings.Join(out, " ")
}

func TestSelectorsPickWhatTheySay(t *testing.T) {
	tests := []struct {
		selectors []string
		want      string
	}{
		{nil, "S-NAT-01 S-NAT-02 S-OV-01 S-OV-11"},
		{[]string{"S-NAT-01"}, "S-NAT-01"},
		{[]string{"s-nat-01"}, "S-NAT-01"},
		{[]string{"nat"}, "S-NAT-01 S-NAT-02"},
		{[]string{"nat/**"}, "S-NAT-01 S-NAT-02"},
		{[]string{"nat/*"}, "S-NAT-01"},
		{[]string{"nat/inbound"}, "S-NAT-02"},
		{[]string{"**/eim"}, "S-NAT-02"},
		{[]string{"S-OV-?1"}, "S-OV-01 S-OV-11"},
		{[]string{"rule:OV-08"}, "S-OV-01 S-OV-11"},
		{[]string{"rule:NAT-*"}, "S-NAT-01 S-NAT-02"},
		{[]string{"label:rule:OV-09"}, "S-OV-11"},
		{[]string{"area:overlay"}, "S-OV-01 S-OV-11"},
		{[]string{"id:S-NAT-*"}, "S-NAT-01 S-NAT-02"},
		{[]string{"path:overlay/dr-mac"}, "S-OV-11"},
		{[]string{"S-OV-11", "nat/inbound"}, "S-NAT-02 S-OV-11"},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.selectors, " "), func(t *testing.T) {
			got, err := Select(mkSpecs(), tt.selectors)
			if err != nil {
				t.Fatal(err)
			}
			if ids(got) != tt.want {
				t.Errorf("got %s, want %s", ids(got), tt.want)
			}
		})
	}
}

func TestAnIDPicksAllVariantsOfItsScenario(t *testing.T) {
	suite := append(mkSpecs(), mkSpec("S-LB-15/proto=tcp", "lb/other-node"), mkSpec("S-LB-15/proto=udp", "lb/other-node"), mkSpec("S-LB-150", "lb/else"))
	tests := []struct{ selector, want string }{
		{"S-LB-15", "S-LB-15/proto=tcp S-LB-15/proto=udp"},
		{"id:s-lb-15", "S-LB-15/proto=tcp S-LB-15/proto=udp"},
		{"S-LB-*", "S-LB-15/proto=tcp S-LB-15/proto=udp S-LB-150"},
		{"S-LB-15/proto=udp", "S-LB-15/proto=udp"},
		{"id:S-LB-15/proto=tcp", "S-LB-15/proto=tcp"},
		{"S-LB-15/*", "S-LB-15/proto=tcp S-LB-15/proto=udp"},
	}
	for _, tt := range tests {
		got, err := Select(suite, []string{tt.selector})
		if err != nil || ids(got) != tt.want {
			t.Errorf("%s: got %s (%v), want %s", tt.selector, ids(got), err, tt.want)
		}
	}
	for selector, want := range map[string]string{"S-LB-51": "S-LB-15", "S-LB-15/proto=upd": "S-LB-15/proto=udp"} {
		var nothing *NoMatchError
		if _, err := Select(suite, []string{selector}); !errors.As(err, &nothing) || nothing.Suggestion != want {
			t.Errorf("%s: %v", selector, err)
		}
	}
}

func TestASelectorThatPicksNothingIsAnErrorWithASuggestion(t *testing.T) {
	tests := []struct{ selector, suggestion string }{
		{"S-NTA-01", "S-NAT-01"},
		{"ovrelay", "overlay"},
		{"overlay/dr-mca", "overlay/dr-mac"},
		{"rule:OV-8", "rule:OV-08"},
		{"area:natt", "area:nat"},
		{"completely-different-thing", ""},
	}
	for _, tt := range tests {
		_, err := Select(mkSpecs(), []string{"S-NAT-01", tt.selector})
		var nothing *NoMatchError
		if !errors.As(err, &nothing) || nothing.Suggestion != tt.suggestion || nothing.Selector != tt.selector {
			t.Errorf("%s: %v", tt.selector, err)
		}
	}
}

func TestPatternsRespectTheSlash(t *testing.T) {
	tests := []struct {
		pattern, text string
		want          bool
	}{
		{"a/*", "a/b", true}, {"a/*", "a/b/c", false}, {"a/**", "a/b/c", true}, {"**", "a/b", true}, {"*", "", true},
		{"a?c", "abc", true}, {"a?c", "a/c", false}, {"", "", true}, {"", "a", false}, {"a**b", "axx/yb", true}, {"A", "a", true},
	}
	for _, tt := range tests {
		if got := glob(tt.pattern, tt.text); got != tt.want {
			t.Errorf("glob(%q, %q) = %v", tt.pattern, tt.text, got)
		}
	}
}

func TestShardsAreDisjointCompleteAndStable(t *testing.T) {
	seen := map[string]int{}
	sizes := make([]int, 5)
	for i := 1; i <= 5; i++ {
		s, err := ParseShard(fmt.Sprintf("%d/5", i))
		if err != nil {
			t.Fatal(err)
		}
		for n := range 500 {
			if id := fmt.Sprintf("S-NAT-%03d", n); s.Has(id) {
				seen[id]++
				sizes[i-1]++
			}
		}
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s is in %d shards", id, n)
		}
	}
	if len(seen) != 500 || slices.Min(sizes) < 50 {
		t.Errorf("%d scenarios, shards of %v", len(seen), sizes)
	}
	for _, bad := range []string{"0/5", "6/5", "1", "a/b", "1/0", "-1/5", "1/2/3"} {
		if _, err := ParseShard(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func FuzzParseSelector(f *testing.F) {
	for _, s := range []string{"nat/**", "rule:NAT-1?", "label:area:nat", "*", "x:y"} {
		f.Add(s)
	}
	specs := mkSpecs()
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSelector(text)
		if err != nil || len(text) > 200 {
			return
		}
		for _, spec := range specs {
			s.Matches(spec)
		}
		suggestSelector(s, specs)
	})
}
