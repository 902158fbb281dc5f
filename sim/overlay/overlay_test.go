package overlay

import (
	"net/netip"
	"testing"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

var (
	drHere  = wire.MustMAC("00-15-5D-D0-B3-B7")
	drThere = wire.MustMAC("00-15-5D-6C-B8-EF")
	macA    = wire.MustMAC("0E-2A-0A-F4-01-0A")
	macB    = wire.MustMAC("0E-2A-0A-F4-01-0B")
	macFar  = wire.MustMAC("02-42-0A-00-05-09")
	paHere  = netip.MustParseAddr("10.127.130.35")
	paThere = netip.MustParseAddr("10.127.130.38")
)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func testConfig() Config {
	return Config{
		PA: paHere, DRMAC: drHere, HostAddrs: []netip.Addr{paHere},
		Subnets: []Subnet{{Prefix: netip.MustParsePrefix("10.244.1.0/24"), Gateway: ip("10.244.1.1"), VNI: 4096}},
		Members: []*Member{
			{Num: 1, Local: &Local{Port: 101, MAC: macA, Addrs: []netip.Addr{ip("10.244.1.10")}, VNI: 4096}},
			{Num: 2, Local: &Local{Port: 102, MAC: macB, Addrs: []netip.Addr{ip("10.244.1.11")}, VNI: 4096}},
			{Num: 3, Remotes: []RemoteEndpoint{{Addr: ip("10.244.1.99"), MAC: macFar, PA: paThere, VNI: 4096}}},
		},
		RemoteSubnets: []RemoteSubnet{
			{Prefix: netip.MustParsePrefix("10.244.0.0/16"), VNI: 4096, PA: ip("10.127.130.40"), DRMAC: drThere},
			{Prefix: netip.MustParsePrefix("10.244.2.0/24"), VNI: 4096, PA: paThere, DRMAC: drThere},
		},
	}
}

// walk sends a frame out of endpoint A's port.
func walk(t *testing.T, cfg Config, f wire.Frame) *vfp.Walk {
	t.Helper()
	n := New(cfg)
	p := vfp.NewPort(101, vfp.PortLimits{})
	p.SetProgram(&vfp.Program{Layers: n.EndpointLayers(*cfg.Members[0].Local)})
	pkt := vfp.NewPacket(f.Bytes())
	pkt.InPort = 101
	pkt.Parse()
	w := new(vfp.Walk)
	w.Begin(0, pkt, 4096, nil)
	p.Walk(w, vfp.Out)
	return w
}

func udpTo(dst string, to wire.MAC, size int) wire.Frame {
	return wire.Frame{EthDst: to, EthSrc: macA,
		IP:  &wire.IPFields{Src: ip("10.244.1.10"), Dst: ip(dst), DF: true},
		UDP: &wire.UDPFields{SrcPort: 40000, DstPort: 53}, Payload: make([]byte, size)}
}

func TestADestinationIsLookedUpInTheOrderOfTheContract(t *testing.T) {
	tests := []struct {
		name, dst string
		fwd       vfp.Forward
		pa        netip.Addr
		ethDst    wire.MAC
		drop      vfp.Drop
	}{
		{"a local endpoint comes first", "10.244.1.11", vfp.Forward{Kind: vfp.ToPort, Port: 102}, netip.Addr{}, macB, 0},
		{"a remote endpoint beats every subnet", "10.244.1.99", vfp.Forward{Kind: vfp.ToPA}, paThere, macFar, 0},
		{"the longest remote prefix wins", "10.244.2.20", vfp.Forward{Kind: vfp.ToPA}, paThere, drThere, 0},
		{"a shorter one takes the rest", "10.244.7.7", vfp.Forward{Kind: vfp.ToPA}, ip("10.127.130.40"), drThere, 0},
		{"nobody knows it", "192.0.2.1", vfp.Forward{}, netip.Addr{}, drHere, vfp.DropNoMapping},
		{"the host needs HostRoute", "10.127.130.35", vfp.Forward{}, netip.Addr{}, drHere, vfp.DropNoMapping},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := walk(t, testConfig(), udpTo(tt.dst, drHere, 5))
			if w.Fwd != tt.fwd || w.Encap.Dst != tt.pa || w.H.EthDst != tt.ethDst || w.Drop != tt.drop {
				t.Errorf("forward %+v, PA %v, inner MAC %v, drop %v; want %+v, %v, %v, %v",
					w.Fwd, w.Encap.Dst, w.H.EthDst, w.Drop, tt.fwd, tt.pa, tt.ethDst, tt.drop)
			}
		})
	}
}

