package contract

import (
	"slices"
	"strings"
	"testing"
)

func TestEveryScenarioOfTheContractIsListed(t *testing.T) {
	// The file states its own totals per area.
	want := map[string]int{"vSwitch": 20, "nat": 30, "transparent": 8, "l2bridge": 22, "l2tunnel": 5, "overlay": 28,
		"load balancer": 25, "ACL": 22, "QoS, proxy, compartments": 13, "tenant SDN": 21, "VFP engine": 9}
	got := map[string]int{}
	for _, p := range Scenarios() {
		got[p.Area]++
		if p.Topology == "" || p.Stimulus == "" || p.Expected == "" || len(p.Rules) == 0 {
			t.Errorf("%s is incomplete: %+v", p.ID, p)
		}
	}
	for area, n := range want {
		if got[area] != n {
			t.Errorf("%s: %d scenarios, the contract says %d", area, got[area], n)
		}
	}
	if len(Scenarios()) != 203 {
		t.Errorf("%d scenarios, the contract says 203", len(Scenarios()))
	}
}

func TestRulesAreFoundWithTheirConfidence(t *testing.T) {
	tests := []struct {
		id, statement string
		confidence    string
		section       string
	}{
		{"NAT-13", "endpoint-independent mapping", "spec inferred", "3.2"},
		{"VS-10", "MAC table is primarily", "inferred", "2.2"},
		{"NAT-36", "Host loopback", "issue recall", "3.4"},
		{"L2T-01", "As l2bridge for MAC rewrite", "docs", "6"},
		{"VFP-12", "Equivalence property", "inferred", "14"},
		{"D-07", "VNI width", "inferred", "(a)"},
		{"B-25", "100-port blocks excluded", "issue", "(b)"},
		{"step-1", "Port state", "docs", "1"},
		{"7.1", "Wire format", "spec docs", "7.1"},
		{"9.2", "Defaults by build", "docs issue", "9.2"},
		{"A5a", "views the text", "inferred", "A.1"},
		{"D.3-28", "Duplicate port mapping", "test", "D.3"},
		{"G.5", "Persistence", "src issue", "G.5"},
	}
	for _, test := range tests {
		r, ok := Lookup(test.id)
		if !ok {
			t.Errorf("%s is not found", test.id)
			continue
		}
		if !strings.Contains(r.Statement, test.statement) {
			t.Errorf("%s: statement is %q", test.id, r.Statement)
		}
		if got := strings.Join(r.Confidence, " "); got != test.confidence {
			t.Errorf("%s: confidence is %q, want %q", test.id, got, test.confidence)
		}
		if r.Section != test.section {
			t.Errorf("%s: section is %q, want %q", test.id, r.Section, test.section)
		}
		if !strings.Contains(line(t, r), strings.TrimPrefix(strings.TrimPrefix(r.ID, "D.3-"), "step-")) {
			t.Errorf("%s: %s:%d is %q", test.id, r.File, r.Line, line(t, r))
		}
	}
}

func line(t *testing.T, r *Rule) string {
	t.Helper()
	text := map[string]string{"dataplane.md": dataplane, "controlplane.md": controlplane}[r.File]
	return strings.Split(text, "\n")[r.Line-1]
}

func TestEveryRuleFamilyIsComplete(t *testing.T) {
	// Counted in the files by hand: a table that stops being recognised shows.
	want := map[string]int{"VS": 30, "NAT": 35, "TR": 9, "L2B": 27, "L2T": 6, "OV": 30, "LB": 21, "ACL": 24,
		"QOS": 4, "PX": 4, "CMP": 12, "SDN": 22, "VFP": 13, "D": 32, "B": 52, "step": 8, "D.3": 49}
	got := map[string]int{}
	for _, r := range Rules() {
		if prefix, _, ok := strings.Cut(r.ID, "-"); ok {
			got[prefix]++
		}
		if len(r.Confidence) == 0 || r.Statement == "" {
			t.Errorf("%s has no confidence or statement", r.ID)
		}
		for _, c := range r.Confidence {
			if ConfidenceMeaning(c) == "" {
				t.Errorf("%s: unknown confidence %q", r.ID, c)
			}
		}
	}
	for family, n := range want {
		if got[family] != n {
			t.Errorf("%s: %d rules, want %d", family, got[family], n)
		}
	}
}

