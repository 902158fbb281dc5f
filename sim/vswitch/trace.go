package vswitch

import (
	"fmt"
	"strings"

	"github.com/hnsim/hnsim/sim/vfp"
)

// The functions here run only for traced batches and change nothing.

func (f *transit) note(p *vfp.Packet, q *port, dir vfp.Dir, note, cite string) {
	f.trace.Add(vfp.Record{Kind: vfp.TraceNote, Now: f.now, ID: p.ID, Port: q.cfg.ID, Dir: dir, Note: note, Cite: cite})
}

func (s *Switch) traceDrop(f *transit, q *port, p *vfp.Packet, r vfp.Drop) {
	dir := vfp.In
	if q == f.in {
		dir = vfp.Out
	}
	f.trace.Add(vfp.Record{Kind: vfp.TraceDrop, Now: f.now, ID: p.ID, Port: q.cfg.ID, Dir: dir, Drop: r, Note: "switch", Cite: cites(r)})
}

// cites are the rules that the drop list gives for r.
func cites(r vfp.Drop) string {
	for _, d := range vfp.Drops() {
		if d.Drop == r {
			return strings.Join(d.Rules, " ")
		}
	}
	return ""
}

func (s *Switch) traceDecision(f *transit, p *vfp.Packet, w *vfp.Walk, d *decision) {
	switch {
	case d.drop != vfp.DropNone:
	case d.who == onePort && d.toPA:
		f.note(p, f.in, vfp.Out, fmt.Sprintf("to port %d %q, next hop by the host's routes", d.port.cfg.ID, d.port.cfg.Name), "")
	case d.who == onePort && w.Fwd.Kind == vfp.ByMAC:
		f.note(p, f.in, vfp.Out, fmt.Sprintf("to port %d %q for %s", d.port.cfg.ID, d.port.cfg.Name, w.H.EthDst), "VS-10 VS-11")
	case d.who == onePort:
		f.note(p, f.in, vfp.Out, fmt.Sprintf("to port %d %q, as a layer decided", d.port.cfg.ID, d.port.cfg.Name), "")
	case d.who == nobody:
		f.note(p, f.in, vfp.Out, "in copies only", "SDN-07")
	default:
		f.note(p, f.in, vfp.Out, "flood: "+[...]string{
			everyone: "every port of the domain", unknown: "uplink and ports with MAC spoofing",
			localOnly: "endpoint ports", wireAndHost: "uplink and host",
		}[d.who], "VS-11 VS-14")
	}
}
