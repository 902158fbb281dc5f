package vnet

import (
	"net/netip"
	"testing"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// mkNetwork has two subnets, a machine here, one there, and an appliance.
func mkNetwork(kind vfp.EncapKind, routes ...Route) *Network {
	return New(Config{Name: "v", DRMAC: wire.MAC{0x40, 1}, Kind: kind, Subnets: []Subnet{
		{Prefix: netip.MustParsePrefix("10.1.1.0/24"), Gateway: addr("10.1.1.1"), VSID: 5001, Agent: 50, Routes: routes},
		{Prefix: netip.MustParsePrefix("10.1.2.0/24"), Gateway: addr("10.1.2.1"), VSID: 5002},
	}, CAs: []CA{
		{Addr: addr("10.1.1.11"), MAC: wire.MAC{2, 11}, VSID: 5001, PA: addr("10.10.0.11"), Port: 100, First: true},
		{Addr: addr("10.1.1.101"), MAC: wire.MAC{2, 11}, VSID: 5001, PA: addr("10.10.0.11"), Port: 100},
		{Addr: addr("10.1.1.12"), MAC: wire.MAC{2, 12}, VSID: 5001, PA: addr("10.10.0.12"), First: true},
		{Addr: addr("10.1.2.20"), MAC: wire.MAC{2, 20}, VSID: 5002, PA: addr("10.10.0.12"), First: true},
	}})
}

var port = Port{ID: 100, MAC: wire.MAC{2, 11}, VSID: 5001, PA: addr("10.10.0.11"), CAs: []netip.Addr{addr("10.1.1.11"), addr("10.1.1.101")}}

// Rules SDN-05, SDN-06, SDN-11: where a packet of the machine at port 100 goes.
func TestWhereAPacketGoes(t *testing.T) {
	appliance := Route{Prefix: netip.MustParsePrefix("10.1.2.0/24"), NextHop: addr("10.1.1.12")}
	shorter := Route{Prefix: netip.MustParsePrefix("0.0.0.0/0"), NextHop: addr("10.1.1.12")}
	local := Route{Prefix: netip.MustParsePrefix("10.1.2.0/28"), Local: true}
	tests := []struct {
		name   string
		routes []Route
		dst    string
		viaDR  bool
		fwd    vfp.Forward
		vsid   uint32 // of the encapsulation, 0 none
		mac    wire.MAC
		drop   vfp.Drop
	}{
		{"a neighbour elsewhere", nil, "10.1.1.12", false, vfp.Forward{Kind: vfp.ToPA}, 5001, wire.MAC{2, 12}, 0},
		{"another subnet", nil, "10.1.2.20", true, vfp.Forward{Kind: vfp.ToPA}, 5002, wire.MAC{2, 20}, 0},
		{"a sibling on the machine", nil, "10.1.1.101", true, vfp.Forward{Kind: vfp.Hairpin}, 0, wire.MAC{2, 11}, 0},
		{"the router", nil, "10.1.1.1", true, vfp.Forward{Kind: vfp.ToPort, Port: 50}, 0, wire.MAC{0x40, 1}, 0},
		{"another subnet's router, who is not here", nil, "10.1.2.1", true, vfp.Forward{}, 0, wire.MAC{}, vfp.DropNoMapping},
		{"nobody", nil, "10.1.1.99", false, vfp.Forward{}, 0, wire.MAC{}, vfp.DropNoMapping},
		{"outside", nil, "9.9.9.9", true, vfp.Forward{}, 0, wire.MAC{}, vfp.DropNoMapping},
		{"outside by a default route", []Route{shorter}, "9.9.9.9", true, vfp.Forward{Kind: vfp.ToPA}, 5001, wire.MAC{2, 12}, 0},
		{"another subnet beside a default route", []Route{shorter}, "10.1.2.20", true, vfp.Forward{Kind: vfp.ToPA}, 5002, wire.MAC{2, 20}, 0},
		{"a user's route of equal length", []Route{appliance}, "10.1.2.20", true, vfp.Forward{Kind: vfp.ToPA}, 5001, wire.MAC{2, 12}, 0},
		{"a longer one back to the network", []Route{appliance, local}, "10.1.2.14", true, vfp.Forward{}, 0, wire.MAC{}, vfp.DropNoMapping},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := &vfp.Walk{H: vfp.Header{EthSrc: wire.MAC{2, 11}, EthDst: wire.MAC{2, 99}, Src: addr("10.1.1.11"), Dst: addr(tt.dst), Proto: wire.ProtoUDP}}
			if tt.viaDR {
				w.H.EthDst = wire.MAC{0x40, 1}
			}
			out := routeCA{mkNetwork(vfp.VXLAN, tt.routes...), port}.Apply(w)
			if w.Drop != tt.drop || (out == vfp.Stop) != (tt.drop != 0) {
				t.Fatalf("drop %s, want %s", w.Drop, tt.drop)
			}
			if tt.drop == 0 && (w.Fwd != tt.fwd || w.Encap.VNI != tt.vsid || w.H.EthDst != tt.mac) {
				t.Errorf("to %+v in VSID %d for %s", w.Fwd, w.Encap.VNI, w.H.EthDst)
			}
			if tt.drop == 0 && tt.viaDR && w.Fwd.Port == 0 && w.H.EthSrc != (wire.MAC{0x40, 1}) {
				t.Errorf("routed, and from %s", w.H.EthSrc)
			}
		})
	}
}

func TestRoutingDoesNotAllocate(t *testing.T) {
	var a vfp.Action = routeCA{mkNetwork(vfp.NVGRE), port} // an interface, as programs have it
	w := &vfp.Walk{}
	if n := testing.AllocsPerRun(100, func() {
		*w = vfp.Walk{H: vfp.Header{EthDst: wire.MAC{0x40, 1}, Src: port.CAs[0], Dst: addr("10.1.2.20"), Proto: wire.ProtoTCP}}
		a.Apply(w)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Rule SDN-04: what a machine learns by asking.
func TestWhoIsAnsweredFor(t *testing.T) {
	r := responder{mkNetwork(vfp.VXLAN), port}
	for a, want := range map[string]wire.MAC{
		"10.1.1.1": {0x40, 1}, "10.1.1.12": {2, 12}, "10.1.1.101": {0x40, 1}, "10.1.2.20": {}, "10.1.2.1": {}, "10.1.1.99": {},
	} {
		if got, ok := r.mac(addr(a)); got != want || ok == want.IsZero() {
			t.Errorf("%s is at %s, %v", a, got, ok)
		}
	}
}