func TestWhatTheUnderlayCannotCarryIsDropped(t *testing.T) {
	const udpHeaders = 28
	for _, tt := range []struct {
		name    string
		size    int // inner IP length
		icmp    bool
		drop    vfp.Drop
		replies int
	}{
		{"1450 bytes fit", 1450, false, 0, 0},
		{"1451 do not, in silence", 1451, false, vfp.DropEncapOversize, 0},
		{"with the knob the gateway says so", 1451, true, vfp.DropEncapOversize, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := testConfig()
			cfg.Options.OversizeICMP = tt.icmp
			w := walk(t, cfg, udpTo("10.244.2.20", drHere, tt.size-udpHeaders))
			if w.Drop != tt.drop || len(w.Replies) != tt.replies {
				t.Fatalf("drop %v with %d replies, want %v with %d", w.Drop, len(w.Replies), tt.drop, tt.replies)
			}
			if tt.replies > 0 {
				var m wire.Meta
				wire.Parse(w.Replies[0], &m)
				if m.ICMPType != wire.ICMPUnreachable || m.ICMPCode != wire.ICMPFragNeeded ||
					wire.ICMPv4(w.Replies[0][m.L4:]).MTU() != 1450 || m.Src(w.Replies[0]) != ip("10.244.1.1") {
					t.Errorf("reply %s", wire.Summary(w.Replies[0]))
				}
			}
		})
	}
}

func TestARPIsAnsweredFromWhatIsProgrammed(t *testing.T) {
	for _, tt := range []struct {
		name, target string
		mac          wire.MAC
	}{
		{"the gateway is the distributed router", "10.244.1.1", drHere},
		{"a local endpoint", "10.244.1.11", macB},
		{"a remote endpoint", "10.244.1.99", macFar},
		{"a stranger gets silence", "10.244.1.50", wire.MAC{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := walk(t, testConfig(), wire.Frame{EthDst: wire.Broadcast, EthSrc: macA,
				ARP: &wire.ARPFields{SenderMAC: macA, SenderIP: ip("10.244.1.10"), TargetIP: ip(tt.target)}})
			if tt.mac.IsZero() {
				if len(w.Replies) != 0 || w.Drop != vfp.DropNoMapping {
					t.Errorf("%d replies, drop %v; want silence", len(w.Replies), w.Drop)
				}
				return
			}
			if len(w.Replies) != 1 {
				t.Fatalf("%d replies, want one", len(w.Replies))
			}
			if got := wire.ARP(w.Replies[0][wire.EthernetLen:]).SenderMAC(); got != tt.mac {
				t.Errorf("answer %v, want %v", got, tt.mac)
			}
		})
	}
}

func TestTheSourcePortFollowsTheFlow(t *testing.T) {
	seen := map[uint16]bool{}
	for port := range uint16(1000) {
		h := vfp.Header{Src: ip("10.244.1.10"), Dst: ip("10.244.2.20"), Proto: wire.ProtoUDP, SrcPort: port, DstPort: 53}
		a, b := entropy(h), entropy(h)
		if a != b || a < 49152 {
			t.Fatalf("port %d: %d, then %d; want equal, in the dynamic range", port, a, b)
		}
		seen[a] = true
	}
	if len(seen) < 500 {
		t.Errorf("1000 flows share %d source ports, want at least 500", len(seen))
	}
}
