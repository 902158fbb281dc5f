package fabric

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/vswitch"
	"github.com/hnsim/hnsim/sim/wire"
)

// mkOuter is an external x on lan, and a NIC of a VM behind an outer switch
// on lan, with what arrives at the VM.
func mkOuter(t *testing.T, cfg OuterConfig) (l *lan, o *Outer, vm *NIC, got *[]string) {
	l = &lan{t: t}
	l.Net = New(observed(l, 1))
	l.x = l.external("x", "lan", "10.0.0.10/24")
	cfg.Name, cfg.VM = "phys", wire.MustMAC("00-15-5D-82-00-23")
	o, err := l.AddOuter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	got = new([]string)
	vm, err = l.AddNIC(o.Segment(), NICConfig{Node: "h1", Name: "Ethernet", MAC: cfg.VM, Receive: func(_ int64, f []byte, _ uint64) {
		e := wire.Ethernet(f)
		*got = append(*got, e.Src().String()+">"+e.Dst().String()+" "+wire.Summary(f))
	}})
	if err != nil {
		t.Fatal(err)
	}
	return l, o, vm, got
}

func TestTheOuterSwitchLetsOnlyTheVMsOwnMACOut(t *testing.T) {
	tests := []struct {
		name     string
		spoofing bool
		src      string
		passes   bool
	}{
		{"the VM's MAC", false, "00-15-5D-82-00-23", true},
		{"a container's MAC with spoofing off (TR-02)", false, "00-15-5D-30-00-0A", false},
		{"a container's MAC with spoofing on", true, "00-15-5D-30-00-0A", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, o, vm, _ := mkOuter(t, OuterConfig{})
			if err := o.SetMACSpoofing(tt.spoofing); err != nil {
				t.Fatal(err)
			}
			f := wire.Frame{EthDst: wire.Broadcast, EthSrc: wire.MustMAC(tt.src), ARP: &wire.ARPFields{
				SenderMAC: wire.MustMAC(tt.src), SenderIP: addr("10.0.0.7"), TargetIP: addr("10.0.0.10"),
			}}
			vm.Send(0, f.Bytes(), 1)
			l.settle()
			replied := false
			for _, w := range l.wire {
				replied = replied || strings.HasPrefix(w, "h1/Ethernet rx")
			}
			if replied != tt.passes {
				t.Errorf("reply %v, want %v; drops %q", replied, tt.passes, l.drops)
			}
			if !tt.passes {
				l.wantDrops("phys vm MacSpoof")
			}
		})
	}
}

func TestATenantsPortHairpinsItsOwnAddresses(t *testing.T) {
	vmMAC := wire.MustMAC("00-15-5D-82-00-23")
	cas := []netip.Addr{addr("10.0.0.101"), addr("10.0.0.102")}
	packet := func(src, dst string) []byte {
		f := wire.Frame{EthDst: routerMAC, EthSrc: vmMAC, IP: &wire.IPFields{Src: addr(src), Dst: addr(dst)},
			UDP: &wire.UDPFields{SrcPort: 1, DstPort: 2}, Payload: []byte("hello")}
		return f.Bytes()
	}
	tests := []struct {
		name  string
		frame []byte
		acls  []vswitch.ExtACL
		back  string // at the VM: source and destination MAC
		drops []string
	}{
		{"to a sibling (L2T-02)", packet("10.0.0.101", "10.0.0.102"), nil, routerMAC.String() + ">" + vmMAC.String(), nil},
		{"to a sibling against an ACL", packet("10.0.0.101", "10.0.0.102"), []vswitch.ExtACL{{
			Dir: vfp.Out, Weight: 10, Local: netip.MustParsePrefix("10.0.0.101/32"), Remote: netip.MustParsePrefix("10.0.0.102/32"),
		}}, "", []string{"phys vm PortAcl"}},
		{"from a foreign address (L2T-05)", packet("10.0.0.103", "10.0.0.102"), nil, "", []string{"phys vm VfpBlock"}},
		{"a request for a sibling", (&wire.Frame{EthDst: wire.Broadcast, EthSrc: vmMAC, ARP: &wire.ARPFields{
			SenderMAC: vmMAC, SenderIP: addr("10.0.0.101"), TargetIP: addr("10.0.0.102"),
		}}).Bytes(), nil, routerMAC.String() + ">" + vmMAC.String(), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, o, vm, got := mkOuter(t, OuterConfig{CAs: cas})
			if err := o.SetACLs(tt.acls); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time from the flow cache
				vm.Send(0, tt.frame, 1)
			}
			l.settle()
			for _, g := range *got {
				if !strings.HasPrefix(g, tt.back+" ") {
					t.Errorf("the VM got %q", g)
				}
			}
			if (len(*got) == 2) != (tt.back != "") {
				t.Errorf("the VM got %d frames: %q", len(*got), *got)
			}
			l.wantDrops(append(tt.drops, tt.drops...)...)
			for _, w := range l.wire {
				if strings.HasPrefix(w, "phys/wire") {
					t.Errorf("on the physical wire: %s", w)
				}
			}
		})
	}
}

func TestATenantsPortPassesWhatIsForOthers(t *testing.T) {
	l, _, vm, got := mkOuter(t, OuterConfig{CAs: []netip.Addr{addr("10.0.0.101")}})
	var sink []string
	_, _ = l.x.Stack().Listen(wire.ProtoUDP, netip.Addr{}, 2, ipstack.Handler{
		Datagram: func(_ int64, from, _ netip.AddrPort, b []byte) []byte {
			sink = append(sink, from.String())
			return b
		},
	})
	_ = l.x.Stack().SetNeighbor(0, "eth0", addr("10.0.0.101"), vm.MAC())
	f := wire.Frame{EthDst: l.x.NIC("eth0").MAC(), EthSrc: vm.MAC(), IP: &wire.IPFields{Src: addr("10.0.0.101"), Dst: addr("10.0.0.10")},
		UDP: &wire.UDPFields{SrcPort: 1, DstPort: 2}}
	vm.Send(0, f.Bytes(), 1)
	l.settle()
	if len(sink) != 1 || len(*got) != 1 {
		t.Errorf("x got %q, the VM %q; drops %q", sink, *got, l.drops)
	}
}
