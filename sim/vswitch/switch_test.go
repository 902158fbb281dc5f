package vswitch

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// Ports of the tests: endpoints a, b, c, the host and the wire. Their MAC
// addresses end in their id.
const (
	idA, idB, idC vfp.PortID = 1, 2, 3
	idHost        vfp.PortID = 10
	idWire        vfp.PortID = 20
	idRouter                 = 0x99 // an address that no port has
)

func mac(id vfp.PortID) wire.MAC { return wire.MAC{0, 0x15, 0x5d, 0, 0, byte(id)} }

func addr(id vfp.PortID) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(id)}) }

// events is a Sink that writes down what happens: "b" for a delivery to port
// b, "wire#7" for one with VLAN tag 7, "MacSpoof@a" for a drop at port a.
type events struct {
	list   []string
	frames [][]byte // delivered
	names  map[vfp.PortID]string
}

func (e *events) name(id vfp.PortID) string {
	if n := e.names[id]; n != "" {
		return n
	}
	return fmt.Sprint(id)
}

func (e *events) Deliver(_ int64, id vfp.PortID, p *vfp.Packet) {
	s := e.name(id)
	if eth := wire.Ethernet(p.Bytes()); eth.Tagged() {
		s += fmt.Sprintf("#%d", eth.TCI().ID())
	}
	e.list = append(e.list, s)
	e.frames = append(e.frames, append([]byte(nil), p.Bytes()...))
}

func (e *events) Dropped(_ int64, id vfp.PortID, p *vfp.Packet) {
	e.list = append(e.list, p.Reason.String()+"@"+e.name(id))
}

// bed is a switch under test.
type bed struct {
	t   testing.TB
	s   *Switch
	cfg Config
	now int64
	ev  *events
}

// external is the usual switch: a, b, c, host and wire.
func external(t testing.TB, change ...func(*Config)) *bed {
	cfg := Config{Name: "sw", Kind: External, VFP: true, Ports: []PortConfig{
		{ID: idA, Name: "a", MAC: mac(idA)},
		{ID: idB, Name: "b", MAC: mac(idB)},
		{ID: idC, Name: "c", MAC: mac(idC)},
		{ID: idHost, Name: "host", Kind: HostPort, MAC: mac(idHost)},
		{ID: idWire, Name: "wire", Kind: ExternalPort},
	}}
	return mkBed(t, cfg, change...)
}

func mkBed(t testing.TB, cfg Config, change ...func(*Config)) *bed {
	t.Helper()
	b := &bed{t: t, s: New(), cfg: cfg}
	b.apply(change...)
	return b
}

// apply changes the configuration.
func (b *bed) apply(change ...func(*Config)) {
	b.t.Helper()
	cfg := b.cfg
	cfg.Ports = append([]PortConfig(nil), cfg.Ports...)
	for _, c := range change {
		c(&cfg)
	}
	if err := b.s.Apply(&cfg); err != nil {
		b.t.Fatal(err)
	}
	b.cfg = cfg
	b.ev = &events{names: map[vfp.PortID]string{}}
	for _, p := range cfg.Ports {
		b.ev.names[p.ID] = p.Name
	}
}

// setPort makes a change to one port.
func setPort(id vfp.PortID, change func(*PortConfig)) func(*Config) {
	return func(c *Config) {
		for i := range c.Ports {
			if c.Ports[i].ID == id {
				change(&c.Ports[i])
			}
		}
	}
}

func without(ids ...vfp.PortID) func(*Config) {
	return func(c *Config) {
		var kept []PortConfig
		for _, p := range c.Ports {
			gone := false
			for _, id := range ids {
				gone = gone || p.ID == id
			}
			if !gone {
				kept = append(kept, p)
			}
		}
		c.Ports = kept
	}
}

// send processes one frame and returns the events, joined by spaces.
func (b *bed) send(from vfp.PortID, frame []byte) string {
	b.t.Helper()
	return b.sendTraced(from, frame, nil)
}

func (b *bed) sendTraced(from vfp.PortID, frame []byte, tr *vfp.Trace) string {
	b.t.Helper()
	b.ev.list, b.ev.frames = nil, nil
	var batch vfp.Batch
	batch.Now, batch.N, batch.Trace = b.now, 1, tr
	batch.Pkts[0].Reset(frame)
	batch.Pkts[0].InPort = from
	b.s.Process(&batch, b.ev)
	if batch.Pkts[0].Verdict == vfp.Pending {
		b.t.Error("a packet has no verdict")
	}
	if err := b.s.Conserved(); err != nil {
		b.t.Error(err)
	}
	return strings.Join(b.ev.list, " ")
}

