package slb

import (
	"fmt"

	"github.com/hnsim/hnsim/sim/vfp"
)

// place is the kind of port that a rule is for.
type place uint8

const (
	atClient place = iota
	atWire
	atHost
)

// balance sends a flow to one of the backends.
type balance struct {
	f       Frontend
	targets []string // of f.Backends
	at      place
}

func (b *balance) Name() string {
	if b.f.PreserveDIP {
		return "steer"
	}
	return "lbnat"
}

// Spaces is the set of backends, which all rules of the frontend share.
func (b *balance) Spaces() []vfp.Space {
	return []vfp.Space{{Name: fmt.Sprintf("SLB_DIP_SPACE_%s_%d_%d", b.f.VIP, b.f.Port, b.f.Proto), Entries: len(b.f.Backends)}}
}

// Apply must not choose by anything but the packet's tuple: the choice is made
// again for packets whose flow has been forgotten.
func (b *balance) Apply(w *vfp.Walk) vfp.Outcome {
	i := b.f.Dist.Pick(&w.H, len(b.f.Backends))
	be := &b.f.Backends[i]
	w.Target = b.targets[i]
	if !b.f.PreserveDIP {
		w.H.Dst, w.H.DstPort = be.Addr, b.f.Internal
	}
	if b.at != atClient || b.f.PreserveDIP {
		b.steer(w, be)
	}
	if b.at == atWire && !b.f.DSR {
		return b.f.SNAT.Apply(w)
	}
	return vfp.Continue
}

// steer sends the frame to its backend where no layer behind this one does.
func (b *balance) steer(w *vfp.Walk, be *Backend) {
	w.Turn = b.at == atWire && !be.local()
	switch {
	case be.local():
		w.H.EthDst, w.Zone = be.MAC, be.Zone
		w.Fwd = vfp.Forward{Kind: vfp.ToPort, Port: be.Port}
	case be.Router.IsZero(): // routed by the host's neighbours
		w.Fwd = vfp.Forward{Kind: vfp.ToPA}
	default:
		w.H.EthDst = be.Router // the overlay's business (rule OV-05)
	}
}

// sourceNAT is the second half of balancing without DSR at a client's port. It
// tells the frontend by what the packet was before the first half changed it.
type sourceNAT struct {
	by      map[key]*Frontend
	targets map[key]string
}

func (*sourceNAT) Name() string { return "dynnat" }

// balanced reports whether the walk's packet has been sent to a backend of a
// frontend without DSR.
func (s *sourceNAT) balanced(w *vfp.Walk) bool {
	return w.H.Src == w.In.Src && w.H.Dst != w.In.Dst && w.In.Dst.IsValid() && s.by[inKey(w)] != nil
}

// inKey is the frontend that the packet entered the switch for. Later fragments
// have no ports there, but their flow is known by then or nothing is.
func inKey(w *vfp.Walk) key { return key{w.In.Dst, w.In.Proto, w.In.DstPort} }

func (s *sourceNAT) Apply(w *vfp.Walk) vfp.Outcome {
	k := inKey(w)
	w.Target = s.targets[k]
	return s.by[k].SNAT.Apply(w)
}

// refuse drops what arrives for a pool port that no flow holds, as VFP's NAT
// does (rule L2B-25). The next flow may take the port, so nothing is cached.
type refuse struct{}

func (refuse) Name() string { return "block" }

func (refuse) Apply(w *vfp.Walk) vfp.Outcome {
	w.Drop, w.NoCache = vfp.DropNoMapping, true
	return vfp.Stop
}

// turnBack sends a reply that came from the wire, and has its frontend's
// address again, back there (rule LB-16).
type turnBack struct{}

func (turnBack) Name() string { return "hairpin" }

func (turnBack) Apply(w *vfp.Walk) vfp.Outcome {
	w.Fwd = vfp.Forward{Kind: vfp.ToPA}
	return vfp.Continue
}

// answered: only load balancing gives a packet from the wire another source. Its
// new flows are on their way by now, so this is the answer to one.
func answered(w *vfp.Walk) bool { return w.Fwd.Kind == vfp.ByMAC && w.H.Src != w.In.Src }
