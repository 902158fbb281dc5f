package vfp

import (
	"errors"
	"testing"

	"github.com/hnsim/hnsim/sim/wire"
)

// snat is the layer of an endpoint with OutBoundNAT to ipH.
func snat(pools ...*NATPool) Layer {
	g := out()
	for i, p := range pools {
		g.Rules = append(g.Rules, Rule{
			ID: "SNAT", Priority: uint16(i), Match: Match{Protos: []uint8{p.Proto()}, Dst: at(ipX)},
			Action: DynNAT{Pool: p, To: ipH, ICMP: true}, Terminating: true, Stateful: true,
		})
	}
	return Layer{Name: "SLB_NAT_LAYER", Priority: 300, Reconcile: KeepWhileRule, Groups: []Group{
		g,
		in(Rule{ID: "NO_MAPPING", Match: Match{Dst: at(ipH)}, Action: Block{Reason: DropNoMapping}}),
	}}
}

// demux sends what arrives for ipH to A, as the external port of a host does.
func demux() Layer {
	return Layer{Name: "DEMUX", Groups: []Group{out(Rule{ID: "d", Match: Match{Dst: at(ipH)}, Action: ForwardTo{Forward{Kind: ToPort, Port: portA}}})}}
}

func natLab(t *testing.T, l *lab, maxPorts int) *NATPool {
	t.Helper()
	space := NewPortSpace()
	pool, err := NewNATPool(space, wire.ProtoTCP, uint64(portA), maxPorts)
	if err != nil {
		t.Fatal(err)
	}
	udpPool, _ := NewNATPool(space, wire.ProtoUDP, uint64(portA), maxPorts)
	icmpPool, _ := NewNATPool(space, wire.ProtoICMP, uint64(portA), maxPorts)
	l.program(portA, snat(pool, udpPool, icmpPool))
	l.program(portWire, demux())
	return pool
}

func TestOutboundNATTranslatesBothWays(t *testing.T) { // L2B-21, VFP-07
	both(t, PortLimits{}, func(t *testing.T, l *lab) {
		natLab(t, l, 0)
		tests := []struct{ name, proto string }{{"tcp", ""}, {"udp", ""}, {"icmp", ""}}
		frames := []*wire.Frame{tcp(ipA, ipX, 49700, 443, syn), udp(ipA, ipX, 49700, 443), echo(ipA, ipX, wire.ICMPEcho, 49700)}
		for i, tt := range tests {
			for range 3 {
				f := frames[i]
				sent := l.want(t, portA, f.Bytes(), portWire, nil)
				var m wire.Meta
				wire.Parse(sent, &m)
				if m.Src(sent) != ipH || m.SrcPort < 49152 {
					t.Fatalf("%s: %s", tt.name, wire.Summary(sent))
				}
				back := l.want(t, portWire, answer(sent), portA, nil)
				wire.Parse(back, &m)
				if m.Dst(back) != ipA || m.DstPort != 49700 || m.Src(back) != ipX {
					t.Fatalf("%s: reply is %s", tt.name, wire.Summary(back))
				}
			}
		}
	})
}

func TestOnlyTheExactRemoteMayReply(t *testing.T) { // L2B-25
	both(t, PortLimits{}, func(t *testing.T, l *lab) {
		natLab(t, l, 0)
		sent := l.want(t, portA, udp(ipA, ipX, 49700, 443).Bytes(), portWire, nil)
		var m wire.Meta
		wire.Parse(sent, &m)
		port := m.SrcPort
		l.wantDrop(t, portWire, udp(ipX, ipH, 444, port).Bytes(), DropNoMapping)
		l.wantDrop(t, portWire, udp(ip("203.0.113.81"), ipH, 443, port).Bytes(), DropNoMapping)
		l.want(t, portWire, udp(ipX, ipH, 443, port).Bytes(), portA, nil)
	})
}

func TestAFlowThatComesBackGetsAnotherPort(t *testing.T) { // L2B-24, S-VFP-09
	natPort := func(t *testing.T, l *lab, flags uint8) uint16 {
		f := l.want(t, portA, tcp(ipA, ipX, 49700, 443, flags).Bytes(), portWire, nil)
		var m wire.Meta
		wire.Parse(f, &m)
		return m.SrcPort
	}
	t.Run("after expiry", func(t *testing.T) {
		both(t, PortLimits{}, func(t *testing.T, l *lab) {
			pool := natLab(t, l, 0)
			first := natPort(t, l, ack)
			l.now += seconds(240)
			l.wantDrop(t, portWire, tcp(ipX, ipH, 443, first, ack).Bytes(), DropNoMapping)
			if second := natPort(t, l, ack); second == first || pool.InUse() != 1 {
				t.Errorf("ports %d and %d, %d in use", first, second, pool.InUse())
			}
		})
	})
	t.Run("after a RST and a new SYN", func(t *testing.T) {
		both(t, PortLimits{}, func(t *testing.T, l *lab) {
			pool := natLab(t, l, 0)
			first := natPort(t, l, syn)
			if natPort(t, l, rst) != first || natPort(t, l, ack) != first {
				t.Error("the closing flow changed its port")
			}
			if second := natPort(t, l, syn); second == first || pool.InUse() != 1 {
				t.Errorf("ports %d and %d, %d in use", first, second, pool.InUse())
			}
		})
	})
}

