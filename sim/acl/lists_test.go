package acl

import (
	"errors"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/vfp"
)

func (b *bench) setLists(l Lists, opt Options) {
	b.t.Helper()
	layers, err := l.Layers(opt)
	if err != nil {
		b.t.Fatal(err)
	}
	b.port.SetProgram(&vfp.Program{Layers: layers})
}

func TestListsDecideOneAfterTheOther(t *testing.T) {
	const x, y, z = "10.1.2.3", "10.2.2.3", "203.0.113.80"
	rule := func(id string, a Action, remote ...string) Rule {
		return Rule{ID: id, Priority: 100, Action: a, RemoteAddrs: addrs(remote...)}
	}
	tests := []struct {
		name string
		l    Lists
		opt  Options
		pkts []packet
	}{
		{"ACL-30 Pass goes on to the next tier, no match too", Lists{Tiers: []Tier{
			{Name: "b", Order: 20, Rules: []Rule{rule("b", Block, "10.1.0.0/16")}},
			{Name: "a", Order: 10, Rules: []Rule{rule("a", Pass, "10.0.0.0/8")}},
		}}, Options{}, []packet{{out, 6, 1, x, 80, block}, {out, 6, 1, y, 80, pass}, {out, 6, 1, z, 80, pass}}},
		{"ACL-30 Allow ends the evaluation", Lists{Tiers: []Tier{
			{Name: "a", Order: 10, Rules: []Rule{rule("a", Allow, "10.1.2.0/24")}},
			{Name: "b", Order: 20, Rules: []Rule{rule("b", Block, "10.0.0.0/8")}},
		}, Endpoint: []Rule{rule("e", Block, "10.1.0.0/16")}}, Options{}, []packet{{out, 6, 1, x, 80, pass}, {out, 6, 1, y, 80, block}}},
		{"ACL-30 tiers of one Order keep their order", Lists{Tiers: []Tier{
			{Name: "a", Order: 10, Rules: []Rule{rule("a", Allow)}},
			{Name: "b", Order: 10, Rules: []Rule{rule("b", Block)}},
		}}, Options{}, []packet{{out, 6, 1, x, 80, pass}}},
		{"ACL-30 the other order of tiers", Lists{Tiers: []Tier{
			{Name: "a", Order: 10, Rules: []Rule{rule("a", Allow)}},
			{Name: "b", Order: 20, Rules: []Rule{rule("b", Block, "10.1.0.0/16")}},
		}}, Options{TiersDescending: true}, []packet{{out, 6, 1, x, 80, block}, {out, 6, 1, y, 80, pass}}},
		{"ACL-30 a tier has one direction, whatever its rules say", Lists{Tiers: []Tier{
			{Name: "a", Dir: in, Rules: []Rule{rule("a", Block, "10.1.0.0/16")}},
		}}, Options{}, []packet{{out, 6, 1, x, 80, pass}, {in, 6, 1, x, 81, block}, {in, 6, 1, y, 80, pass}}},
		{"ACL-31 the endpoint's rules are the last list", Lists{
			Tiers:    []Tier{{Name: "a", Rules: []Rule{rule("a", Pass)}}},
			Endpoint: []Rule{rule("e", Block, "10.1.0.0/16")},
		}, Options{}, []packet{{out, 6, 1, x, 80, block}, {out, 6, 1, y, 80, pass}}},
		{"ACL-31 without a decision the posture decides", Lists{
			Tiers: []Tier{{Name: "a", Rules: []Rule{rule("a", Allow, "10.1.0.0/16"), rule("p", Pass, "10.2.0.0/16")}}},
		}, Options{AnyMeansDeny: true}, []packet{{out, 6, 1, x, 80, pass}, {out, 6, 1, y, 80, block}, {out, 6, 1, z, 80, block}, {in, 6, 1, z, 80, pass}}},
		{"ACL-31 a tier without rules is no rule", Lists{Tiers: []Tier{{Name: "a"}}}, Options{AnyMeansDeny: true},
			[]packet{{out, 6, 1, x, 80, pass}}},
		{"ACL-32 the network's Block is final", Lists{
			Network: []Rule{rule("n", Block, "10.1.0.0/16")}, Tiers: []Tier{{Name: "a", Rules: []Rule{rule("a", Allow)}}},
			Endpoint: []Rule{{ID: "e", Priority: 1, Action: Allow}},
		}, Options{}, []packet{{out, 6, 1, x, 80, block}, {out, 6, 1, y, 80, pass}}},
		{"ACL-32 so is its Allow", Lists{
			Network: []Rule{rule("n", Allow, "10.1.0.0/16")}, Endpoint: []Rule{{ID: "e", Priority: 1, Action: Block}},
		}, Options{}, []packet{{out, 6, 1, x, 80, pass}, {out, 6, 1, y, 80, block}}},
		{"ACL-32 tiers first, when the knob says so", Lists{
			Network: []Rule{rule("n", Block, "10.1.0.0/16")}, Tiers: []Tier{{Name: "a", Rules: []Rule{rule("a", Allow, "10.1.2.0/24")}}},
		}, Options{Precedence: TiersFirst}, []packet{{out, 6, 1, x, 80, pass}, {out, 6, 1, "10.1.3.3", 80, block}}},
		{"ACL-10 what a tier allowed is a flow", Lists{
			Tiers: []Tier{{Name: "a", Order: 1, Rules: []Rule{rule("a", Allow)}}, {Name: "b", Order: 2, Dir: in, Rules: []Rule{rule("b", Block)}}},
		}, Options{}, []packet{{out, 6, 1, x, 80, pass}, {in, 6, 1, x, 80, pass}, {in, 6, 2, x, 80, block}}},
		{"ACL-08 a Host rule of the network", Lists{
			Network: []Rule{{ID: "h", Priority: 1, Action: Block, RuleType: Host, RemoteAddrs: addrs(x + "/32")}},
		}, Options{}, []packet{{out, 6, 1, x, 80, vfp.DropHostFirewall}, {out, 6, 1, y, 80, pass}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := mkBench(t, tt.opt)
			b.setLists(tt.l, tt.opt)
			for i, p := range tt.pkts {
				if got := b.send(p.dir, p.proto, p.lport, p.remote, p.rport); got != p.want {
					t.Errorf("packet %d %+v: got %s, want %s", i, p, got, p.want)
				}
			}
		})
	}
}

