package simulated

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/hns"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// networks of the host of mkWorld, with one endpoint each; the first endpoint
// is number 1.
var isolatedNetworks = []string{
	`{"SchemaVersion":{"Major":2,"Minor":0},"Name":"vx1","Type":"Overlay","Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"10.244.1.0/24",
	  "Policies":[{"Type":"VSID","Settings":{"IsolationId":5000}}],"Routes":[{"NextHop":"10.244.1.1","DestinationPrefix":"0.0.0.0/0"}]}]}],
	  "Policies":[{"Type":"RemoteSubnetRoute","Settings":{"DestinationPrefix":"10.244.9.0/24","IsolationId":5009,"ProviderAddress":"10.0.0.6","DistributedRouterMacAddress":"00-15-5D-00-00-09"}}]}`,
	`{"SchemaVersion":{"Major":2,"Minor":0},"Name":"vx2","Type":"Overlay","Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"10.245.1.0/24",
	  "Policies":[{"Type":"VSID","Settings":{"IsolationId":6000}}],"Routes":[{"NextHop":"10.245.1.1","DestinationPrefix":"0.0.0.0/0"}]}]}]}`,
	`{"SchemaVersion":{"Major":2,"Minor":0},"Name":"br","Type":"L2Bridge","Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"10.0.0.0/24",
	  "Policies":[{"Type":"VLAN","Settings":{"IsolationId":7}}],"Routes":[{"NextHop":"10.0.0.1","DestinationPrefix":"0.0.0.0/0"}]}]}]}`,
	`{"SchemaVersion":{"Major":2,"Minor":0},"Name":"pr","Type":"Private","Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"10.246.1.0/24"}]}]}`,
	`{"SchemaVersion":{"Major":2,"Minor":0},"Name":"in","Type":"Internal","Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"10.247.1.0/24"}]}]}`,
}

