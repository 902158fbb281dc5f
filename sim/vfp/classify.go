package vfp

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/wire"
)

// linearMax is the number of rules up to which trying them one after the other
// is the fastest way.
const linearMax = 8

// A classifier finds the first matching rule of a group without trying them
// all. Every condition on a number is a set of intervals of a dimension
// (address, port, protocol, ...). The ends of all rules' intervals cut the
// dimension into pieces; for each piece there is a bit vector of the rules
// that allow it. The AND over all dimensions has the candidates, in order.
//
// Vectors are kept as rows of numbers of 512-bit blocks. Neighbouring pieces
// differ by a rule or two and share the other blocks, so ten thousand rules
// take a few megabytes. What the blocks have in common is worth looking at only
// where every dimension has some rule: a piece says so for its blocks, and a row
// for the words of a block (the aggregation of Baboescu and Varghese's
// aggregated bit vectors, twice). Candidates are checked with Match.unmet, which
// also has the conditions that have no dimension, unless the rule is exact.
type classifier struct {
	dims   []dimension
	rows   []uint32 // of all dimensions, perRow block numbers each; see store
	blocks []block  // blocks[0] is empty
	exact  []uint64 // a bit for each rule whose candidates among packets match it, see Match.exact
	perRow int
	group  uint8 // 1<<group blocks share a bit of dimension.some
}

const blockRules = 512

type block [blockRules / 64]uint64

// dimension is one field cut into pieces: piece i is [starts[i], starts[i+1]).
type dimension struct {
	kind   Field
	starts []u128
	// narrow has the low words of starts when all high words are zero, as they
	// are but for IPv6 addresses.
	narrow []uint64
	tree   *radix // over narrow
	// Where in classifier.rows the row for packets that do not have the field
	// is; those of the pieces follow it.
	rows int
	// some has a bit for each group of blocks of a row that are not all empty;
	// the first one is for packets that do not have the field.
	some []uint64
}

// u128 holds a value of any dimension, most significant word first.
type u128 struct{ hi, lo uint64 }

func (a u128) compare(b u128) int {
	if c := cmp.Compare(a.hi, b.hi); c != 0 {
		return c
	}
	return cmp.Compare(a.lo, b.lo)
}

func (a u128) less(b u128) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

// next is a+1 and false after the last value.
func (a u128) next() (u128, bool) {
	a.lo++
	if a.lo == 0 {
		a.hi++
	}
	return a, a != u128{}
}

type interval struct{ lo, hi u128 } // inclusive

func one(v uint64) interval { return interval{u128{0, v}, u128{0, v}} }

