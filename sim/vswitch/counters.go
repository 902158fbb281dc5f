package vswitch

import (
	"bytes"
	"fmt"
	"io"

	"github.com/hnsim/hnsim/sim/vfp"
)

// Counters counts frames at one port. Every frame that came in or was made
// ends as exactly one of Out, Drops, Consumed and Held, though often at
// another port; Switch.Conserved checks the sum.
type Counters struct {
	In       uint64           // frames that the port sent into the switch
	Copies   uint64           // copies made of those, by flooding and mirroring
	Replies  uint64           // frames that layers made in answer to those
	Out      uint64           // frames that left through the port
	Drops    vfp.DropCounters // frames dropped at the port, by reason
	SentDrop uint64           // of those, frames that the port itself sent
	Consumed uint64           // frames of the port that ended without leaving or drop: answered, or replaced by copies
	Held     uint64           // frames of the port handed to NextHop.Hold
}

// Dropped is the sum over all reasons.
func (c *Counters) Dropped() uint64 {
	n := uint64(0)
	for _, v := range c.Drops {
		n += v
	}
	return n
}

// add accumulates d, for the totals of ports that are gone.
func (c *Counters) add(d *Counters) {
	c.In += d.In
	c.Copies += d.Copies
	c.Replies += d.Replies
	c.Out += d.Out
	for i := range d.Drops {
		c.Drops[i] += d.Drops[i]
	}
	c.SentDrop += d.SentDrop
	c.Consumed += d.Consumed
	c.Held += d.Held
}

// Counters are those of the port, zero if there is no such port.
func (s *Switch) Counters(id vfp.PortID) Counters {
	if q := s.snap.port(id); q != nil {
		return q.run.n
	}
	return Counters{}
}

// Total is the sum over all ports that the switch has or had.
func (s *Switch) Total() Counters {
	t := s.gone
	for _, q := range s.snap.ports {
		t.add(&q.run.n)
	}
	return t
}

// Conserved reports an error if a frame vanished or came from nowhere: over
// all ports, what came in and was made equals what left, was dropped, consumed
// or held.
func (s *Switch) Conserved() error {
	t := s.Total()
	in, out := t.In+t.Copies+t.Replies, t.Out+t.Dropped()+t.Consumed+t.Held
	if in == out {
		return nil
	}
	return fmt.Errorf("vswitch %q: %d in + %d copies + %d replies = %d, but %d out + %d dropped + %d consumed + %d held = %d",
		s.snap.name, t.In, t.Copies, t.Replies, in, t.Out, t.Dropped(), t.Consumed, t.Held, out)
}

// Dump writes the switch's ports with their settings and counters, in order of
// port ids. Switches with the same history write the same text, whether the
// flow cache was on or off. Layers, rules and flows are VFP's to dump.
func (s *Switch) Dump(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "switch %q type %s vfp %s ports %d\n", s.snap.name, s.snap.kind, onOff(s.snap.vfp), len(s.snap.ports))
	for _, q := range s.snap.ports {
		q.dump(&b)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (q *port) dump(b *bytes.Buffer) {
	c := &q.cfg
	fmt.Fprintf(b, "port %d %q %s zone %d mac %s mtu %d vlan %s", c.ID, c.Name, c.Kind, c.Zone, c.MAC, q.mtu, &c.VLAN)
	flag := func(set bool, name string) {
		if set {
			b.WriteString(" " + name)
		}
	}
	flag(c.Blocked, "blocked")
	flag(c.MACSpoofing, "mac-spoofing")
	flag(c.DHCPGuard, "dhcp-guard")
	flag(c.RouterGuard, "router-guard")
	flag(c.Isolated, "isolated")
	flag(c.Tunnelled, "tunnelled")
	flag(c.Mirror == MirrorSource, "mirror-source")
	flag(c.Mirror == MirrorDestination, "mirror-destination")
	flag(c.StormLimit > 0, fmt.Sprintf("storm-limit=%d/s", c.StormLimit))
	flag(len(c.ACLs) > 0, fmt.Sprintf("acls=%d", len(c.ACLs)))
	flag(len(c.ExtACLs) > 0, fmt.Sprintf("extended-acls=%d", len(c.ExtACLs)))
	n := &q.run.n
	fmt.Fprintf(b, "\n  in %d out %d copies %d replies %d consumed %d held %d dropped %d\n",
		n.In, n.Out, n.Copies, n.Replies, n.Consumed, n.Held, n.Dropped())
	for r, v := range n.Drops {
		if v > 0 {
			fmt.Fprintf(b, "  drop %s %d\n", vfp.Drop(r), v)
		}
	}
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

// String is the type as Windows names it.
func (k Kind) String() string { return name(int(k), "External", "Internal", "Private") }

func (k PortKind) String() string { return name(int(k), "endpoint", "host", "external") }

func (v *VLANConfig) String() string {
	switch v.Mode {
	case VLANNone:
		return "untagged"
	case VLANAccess:
		return fmt.Sprintf("access %d", v.AccessID)
	case VLANTrunk:
		return fmt.Sprintf("trunk %v native %d", v.Allowed, v.Native)
	}
	return fmt.Sprintf("private %s %d,%d", name(int(v.Private), "promiscuous", "community", "isolated"), v.Primary, v.Secondary)
}

func name(i int, names ...string) string {
	if i < len(names) {
		return names[i]
	}
	return "unknown"
}