func mkWorld(t *testing.T) *world {
	t.Helper()
	ctx := context.Background()
	w, err := newWorld(backends.WorldConfig{})
	if err != nil {
		t.Fatal(err)
	}
	err = w.AddNode(ctx, backends.Node{Kind: backends.HostNode, Name: "h1",
		Ifaces: []backends.Iface{{Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.5/24")}}}})
	if err != nil {
		t.Fatal(err)
	}
	for i, doc := range isolatedNetworks {
		net, err := w.HCN(ctx, backends.HCNOp{Host: "h1", Kind: "network", Verb: "create", Body: []byte(doc)})
		if err != nil {
			t.Fatalf("network %d: %v", i+1, err)
		}
		_, err = w.HCN(ctx, backends.HCNOp{Host: "h1", Kind: "endpoint", Verb: "create", Parent: net.ID, Body: []byte(`{"SchemaVersion":{"Major":2,"Minor":0}}`)})
		if err != nil {
			t.Fatalf("endpoint %d: %v", i+1, err)
		}
	}
	if broken := w.Invariants(); len(broken) > 0 {
		t.Fatalf("before anything: %v", broken)
	}
	return w
}

// plain is a UDP packet, in VLAN or VXLAN when those are not zero.
func plain(vlan uint16, vni uint32) []byte {
	f := wire.Frame{EthDst: wire.Broadcast, EthSrc: wire.MAC{2, 0, 0, 0, 0, 1},
		IP: &wire.IPFields{Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2")}}
	if vlan != 0 {
		f.VLAN = &wire.VLANFields{ID: vlan}
	}
	if vni != 0 {
		inner := plain(0, 0)
		f.VXLAN, f.Payload = &wire.VXLANFields{VNI: vni}, nil
		f.Inner = &wire.Frame{EthDst: wire.Broadcast, EthSrc: wire.MAC{2, 0, 0, 0, 0, 2}, EtherType: 0x88b5, Payload: inner}
	} else {
		f.UDP, f.Payload = &wire.UDPFields{SrcPort: 1, DstPort: 2}, []byte("x")
	}
	return f.Bytes()
}

func TestAPacketBetweenIsolatedNetworksIsAViolation(t *testing.T) {
	const wirePort, hostPort = 1, 2
	ep := func(n uint32) vfp.PortID { return hns.EndpointPort(n) }
	tests := []struct {
		name          string
		net           int // whose switch
		in, out       vfp.PortID
		entered, left []byte
		want          string // "" is no violation
	}{
		{"two VSIDs", 1, ep(1), ep(2), plain(0, 0), plain(0, 0), "VSID 5000 reaches one in VSID 6000"},
		{"an overlay and a VLAN", 1, ep(1), ep(3), plain(0, 0), plain(0, 0), "VSID 5000 reaches one in VLAN 7"},
		{"an endpoint and itself", 1, ep(1), ep(1), plain(0, 0), plain(0, 0), ""},
		{"its own VNI on the wire", 1, ep(1), wirePort, plain(0, 0), plain(0, 5000), ""},
		{"the VNI of a remote subnet", 1, ep(1), wirePort, plain(0, 0), plain(0, 5009), ""},
		{"another VNI on the wire", 1, ep(1), wirePort, plain(0, 0), plain(0, 6000), "sends with VNI 6000"},
		{"its own VNI from the wire", 1, wirePort, ep(1), plain(0, 5000), plain(0, 0), ""},
		{"another VNI from the wire", 1, wirePort, ep(1), plain(0, 6000), plain(0, 0), "gets a frame of VNI 6000"},
		{"its own VLAN on the wire", 3, ep(3), wirePort, plain(0, 0), plain(7, 0), ""},
		{"no VLAN on the wire", 3, ep(3), wirePort, plain(0, 0), plain(0, 0), "sends with tag 0"},
		{"another VLAN from the wire", 3, wirePort, ep(3), plain(8, 0), plain(0, 0), "gets a frame with tag 8"},
		{"out of a private network", 4, ep(4), hostPort, plain(0, 0), plain(0, 0), "which is private, reaches port 2"},
		{"into a private network", 4, hostPort, ep(4), plain(0, 0), plain(0, 0), "is reached from port 2"},
		{"an internal network and its host", 5, ep(5), hostPort, plain(0, 0), plain(0, 0), ""},
		{"two internal networks", 5, ep(5), ep(4), plain(0, 0), plain(0, 0), "reaches one in network number 4"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := mkWorld(t)
			h := w.nodes["h1"].host
			sp := switchOf(h.Program(), ep(uint32(tt.net)))
			if sp == nil {
				t.Fatalf("no switch has endpoint %d", tt.net)
			}
			w.rec.checkCrossing(fabric.Crossing{Host: "h1", Switch: sp, In: tt.in, Out: tt.out, Entered: tt.entered, Left: tt.left})
			got := strings.Join(w.Invariants(), "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) || tt.want != "" && !strings.HasPrefix(got, isolationInvariant+": host h1") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func switchOf(p *fabric.HostProgram, id vfp.PortID) *fabric.SwitchProgram {
	for i := range p.Switches {
		for q := range p.Switches[i].Config.All() {
			if q.ID == id {
				return &p.Switches[i]
			}
		}
	}
	return nil
}

func TestABrokenChecksumOnAnyWireIsAViolation(t *testing.T) {
	bad := plain(0, 0)
	bad[len(bad)-1] ^= 0xff
	for _, kind := range []backends.NodeKind{backends.HostNode, backends.ExternalNode} {
		w := mkWorld(t)
		nic := w.nodes["h1"].nics[0]
		if kind == backends.ExternalNode {
			if err := w.AddNode(t.Context(), backends.Node{Kind: kind, Name: "x", Ifaces: []backends.Iface{{Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.9/24")}}}}); err != nil {
				t.Fatal(err)
			}
			nic = w.nodes["x"].nics[0]
		}
		nic.Send(w.now(), bad, 77)
		if err := w.settle(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(w.Invariants(), "\n"); !strings.Contains(got, checksumInvariant+": wire of "+nic.Point()) {
			t.Errorf("%s: got %q", kind, got)
		}
	}
}

func TestAFrameThatIsBrokenOnPurposeIsNoViolation(t *testing.T) {
	bad := plain(0, 0)
	bad[len(bad)-1] ^= 0xff
	w := mkWorld(t)
	if _, err := w.Do(t.Context(), backends.Stimulus{Kind: backends.SendFrame, Role: "h1", OnWire: true, Frame: bad}); err != nil {
		t.Fatal(err)
	}
	if broken := w.Invariants(); len(broken) > 0 {
		t.Errorf("got %v", broken)
	}
	w.nodes["h1"].nics[0].Send(w.now(), bad, 78)
	if got := fmt.Sprint(w.Invariants()); !strings.Contains(got, checksumInvariant) {
		t.Errorf("one broken frame excuses the next: %s", got)
	}
}

func TestAPacketThatRunsInCirclesIsAViolation(t *testing.T) {
	w := mkWorld(t)
	nic := w.nodes["h1"].nics[0]
	for range maxPasses {
		w.rec.checkWire(nic, fabric.Tx, plain(0, 0), 5)
	}
	if len(w.rec.violations) > 0 {
		t.Fatalf("too early: %v", w.rec.violations)
	}
	w.rec.checkWire(nic, fabric.Rx, plain(0, 0), 5)
	w.rec.checkWire(nic, fabric.Tx, plain(0, 0), 6)
	w.rec.checkWire(nic, fabric.Tx, plain(0, 0), 5)
	w.rec.checkWire(nic, fabric.Tx, plain(0, 0), 5)
	if got := w.rec.violations; len(got) != 1 || !strings.HasPrefix(got[0], loopInvariant+": packet #5") {
		t.Errorf("got %v, want packet 5 once", got)
	}
}

func TestARunawayIsALoopAndNoLoss(t *testing.T) {
	w := mkWorld(t)
	if err := w.runaway(&fabric.RunawayError{Limit: "events"}); err != nil {
		t.Fatal(err)
	}
	if got := w.Invariants(); len(got) != 1 || !strings.HasPrefix(got[0], loopInvariant) {
		t.Errorf("got %v", got)
	}
}
