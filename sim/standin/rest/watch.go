package rest

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"time"

	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// Watch sees what happens in a world: it counts for the metrics, and keeps
// what happens while a packet is traced. It is used with the world, by one
// goroutine at a time. The zero value is ready.
type Watch struct {
	drops   map[dropKey]uint64
	packets map[packetKey]uint64
	rec     *recording // nil while nothing is traced
}

type dropKey struct {
	host   string
	reason vfp.Drop
}

// packetKey counts packets at the IP stacks and the wire of a host.
type packetKey struct{ host, point, direction string }

// recording is what happens while a packet is traced.
type recording struct {
	traces map[uint64]*vfp.Trace
	events []event
	lost   int
}

// Bounds of a recording: a flood has no end.
const (
	maxEvents  = 1000
	maxTraces  = 256 // packets
	maxRecords = 512 // of one packet
)

// event is something that happened to a packet.
type event struct {
	At       string `json:"at"`
	ID       uint64 `json:"id"`
	What     string `json:"what"` // sent, received, wire tx, wire rx, dropped
	Node     string `json:"node"`
	Where    string `json:"where"`
	Endpoint string `json:"endpoint,omitempty"` // whose compartment the node is
	Reason   string `json:"reason,omitempty"`
	Packet   string `json:"packet"`
	Frame    string `json:"frame"`

	dst netip.Addr // where it goes; invalid for what is no unicast of IP
}

// Hook enters the watch into a world that is going to be made.
func (w *Watch) Hook(cfg *sim.Config) {
	w.drops, w.packets = map[dropKey]uint64{}, map[packetKey]uint64{}
	cfg.Trace = w.trace
	cfg.Observer = fabric.Observer{
		OnWire: func(now int64, n *fabric.NIC, dir fabric.WireDir, frame []byte, id uint64) {
			w.packets[packetKey{n.Node(), "wire", dir.String()}]++
			w.record(event{ID: id, What: "wire " + dir.String(), Node: n.Node(), Where: n.Name()}, now, frame)
		},
		OnReceive: func(now int64, node, iface string, frame []byte, id uint64) {
			w.packets[packetKey{hostName(node), "stack", "rx"}]++
			w.record(event{ID: id, What: "received", Node: node, Where: iface}, now, frame)
		},
		OnSend: func(now int64, node, iface string, frame []byte, id uint64) {
			w.packets[packetKey{hostName(node), "stack", "tx"}]++
			w.record(event{ID: id, What: "sent", Node: node, Where: iface}, now, frame)
		},
		OnDrop: func(now int64, node, where string, why vfp.Drop, frame []byte, id uint64) {
			w.drops[dropKey{hostName(node), why}]++
			w.record(event{ID: id, What: "dropped", Node: node, Where: where, Reason: why.String()}, now, frame)
		},
	}
}

// hostName is the host of a node: "h1#2" is a compartment of h1, "h1/outer"
// the switch below it.
func hostName(node string) string {
	if i := strings.IndexAny(node, "#/"); i >= 0 {
		return node[:i]
	}
	return node
}

func (w *Watch) trace(id uint64) *vfp.Trace {
	if w.rec == nil {
		return nil
	}
	t := w.rec.traces[id]
	if t == nil && len(w.rec.traces) < maxTraces {
		t = &vfp.Trace{Max: maxRecords}
		w.rec.traces[id] = t
	}
	return t
}

func (w *Watch) record(e event, now int64, frame []byte) {
	switch {
	case w.rec == nil:
	case len(w.rec.events) >= maxEvents:
		w.rec.lost++
	default:
		e.At, e.Packet, e.Frame = time.Duration(now).String(), wire.Summary(frame), hex.EncodeToString(frame)
		var m wire.Meta
		if wire.Parse(frame, &m) == wire.OK && m.IsIP() && !wire.Ethernet(frame).Dst().IsMulticast() {
			e.dst = m.Dst(frame)
		}
		w.rec.events = append(w.rec.events, e)
	}
}

// start begins a recording, and stop ends it.
func (w *Watch) start() { w.rec = &recording{traces: map[uint64]*vfp.Trace{}} }

func (w *Watch) stop() *recording {
	rec := w.rec
	w.rec = nil
	return rec
}
