package simulated

import (
	"strconv"
	"strings"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/sdn"
	"github.com/hnsim/hnsim/sim/vfp"
)

// recorder keeps what was seen, in order, and checks what must always hold.
type recorder struct {
	w          *world
	seen       []backends.Observation
	violations []string
	traces     map[uint64]*vfp.Trace
	tracing    bool

	passes   map[pass]int
	injected map[uint64]bool // packets with checksums that are wrong on purpose
	runaway  bool            // frames were thrown away to end a loop
	domains  map[*sim.Host]*domains

	lane *lane // open: nothing is recorded, the lane knows by itself
	// tally, when set, is told what roles receive, and nothing is recorded.
	tally func(role string, now int64, frame []byte)
}

func newRecorder(w *world, tracing bool) *recorder {
	return &recorder{w: w, traces: map[uint64]*vfp.Trace{}, tracing: tracing,
		passes: map[pass]int{}, injected: map[uint64]bool{}, domains: map[*sim.Host]*domains{}}
}

func (r *recorder) observer() fabric.Observer {
	return fabric.Observer{
		OnWire: func(now int64, n *fabric.NIC, dir fabric.WireDir, frame []byte, id uint64) {
			if r.silent() {
				return
			}
			o := r.add(now, backends.OnWire, n.Node(), frame, id)
			o.Peer, o.Where = dir.String(), n.Name()
			r.checkWire(n, dir, frame, id)
		},
		OnReceive: func(now int64, node, iface string, frame []byte, id uint64) {
			if r.tally != nil {
				r.tally(r.role(node), now, frame)
			}
			if r.silent() {
				return
			}
			r.add(now, backends.Received, r.role(node), frame, id).Where = iface
		},
		OnSend: func(now int64, node, iface string, frame []byte, id uint64) {
			if r.silent() {
				return
			}
			r.add(now, backends.Sent, r.role(node), frame, id).Where = iface
		},
		OnDrop: func(now int64, node, where string, why vfp.Drop, frame []byte, id uint64) {
			if r.lane != nil {
				r.lane.dropped(id, why)
			}
			if r.silent() {
				return
			}
			if host, ok := strings.CutSuffix(node, "/outer"); ok {
				// Scenarios name the virtual machine, not what it runs on.
				node, where = host, "outer."+where
			}
			o := r.add(now, backends.DroppedAt, r.role(node), frame, id)
			o.Reason, o.Where = why.String(), r.place(node, where)
		},
		OnCross: func(c fabric.Crossing) {
			if !r.silent() {
				r.checkCrossing(c)
			}
		},
	}
}

// silent reports whether a measurement is under way, which has more frames than
// anybody could keep.
func (r *recorder) silent() bool { return r.lane != nil || r.tally != nil }

func (r *recorder) add(now int64, kind backends.ObservationKind, role string, frame []byte, id uint64) *backends.Observation {
	r.seen = append(r.seen, backends.Observation{
		Seq: len(r.seen), At: time.Duration(now), Kind: kind, Role: role,
		Frame: append([]byte(nil), frame...), ID: id,
	})
	return &r.seen[len(r.seen)-1]
}

// role turns a stack's name into the role that it plays: "h1#3" is the
// container that lives in compartment 3 of h1.
func (r *recorder) role(stack string) string {
	host, num, ok := strings.Cut(stack, "#")
	if !ok {
		return stack
	}
	id, err := strconv.ParseUint(num, 10, 32)
	if err != nil {
		return stack
	}
	if nd := r.w.nodes[host]; nd != nil && nd.kind == backends.PhysicalNode && id == sdn.PACompartment {
		return host + paSuffix
	}
	for _, c := range r.w.started {
		if c.host.Name() != host {
			continue
		}
		if comp := r.w.compartment(c); comp != nil && comp.ID == uint32(id) {
			return c.name
		}
	}
	return stack
}

// place names a switch port after the role that it belongs to.
func (r *recorder) place(host, where string) string {
	_, port, ok := strings.Cut(where, "/")
	if !ok {
		return where
	}
	for _, c := range r.w.started {
		if c.host.Name() != host {
			continue
		}
		for _, ep := range endpointsOf(c) {
			if strings.EqualFold(ep, port) {
				return c.name
			}
		}
	}
	return port
}

func (r *recorder) traceOf(id uint64) *vfp.Trace {
	if !r.tracing {
		return nil
	}
	t := r.traces[id]
	if t == nil {
		t = new(vfp.Trace)
		r.traces[id] = t
	}
	return t
}

// Trace explains the walk of one packet.
func (w *world) Trace(id uint64) []string {
	if t := w.rec.traces[id]; t != nil {
		return t.Lines()
	}
	return nil
}
