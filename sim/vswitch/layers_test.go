package vswitch

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// act is an action from a function.
type act func(*vfp.Walk) vfp.Outcome

func (a act) Name() string                        { return "test" }
func (a act) Apply(w *vfp.Walk) (out vfp.Outcome) { return a(w) }

func then(f func(*vfp.Walk)) act {
	return func(w *vfp.Walk) vfp.Outcome { f(w); return vfp.Continue }
}

// layer is a program of one group with rules in order.
func layer(dir vfp.Dir, rules ...vfp.Rule) *vfp.Program {
	for i := range rules {
		rules[i].Priority = uint16(i)
		rules[i].ID = fmt.Sprintf("r%d", i)
	}
	return &vfp.Program{Layers: []vfp.Layer{{Name: "test", Priority: 100, Groups: []vfp.Group{{Name: "g", Dir: dir, Rules: rules}}}}}
}

func program(id vfp.PortID, p *vfp.Program) func(*Config) {
	return setPort(id, func(c *PortConfig) { c.Program = p })
}

func forward(kind vfp.ForwardKind, to vfp.PortID) *vfp.Program {
	return layer(vfp.Out, vfp.Rule{Action: vfp.ForwardTo{Forward: vfp.Forward{Kind: kind, Port: to}}})
}

func TestForwardKinds(t *testing.T) {
	zoned := func(c *Config) {
		for id, zone := range map[vfp.PortID]uint32{idA: 5, idB: 5, idC: 6} {
			setPort(id, func(p *PortConfig) { p.Zone = zone })(c)
		}
	}
	setZone := layer(vfp.Out, vfp.Rule{Action: then(func(w *vfp.Walk) { w.Zone = 6 })})
	sameMAC := setPort(idC, func(p *PortConfig) { p.MAC = mac(idB) })
	twoHosts := func(c *Config) {
		c.Ports = append(c.Ports, PortConfig{ID: 11, Name: "host2", Kind: HostPort, MAC: mac(11)})
	}
	tests := []struct {
		name   string
		change []func(*Config)
		steps  []step
	}{
		{"ToPort", []func(*Config){program(idA, forward(vfp.ToPort, idC))}, []step{{idA, udp(idA, idB), "c"}, {idA, bcast(idA), "c"}}},
		{"ToPort without such a port", []func(*Config){program(idA, forward(vfp.ToPort, 77))}, []step{{idA, udp(idA, idB), "NoRoute@a"}}},
		{"ToPort never leaves the zone", []func(*Config){zoned, program(idA, forward(vfp.ToPort, idC))}, []step{{idA, udp(idA, idB), "NoRoute@a"}}},
		{"ToPort to an isolated endpoint", []func(*Config){setPort(idC, func(p *PortConfig) { p.Isolated = true }), program(idA, forward(vfp.ToPort, idC))}, []step{{idA, udp(idA, idB), "PortAcl@a"}}},
		{"ToPort from the wire into any zone", []func(*Config){zoned, program(idWire, forward(vfp.ToPort, idC))}, []step{{idWire, udp(idRouter, idB), "c"}}},
		{"ToWire", []func(*Config){program(idA, forward(vfp.ToWire, 0))}, []step{{idA, udp(idA, idB), "wire"}}},
		{"ToWire without wire", []func(*Config){internal, program(idA, forward(vfp.ToWire, 0))}, []step{{idA, udp(idA, idB), "NoRoute@a"}}},
		{"ToHost", []func(*Config){program(idA, forward(vfp.ToHost, 0))}, []step{{idA, udp(idA, idB), "host"}}},
		{"ToHost of several: by address, else the first", []func(*Config){twoHosts, program(idA, forward(vfp.ToHost, 0))}, []step{{idA, udp(idA, 11), "host2"}, {idA, udp(idA, idB), "host"}}},
		{"ToHost without host", []func(*Config){private, program(idA, forward(vfp.ToHost, 0))}, []step{{idA, udp(idA, idB), "NoRoute@a"}}},
		{"Hairpin", []func(*Config){program(idA, forward(vfp.Hairpin, 0))}, []step{{idA, udp(idA, idB), "a"}}},
		{"OV-11 LocalFlood", []func(*Config){zoned, program(idA, forward(vfp.LocalFlood, 0))}, []step{{idA, bcast(idA), "b"}, {idA, udp(idA, idRouter), "b"}}},
		{"L2T-04 WireAndHost", []func(*Config){program(idA, forward(vfp.WireAndHost, 0))}, []step{{idA, bcast(idA), "host wire"}}},
		{"ToPA without a resolver", []func(*Config){program(idA, forward(vfp.ToPA, 0))}, []step{{idA, udp(idA, idB), "NoRoute@wire"}}},
		{"ToPA of what is not IP", []func(*Config){program(idA, forward(vfp.ToPA, 0))}, []step{{idA, arp(idA, idB), "NoRoute@wire"}}},
		{"a layer on the wire decides the zone", []func(*Config){zoned, sameMAC, program(idWire, setZone)}, []step{{idWire, udp(idRouter, idB), "c"}, {idWire, bcast(idRouter), "c host"}}},
		{"a reserved multicast is not for layers", []func(*Config){program(idA, forward(vfp.ToWire, 0))}, []step{{idA, ethDst(udp(idA, idB), wire.MAC{1, 0x80, 0xc2}), "ReservedMulticast@a"}}},
		{"without VFP there are no layers", []func(*Config){program(idA, forward(vfp.ToWire, 0)), func(c *Config) { c.VFP = false }}, []step{{idA, udp(idA, idB), "b"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := external(t, tt.change...)
			b.run(tt.steps)
			b.run(tt.steps) // from the cache, where there is one
		})
	}
}

func TestLayersRunAtBothPorts(t *testing.T) {
	var seen []string
	note := func(name string) vfp.Action {
		return then(func(w *vfp.Walk) { w.NoCache = true; seen = append(seen, fmt.Sprintf("%s:%s@%d", name, w.Dir, w.Port)) })
	}
	b := external(t,
		program(idA, layer(vfp.Out, vfp.Rule{Action: note("a")})),
		program(idB, layer(vfp.In, vfp.Rule{Action: note("b")})),
		program(idWire, layer(vfp.In, vfp.Rule{Action: note("wire")})),
	)
	tests := []struct {
		from  vfp.PortID
		frame wire.Frame
		want  string
	}{
		{idA, udp(idA, idB), "a:OUT@1 b:IN@2"},
		{idA, udp(idA, idRouter), "a:OUT@1 wire:IN@20"},
		{idA, bcast(idA), "a:OUT@1 b:IN@2 wire:IN@20"},
		{idB, udp(idB, idA), ""},
		{idWire, udp(idRouter, idB), "b:IN@2"},
	}
	for _, tt := range tests {
		seen = nil
		b.send(tt.from, bytesOf(tt.frame))
		if got := strings.Join(seen, " "); got != tt.want {
			t.Errorf("from %d: %q, want %q", tt.from, got, tt.want)
		}
	}
}

func TestLayersSeeTheZoneOfTheDestination(t *testing.T) {
	var seen []uint32
	spy := layer(vfp.In, vfp.Rule{Action: then(func(w *vfp.Walk) { w.NoCache = true; seen = append(seen, w.Zone) })})
	b := external(t, program(idB, spy), program(idC, spy), program(idHost, spy))
	b.apply(setPort(idB, func(p *PortConfig) { p.Zone = 5 }), setPort(idC, func(p *PortConfig) { p.Zone = 6 }), setPort(idA, func(p *PortConfig) { p.Zone = 5 }))
	tests := []struct {
		from  vfp.PortID
		frame wire.Frame
		want  string
	}{
		{idWire, udp(idRouter, idB), "[5]"},
		{idWire, bcast(idRouter), "[5 6 0]"}, // the host's layers serve all zones
		{idWire, udp(idRouter, idHost), "[0]"},
		{idA, bcast(idA), "[5 5]"},
	}
	for _, tt := range tests {
		seen = nil
		b.send(tt.from, bytesOf(tt.frame))
		if got := fmt.Sprint(seen); got != tt.want {
			t.Errorf("from %d: zones %s, want %s", tt.from, got, tt.want)
		}
	}
}

func TestEveryDestinationStartsFromTheSameWalk(t *testing.T) {
	mangle := func(ip byte) *vfp.Program {
		return layer(vfp.In, vfp.Rule{Action: then(func(w *vfp.Walk) {
			if w.H.Src != addr(idA) {
				panic("a destination's layers saw another's change")
			}
			w.H.Src = netip.AddrFrom4([4]byte{10, 9, 9, ip})
		})})
	}
	b := external(t, program(idB, mangle(2)), program(idC, mangle(3)), program(idHost, layer(vfp.In, vfp.Rule{Action: vfp.Block{}})))
	if got := b.send(idA, bytesOf(bcast(idA))); got != "b c VfpBlock@host wire" {
		t.Fatal(got)
	}
	for i, want := range []string{"10.9.9.2", "10.9.9.3", "10.0.0.1"} {
		var m wire.Meta
		wire.Parse(b.ev.frames[i], &m)
		if got := m.Src(b.ev.frames[i]).String(); got != want {
			t.Errorf("copy %d has source %s, want %s", i, got, want)
		}
		if err := wire.VerifyChecksums(b.ev.frames[i]); err != nil {
			t.Error(err)
		}
	}
}

func TestRepliesGoBackToTheSource(t *testing.T) {
	answer := bytesOf(ethSrc(udp(idA, idA), mac(idRouter)))
	respond := func(drop vfp.Drop, out vfp.Outcome) vfp.Action {
		return act(func(w *vfp.Walk) vfp.Outcome {
			w.Replies, w.Drop = append(w.Replies, answer), drop
			return out
		})
	}
	blockIn := PortACL{Dir: vfp.In}
	tests := []struct {
		name   string
		change []func(*Config)
		frame  wire.Frame
		want   string
	}{
		{"proxy ARP answers and consumes", []func(*Config){program(idA, layer(vfp.Out, vfp.Rule{Action: respond(0, vfp.Stop)}))}, arp(idA, idB), "a"},
		{"an ICMP error goes with the drop", []func(*Config){program(idA, layer(vfp.Out, vfp.Rule{Action: respond(vfp.DropEncapOversize, vfp.Stop)}))}, udp(idA, idB), "a EncapOversize@a"},
		{"from the destination's layers too", []func(*Config){program(idB, layer(vfp.In, vfp.Rule{Action: respond(vfp.DropVfpBlock, vfp.Stop)}))}, udp(idA, idB), "a VfpBlock@b"},
		{"with the packet going on", []func(*Config){program(idA, layer(vfp.Out, vfp.Rule{Action: respond(0, vfp.Continue)}))}, udp(idA, idB), "a b"},
		{"in the VLAN of the request", []func(*Config){
			program(idWire, layer(vfp.Out, vfp.Rule{Action: respond(0, vfp.Stop)})),
		}, tagged(udp(idRouter, idB), 7), "wire#7"},
		{"past the port's ACLs", []func(*Config){basic(idA, blockIn), program(idA, layer(vfp.Out, vfp.Rule{Action: respond(0, vfp.Stop)}))}, udp(idA, idB), "a"},
		{"within the port's MTU", []func(*Config){setPort(idA, func(p *PortConfig) { p.MTU = 20 }), program(idA, layer(vfp.Out, vfp.Rule{Action: respond(0, vfp.Stop)}))}, udp(idA, idB), "Oversize@a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := external(t, tt.change...)
			from := idA
			if tt.frame.EthSrc == mac(idRouter) {
				from = idWire
			}
			for range 2 {
				if got := b.send(from, bytesOf(tt.frame)); got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			}
		})
	}
}

