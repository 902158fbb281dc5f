package vfp

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/hnsim/hnsim/sim/wire"
)

func randomAddr(r *rand.Rand) netip.Addr {
	if r.IntN(3) == 0 {
		b := [16]byte{0xfd, 15: byte(r.IntN(8))}
		b[8] = byte(r.IntN(3)) << 6
		if r.IntN(10) == 0 { // looks like IPv4 but is not
			b = [16]byte{10: 0xff, 11: 0xff, 12: 10, 15: byte(r.IntN(8))}
		}
		return netip.AddrFrom16(b)
	}
	return netip.AddrFrom4([4]byte{10, byte(r.IntN(2)), 0, byte(r.IntN(8))})
}

func randomPrefixes(r *rand.Rand) (ps []netip.Prefix) {
	for range 1 + r.IntN(2) {
		a := randomAddr(r)
		bits := []int{a.BitLen(), a.BitLen(), a.BitLen() - 2, 8, 0, 61}[r.IntN(6)]
		p, err := a.Prefix(min(bits, a.BitLen()))
		if err != nil {
			continue
		}
		if r.IntN(3) == 0 {
			p = netip.PrefixFrom(a, p.Bits()) // host bits set
		}
		ps = append(ps, p)
	}
	if r.IntN(20) == 0 { // holds nothing
		ps[0] = netip.Prefix{}
	}
	return ps
}

func randomPorts(r *rand.Rand) (rs []PortRange) {
	for range 1 + r.IntN(2) {
		lo := uint16([]int{0, 1, 80, 65535, r.IntN(9)}[r.IntN(5)])
		rs = append(rs, PortRange{lo, lo + min(uint16(r.IntN(3)), 65535-lo)})
	}
	if r.IntN(20) == 0 { // holds nothing
		rs[0] = PortRange{9, 8}
	}
	return rs
}

func randomMatch(r *rand.Rand) Match {
	var m Match
	one := func(percent int) bool { return r.IntN(100) < percent }
	m.Never = one(3)
	if one(10) {
		m.EtherType = []uint16{wire.EtherTypeIPv4, wire.EtherTypeARP}[r.IntN(2)]
	}
	if one(50) {
		m.Protos = []uint8{uint8(r.IntN(20)), wire.ProtoTCP}[:1+r.IntN(2)]
	}
	if one(50) {
		m.Src = randomPrefixes(r)
	}
	if one(50) {
		m.Dst = randomPrefixes(r)
	}
	if one(20) {
		m.SrcPorts = randomPorts(r)
	}
	if one(40) {
		m.DstPorts = randomPorts(r)
	}
	if one(10) {
		m.EthSrc = []wire.MAC{macA, macB}[:1+r.IntN(2)]
	}
	if one(10) {
		m.EthDst = []wire.MAC{macB, macR}[:1+r.IntN(2)]
	}
	if one(10) {
		m.VNI = uint32(r.IntN(3))
	}
	if one(10) {
		m.InPorts = []PortID{portA, portB, ^PortID(0)}[:1+r.IntN(3)]
	}
	if one(10) {
		m.Func = func(w *Walk) bool { return w.H.DstPort%2 == 0 }
	}
	return m
}

func randomWalk(r *rand.Rand) *Walk {
	w := &Walk{VNI: uint32(r.IntN(3)), InPort: []PortID{portA, portB, 3, ^PortID(0)}[r.IntN(4)]}
	w.H = Header{
		EthSrc: []wire.MAC{macA, macB, macR}[r.IntN(3)], EthDst: []wire.MAC{macA, macB, macR}[r.IntN(3)],
		EtherType: wire.EtherTypeIPv4, Src: randomAddr(r),
	}
	for w.H.Dst = randomAddr(r); w.H.Dst.Is4() != w.H.Src.Is4(); {
		w.H.Dst = randomAddr(r)
	}
	w.H.Proto = []uint8{wire.ProtoTCP, wire.ProtoUDP, uint8(r.IntN(20))}[r.IntN(3)]
	w.H.SrcPort, w.H.DstPort = []uint16{0, 1, 80, 65535}[r.IntN(4)], uint16(r.IntN(12))
	if r.IntN(10) == 0 {
		w.H = Header{EthSrc: w.H.EthSrc, EthDst: w.H.EthDst, EtherType: wire.EtherTypeARP}
	}
	return w
}

