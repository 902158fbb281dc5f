package acl

import (
	"net/netip"
	"testing"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// with is a port with the compiled rules between other layers.
func with(t *testing.T, rules []Rule, others ...vfp.Layer) *bench {
	layers, err := Layers(rules, Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, port: vfp.NewPort(1, vfp.PortLimits{})}
	b.port.SetProgram(&vfp.Program{Layers: append(layers, others...)})
	return b
}

func outLayer(name string, priority uint16, a vfp.Action) vfp.Layer {
	return vfp.Layer{Name: name, Priority: priority, Groups: []vfp.Group{{Name: "g", Dir: out, Rules: []vfp.Rule{{ID: name, Action: a, Stateful: true}}}}}
}

func TestRulesSeePodAddresses(t *testing.T) {
	const vip, dip, node = "10.96.10.10", "10.0.0.20", "10.127.130.35"
	lb := outLayer("lb", 100, vfp.SetHeaders{Dst: netip.MustParseAddr(dip)})
	nat := outLayer("nat", 300, vfp.SetHeaders{Src: netip.MustParseAddr(node)})
	block := func(dir vfp.Dir, local, remote AddressSet, typ RuleType) []Rule {
		return []Rule{{ID: "b", Action: Block, Dir: dir, LocalAddrs: local, RemoteAddrs: remote, RuleType: typ}}
	}
	tests := []struct {
		name  string
		rules []Rule
		want  vfp.Drop
	}{
		{"S-ACL-09 Out sees the backend, not the VIP", block(out, AddressSet{}, addrs(dip+"/32"), Switch), vfp.DropVfpBlock},
		{"the VIP is not seen", block(out, AddressSet{}, addrs(vip+"/32"), Switch), pass},
		{"S-ACL-10 Out sees the pod, not the node", block(out, addrs("10.0.0.10/32"), AddressSet{}, Switch), vfp.DropVfpBlock},
		{"the node is not seen", block(out, addrs(node+"/32"), AddressSet{}, Switch), pass},
		{"Host rules see the backend too", block(out, AddressSet{}, addrs(dip+"/32"), Host), vfp.DropHostFirewall},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := with(t, tt.rules, lb, nat)
			if got := b.send(out, 6, 1000, vip, 80); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	t.Run("ACL-09 In comes after the reverse translation", func(t *testing.T) {
		b := with(t, nil, lb, nat)
		b.send(out, 6, 1000, vip, 80)
		var seen vfp.Header
		spy := vfp.Rule{Action: vfp.Allow{}, Match: vfp.Match{Func: func(w *vfp.Walk) bool { seen = w.H; return false }}}
		b.port.SetProgram(&vfp.Program{Layers: []vfp.Layer{lb, nat, {Name: "spy", Priority: LayerPriority, Groups: []vfp.Group{{Dir: in, Rules: []vfp.Rule{spy}}}}}})
		f := wire.Frame{IP: &wire.IPFields{Src: netip.MustParseAddr(dip), Dst: netip.MustParseAddr(node)}, TCP: &wire.TCPFields{SrcPort: 80, DstPort: 1000, Flags: wire.TCPSyn | wire.TCPAck}}
		p := vfp.NewPacket(f.Bytes())
		p.Parse()
		b.walk(in, p)
		if seen.Src.String() != dip || seen.Dst != me {
			t.Errorf("the layer sees %s, want %s>%s", &seen, dip, me)
		}
	})
}

func TestProtocol252MeansTunnelledTraffic(t *testing.T) {
	rules := []Rule{
		{ID: "o", Dir: out, Action: Block, Protocols: []uint16{252}},
		{ID: "i", Dir: in, Action: Block, Protocols: []uint16{252}},
	}
	b := with(t, rules)
	for _, dir := range [2]vfp.Dir{out, in} {
		if got := b.send(dir, 6, 80, "10.0.0.20", 1000); got != pass {
			t.Errorf("S-ACL-19 local traffic %s: %s", dir, got)
		}
	}
	encap := action(func(w *vfp.Walk) { w.Encap.Kind = vfp.VXLAN })
	route := vfp.Layer{Name: "route", Priority: 400, Groups: []vfp.Group{{Dir: out, Rules: []vfp.Rule{{Action: encap}}}}}
	if got := with(t, rules, route).send(out, 6, 80, "10.0.0.20", 1000); got != block {
		t.Errorf("S-ACL-19 encapsulated traffic: %s", got)
	}
	var w vfp.Walk
	w.Begin(0, mkPacket(in, 6, 80, "10.0.0.20", 1000), 0, nil)
	w.VNI = 4096
	if with(t, rules).port.Walk(&w, in) != vfp.Stop || w.Drop != block {
		t.Errorf("decapsulated traffic: %s", w.Drop)
	}
	if l, err := compileTunnel([]list{{rules: []Rule{{ID: "a", Protocols: []uint16{6}}}}}, Options{}); err != nil || len(l.Groups) != 0 {
		t.Errorf("a list without protocol 252 has groups %v, error %v", l.Groups, err)
	}
	any, err := Compile([]Rule{{ID: "a", Action: Block, Protocols: []uint16{252, 6}}}, Options{})
	if err != nil || len(first(any).Match.Protos) != 1 {
		t.Errorf("the other protocols of the rule: %+v, error %v", first(any).Match, err)
	}
}

// action is an action from a function.
type action func(*vfp.Walk)

func (action) Name() string                    { return "test" }
func (a action) Apply(w *vfp.Walk) vfp.Outcome { a(w); return vfp.Continue }
