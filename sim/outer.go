package sim

import "github.com/hnsim/hnsim/sim/fabric"

// outerSuffix follows the host's name in the name of its outer switch.
const outerSuffix = "/outer"

// addOuter makes the outer switch that cfg asks for and moves the host's NIC
// to the switch's inner segment.
func (w *World) addOuter(cfg *HostConfig) (*fabric.Outer, error) {
	if cfg.Outer == nil {
		return nil, nil
	}
	if cfg.MAC.IsZero() {
		// Both sides must agree on the MAC that the VM was assigned.
		cfg.MAC = w.Net.MAC(cfg.Name, 0)
	}
	oc := *cfg.Outer
	oc.Name, oc.Segment, oc.VM = cfg.Name+outerSuffix, cfg.Segment, cfg.MAC
	oc.NoFlowCache, oc.Trace = w.cfg.NoFlowCache, w.cfg.Trace
	if oc.MTU == 0 {
		oc.MTU = cfg.MTU
	}
	o, err := w.Net.AddOuter(oc)
	if err != nil {
		return nil, err
	}
	cfg.Segment = o.Segment()
	return o, nil
}

// Outer is the switch of the physical machine that the host runs on, or nil.
// Drops and frames there are observed under its Name.
func (h *Host) Outer() *fabric.Outer { return h.outer }