func TestAnExhaustedPoolDropsNewFlowsOnly(t *testing.T) { // NAT-39, L2B-23
	both(t, PortLimits{}, func(t *testing.T, l *lab) {
		pool := natLab(t, l, 70)
		flow := func(i int) []byte { return tcp(ipA, ipX, uint16(i), 443, ack).Bytes() }
		for i := range 70 {
			l.want(t, portA, flow(i+1), portWire, nil)
		}
		if n := len(pool.Blocks()); n != 2 || pool.InUse() != 70 {
			t.Fatalf("%d blocks, %d ports in use", n, pool.InUse())
		}
		for range 3 {
			l.wantDrop(t, portA, flow(71), DropNatPoolExhausted)
		}
		l.want(t, portA, flow(1), portWire, nil)
		l.now += seconds(120)
		for i := range 69 {
			l.want(t, portA, flow(i+2), portWire, nil)
		}
		l.wantDrop(t, portA, flow(71), DropNatPoolExhausted)
		l.now += seconds(120) // the first flow is dead, swept or not
		l.want(t, portA, flow(71), portWire, nil)
		l.wantDrop(t, portA, flow(1), DropNatPoolExhausted)
	})
}

func TestPoolsReserveBlocksOf64(t *testing.T) { // L2B-23
	space := NewPortSpace()
	space.SetDynamic(ports(50000, 50000+3*64-1))
	a, err := NewNATPool(space, wire.ProtoTCP, 1, 0)
	if err != nil || a.Blocks()[0] != ports(50000, 50063) {
		t.Fatalf("first block %v, %v", a.Blocks(), err)
	}
	if u := space.Reserve(wire.ProtoTCP, 50010, Socket, 9); u != VFPUse {
		t.Errorf("a socket in the block: %v in the way, want vfp", u)
	}
	b, _ := NewNATPool(space, wire.ProtoTCP, 2, 0)
	c, _ := NewNATPool(space, wire.ProtoTCP, 3, 0)
	if _, err := NewNATPool(space, wire.ProtoTCP, 4, 0); !errors.Is(err, ErrNoPortBlock) {
		t.Errorf("fourth pool of three blocks: %v", err)
	}
	if _, err := NewNATPool(space, wire.ProtoUDP, 4, 0); err != nil {
		t.Errorf("another protocol: %v", err)
	}
	if owner, u, ok := space.OwnerOf(wire.ProtoTCP, 50064); !ok || owner != 2 || u != VFPUse {
		t.Errorf("owner of 50064: %d %v %v", owner, u, ok)
	}
	s := NewFlowStore()
	for i := range 64 {
		if _, ok := a.take(s, 0); !ok {
			t.Fatalf("port %d of the first block", i)
		}
	}
	if _, ok := a.take(s, 0); ok {
		t.Error("a pool grew although no block is free")
	}
	b.Close()
	h, ok := a.take(s, 0)
	if !ok || h.port != 50064 {
		t.Errorf("after a block was given back: %d %v", h.port, ok)
	}
	a.release(h)
	if n := len(a.Blocks()); n != 1 {
		t.Errorf("an unused block is not given back: %d blocks", n)
	}
	if h, _ := a.take(s, 0); h.port != 50064 {
		t.Errorf("a full first block: port %d, want one of a new block", h.port)
	}
	c.Close()
	a.Close()
	if len(space.Excluded(wire.ProtoTCP)) != 0 {
		t.Errorf("left: %v", space.Excluded(wire.ProtoTCP))
	}
	if _, ok := a.take(s, 0); ok {
		t.Error("a closed pool hands out ports")
	}
}

func TestPortsComeBackWithTheRule(t *testing.T) {
	both(t, PortLimits{}, func(t *testing.T, l *lab) {
		pool := natLab(t, l, 0)
		l.want(t, portA, tcp(ipA, ipX, 1, 443, ack).Bytes(), portWire, nil)
		l.program(portA, Layer{Name: "SLB_NAT_LAYER", Reconcile: KeepWhileRule})
		l.want(t, portA, tcp(ipA, ipX, 1, 443, ack).Bytes(), portWire, tcp(ipA, ipX, 1, 443, ack))
		if pool.InUse() != 0 {
			t.Errorf("%d ports in use", pool.InUse())
		}
		l.port(portA).Close()
	})
}

func TestTranslationsWithAmbiguousRepliesAreNotMade(t *testing.T) {
	both(t, PortLimits{}, func(t *testing.T, l *lab) {
		vip2 := ip("10.96.10.11")
		toB := SetHeaders{Dst: ipB, DstPort: ptr(uint16(8080)), EthDst: &macB}
		l.program(portA, Layer{Name: "LB", Groups: []Group{out(
			Rule{ID: "1", Match: Match{Dst: at(ipVIP)}, Stateful: true, Action: toB},
			Rule{ID: "2", Match: Match{Dst: at(vip2)}, Stateful: true, Action: toB},
			Rule{ID: "3", Stateful: true, Action: Allow{}})}})
		l.want(t, portA, udp(ipA, ipVIP, 5, 80).Bytes(), portB, udp(ipA, ipB, 5, 8080))
		for range 2 {
			l.wantDrop(t, portA, udp(ipA, vip2, 5, 80).Bytes(), DropNatPoolExhausted)
			// Without translation nothing is ambiguous for the packet itself.
			l.want(t, portA, udp(ipA, ipB, 5, 8080).Bytes(), portB, nil)
		}
		l.now += seconds(240)
		l.want(t, portA, udp(ipA, vip2, 5, 80).Bytes(), portB, nil)
	})
}
