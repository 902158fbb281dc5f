package explain

import (
	"errors"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/conformance"
	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/scenarios/contract"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/vfp"
)

func mkBook() *Book {
	spec := func(id, base string, rules, requires []string) *conformance.Spec {
		return &conformance.Spec{
			Scenario: reports.Scenario{ID: id, Title: "an idle mapping is released", Area: "nat", Rules: rules, Requirement: "it MUST be released"},
			Base:     base, Path: "nat/idle", Requires: requires,
		}
	}
	return NewBook([]*conformance.Spec{
		spec("S-T-05/proto=udp", "S-T-05", []string{"NAT-13"}, []string{"feature:DSR"}),
		spec("S-T-05/proto=tcp", "S-T-05", []string{"NAT-13"}, nil),
	})
}

func text(t *testing.T, kind, name string) string {
	t.Helper()
	entries, err := mkBook().Find(kind, name)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	WriteText(&b, entries, 100)
	return b.String()
}

func TestEverythingInTheListsCanBeExplained(t *testing.T) {
	book := mkBook()
	for _, kind := range Kinds() {
		names := book.Names(kind)
		if len(names) == 0 {
			t.Errorf("no %s", kind)
		}
		for _, name := range names {
			entries, err := book.Find(kind, name)
			if err != nil || len(entries) != 1 || entries[0].Text == "" {
				t.Errorf("%s %s: %v %+v", kind, name, err, entries)
			}
		}
	}
}

func TestAnExplanationNamesWhatBelongsTogether(t *testing.T) {
	feature := hcn.Features()[0]
	tests := []struct {
		name, kind, what string
		want             []string
	}{
		{"a scenario", "", "S-T-05", []string{"scenario  S-T-05", "it MUST be released", "rule NAT-13", "S-T-05/proto=udp", "S-T-05/proto=tcp"}},
		{"a scenario by its path", "", "nat/idle", []string{"scenario  S-T-05"}},
		{"a scenario by a variant", "", "S-T-05/proto=tcp", []string{"scenario  S-T-05"}},
		{"a rule and who checks it", "", "nat-13", []string{"rule  NAT-13", "confidence", "scenarios   S-T-05", "dataplane.md:"}},
		{"a rule nobody checks", "rule", "OV-08", []string{"scenarios   none"}},
		{"a rule nobody can check", "rule", contract.Marks()[0].Rule.ID, []string{"scenarios", "none", contract.Marks()[0].Kind}},
		{"a drop reason in any case", "", strings.ToLower(vfp.Drops()[0].Name), []string{"drop  " + vfp.Drops()[0].Name}},
		{"an error by number", "", "0x803b0013", []string{"error  HCN_E_PORT_ALREADY_EXISTS", "HRESULT", "when       D.3-"}},
		{"a knob with every profile", "knob", hcn.KnobList()[0].Name, []string{"ws2019", "ws2022", "strict-rfc", "--knob " + hcn.KnobList()[0].Name}},
		{"the profile is a knob", "knob", "profile", []string{"allowed", "ws2016", "--profile"}},
		{"a knob for several", "knob", "nattimers", []string{"30s/2m0s/2m0s/30m0s", "1m0s/2m0s/4m0s/2h4m0s"}},
		{"a feature with its versions", "feature", feature.Name, []string{feature.RangeText(), "ws2025"}},
		{"a profile", "", "WS2025", []string{"profile  ws2025", "26100", "16.0"}},
		{"a proposal nobody wrote", "", "S-NAT-01", []string{"the suite does not have it"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := text(t, tt.kind, tt.what)
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("no %q in\n%s", want, got)
				}
			}
		})
	}
}

func TestUnknownNamesGetASuggestion(t *testing.T) {
	tests := []struct{ kind, name, want string }{
		{"", "NAT-113", "did you mean NAT-1"},
		{"", "WS2O25", "did you mean ws2025?"},
		{"profile", "ws2020", "no profile"},
		{"drop", "NAT-13", `no drop "NAT-13"`},
		{"", "zzzzzzzzzzzzzzzzzzzzzzzz", "knob, feature or profile"},
	}
	for _, tt := range tests {
		_, err := mkBook().Find(tt.kind, tt.name)
		var unknown *UnknownError
		if !errors.As(err, &unknown) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %s: %v", tt.kind, tt.name, err)
		}
	}
}

func TestTheContractCitesDropsThatExist(t *testing.T) {
	for _, d := range vfp.Drops() {
		for _, id := range d.Rules {
			if _, ok := contract.Lookup(id); !ok {
				t.Errorf("drop %s cites %s, which the contract does not have", d.Name, id)
			}
		}
	}
}

// noChoice are the disagreements of the contract's table (a) that leave the
// model nothing to choose.
var noChoice = map[string]string{
	"D-20": "performance, not modelled",
	"D-26": "both are right: policy of two layers",
	"D-27": "two words for one action are both taken",
	"D-28": "who answers ARP cannot be told from the answer",
	"D-29": "a timeout that no document carries",
	"D-32": "address management outside HNS",
}

func TestEveryDisagreementHasAKnob(t *testing.T) {
	of := map[string]string{}
	for _, k := range Knobs() {
		for _, id := range strings.Fields(k.Rules) {
			of[id] = k.Name
		}
		if k.Text == "" || k.Name != profileKnob && len(k.Defaults) != len(hcn.ProfileNames()) {
			t.Errorf("knob %s is not described: %+v", k.Name, k)
		}
	}
	n := 0
	for _, r := range contract.Rules() {
		if r.Section != "(a)" {
			continue
		}
		n++
		switch {
		case of[r.ID] == "" && noChoice[r.ID] == "":
			t.Errorf("%s (%s) has no knob", r.ID, r.Statement)
		case of[r.ID] != "" && noChoice[r.ID] != "":
			t.Errorf("%s has knob %s, and is listed as one without", r.ID, of[r.ID])
		}
	}
	if n != 32 {
		t.Errorf("%d disagreements, the contract has 32", n)
	}
}
