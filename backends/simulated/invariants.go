package simulated

import (
	"fmt"

	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/wire"
)

// Names of the invariants, as the text of a violation begins. What holds with
// the flow table on and off alike is no property of one world: see
// conformance.Config.CheckFlowTable.
const (
	countersInvariant  = "counters conserved"
	checksumInvariant  = "checksums valid"
	loopInvariant      = "no forwarding loop"
	isolationInvariant = "isolated networks"
	policyInvariant    = "tenant policy carried out"
)

// maxViolations bounds the list: one cause often shows in every packet.
const maxViolations = 20

// maxPasses is how often one packet may cross one NIC in one direction. A
// packet that is routed back, hairpinned or tunnelled crosses a wire twice; one
// that circles between routers does so until its TTL is used up.
const maxPasses = 8

// pass is a packet on a wire.
type pass struct {
	id  uint64
	nic *fabric.NIC
	dir fabric.WireDir
}

func (r *recorder) violation(invariant, format string, args ...any) {
	if len(r.violations) < maxViolations {
		r.violations = append(r.violations, invariant+": "+fmt.Sprintf(format, args...))
	}
}

// checkWire holds the invariants of every wire: checksums are valid (on the
// external port of a host by rule VS-43), and no packet goes round in circles.
func (r *recorder) checkWire(n *fabric.NIC, dir fabric.WireDir, frame []byte, id uint64) {
	r.checkPasses(pass{id, n, dir}, frame)
	if r.injected[id] {
		return
	}
	if err := r.decoder(n).VerifyChecksums(frame); err != nil {
		r.violation(checksumInvariant, "wire of %s, %s: %v in %s", n.Point(), dir, err, wire.Summary(frame))
	}
}

// checkPasses counts how often a packet has been here.
func (r *recorder) checkPasses(p pass, frame []byte) {
	r.passes[p]++
	if r.passes[p] == maxPasses+1 {
		r.violation(loopInvariant, "packet #%d crossed the wire of %s (%s) more than %d times: %s",
			p.id, p.nic.Point(), p.dir, maxPasses, wire.Summary(frame))
	}
}

// decoder knows the port that the host at the wire uses for VXLAN.
func (r *recorder) decoder(n *fabric.NIC) wire.Decoder {
	nd := r.w.nodes[n.Node()]
	if nd == nil || nd.host == nil {
		return wire.Decoder{}
	}
	for _, sp := range nd.host.Program().Switches {
		if len(sp.VXLANPorts) > 0 {
			return wire.Decoder{VXLANPort: sp.VXLANPorts[0]}
		}
	}
	return wire.Decoder{}
}

// Invariants are the violations found so far, each behind the name of its
// invariant. Counters are compared now, the rest was when it happened.
func (w *world) Invariants() []string {
	out := append([]string(nil), w.rec.violations...)
	if err := w.sim.TenantError(); err != nil {
		out = append(out, fmt.Sprintf("%s: %v", policyInvariant, err))
	}
	if w.rec.runaway {
		return out // frames were thrown away: no balance can hold
	}
	for _, err := range w.sim.Net.Conserved() {
		out = append(out, fmt.Sprintf("%s: %v", countersInvariant, err))
	}
	return out
}

// injectedOnPurpose notes that a frame is broken because somebody wants it so.
func (r *recorder) injectedOnPurpose(id uint64, frame []byte) {
	if wire.VerifyChecksums(frame) != nil {
		r.injected[id] = true
	}
}