func TestNewFrameReplacesTheFrame(t *testing.T) {
	other := bytesOf(ethSrc(arp(idA, idRouter), mac(idHost)))
	b := external(t, program(idWire, layer(vfp.In, vfp.Rule{Action: then(func(w *vfp.Walk) {
		w.NewFrame = other
		w.H.EthSrc = mac(idHost)
	})})))
	if got := b.send(idA, bytesOf(ethDst(arp(idA, idRouter), wire.Broadcast))); got != "b c host wire" {
		t.Fatal(got)
	}
	want := ethDst(ethSrc(arp(idA, idRouter), mac(idHost)), wire.Broadcast)
	if string(b.ev.frames[3]) != string(bytesOf(want)) {
		t.Errorf("on the wire %x, want %x", b.ev.frames[3], bytesOf(want))
	}
	if string(b.ev.frames[0]) == string(b.ev.frames[3]) {
		t.Error("the copy for b changed with the one for the wire")
	}
}

// neighbours is a NextHop.
type neighbours struct {
	known map[netip.Addr]wire.MAC
	held  [][]byte
	asked []netip.Addr
}

func (n *neighbours) Resolve(_ int64, dst netip.Addr) (src, dst2 wire.MAC, ok bool) {
	n.asked = append(n.asked, dst)
	m, ok := n.known[dst]
	return mac(idHost), m, ok
}