func TestLookupIgnoresCaseAndReadsSteps(t *testing.T) {
	for _, id := range []string{"nat-13", "NAT-13", " Nat-13 ", "step 1", "Step-1", "d.3-22"} {
		if _, ok := Lookup(id); !ok {
			t.Errorf("%q is not found", id)
		}
	}
	for _, id := range []string{"", "NAT-99", "S-NAT-01", "c.12", "0", "15.1"} {
		if r, ok := Lookup(id); ok {
			t.Errorf("%q is found as %s", id, r.ID)
		}
	}
	if p, ok := LookupScenario("s-nat-01"); !ok || p.ID != "S-NAT-01" {
		t.Error("s-nat-01 is not found")
	}
}

func TestCitationsAreExpanded(t *testing.T) {
	tests := []struct{ text, want string }{
		{"NAT-10/17/18", "NAT-10 NAT-17 NAT-18"},
		{"3.3, D-04", "3.3 D-04"},
		{"VS step 1, OV-21", "step-1 OV-21"},
		{"ACL 9.2", "9.2"},
		{"L2B-02/17", "L2B-02 L2B-17"},
		{"OV-30 / perf", "OV-30"},
		{"7.1, OV-08, OV-08", "7.1 OV-08"},
		{"D.3-22 A5a B-25 step-3 0.6", "D.3-22 A5a B-25 step-3 0.6"},
		{"no rule here, x1 B", ""},
	}
	for _, test := range tests {
		if got := strings.Join(ExpandRefs(test.text), " "); got != test.want {
			t.Errorf("%q: %q, want %q", test.text, got, test.want)
		}
	}
}

func TestTablesAreSplitOutsideCodeAndEscapes(t *testing.T) {
	tests := []struct {
		line string
		want []string
	}{
		{"| a | b |", []string{"a", "b"}},
		{"| a `x|y` | b \\| c |", []string{"a `x|y`", "b \\| c"}},
		{"|a|", []string{"a"}},
		{"| a | b", []string{"a", "b"}},
		{"| a | |", []string{"a", ""}},
		{"text", nil},
		{"|", nil},
		{"", nil},
	}
	for _, test := range tests {
		got, ok := tableCells(test.line)
		if ok != (test.want != nil) || !slices.Equal(got, test.want) {
			t.Errorf("%q: %q", test.line, got)
		}
	}
}

func TestHeadingsGiveSectionNumbers(t *testing.T) {
	tests := []struct{ title, id, rest string }{
		{"3.3 Timers and state", "3.3", "Timers and state"},
		{"3. Mode `nat`", "3", "Mode `nat`"},
		{"(a) Disagreements", "(a)", "Disagreements"},
		{"c.2 nat", "c.2", "nat"},
		{"A. Entry points", "A", "Entry points"},
		{"D.3 Condition", "D.3", "Condition"},
		{"Appendix: knobs", "", "Appendix: knobs"},
		{"Enumerations", "", "Enumerations"},
		{"", "", ""},
	}
	for _, test := range tests {
		if id, rest := sectionID(test.title); id != test.id || rest != test.rest {
			t.Errorf("%q: %q, %q", test.title, id, rest)
		}
	}
}

func TestDefinitionsMustNotRepeat(t *testing.T) {
	x := &index{byID: map[string]*Rule{}, scenario: map[string]*Proposal{}}
	table := "| Rule | Statement | Conf. |\n|---|---|---|\n| NAT-01 | a | [spec] |\n| NAT-01 | b | [spec] |\n"
	if err := x.add("f.md", table); err == nil || !strings.Contains(err.Error(), "f.md:4") {
		t.Errorf("error is %v", err)
	}
}

func FuzzParseDocument(f *testing.F) {
	f.Add("## 1. A\n| Rule | Statement | C |\n|---|---|---|\n| NAT-01 | x | [spec] |\n")
	f.Add("|a|\\")
	f.Add("### (a) x\n|`|`|")
	f.Fuzz(func(t *testing.T, text string) {
		d := parseDocument("f.md", text)
		lines := strings.Count(text, "\n") + 1
		for _, r := range d.rows {
			if r.line < 1 || r.line > lines || len(r.cells) == 0 || len(r.header) == 0 {
				t.Fatalf("bad row %+v", r)
			}
		}
		x := &index{byID: map[string]*Rule{}, scenario: map[string]*Proposal{}}
		_ = x.add("f.md", text)
		ExpandRefs(text)
	})
}
