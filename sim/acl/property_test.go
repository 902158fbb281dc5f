package acl

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/hnsim/hnsim/sim/vfp"
)

// oracle says what a list does to the first packet of a flow, straight from
// the words of section 9: no groups, no families, no layers.
func oracle(rules []Rule, opt Options, p packet) vfp.Drop {
	list := slices.Clone(rules)
	slices.SortStableFunc(list, func(a, b Rule) int {
		if n := cmp.Compare(a.Priority, b.Priority); n != 0 || opt.Tie == FirstWins {
			return n
		}
		order := map[Action]int{Block: 0, Pass: 1, Allow: 2}
		return order[a.Action] - order[b.Action]
	})
	verdict := func(kind RuleType) (Action, bool) {
		for _, r := range list {
			if r.RuleType == kind && matches(r, opt, p) {
				return r.Action, r.Action != Pass
			}
		}
		return Allow, false
	}
	host := pass
	if a, decided := verdict(Host); opt.Isolation == Process && decided && a == Block {
		host = vfp.DropHostFirewall
	}
	first, second := host, switched(rules, opt, p, verdict)
	if p.dir == in { // the container is the last to see it
		first, second = second, first
	}
	return cmp.Or(first, second)
}

// switched is the verdict of the Switch rules and the posture behind them.
func switched(rules []Rule, opt Options, p packet, verdict func(RuleType) (Action, bool)) vfp.Drop {
	if a, decided := verdict(Switch); decided {
		return map[Action]vfp.Drop{Allow: pass, Block: block}[a]
	}
	listed := slices.ContainsFunc(rules, func(r Rule) bool { return r.RuleType == Switch && r.Dir == p.dir })
	if opt.AnyMeansDeny && listed {
		return block
	}
	usual := slices.Contains([]uint8{1, 2, 6, 17, 58}, p.proto)
	if p.dir == in && opt.Isolation == Process && !usual {
		return block
	}
	return pass
}

func matches(r Rule, opt Options, p packet) bool {
	if r.Dir != p.dir {
		return false
	}
	if len(r.Protocols) > 0 && !slices.Contains(r.Protocols, 256) && !slices.Contains(r.Protocols, uint16(p.proto)) {
		return false
	}
	local, remote := me, netip.MustParseAddr(p.remote)
	if remote.Is6() {
		local = me6
	}
	la, ra := r.LocalAddrs, r.RemoteAddrs
	if sets := len(la.Sets)+len(ra.Sets) > 0; sets && opt.Sets == SourceDest && p.dir == in {
		la, ra = ra, la // names mean source and destination
	}
	inSet := func(s AddressSet, a netip.Addr) bool {
		return s.any() || slices.ContainsFunc(s.Prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	inPorts := func(list []vfp.PortRange, port uint16) bool {
		return len(list) == 0 || (p.proto == 6 || p.proto == 17) &&
			slices.ContainsFunc(list, func(r vfp.PortRange) bool { return r.Lo <= port && port <= r.Hi })
	}
	return inSet(la, local) && inSet(ra, remote) && inPorts(r.LocalPorts, p.lport) && inPorts(r.RemotePorts, p.rport)
}

// TestRandomListsDoWhatTheContractSays compares compiled lists with the oracle.
func TestRandomListsDoWhatTheContractSays(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	one := func(list ...string) string { return list[rng.IntN(len(list))] }
	prefixes := func() AddressSet {
		var s AddressSet
		for range rng.IntN(3) {
			s.Prefixes = append(s.Prefixes, netip.MustParsePrefix(one("10.0.0.0/8", "10.0.0.10/32", "10.0.0.20/32", "203.0.113.0/24", "fd00::/16", "fd00::10/128")))
		}
		if rng.IntN(4) == 0 {
			s.Sets = []string{"s"}
		}
		return s
	}
	portList := func() (list []vfp.PortRange) {
		for range rng.IntN(3) / 2 {
			lo := uint16(78 + rng.IntN(4))
			list = append(list, vfp.PortRange{Lo: lo, Hi: lo + uint16(rng.IntN(3))})
		}
		return list
	}
	for round := range 300 {
		opt := Options{
			Isolation: Isolation(rng.IntN(2)), Tie: TieBreak(rng.IntN(2)), Sets: SetAddressing(rng.IntN(2)), AnyMeansDeny: rng.IntN(2) == 0,
		}
		var rules []Rule
		for i := range rng.IntN(12) {
			r := Rule{
				ID: fmt.Sprint(i), Priority: uint16(rng.IntN(5)), Action: Action(rng.IntN(3)), Dir: vfp.Dir(rng.IntN(2)),
				LocalAddrs: prefixes(), RemoteAddrs: prefixes(), RuleType: RuleType(rng.IntN(2)),
			}
			if r.LocalPorts, r.RemotePorts = portList(), portList(); rng.IntN(2) == 0 {
				r.Protocols = [][]uint16{{6}, {6, 17}, {256}}[rng.IntN(3)]
			} else if len(r.LocalPorts)+len(r.RemotePorts) == 0 && rng.IntN(2) == 0 {
				r.Protocols = []uint16{uint16(rng.IntN(48))}
			}
			rules = append(rules, r)
		}
		for range 40 {
			p := packet{
				dir: vfp.Dir(rng.IntN(2)), proto: []uint8{1, 6, 17, 47, 50}[rng.IntN(5)],
				lport: uint16(78 + rng.IntN(5)), rport: uint16(78 + rng.IntN(5)), remote: one("10.0.0.20", "203.0.113.80", "198.51.100.1", "fd00::20"),
			}
			if p.proto == 1 && netip.MustParseAddr(p.remote).Is6() {
				p.proto = 58
			}
			b := mkBench(t, opt, rules...)
			if got, want := b.send(p.dir, p.proto, p.lport, p.remote, p.rport), oracle(rules, opt, p); got != want {
				t.Fatalf("round %d: %+v with %+v and\n%+v\ngot %s, want %s", round, p, opt, rules, got, want)
			}
		}
	}
}