func (n *neighbours) Hold(_ int64, _ netip.Addr, frame []byte) {
	n.held = append(n.held, append([]byte(nil), frame...))
}

var (
	pa1 = netip.MustParseAddr("10.127.130.35")
	pa2 = netip.MustParseAddr("10.127.130.38")
)

// encap pushes VXLAN headers towards pa2.
func encap(w *vfp.Walk) {
	w.Encap = vfp.Encap{Kind: vfp.VXLAN, Src: pa1, Dst: pa2, SrcPort: 50001, DstPort: 4789, VNI: 4096, TTL: 128}
	w.Fwd = vfp.Forward{Kind: vfp.ToPA}
}

func TestEncapsulatedFramesGoToTheNextHop(t *testing.T) {
	next := &neighbours{known: map[netip.Addr]wire.MAC{}}
	b := external(t, program(idA, layer(vfp.Out, vfp.Rule{Action: then(encap)})), func(c *Config) { c.MTU = 1600 })
	b.s.SetNextHop(next)
	inner := udp(idA, idRouter)
	outer := func(src, dst wire.MAC) []byte {
		f := wire.Frame{EthSrc: src, EthDst: dst, IP: &wire.IPFields{Src: pa1, Dst: pa2, TTL: 128},
			UDP: &wire.UDPFields{SrcPort: 50001, DstPort: 4789, NoChecksum: true}, VXLAN: &wire.VXLANFields{VNI: 4096}, Inner: &inner}
		return f.Bytes()
	}
	for range 2 { // walked and cached
		next.held = nil
		if got := b.send(idA, bytesOf(inner)); got != "" {
			t.Fatalf("unresolved: %q", got)
		}
		if len(next.held) != 1 || string(next.held[0]) != string(outer(wire.MAC{}, wire.MAC{})) {
			t.Fatalf("held %x", next.held)
		}
	}
	if n := b.s.Counters(idA).Held; n != 2 {
		t.Errorf("%d frames held, want 2", n)
	}
	next.known[pa2] = mac(0x26)
	for range 2 {
		if got := b.send(idA, bytesOf(inner)); got != "wire" {
			t.Fatalf("resolved: %q", got)
		}
		if string(b.ev.frames[0]) != string(outer(mac(idHost), mac(0x26))) {
			t.Errorf("on the wire %x", b.ev.frames[0])
		}
	}
	if hits := b.s.VFP(idA).Cache.Stats.Hits; hits != 3 {
		t.Errorf("%d cache hits, want 3", hits)
	}
	b.apply(access(idHost, 11)) // the PA network is the host's VLAN
	if got := b.send(idA, bytesOf(inner)); got != "wire#11" {
		t.Errorf("with a PA VLAN: %q", got)
	}
}