// udp is a datagram between the addresses of two ports.
func udp(src, dst vfp.PortID) wire.Frame {
	return wire.Frame{EthSrc: mac(src), EthDst: mac(dst), IP: &wire.IPFields{Src: addr(src), Dst: addr(dst)},
		UDP: &wire.UDPFields{SrcPort: 1000, DstPort: 53}, Payload: []byte("hello")}
}

func bytesOf(f wire.Frame) []byte { return f.Bytes() }

func bcast(src vfp.PortID) wire.Frame {
	f := udp(src, src)
	f.EthDst, f.IP.Dst = wire.Broadcast, netip.AddrFrom4([4]byte{255, 255, 255, 255})
	return f
}

func tagged(f wire.Frame, vid uint16) wire.Frame {
	f.VLAN = &wire.VLANFields{ID: vid}
	return f
}

func ethSrc(f wire.Frame, m wire.MAC) wire.Frame { f.EthSrc = m; return f }
func ethDst(f wire.Frame, m wire.MAC) wire.Frame { f.EthDst = m; return f }

// step is a frame and what becomes of it.
type step struct {
	from  vfp.PortID
	frame wire.Frame
	want  string
}

func (b *bed) run(steps []step) {
	b.t.Helper()
	for i, s := range steps {
		if got := b.send(s.from, bytesOf(s.frame)); got != s.want {
			b.t.Errorf("step %d, from %s: got %q, want %q", i, b.ev.name(s.from), got, s.want)
		}
	}
}

func internal(c *Config) { c.Kind = Internal; without(idWire)(c) }
func private(c *Config)  { c.Kind = Private; without(idWire, idHost)(c) }

