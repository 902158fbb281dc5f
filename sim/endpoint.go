package sim

import (
	"fmt"
	"slices"

	"github.com/hnsim/hnsim/sim/hns"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/vswitch"
)

// EndpointPort says which switch port belongs to an endpoint; ok is false if
// the endpoint has none here.
func (h *Host) EndpointPort(endpointID string) (sw string, port vfp.PortID, ok bool) {
	if h.state == nil {
		return "", 0, false
	}
	e := h.state.EndpointByID(endpointID)
	if e == nil || e.Remote {
		return "", 0, false
	}
	want := hns.EndpointPort(e.Num)
	for _, sp := range h.Program().Switches {
		if sp.Config.Port(want) != nil {
			return sp.Config.Name, want, true
		}
	}
	return "", 0, false
}

// endpointStats reads the counters of an endpoint's switch port, which begin
// when the port is made: zero for an endpoint that has none.
func (h *Host) endpointStats(endpointID string) hns.EndpointStats {
	sw, port, ok := h.EndpointPort(endpointID)
	if !ok {
		return hns.EndpointStats{}
	}
	var n vswitch.Counters
	var v vfp.PortCounters
	h.Quiet(func() {
		s := h.Switch(sw)
		n, v = s.Counters(port), s.VFP(port).Counters
	})
	return hns.EndpointStats{
		BytesSent: v.Bytes[vfp.Out], PacketsSent: v.Packets[vfp.Out], DroppedPacketsOutgoing: n.SentDrop,
		BytesReceived: v.Bytes[vfp.In], PacketsReceived: v.Packets[vfp.In], DroppedPacketsIncoming: n.Dropped() - n.SentDrop,
	}
}

// Reboot restarts the host: what lives in memory is gone, and what HNS keeps
// on disk comes back (rule NAT-06).
func (h *Host) Reboot() error {
	h.compiler.Forget()
	if err := h.Host.Reboot(); err != nil {
		return err
	}
	return h.HNS.Reboot()
}

// Teardown removes every object of the host's HNS and returns what is left:
// objects that would not go, ports that nobody released, switches that stayed.
func (h *Host) Teardown() []string {
	var left []string
	complain := func(what, id string, err error) {
		if err != nil {
			left = append(left, fmt.Sprintf("host %s: %s %s: %v", h.Name(), what, id, err))
		}
	}
	for _, kind := range []hns.Kind{"loadbalancer", "route", "endpoint", "namespace", "network"} {
		for _, id := range h.objects(kind) {
			if kind == "namespace" {
				h.stopContainers(id)
			}
			_, _, err := h.HNS.Do(kind, "delete", id, "", nil)
			complain(string(kind), id, err)
		}
	}
	for _, sp := range h.Program().Switches {
		left = append(left, fmt.Sprintf("host %s: switch %s", h.Name(), sp.Config.Name))
	}
	return left
}

// objects lists the ids of the state's objects of a kind, newest first.
func (h *Host) objects(kind hns.Kind) []string {
	if h.state == nil {
		return nil
	}
	var ids []string
	switch kind {
	case "loadbalancer":
		for _, o := range h.state.LoadBalancers {
			ids = append(ids, o.Doc.ID)
		}
	case "route":
		for _, o := range h.state.Routes {
			ids = append(ids, o.Doc.ID)
		}
	case "endpoint":
		for _, o := range h.state.Endpoints {
			ids = append(ids, o.Doc.ID)
		}
	case "namespace":
		for _, o := range h.state.Namespaces {
			if o.Compartment != 1 { // the host's own is always there (F.4)
				ids = append(ids, o.Doc.ID)
			}
		}
	case "network":
		for _, o := range h.state.Networks {
			ids = append(ids, o.Doc.ID)
		}
	}
	slices.Reverse(ids)
	return ids
}

func (h *Host) stopContainers(ns string) {
	n := h.state.NamespaceByID(ns)
	if n == nil {
		return
	}
	for _, c := range slices.Clone(n.Containers) {
		_ = h.HNS.StopContainer(ns, c.ID)
	}
}

// NamespaceOf is the namespace that an endpoint has joined, or "".
func (h *Host) NamespaceOf(endpointID string) string {
	if h.state == nil {
		return ""
	}
	if e := h.state.EndpointByID(endpointID); e != nil {
		return e.Namespace
	}
	return ""
}
