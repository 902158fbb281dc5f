package conformance

import (
	"context"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/scenarios/script"
)

func TestADifferenceBetweenFlowTableOnAndOffIsAFailure(t *testing.T) {
	exec := func(_ context.Context, sc *script.Scenario, _ backends.Backend, opt script.Options) *script.Result {
		out := &script.Result{ID: sc.ID, Status: script.Passed, EventHash: "same"}
		if sc.ID == "S-T-04" && opt.NoFlowCache {
			out.EventHash = "other"
		}
		return out
	}
	sim := fakeBackend{caps: []backends.Capability{backends.VirtualTime}}
	for _, off := range []bool{false, true} {
		if rep := run(t, Config{exec: exec, NoFlowCache: off, CheckFlowTable: true}); !rep.Totals().Green() {
			t.Errorf("in real time two runs are never equal: %+v", rep.Totals())
		}
		if rep := run(t, Config{Backend: sim, exec: exec, NoFlowCache: off}); !rep.Totals().Green() {
			t.Errorf("without the check: %+v", rep.Totals())
		}
		rep := run(t, Config{Backend: sim, exec: exec, NoFlowCache: off, CheckFlowTable: true})
		res := statusOf(rep, "S-T-04")
		if rep.Totals().Failed != 1 || res.Status != reports.Failed || !strings.Contains(res.Reason, "flow table on equals off") {
			t.Errorf("%+v %+v", rep.Totals(), res)
		}
		if !strings.Contains(res.Failure.Received, "same | other") || !strings.Contains(res.Repro, "--check-flow-table") {
			t.Errorf("%+v %q", res.Failure, res.Repro)
		}
	}
}