func TestForwarding(t *testing.T) {
	spoofC := setPort(idC, func(p *PortConfig) { p.MACSpoofing = true })
	flood := func(c *Config) { c.FloodUnknown = true }
	foreign := wire.MAC{2, 0, 0, 0, 0, 0x77}
	tests := []struct {
		name   string
		change []func(*Config)
		steps  []step
	}{
		{"S-VS-01 VS-10 known unicast goes to one port", []func(*Config){internal}, []step{{idA, udp(idA, idB), "b"}}},
		{"VS-10 a local address never reaches the wire", nil, []step{{idA, udp(idA, idB), "b"}, {idHost, udp(idHost, idA), "a"}, {idWire, udp(idRouter, idA), "a"}}},
		{"S-VS-02 VS-14 broadcast goes everywhere but back", nil, []step{{idA, bcast(idA), "b c host wire"}, {idWire, bcast(idRouter), "a b c host"}}},
		{"VS-15 multicast is flooded", nil, []step{{idA, ethDst(udp(idA, idB), wire.MAC{1, 0, 0x5e, 0, 0, 1}), "b c host wire"}}},
		{"S-VS-03 VS-11 unknown unicast goes to the wire", nil, []step{{idA, udp(idA, idRouter), "wire"}, {idHost, udp(idHost, idRouter), "wire"}}},
		{"S-VS-04 VS-12 unknown unicast from the wire is dropped", nil, []step{{idWire, udp(idRouter, 0x98), "UnknownUnicast@wire"}}},
		{"VS-11 without a wire unknown unicast is dropped", []func(*Config){internal}, []step{{idA, udp(idA, idRouter), "UnknownUnicast@a"}}},
		{"VS-11 spoofing ports get unknown unicast", []func(*Config){spoofC}, []step{{idA, udp(idA, idRouter), "c wire"}, {idWire, udp(idRouter, 0x98), "c"}}},
		{"VS-11 the knob floods unknown unicast", []func(*Config){flood}, []step{{idA, udp(idA, idRouter), "b c host wire"}, {idWire, udp(idRouter, 0x98), "a b c host"}}},
		{"VS-11 a flood that nobody hears is a drop", []func(*Config){private, without(idB, idC), flood}, []step{{idA, udp(idA, idRouter), "UnknownUnicast@a"}}},
		{"S-VS-06 VS-13 addresses are learned from a spoofing port", []func(*Config){spoofC}, []step{
			{idWire, ethDst(udp(idRouter, idC), foreign), "c"}, // flooded
			{idA, ethDst(udp(idA, idC), foreign), "c wire"},
			{idC, ethSrc(udp(idC, idA), foreign), "a"},
			{idA, ethDst(udp(idA, idC), foreign), "c"},
		}},
		{"VS-13 a learned address moves with its host", []func(*Config){spoofC, setPort(idB, func(p *PortConfig) { p.MACSpoofing = true })}, []step{
			{idC, ethSrc(udp(idC, idA), foreign), "a"}, {idA, ethDst(udp(idA, idC), foreign), "c"},
			{idB, ethSrc(udp(idB, idA), foreign), "a"}, {idA, ethDst(udp(idA, idC), foreign), "b"},
		}},
		{"VS-10 a static address is not learned away", []func(*Config){spoofC}, []step{
			{idC, ethSrc(udp(idC, idA), mac(idB)), "a"}, {idA, udp(idA, idB), "b"},
		}},
		{"VS-16 reserved multicast is not bridged", nil, []step{
			{idA, ethDst(udp(idA, idB), wire.MAC{1, 0x80, 0xc2, 0, 0, 0}), "ReservedMulticast@a"},
			{idWire, ethDst(udp(idRouter, idB), wire.MAC{1, 0x80, 0xc2, 0, 0, 0x0e}), "ReservedMulticast@wire"},
			{idA, ethDst(udp(idA, idB), wire.MAC{1, 0x80, 0xc2, 0, 0, 0x10}), "b c host wire"},
		}},
		{"S-VS-13 VS-01 a private switch has no host", []func(*Config){private}, []step{{idA, udp(idA, idHost), "UnknownUnicast@a"}, {idA, bcast(idA), "b c"}}},
		{"a frame to its own port goes nowhere", nil, []step{{idA, udp(idA, idA), "NoRoute@a"}}},
		{"S-VS-16 a blocked port neither sends nor receives", []func(*Config){setPort(idA, func(p *PortConfig) { p.Blocked = true })}, []step{
			{idA, udp(idA, idB), "PortBlocked@a"}, {idB, udp(idB, idA), "PortBlocked@a"}, {idB, bcast(idB), "PortBlocked@a c host wire"},
		}},
		{"a port that is gone is blocked", []func(*Config){without(idC)}, []step{{idC, udp(idC, idB), "PortBlocked@3"}}},
		{"DisableICC keeps endpoints apart and nothing else", []func(*Config){setPort(idA, func(p *PortConfig) { p.Isolated = true })}, []step{
			{idA, udp(idA, idB), "PortAcl@a"}, {idB, udp(idB, idA), "PortAcl@b"}, {idA, bcast(idA), "host wire"}, {idB, bcast(idB), "c host wire"},
			{idA, udp(idA, idHost), "host"}, {idA, udp(idA, idRouter), "wire"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { external(t, tt.change...).run(tt.steps) })
	}
}

func TestLearnedAddressesAge(t *testing.T) {
	b := external(t, setPort(idC, func(p *PortConfig) { p.MACSpoofing = true }))
	foreign := wire.MAC{2, 0, 0, 0, 0, 0x77}
	b.run([]step{{idC, ethSrc(udp(idC, idA), foreign), "a"}})
	b.now = LearnedAge - 1
	b.run([]step{{idA, ethDst(udp(idA, idC), foreign), "c"}})
	b.now = LearnedAge
	b.run([]step{{idA, ethDst(udp(idA, idC), foreign), "c wire"}})
}

func TestLearnedAddressesAreBounded(t *testing.T) {
	b := external(t, setPort(idC, func(p *PortConfig) { p.MACSpoofing = true }))
	at := func(i int) wire.MAC { return wire.MAC{2, 0, 1, 0, byte(i >> 8), byte(i)} }
	for i := range MaxLearned + 1 {
		b.send(idC, bytesOf(ethSrc(udp(idC, idA), at(i))))
	}
	if n := len(b.s.macs.learned); n != MaxLearned {
		t.Fatalf("%d addresses learned, want %d", n, MaxLearned)
	}
	b.run([]step{{idA, ethDst(udp(idA, idC), at(0)), "c"}, {idA, ethDst(udp(idA, idC), at(MaxLearned)), "c wire"}})
	b.now = LearnedAge
	b.run([]step{{idC, ethSrc(udp(idC, idA), at(MaxLearned)), "a"}, {idA, ethDst(udp(idA, idC), at(MaxLearned)), "c"}})
}

func TestZonesAreSeparate(t *testing.T) {
	zones := func(c *Config) {
		setPort(idA, func(p *PortConfig) { p.Zone = 4096 })(c)
		setPort(idB, func(p *PortConfig) { p.Zone = 4096 })(c)
		setPort(idC, func(p *PortConfig) { p.Zone = 4097 })(c)
	}
	sameMAC := setPort(idC, func(p *PortConfig) { p.MAC = mac(idB) })
	hostMAC := setPort(idC, func(p *PortConfig) { p.MAC = mac(idHost) })
	tests := []struct {
		name   string
		change []func(*Config)
		steps  []step
	}{
		{"unicast stays in its zone", nil, []step{{idA, udp(idA, idB), "b"}, {idA, udp(idA, idC), "wire"}}},
		{"broadcast stays in its zone", nil, []step{{idA, bcast(idA), "b host wire"}, {idC, bcast(idC), "host wire"}}},
		{"host and wire serve all zones", nil, []step{{idHost, udp(idHost, idC), "c"}, {idWire, udp(idRouter, idA), "a"}, {idWire, bcast(idRouter), "a b c host"}, {idC, udp(idC, idHost), "host"}}},
		{"equal addresses in two zones do not meet", []func(*Config){sameMAC}, []step{{idA, udp(idA, idB), "b"}}},
		{"an address in two zones is ambiguous from the wire", []func(*Config){sameMAC}, []step{{idWire, udp(idRouter, idB), "UnknownUnicast@wire"}}},
		{"the host's address is the host's, whatever a zone says", []func(*Config){hostMAC}, []step{{idWire, udp(idRouter, idHost), "host"}, {idA, udp(idA, idHost), "host"}}},
		{"a host port may belong to one zone", []func(*Config){setPort(idHost, func(p *PortConfig) { p.Zone = 4097 })}, []step{{idA, bcast(idA), "b wire"}, {idC, bcast(idC), "host wire"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			external(t, append([]func(*Config){zones}, tt.change...)...).run(tt.steps)
		})
	}
}

func TestTunnelledPortsHearTheirZoneOnly(t *testing.T) {
	tunnelled := func(id vfp.PortID) func(*Config) {
		return setPort(id, func(p *PortConfig) { p.Zone, p.Tunnelled = 4096, true })
	}
	b := external(t, tunnelled(idA), tunnelled(idB), setPort(idB, func(p *PortConfig) { p.MACSpoofing = true }))
	foreign := wire.MAC{2, 0, 0, 0, 0, 0x77}
	b.run([]step{
		{idA, udp(idA, idB), "b"}, {idA, bcast(idA), "b host wire"}, {idA, udp(idA, idHost), "host"},
		{idWire, udp(idRouter, idA), "UnknownUnicast@wire"}, {idWire, bcast(idRouter), "c host"}, {idHost, udp(idHost, idA), "wire"},
		{idB, ethSrc(udp(idB, idA), foreign), "a"}, // learned, and yet:
		{idWire, ethDst(udp(idRouter, idB), foreign), "UnknownUnicast@wire"},
		{idA, ethDst(udp(idA, idB), foreign), "b"},
	})
	toA := forward(vfp.ToPort, idA)
	b.apply(program(idWire, toA))
	b.run([]step{{idWire, udp(idRouter, idA), "NoRoute@wire"}}) // a layer has to say the zone as well
	toA.Layers[0].Groups[0].Rules[0].Action = then(func(w *vfp.Walk) { w.Fwd, w.Zone = vfp.Forward{Kind: vfp.ToPort, Port: idA}, 4096 })
	b.apply(program(idWire, layer(vfp.Out, toA.Layers[0].Groups[0].Rules...)))
	b.run([]step{{idWire, udp(idRouter, idA), "a"}})
}

func TestApplyRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config)
		want   error
	}{
		{"id zero", setPort(idA, func(p *PortConfig) { p.ID = 0 }), ErrPortID},
		{"id taken", setPort(idA, func(p *PortConfig) { p.ID = idB }), ErrPortID},
		{"id too large", setPort(idA, func(p *PortConfig) { p.ID = maxPortID + 1 }), ErrPortID},
		{"an internal switch with a wire", func(c *Config) { c.Kind = Internal }, ErrPortKind},
		{"a private switch with a host", func(c *Config) { c.Kind = Private; without(idWire)(c) }, ErrPortKind},
		{"an external switch without wire", without(idWire), ErrPortKind},
		{"two wires", setPort(idA, func(p *PortConfig) { p.Kind = ExternalPort }), ErrPortKind},
		{"unknown switch type", func(c *Config) { c.Kind = 7 }, ErrPortKind},
		{"unknown port kind", setPort(idA, func(p *PortConfig) { p.Kind = 7 }), ErrPortKind},
		{"no address", setPort(idA, func(p *PortConfig) { p.MAC = wire.MAC{} }), ErrMAC},
		{"group address", setPort(idA, func(p *PortConfig) { p.MAC = wire.Broadcast }), ErrMAC},
		{"access VLAN 0", setPort(idA, func(p *PortConfig) { p.VLAN.Mode = VLANAccess }), ErrVLAN},
		{"access VLAN 4095", setPort(idA, func(p *PortConfig) { p.VLAN = VLANConfig{Mode: VLANAccess, AccessID: 4095} }), ErrVLAN},
		{"trunk with VLAN 0", setPort(idA, func(p *PortConfig) { p.VLAN = VLANConfig{Mode: VLANTrunk, Allowed: []uint16{0}} }), ErrVLAN},
		{"native 4095", setPort(idA, func(p *PortConfig) { p.VLAN = VLANConfig{Mode: VLANTrunk, Native: 4095} }), ErrVLAN},
		{"private without primary", setPort(idA, func(p *PortConfig) { p.VLAN = VLANConfig{Mode: VLANPrivate} }), ErrVLAN},
		{"isolated in the primary", setPort(idA, func(p *PortConfig) {
			p.VLAN = VLANConfig{Mode: VLANPrivate, Primary: 5, Secondary: 5, Private: Isolated}
		}), ErrVLAN},
		{"a secondary with two meanings", func(c *Config) {
			setPort(idA, func(p *PortConfig) {
				p.VLAN = VLANConfig{Mode: VLANPrivate, Primary: 5, Secondary: 6, Private: Isolated}
			})(c)
			setPort(idB, func(p *PortConfig) {
				p.VLAN = VLANConfig{Mode: VLANPrivate, Primary: 5, Secondary: 6, Private: Community}
			})(c)
		}, ErrVLAN},
		{"unknown VLAN mode", setPort(idA, func(p *PortConfig) { p.VLAN.Mode = 9 }), ErrVLAN},
		{"negative MTU", func(c *Config) { c.MTU = -1 }, ErrMTU},
		{"port MTU beyond IP", setPort(idA, func(p *PortConfig) { p.MTU = 1 << 17 }), ErrMTU},
		{"mixed families", setPort(idA, func(p *PortConfig) {
			p.ACLs = []PortACL{{Local: netip.MustParsePrefix("10.0.0.0/8"), Remote: netip.MustParsePrefix("fd00::/8")}}
		}), ErrACL},
		{"backward ports", setPort(idA, func(p *PortConfig) { p.ExtACLs = []ExtACL{{LocalPorts: []vfp.PortRange{{Lo: 2, Hi: 1}}}} }), ErrACL},
		{"negative idle", setPort(idA, func(p *PortConfig) { p.ExtACLs = []ExtACL{{IdleTimeout: -1}} }), ErrACL},
		{"unknown monitor mode", setPort(idA, func(p *PortConfig) { p.Mirror = 9 }), ErrMirror},
		{"too many ports", func(c *Config) {
			for i := range MaxPorts {
				c.Ports = append(c.Ports, PortConfig{ID: vfp.PortID(100 + i), MAC: mac(idC)})
			}
		}, ErrTooManyPorts},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := external(t)
			cfg := b.cfg
			cfg.Ports = append([]PortConfig(nil), cfg.Ports...)
			tt.change(&cfg)
			if err := b.s.Apply(&cfg); !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			b.run([]step{{idA, udp(idA, idB), "b"}}) // as before
		})
	}
}