func addrValue(a netip.Addr) u128 {
	if a.Is4() {
		b := a.As4()
		return u128{0, mapped | uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := wire.Addr16(a)
	return u128{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func prefixInterval(p netip.Prefix) interval {
	lo := addrValue(p.Masked().Addr())
	host := p.Addr().BitLen() - p.Bits() // host bits, counted from the end of 128 in either version
	hi := lo
	switch {
	case host >= 64:
		hi.lo = ^uint64(0)
		hi.hi |= ^(^uint64(0) << (host - 64))
	default:
		hi.lo |= ^(^uint64(0) << host)
	}
	return interval{lo, hi}
}

func macValue(m wire.MAC) uint64 {
	return uint64(binary.BigEndian.Uint16(m[:]))<<32 | uint64(binary.BigEndian.Uint32(m[2:]))
}

// intervals lists what a rule asks of a dimension; none means anything.
func (f Field) intervals(m *Match) (out []interval) {
	switch f {
	case FieldEtherType:
		if m.EtherType != 0 {
			out = append(out, one(uint64(m.EtherType)))
		}
	case FieldProto:
		for _, p := range m.Protos {
			out = append(out, one(uint64(p)))
		}
	case FieldSrc, FieldDst:
		ps := m.Src
		if f == FieldDst {
			ps = m.Dst
		}
		for _, p := range ps {
			if p.IsValid() {
				out = append(out, prefixInterval(p))
			}
		}
	case FieldSrcPort, FieldDstPort:
		rs := m.SrcPorts
		if f == FieldDstPort {
			rs = m.DstPorts
		}
		for _, r := range rs {
			if r.Lo <= r.Hi {
				out = append(out, interval{u128{0, uint64(r.Lo)}, u128{0, uint64(r.Hi)}})
			}
		}
	case FieldEthSrc, FieldEthDst:
		ms := m.EthSrc
		if f == FieldEthDst {
			ms = m.EthDst
		}
		for _, a := range ms {
			out = append(out, one(macValue(a)))
		}
	case FieldVNI:
		if m.VNI != 0 {
			out = append(out, one(uint64(m.VNI)))
		}
	case FieldInPort:
		for _, p := range m.InPorts {
			out = append(out, one(uint64(p)))
		}
	}
	return out
}

// value is the packet's place in a dimension; false when it has none.
func (f Field) value(w *Walk) (u128, bool) {
	h := &w.H
	switch f {
	case FieldEtherType:
		return u128{0, uint64(h.EtherType)}, true
	case FieldProto:
		return u128{0, uint64(h.Proto)}, h.Src.IsValid()
	case FieldSrc:
		return addrValue(h.Src), h.Src.IsValid()
	case FieldDst:
		return addrValue(h.Dst), h.Dst.IsValid()
	case FieldSrcPort:
		return u128{0, uint64(h.SrcPort)}, h.Src.IsValid()
	case FieldDstPort:
		return u128{0, uint64(h.DstPort)}, h.Src.IsValid()
	case FieldEthSrc:
		return u128{0, macValue(h.EthSrc)}, true
	case FieldEthDst:
		return u128{0, macValue(h.EthDst)}, true
	case FieldVNI:
		return u128{0, uint64(w.VNI)}, true
	}
	return u128{0, uint64(w.InPort)}, true
}

// newClassifier indexes the rules, or returns nil when they are few.
func newClassifier(rules []*Rule) *classifier {
	if len(rules) <= linearMax {
		return nil
	}
	c := &classifier{perRow: (len(rules) + blockRules - 1) / blockRules, blocks: make([]block, 1)}
	for (c.perRow-1)>>c.group > 63 {
		c.group++
	}
	for f := FieldEtherType; f <= FieldInPort; f++ {
		c.addDimension(f, rules)
	}
	c.exact = make([]uint64, (len(rules)+63)/64)
	for i, r := range rules {
		if r.Match.exact() {
			c.exact[i/64] |= 1 << (i % 64)
		}
	}
	return c
}

// exact reports whether the intervals of the match say all of it to IPv4 packets
// with ports: none of the conditions is without an interval, and none holds
// IPv6 addresses, which might be IPv4's in another form.
func (m *Match) exact() bool {
	if m.Never || m.Func != nil {
		return false
	}
	for f := FieldEtherType; f <= FieldInPort; f++ {
		if m.asks()&(1<<f) != 0 && len(f.intervals(m)) == 0 {
			return false
		}
	}
	for _, ps := range [][]netip.Prefix{m.Src, m.Dst} {
		for _, p := range ps {
			if !p.Addr().Is4() {
				return false
			}
		}
	}
	return true
}

// edge is where a rule's interval begins (+1) or has ended (-1).
type edge struct {
	at   u128
	rule int
	step int
}

func (c *classifier) addDimension(f Field, rules []*Rule) {
	var edges []edge
	anything := make([]block, c.perRow)
	for i, r := range rules {
		ivs := f.intervals(&r.Match)
		if len(ivs) == 0 {
			set(anything, i, true)
			continue
		}
		for _, iv := range ivs {
			edges = append(edges, edge{iv.lo, i, 1})
			if end, ok := iv.hi.next(); ok {
				edges = append(edges, edge{end, i, -1})
			}
		}
	}
	if len(edges) == 0 {
		return
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(a.at.compare(b.at), cmp.Compare(a.rule, b.rule)) })
	d := dimension{kind: f, rows: len(c.rows)}
	absent := c.row(anything)
	cur := anything // becomes the vector of the piece being made
	d.starts = append(d.starts, u128{})
	c.rows = append(append(c.rows, absent...), absent...)
	depth := make([]int, len(rules))
	for i := 0; i < len(edges); {
		at := edges[i].at
		first := i
		for ; i < len(edges) && edges[i].at == at; i++ {
			depth[edges[i].rule] += edges[i].step
		}
		if at != d.starts[len(d.starts)-1] {
			d.starts = append(d.starts, at)
			c.rows = append(c.rows, c.rows[len(c.rows)-c.perRow:]...)
		}
		c.changeRow(c.rows[len(c.rows)-c.perRow:], cur, edges[first:i], depth)
	}
	for _, at := range d.starts {
		if at.hi != 0 {
			d.narrow = nil
			break
		}
		d.narrow = append(d.narrow, at.lo)
	}
	if len(d.narrow) > 1 {
		d.tree = newRadix(d.narrow)
	}
	for row := c.rows[d.rows:]; len(row) > 0; row = row[c.perRow:] {
		d.some = append(d.some, c.someOf(row[:c.perRow]))
	}
	c.dims = append(c.dims, d)
}

// someOf tells which groups of blocks of a row are not empty.
func (c *classifier) someOf(row []uint32) (some uint64) {
	for b, at := range row {
		if at != 0 {
			some |= 1 << (b >> c.group)
		}
	}
	return some
}

func set(v []block, rule int, on bool) {
	w := &v[rule/blockRules][rule%blockRules/64]
	if on {
		*w |= 1 << (rule % 64)
	} else {
		*w &^= 1 << (rule % 64)
	}
}

// row stores a vector.
func (c *classifier) row(v []block) []uint32 {
	row := make([]uint32, len(v))
	for i := range v {
		row[i] = c.store(v[i])
	}
	return row
}

// wordBits is the part of a block's number that tells which of its words are
// not empty.
const wordBits = blockRules / 64

func (c *classifier) store(b block) uint32 {
	words := uint32(0)
	for i, w := range b {
		if w != 0 {
			words |= 1 << i
		}
	}
	if words == 0 {
		return 0
	}
	if len(c.blocks) >= 1<<(32-wordBits) {
		panic("vfp: more rules than a classifier holds")
	}
	c.blocks = append(c.blocks, b)
	return uint32(len(c.blocks)-1)<<wordBits | words
}

// changeRow brings cur up to date with the rules of the edges and stores the
// blocks that changed.
func (c *classifier) changeRow(row []uint32, cur []block, edges []edge, depth []int) {
	for i, e := range edges {
		set(cur, e.rule, depth[e.rule] > 0)
		b := e.rule / blockRules
		if i+1 == len(edges) || edges[i+1].rule/blockRules != b {
			row[b] = c.store(cur[b])
		}
	}
}

// find returns the number of the piece that v lies in.
func (d *dimension) find(v u128) int {
	switch {
	case d.narrow == nil:
		return d.search(v)
	case v.hi != 0:
		return len(d.narrow) - 1
	case d.tree != nil:
		return d.tree.find(v.lo)
	}
	return searchNarrow(d.narrow, v.lo)
}

func (d *dimension) search(v u128) int {
	lo, hi := 0, len(d.starts) // starts[lo] <= v < starts[hi]
	for hi-lo > 1 {
		mid := int(uint(lo+hi) >> 1)
		if v.less(d.starts[mid]) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return lo
}

// searchNarrow is search without branches on the data: no processor predicts
// where the next address lies, and a wrong guess costs more than the step.
func searchNarrow(starts []uint64, v uint64) int {
	base := 0
	for n := len(starts); n > 1; {
		half := n >> 1
		_, below := bits.Sub64(v, starts[base+half], 0)
		base += half & int(below-1)
		n -= half
	}
	return base
}

// maxDims is at least the number of fields that have a dimension; a power of
// two.
const maxDims = 16

// first returns the index of the first rule that w meets, or -1.
func (c *classifier) first(w *Walk, rules []*Rule, asks []conditions) int {
	var rows [maxDims]int // where they are, in the order of dims
	h := &w.H
	plain := h.Src.Is4() && h.Dst.Is4() && (h.Proto == wire.ProtoTCP || h.Proto == wire.ProtoUDP)
	some := ^uint64(0)
	if plain {
		// All values at once, as all are there: field by field takes longer.
		vals := [maxDims]uint64{
			FieldEtherType: uint64(h.EtherType), FieldProto: uint64(h.Proto), FieldSrc: addrValue(h.Src).lo, FieldDst: addrValue(h.Dst).lo,
			FieldSrcPort: uint64(h.SrcPort), FieldDstPort: uint64(h.DstPort), FieldEthSrc: macValue(h.EthSrc), FieldEthDst: macValue(h.EthDst),
			FieldVNI: uint64(w.VNI), FieldInPort: uint64(w.InPort),
		}
		for i := range c.dims {
			d, at, v := &c.dims[i], 0, vals[c.dims[i].kind&(maxDims-1)]
			if d.tree != nil {
				at = d.tree.find(v)
			} else {
				at = d.find(u128{0, v})
			}
			some &= d.some[at+1]
			rows[i&(maxDims-1)] = d.rows + (at+1)*c.perRow
		}
	} else {
		for i := range c.dims {
			d, at := &c.dims[i], 0
			if v, ok := d.kind.value(w); ok {
				at = 1 + d.find(v)
			}
			some &= d.some[at]
			rows[i&(maxDims-1)] = d.rows + at*c.perRow
		}
	}
	for ; some != 0; some &= some - 1 {
		from := bits.TrailingZeros64(some) << c.group
		for b := from; b < min(from+1<<c.group, c.perRow); b++ {
			if r := c.firstIn(b, &rows, plain, w, rules, asks); r >= 0 {
				return r
			}
		}
	}
	return -1
}

// firstIn is first for the rules of a block. plain packets match exact rules.
func (c *classifier) firstIn(b int, rows *[maxDims]int, plain bool, w *Walk, rules []*Rule, asks []conditions) int {
	var blocks [maxDims]*block
	words, n := uint32(1<<wordBits-1), min(len(c.dims), maxDims)
	for i := range n {
		x := c.rows[rows[i]+b]
		words &= x
		blocks[i] = &c.blocks[x>>wordBits]
	}
	for ; words != 0; words &= words - 1 {
		word := bits.TrailingZeros32(words) % wordBits
		all := ^uint64(0)
		for i := range n {
			all &= blocks[i][word]
		}
		for ; all != 0; all &= all - 1 {
			r := b*blockRules + word*64 + bits.TrailingZeros64(all)
			if r >= len(rules) {
				return -1
			}
			if plain && c.exact[r/64]>>(r%64)&1 != 0 {
				return r
			}
			if rules[r].Match.unmet(w, asks[r]) == FieldNone {
				return r
			}
		}
	}
	return -1
}