func TestListsDoNotChange(t *testing.T) {
	l := Lists{Tiers: []Tier{{Name: "b", Order: 2, Dir: in, Rules: []Rule{{ID: "r", RuleType: Host}}}, {Name: "a", Order: 1}}}
	if _, err := l.Layers(Options{}); err != nil {
		t.Fatal(err)
	}
	if l.Tiers[0].Name != "b" || l.Tiers[0].Rules[0].Dir != out || l.Tiers[0].Rules[0].RuleType != Host {
		t.Errorf("compiling changed its input: %+v", l)
	}
}

func TestTiersAreBounded(t *testing.T) {
	if _, err := (Lists{Tiers: make([]Tier, maxLists-2)}).Layers(Options{}); err != nil {
		t.Error(err)
	}
	_, err := Lists{Tiers: make([]Tier, maxLists-1)}.Layers(Options{})
	if !errors.Is(err, ErrTiers) || !strings.Contains(err.Error(), "999") {
		t.Errorf("error is %v", err)
	}
}

// FuzzListsAreWalkedInOrder compares the compiled layers with what the rules
// say, evaluated one after the other.
func FuzzListsAreWalkedInOrder(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8}, uint8(3))
	f.Add([]byte{9, 200, 31, 4, 77, 12, 250, 3, 8, 1, 1, 1}, uint8(0))
	f.Fuzz(func(t *testing.T, spec []byte, host uint8) {
		if len(spec) > 60 {
			spec = spec[:60]
		}
		l, opt := mkLists(spec)
		b := mkBench(t, opt)
		b.setLists(l, opt)
		remote := "10.0.0." + string('0'+rune(host%10))
		want := reference(l, opt, remote)
		if got := b.send(out, 6, 1, remote, 80); got != want {
			t.Fatalf("to %s: got %s, want %s by\n%+v", remote, got, want, l)
		}
	})
}

// mkLists reads two bytes a rule: where it stands, and what it does to which
// hosts.
func mkLists(spec []byte) (Lists, Options) {
	var l Lists
	var opt Options
	for i := 0; i+1 < len(spec); i += 2 {
		r := Rule{Priority: uint16(spec[i+1] / 64), Action: Action(spec[i+1] % 3), RemoteAddrs: addrs("10.0.0." + string('0'+rune(spec[i+1]/3%10)) + "/32")}
		if spec[i+1]%5 == 0 {
			r.RemoteAddrs = AddressSet{}
		}
		switch where := spec[i] % 8; where {
		case 0:
			l.Network = append(l.Network, r)
		case 1:
			l.Endpoint = append(l.Endpoint, r)
		case 2:
			opt.AnyMeansDeny = !opt.AnyMeansDeny
		case 3:
			opt.Precedence = 1 - opt.Precedence
		default:
			l.Tiers = append(l.Tiers, Tier{Name: "t", Order: uint16(spec[i] / 32), Rules: []Rule{r}})
		}
	}
	return l, opt
}

// reference evaluates Out rules as the contract says.
func reference(l Lists, opt Options, remote string) vfp.Drop {
	count := len(l.Network) + len(l.Endpoint)
	lists := [][]Rule{}
	network := func() { lists = append(lists, l.Network) }
	if opt.Precedence == NetworkFirst {
		network()
	}
	for order := range uint16(256) {
		for _, t := range l.Tiers {
			if t.Order == order {
				lists = append(lists, t.Rules)
				count += len(t.Rules)
			}
		}
	}
	if opt.Precedence == TiersFirst {
		network()
	}
	for _, rules := range append(lists, l.Endpoint) {
		var best *Rule
		for i := range rules {
			r := &rules[i]
			if !r.RemoteAddrs.any() && r.RemoteAddrs.Prefixes[0].Addr().String() != remote {
				continue
			}
			if best == nil || r.Priority < best.Priority || r.Priority == best.Priority && rank(r.Action) < rank(best.Action) {
				best = r
			}
		}
		switch {
		case best == nil || best.Action == Pass:
		case best.Action == Block:
			return block
		default:
			return pass
		}
	}
	if opt.AnyMeansDeny && count > 0 {
		return block
	}
	return pass
}