func TestEncapsulationCountsForTheMTU(t *testing.T) {
	b := external(t, program(idA, layer(vfp.Out, vfp.Rule{Action: then(encap)})))
	b.s.SetNextHop(&neighbours{known: map[netip.Addr]wire.MAC{pa2: mac(0x26)}})
	sized := func(ipLen int) wire.Frame {
		f := udp(idA, idRouter)
		f.Payload = make([]byte, ipLen-28)
		return f
	}
	for range 2 {
		b.run([]step{{idA, sized(1450), "wire"}, {idA, sized(1451), "EncapOversize@wire"}})
	}
}

func TestRoutedFramesGoToTheNextHop(t *testing.T) {
	next := &neighbours{known: map[netip.Addr]wire.MAC{addr(idB): mac(0x26)}}
	b := external(t, program(idA, forward(vfp.ToPA, 0)))
	b.s.SetNextHop(next)
	for range 2 {
		if got := b.send(idA, bytesOf(udp(idA, idB))); got != "wire" {
			t.Fatal(got)
		}
		eth := wire.Ethernet(b.ev.frames[0])
		if eth.Src() != mac(idHost) || eth.Dst() != mac(0x26) {
			t.Errorf("addresses %s>%s", eth.Src(), eth.Dst())
		}
	}
}