func groupOf(rules []*Rule, index *classifier) *group {
	g := &group{rules: rules, index: index}
	for _, r := range rules {
		g.asks = append(g.asks, r.Match.asks())
	}
	return g
}

func TestTheClassifierFindsWhatTryingInTurnFinds(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 3))
		n := []int{9, 40, 200, 513, 1300}[r.IntN(5)]
		var rules []*Rule
		for i := range n {
			rules = append(rules, &Rule{ID: fmt.Sprint(i), Match: randomMatch(r), Action: Allow{}})
		}
		indexed, linear := groupOf(rules, newClassifier(rules)), groupOf(rules, nil)
		if indexed.index == nil {
			t.Fatal("no classifier was made")
		}
		for range 400 {
			w := randomWalk(r)
			if got, want := indexed.find(w), linear.find(w); got != want {
				t.Fatalf("seed %d, %d rules, %s: rule %d, want %d", seed, n, w.H.String(), got, want)
			}
		}
	}
}

// Starts lie as those of rules do: far apart, and side by side in places.
func TestTheRadixFindsWhatSearchingFinds(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 5))
		width := []int{8, 16, 32, 48, 64}[r.IntN(5)]
		mask := ^uint64(0) >> (64 - width)
		starts := []uint64{0}
		for range 1 + r.IntN(40) {
			at := r.Uint64() & mask >> r.IntN(width)
			for range []int{1, 1, 1, 300}[r.IntN(4)] {
				starts = append(starts, at)
				at = (at + uint64(r.IntN(3))) & mask
			}
		}
		slices.Sort(starts)
		if starts = slices.Compact(starts); len(starts) < 2 {
			continue
		}
		x := newRadix(starts)
		if x == nil {
			t.Fatalf("seed %d: no radix for %d starts", seed, len(starts))
		}
		probe := func(v uint64) {
			if got, want := x.find(v), x.search(v); got != want {
				t.Fatalf("seed %d: %#x is in piece %d, want %d", seed, v, got, want)
			}
		}
		for _, at := range starts {
			probe(at - 1)
			probe(at)
			probe(at + 1)
		}
		for range 100 {
			probe(r.Uint64())
			probe(r.Uint64() & mask)
		}
	}
}

func TestARadixThatWouldBeTooLargeIsNotMade(t *testing.T) {
	starts := []uint64{0}
	for i := range uint64(4 * radixNodes) { // nine at a time, each nine far from the next
		for j := range uint64(radixSteps + 2) {
			starts = append(starts, i<<40+j+1)
		}
	}
	if newRadix(starts) != nil {
		t.Errorf("%d starts in %d places have a radix", len(starts), 4*radixNodes)
	}
}

// aclRules are n rules as network policies make them: pairs of a peer and a
// port.
func aclRules(n int) []*Rule {
	var rules []*Rule
	for i := range n {
		rules = append(rules, &Rule{ID: fmt.Sprint(i), Action: Allow{}, Match: Match{
			Protos:   []uint8{wire.ProtoTCP},
			Src:      at(wire.AddrFrom4(10<<24 | uint32(i)*7)),
			Dst:      []netip.Prefix{netip.PrefixFrom(wire.AddrFrom4(172<<24|uint32(i%500)<<8), 24)},
			DstPorts: []PortRange{{uint16(i % 1000), uint16(i%1000 + 3)}},
		}})
	}
	return rules
}

func aclWalk(i int) *Walk {
	w := new(Walk)
	w.H = Header{EtherType: wire.EtherTypeIPv4, Proto: wire.ProtoTCP,
		Src: wire.AddrFrom4(10<<24 | uint32(i)*7), Dst: wire.AddrFrom4(172<<24 | uint32(i%500)<<8 | 9), DstPort: uint16(i%1000 + 1)}
	return w
}

