package conformance_test

import (
	"context"
	"flag"
	"slices"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	"github.com/onsi/gomega"

	"github.com/hnsim/hnsim/backends/simulated"
	"github.com/hnsim/hnsim/conformance"
	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/sim/rounds"
)

// The suite against the model, as anybody's Ginkgo suite would have it:
//
//	go test ./conformance -args -profile ws2019 -seed 7 -ginkgo.label-filter 'area:nat'
var (
	profile = flag.String("profile", "", "build profile; empty is the default one")
	seed    = flag.Uint64("seed", 1, "seed")
)

func suiteConfig() conformance.Config {
	return conformance.Config{
		Backend: simulated.Backend{}, Profile: *profile, Seed: *seed,
		// Reports without times: the two ways of running are compared.
		Now: func() time.Time { return time.Date(2026, 5, 11, 0, 0, 0, 0, time.UTC) },
	}
}

func TestConformance(t *testing.T) {
	gomega.RegisterFailHandler(ginkgo.Fail)
	conformance.Register(suiteConfig())
	var got types.Report
	ginkgo.ReportAfterSuite("keep the report", func(r ginkgo.Report) { got = r })
	how, _ := ginkgo.GinkgoConfiguration()
	if rounds.Few() && how.LabelFilter == "" {
		how.LabelFilter = "!slow" // the runner runs them below, several at a time
	}
	ginkgo.RunSpecs(t, "hnsim conformance", how)
	compareWithRunner(t, got)
}

// longest is how much time a scenario may let pass that is not labelled slow:
// somewhere it is really waited for.
const longest = 30 * time.Minute

// compareWithRunner holds the two ways of running to equal results.
func compareWithRunner(t *testing.T, got types.Report) {
	t.Helper()
	runner, err := conformance.NewRunner(suiteConfig())
	if err != nil {
		t.Fatal(err)
	}
	rep := runner.Run(context.Background(), conformance.Observer{})
	states := map[string]types.SpecState{}
	for _, s := range got.SpecReports {
		if s.LeafNodeType == types.NodeTypeIt {
			states[s.LeafNodeLocation.FileName+" "+s.LeafNodeText] = s.State
		}
	}
	if len(states) != len(rep.Results) {
		t.Errorf("Ginkgo has %d specs, the runner %d results", len(states), len(rep.Results))
	}
	for _, res := range rep.Results {
		if res.Virtual > longest && !slices.Contains(res.Labels, "slow") {
			t.Errorf("%s lets %v pass: scenarios of more than %v are labelled slow", res.ID, res.Virtual, longest)
		}
		state := states[res.File+" "+res.ID+": "+res.Title]
		if state == types.SpecStateSkipped && res.Status != reports.Skipped && got.SuiteConfig.LabelFilter != "" {
			continue // filtered by whoever asked for it
		}
		want := types.SpecStatePassed
		switch res.Status {
		case reports.Skipped:
			want = types.SpecStateSkipped
		case reports.Failed, reports.Error:
			want = types.SpecStateFailed
		}
		if state != want {
			t.Errorf("%s: Ginkgo says %s, the runner %s", res.ID, state, res.Status)
		}
	}
}
