package fabric

import (
	"fmt"
	"maps"
	"slices"
)

// wireLedger counts what became of the frames of a NIC's wire, each direction
// from its own start to its own end. At every moment what was given to a
// direction equals what came out of it, was dropped on it, or is still on it.
type wireLedger struct {
	sent      uint64 // Tx: given to Send
	txDropped uint64
	entered   uint64 // left the wire at the segment's end

	offered   uint64 // Rx: given by the segment, or injected
	rxDropped uint64
	delivered uint64 // handed to the node
	foreign   uint64 // of another VLAN: filtered by the NIC, which is no loss
}

// segmentLedger is the same for a segment. One frame may leave as several
// copies, which the NICs' ledgers count as offered.
type segmentLedger struct {
	entered   uint64 // from the NICs' wires
	dropped   uint64
	forwarded uint64 // went to one or more NICs, or had nowhere else to go
	copies    uint64 // made of those
}

// conserved compares both sides of one balance.
func conserved(what string, in, dropped, held, out uint64) error {
	if in == out+dropped+held {
		return nil
	}
	return fmt.Errorf("%s: %d in, but %d out + %d dropped + %d held", what, in, out, dropped, held)
}

// Conserved lists the places where frames vanished or came from nowhere: wires
// and segments, the virtual switches of hosts and of what hosts run on,
// switches that are gone included. Empty is good. It may be asked between any
// two runs of the loop, and says nothing of use after a RunawayError, which
// throws frames away.
func (w *Net) Conserved() []error {
	var out []error
	note := func(err error) {
		if err != nil {
			out = append(out, err)
		}
	}
	held := w.Loop.held()
	for _, name := range slices.Sorted(maps.Keys(w.segments)) {
		s := w.segments[name]
		l, waiting := &s.ledger, uint64(0)
		for r, n := range held {
			if c, ok := r.(*crossing); ok && c.seg == s {
				waiting += n
			}
		}
		note(conserved("segment "+name, l.entered, l.dropped, waiting, l.forwarded))
		offered := s.unplugged
		for _, n := range s.nics {
			offered += n.ledger.offered - n.injected
			note(conserved("wire of "+n.point+", tx", n.ledger.sent, n.ledger.txDropped, held[&n.uplink], n.ledger.entered))
			note(conserved("wire of "+n.point+", rx", n.ledger.offered, n.ledger.rxDropped, held[n], n.ledger.delivered+n.ledger.foreign))
		}
		note(conserved("copies on segment "+name, l.copies, 0, 0, offered))
	}
	for _, n := range w.nodes {
		if h, ok := n.(*Host); ok {
			out = append(out, h.conserved()...)
		}
	}
	for _, o := range w.outers {
		note(o.tally.conserved(o.sw, "outer switch of "+o.cfg.Name))
	}
	return out
}

// conserved says which of the host's switches lost or invented frames.
func (h *Host) conserved() []error {
	out := slices.Clone(h.lost)
	for _, name := range slices.Sorted(maps.Keys(h.switches)) {
		if err := h.switches[name].conserved(); err != nil {
			out = append(out, err)
		}
	}
	return out
}

// retire looks at the ledgers of switches that go away, as nobody can later.
func (h *Host) retire(next map[string]*hostSwitch) {
	for _, name := range slices.Sorted(maps.Keys(h.switches)) {
		if next[name] == h.switches[name] {
			continue
		}
		if err := h.switches[name].conserved(); err != nil {
			h.lost = append(h.lost, err)
		}
	}
}

func (s *hostSwitch) conserved() error {
	return s.tally.conserved(s.sw, "host "+s.h.cfg.Name+", switch "+s.prog.Config.Name)
}

// held counts the frames that wait for each receiver.
func (l *Loop) held() map[Receiver]uint64 {
	out := map[Receiver]uint64{}
	count := func(events []event[arrival]) {
		for i := range events {
			if to := events[i].v.to; to != nil {
				out[to]++
			}
		}
	}
	count(l.flight)
	count(l.ready.items[l.ready.first:])
	return out
}
