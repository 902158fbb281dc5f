package simulated

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/vswitch"
	"github.com/hnsim/hnsim/sim/wire"
)

// TestTheIsolationOfTenantsIsWatched shows crossings that must not be, and
// their harmless neighbours, to the invariant.
func TestTheIsolationOfTenantsIsWatched(t *testing.T) {
	inner := &wire.Frame{EthSrc: wire.MAC{2, 1}, EthDst: wire.MAC{2, 2}, IP: &wire.IPFields{Src: netip.MustParseAddr("192.168.1.1"), Dst: netip.MustParseAddr("192.168.1.2")}, UDP: &wire.UDPFields{SrcPort: 1, DstPort: 2}}
	tunnel := func(src, dst string, vni uint32) []byte {
		b, err := (&wire.Frame{EthSrc: wire.MAC{2, 3}, EthDst: wire.MAC{2, 4}, IP: &wire.IPFields{Src: netip.MustParseAddr(src), Dst: netip.MustParseAddr(dst)},
			UDP: &wire.UDPFields{SrcPort: 50000, DstPort: 4789}, VXLAN: &wire.VXLANFields{VNI: vni}, Inner: inner}).Build()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	plain, err := inner.Build()
	if err != nil {
		t.Fatal(err)
	}
	inner.IP.Src = netip.MustParseAddr("107.105.47.70")
	virtual, err := inner.Build()
	if err != nil {
		t.Fatal(err)
	}
	inner.IP.Src = netip.MustParseAddr("192.168.1.1")
	const wirePort, a, b, other vfp.PortID = 1, 100, 101, 102
	sw := &fabric.SwitchProgram{Wire: wirePort, Uplink: "Ethernet", Config: vswitch.Config{Ports: []vswitch.PortConfig{{ID: wirePort}, {ID: a, Zone: 5001}, {ID: b, Zone: 5002}, {ID: other, Zone: 6001}}}}
	tests := []struct {
		name          string
		in, out       vfp.PortID
		entered, left []byte
		bad           bool
	}{
		{"two subnets of a network", a, b, plain, plain, false},
		{"two networks", a, other, plain, plain, true},
		{"a tunnel of its own network", a, wirePort, plain, tunnel("10.10.0.11", "10.10.0.12", 5002), false},
		{"a tunnel of another network", a, wirePort, plain, tunnel("10.10.0.11", "10.10.0.12", 6001), true},
		{"a tunnel that the machine made", a, wirePort, plain, tunnel("192.168.1.9", "203.0.113.80", 6001), false},
		{"out of a tunnel of another network", wirePort, a, tunnel("10.10.0.12", "10.10.0.11", 6001), plain, true},
		{"out of one of its own", wirePort, a, tunnel("10.10.0.12", "10.10.0.11", 5001), plain, false},
		{"two networks, from a virtual address (SDN-14)", a, other, plain, virtual, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx := context.Background()
			w, err := newWorld(backends.WorldConfig{})
			if err != nil {
				t.Fatal(err)
			}
			if err := w.AddNode(ctx, backends.Node{Kind: backends.PhysicalNode, Name: "p1", Ifaces: []backends.Iface{{Addrs: []netip.Prefix{netip.MustParsePrefix("10.10.0.11/24")}}}}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.SDN(ctx, backends.SDNOp{Verb: "put", Path: "/virtualNetworks/v", Body: []byte(`{"properties":{"addressSpace":{"addressPrefixes":["10.0.0.0/8"]},"subnets":[
				{"resourceId":"s1","properties":{"addressPrefix":"10.1.0.0/16","vsid":5001}},{"resourceId":"s2","properties":{"addressPrefix":"10.2.0.0/16","vsid":5002}}]}}`)}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.SDN(ctx, backends.SDNOp{Verb: "put", Path: "/loadBalancers/lb", Body: []byte(`{"properties":{"frontendIPConfigurations":[{"resourceId":"fe","properties":{"privateIPAddress":"107.105.47.70"}}],
				"backendAddressPools":[{"resourceId":"p","properties":{}}],"outboundNatRules":[{"resourceId":"o","properties":{"frontendIPConfigurations":[{"resourceRef":"/loadBalancers/lb/frontendIPConfigurations/fe"}],
				"protocol":"All","backendAddressPool":{"resourceRef":"/loadBalancers/lb/backendAddressPools/p"}}}]}}`)}); err != nil {
				t.Fatal(err)
			}
			w.rec.checkCrossing(fabric.Crossing{Host: "p1", Switch: sw, In: tt.in, Out: tt.out, Entered: tt.entered, Left: tt.left})
			if got := strings.Join(w.rec.violations, "\n"); (got != "") != tt.bad {
				t.Errorf("violations: %q", got)
			}
		})
	}
}
