package vfp

// Meter counts what passes (rule VFP-04). A rule with this action is stateful
// whatever it says: its flows do the counting, in both directions, so that a
// packet of the flow cache counts like any other and costs nothing more. Packets
// that belong to no flow, such as ARP and fragments without a first one, are not
// counted; bytes are not either.
type Meter struct{}

func (Meter) Name() string { return "meter" }

func (Meter) Apply(*Walk) Outcome { return Continue }

// Metered is what a metering rule has counted: packets in the direction of its
// group, and answers to them.
type Metered struct{ Forward, Reverse uint64 }

func (m *Metered) add(packets [2]uint32) {
	m.Forward += uint64(packets[forward])
	m.Reverse += uint64(packets[reverse])
}

func (s *layerState) settle(rule string, packets [2]uint32) {
	if s.settled == nil {
		s.settled = map[string]Metered{}
	}
	m := s.settled[rule]
	m.add(packets)
	s.settled[rule] = m
}

// Metered is the reading of a metering rule: that of flows which have ended and
// of those which live. It is zero for a rule that is not there. It looks at all
// flows, and must not run beside the packet path.
func (p *Port) Metered(layer, rule string) Metered {
	p.adopt()
	st := p.states[layer]
	if st == nil {
		return Metered{}
	}
	m := st.settled[rule]
	for id := range p.store.next {
		if c := p.store.cold(id); c.port == p && c.fwd.layer == st.id && c.rule == rule {
			p.store.settle(id)
			m.add(p.store.hot(id).packets)
		}
	}
	return m
}