func TestDecapsulatedFramesAreForwardedByTheirInnerAddress(t *testing.T) {
	decap := layer(vfp.Out, vfp.Rule{Match: vfp.Match{DstPorts: []vfp.PortRange{{Lo: 4789, Hi: 4789}}}, Action: then(func(w *vfp.Walk) {
		tun, ok := wire.ParseVXLAN(w.Frame, w.Meta)
		if !ok {
			return
		}
		var m wire.Meta
		wire.Parse(w.Frame[tun.Inner:tun.End], &m)
		w.Decap, w.VNI, w.Zone = true, tun.VNI, tun.VNI
		w.H = vfp.HeaderOf(w.Frame[tun.Inner:tun.End], &m)
	})})
	zoned := setPort(idA, func(p *PortConfig) { p.Zone = 4096 })
	sameMAC := setPort(idB, func(p *PortConfig) { p.Zone, p.MAC = 4097, mac(idA) })
	b := external(t, zoned, sameMAC, program(idWire, decap))
	tunnel := func(vni uint32, inner wire.Frame) wire.Frame {
		return wire.Frame{EthSrc: mac(0x26), EthDst: mac(idHost), IP: &wire.IPFields{Src: pa2, Dst: pa1},
			VXLAN: &wire.VXLANFields{VNI: vni}, Inner: &inner}
	}
	inner := udp(idRouter, idA)
	for range 2 {
		b.run([]step{
			{idWire, tunnel(4096, inner), "a"},
			{idWire, tunnel(4097, inner), "b"},
			{idWire, tagged(tunnel(4096, inner), 11), "a"}, // the PA network's VLAN stays outside
			{idWire, tunnel(4098, inner), "UnknownUnicast@wire"},
			{idWire, tunnel(4096, tagged(inner, 7)), "InnerVlanTag@a"},
			{idWire, tunnel(4096, bcast(idRouter)), "a host"},
		})
	}
	b.send(idWire, bytesOf(tunnel(4096, inner)))
	if string(b.ev.frames[0]) != string(bytesOf(inner)) {
		t.Errorf("delivered %x, want %x", b.ev.frames[0], bytesOf(inner))
	}
}

func TestHopsRunOut(t *testing.T) {
	b := external(t, program(idA, layer(vfp.Out, vfp.Rule{Action: then(func(w *vfp.Walk) { w.DecTTL = 1 })})))
	dying, living := udp(idA, idB), udp(idA, idB)
	dying.IP = &wire.IPFields{Src: addr(idA), Dst: addr(idB), TTL: 1}
	living.IP = &wire.IPFields{Src: addr(idA), Dst: addr(idB), TTL: 2}
	for range 2 {
		b.run([]step{{idA, living, "b"}, {idA, dying, "TtlExceeded@b"}})
	}
}

func TestTheCacheKnowsTheVXLANPorts(t *testing.T) {
	decap := layer(vfp.Out, vfp.Rule{Action: then(func(w *vfp.Walk) {
		m := *w.Meta
		m.DstPort = wire.VXLANPort // so that the parser takes it
		tun, ok := wire.ParseVXLAN(w.Frame, &m)
		if !ok {
			return
		}
		// The inner destination address decides.
		wire.Parse(w.Frame[tun.Inner:tun.End], &m)
		if w.Fwd = (vfp.Forward{Kind: vfp.ToPort, Port: idA}); m.Dst(w.Frame[tun.Inner:tun.End]) == addr(idB) {
			w.Fwd.Port = idB
		}
	})})
	tunnel := func(to vfp.PortID) wire.Frame {
		inner := udp(idRouter, to)
		return wire.Frame{EthSrc: mac(0x26), EthDst: mac(idHost), IP: &wire.IPFields{Src: pa2, Dst: pa1},
			UDP: &wire.UDPFields{SrcPort: 50000, DstPort: 8472}, VXLAN: &wire.VXLANFields{VNI: 1}, Inner: &inner}
	}
	b := external(t, program(idWire, decap))
	b.s.SetVXLANPorts(8472)
	for range 2 {
		b.run([]step{{idWire, tunnel(idA), "a"}, {idWire, tunnel(idB), "b"}})
	}
	if b.s.VFP(idWire).Cache.Stats.Hits != 2 {
		t.Error("nothing came from the cache")
	}
}

func TestTracingChangesNothing(t *testing.T) {
	b := external(t, program(idA, layer(vfp.Out, vfp.Rule{Match: vfp.Match{Protos: []uint8{17}}, Action: vfp.Allow{}, Stateful: true})), access(idB, 7))
	frames := []wire.Frame{udp(idA, idC), udp(idA, idC), udp(idA, idB), bcast(idA), arp(idA, idRouter)}
	for _, f := range frames {
		want := b.send(idA, bytesOf(f))
		tr := new(vfp.Trace)
		if got := b.sendTraced(idA, bytesOf(f), tr); got != want {
			t.Errorf("traced %q, untraced %q", got, want)
		}
		if len(tr.Lines()) == 0 {
			t.Error("nothing traced")
		}
	}
	tr := new(vfp.Trace)
	b.s.SetFlowCache(false)
	b.sendTraced(idA, bytesOf(udp(idA, idB)), tr)
	text := strings.Join(tr.Lines(), "\n")
	for _, want := range []string{`to port 2 "b"`, "VlanMismatch", "VS-24"} {
		if !strings.Contains(text, want) {
			t.Errorf("the trace does not say %q:\n%s", want, text)
		}
	}
}