func TestApplyKeepsStateOfPortsThatStay(t *testing.T) {
	spoofC := setPort(idC, func(p *PortConfig) { p.MACSpoofing = true })
	b := external(t, spoofC)
	foreign := wire.MAC{2, 0, 0, 0, 0, 0x77}
	b.run([]step{{idC, ethSrc(udp(idC, idA), foreign), "a"}})
	before := b.s.Counters(idC)
	b.apply(setPort(idB, func(p *PortConfig) { p.Name = "bee" }))
	if got := b.s.Counters(idC); got != before {
		t.Errorf("counters changed from %+v to %+v", before, got)
	}
	b.run([]step{{idA, ethDst(udp(idA, idC), foreign), "c"}})
	b.apply(setPort(idC, func(p *PortConfig) { p.MACSpoofing = false }))
	b.run([]step{{idA, ethDst(udp(idA, idC), foreign), "wire"}})
	total := b.s.Total()
	b.apply(without(idC))
	if got := b.s.Total(); got != total {
		t.Errorf("the counters of a removed port are lost: %+v, were %+v", got, total)
	}
	if err := b.s.Conserved(); err != nil {
		t.Error(err)
	}
}

func TestSparsePortIDs(t *testing.T) {
	const far = vfp.PortID(1 << 20)
	b := external(t, func(c *Config) { c.Ports = append(c.Ports, PortConfig{ID: far, Name: "far", MAC: wire.MAC{2, 9}}) })
	b.run([]step{{idA, ethDst(udp(idA, idB), wire.MAC{2, 9}), "far"}, {far, ethSrc(udp(idB, idA), wire.MAC{2, 9}), "a"}})
}
