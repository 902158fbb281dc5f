package conformance

import (
	"context"
	"slices"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/scenarios/script"
)

// comparesFlowTable reports whether a scenario is run a second time: on request,
// or because it says so itself. Two runs can be compared where a run repeated
// would be the same.
func (r *Runner) comparesFlowTable(s *Spec) bool {
	asked := r.cfg.CheckFlowTable || s.script != nil && s.script.FlowTable
	return asked && slices.Contains(r.cfg.Backend.Capabilities(), backends.VirtualTime)
}

// flowTableDiffers runs a scenario again with the flow tables switched the
// other way and compares all that was seen: rule VFP-12 says that nothing but
// speed depends on them. It returns nil if the two runs are equal. Programs of
// other people run in real time, so scenarios with programs are left out.
func (r *Runner) flowTableDiffers(ctx context.Context, s *Spec, raw *script.Result, opt script.Options) *script.Result {
	if s.script != nil && s.script.ProgramTime > 0 {
		return nil
	}
	opt.NoFlowCache, opt.Update = !opt.NoFlowCache, false
	other := r.attempt(ctx, s, opt)
	if ctx.Err() != nil {
		return nil
	}
	on, off := raw, other
	if r.cfg.NoFlowCache {
		on, off = other, raw
	}
	where := script.Difference(on, off)
	if where == "" {
		return nil
	}
	out := *raw
	out.Status = script.Failed
	out.Reason = "flow table on equals off: the two runs went differently"
	out.Failure = &script.Failure{
		Expected: "the same with the flow tables on and off (rule VFP-12)",
		Received: where,
		Message:  "flow tables on | off: " + where,
	}
	return &out
}