// The time to compile is BenchmarkCompile's business; that the work does not
// grow faster than the rules shows in the number of allocations, which is exact.
func TestTenThousandRulesAreCompiledAndFound(t *testing.T) {
	rules := aclRules(10_000)
	few, many := aclRules(1000), rules
	a := testing.AllocsPerRun(1, func() { newClassifier(few) })
	b := testing.AllocsPerRun(1, func() { newClassifier(many) })
	if b > 15*a+1000 {
		t.Errorf("1000 rules take %.0f allocations, 10000 take %.0f: more than in proportion", a, b)
	}
	g := groupOf(rules, newClassifier(rules))
	for _, i := range []int{0, 511, 512, 9_999} {
		if got := g.find(aclWalk(i)); got != i {
			t.Errorf("packet %d is for rule %d", i, got)
		}
	}
}

// More blocks than dimension.some has bits share them.
func TestManyThousandRulesAreFound(t *testing.T) {
	n := 70 * blockRules
	var rules []*Rule
	for i := range n {
		rules = append(rules, &Rule{ID: fmt.Sprint(i), Match: Match{Dst: at(wire.AddrFrom4(10<<24 | uint32(i)))}, Action: Allow{}})
	}
	rules = append(rules, &Rule{ID: "rest", Action: Allow{}})
	g := groupOf(rules, newClassifier(rules))
	if g.index.group == 0 {
		t.Fatal("every block has a bit of its own")
	}
	for _, i := range []int{0, blockRules, 33 * blockRules, 63 * blockRules, 64*blockRules + 7, n - 1, n} {
		w := &Walk{H: Header{Src: ipA, Dst: wire.AddrFrom4(10<<24 | uint32(i))}}
		if got := g.find(w); got != i {
			t.Errorf("packet %d is for rule %d", i, got)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	rules := aclRules(10_000)
	for b.Loop() {
		newClassifier(rules)
	}
}

func BenchmarkClassify(b *testing.B) {
	for _, n := range []int{4, 8, linearMax + 1, 100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			rules := aclRules(n)
			g := groupOf(rules, newClassifier(rules))
			var walks []*Walk
			for i := range 64 {
				walks = append(walks, aclWalk(i*n/64))
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if g.find(walks[i&63]) < 0 {
					b.Fatal("no rule")
				}
			}
		})
	}
}

// limitRules are the rules of the C limit's rows acl-abv-N: prefixes and ports at
// random, of which the last matches all UDP packets.
func limitRules(n int) []*Rule {
	r := rand.New(rand.NewPCG(1, 2))
	prefix := func(bits int) []netip.Prefix {
		return []netip.Prefix{netip.PrefixFrom(wire.AddrFrom4(r.Uint32()), bits).Masked()}
	}
	var rules []*Rule
	for i := range n - 1 {
		lo := uint16(r.IntN(60_000))
		rules = append(rules, &Rule{ID: fmt.Sprint(i), Action: Block{}, Match: Match{
			Protos: []uint8{[]uint8{wire.ProtoTCP, wire.ProtoUDP}[r.IntN(2)]},
			Src:    prefix(8 + r.IntN(25)), Dst: prefix(16 + r.IntN(17)),
			DstPorts: []PortRange{{lo, lo + uint16(r.IntN(4000))}},
		}})
	}
	return append(rules, &Rule{ID: "all", Action: Allow{}, Match: Match{Protos: []uint8{wire.ProtoUDP}}})
}

// BenchmarkClassifyLimit is what the C limit's rows acl-abv-N measure: bringing
// in a header and finding its rule, nothing else.
func BenchmarkClassifyLimit(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			rules := limitRules(n)
			g := groupOf(rules, newClassifier(rules))
			var pkts [BatchSize]*Packet
			for i := range pkts {
				f := udp(wire.AddrFrom4(10<<24|uint32(i)), ip("198.18.0.1"), uint16(1024+i), 80)
				f.Payload = make([]byte, 22)
				pkts[i] = NewPacket(f.Bytes())
				pkts[i].Parse()
			}
			w := new(Walk)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p := pkts[i%BatchSize]
				w.H.read(p.Bytes(), &p.Meta)
				if g.find(w) != n-1 {
					b.Fatal("another rule")
				}
			}
		})
	}
}
