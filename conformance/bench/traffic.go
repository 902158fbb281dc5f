package bench

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/wire"
)

// Sizes of frames in bytes, without FCS.
const (
	IMIX    = "imix" // 7 of 64, 4 of 594, 1 of 1514 bytes in twelve
	Uniform = "uniform"
	Zipf    = "zipf"

	minSize, maxSize = 64, 8986
	zipfS            = 1.1 // exponent: at a million flows the most frequent has a tenth of the packets
)

// imix is the mix, in an order that spreads the long ones.
var imix = []int{64, 594, 64, 64, 1514, 64, 594, 64, 594, 64, 594, 64}

// parseSize reads a frame size.
func parseSize(s string) ([]int, error) {
	if s == IMIX {
		return imix, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < minSize || n > maxSize {
		return nil, fmt.Errorf("frame size %q: expected %s or bytes between %d and %d", s, IMIX, minSize, maxSize)
	}
	return []int{n}, nil
}

// headLen is what a lane is given of every frame. The outermost headers of a
// tunnel are 50 bytes, the inner ones 42.
const headLen = 128

// traffic is a sequence of frames, head by head. It is cyclic.
type traffic struct {
	heads  []byte // headLen, or less where frames are shorter
	stride int
	lens   []int // in turn
	n      int   // packets
	at     int
}

// template is a frame of each size.
type template struct {
	frames map[int][]byte
	vary   vary
}

// newTemplate stretches a frame that was seen to the sizes of the traffic.
func newTemplate(seen []byte, sizes []int, v vary) (*template, error) {
	var m wire.Meta
	if wire.Parse(seen, &m) != wire.OK || !m.IsIPv4 || m.Proto != wire.ProtoUDP || m.HasVLAN {
		return nil, fmt.Errorf("the template is no plain UDP datagram: %s", wire.Summary(seen))
	}
	t := &template{frames: map[int][]byte{}, vary: v}
	const headers = wire.EthernetLen + 20 + 8
	for _, size := range sizes {
		e := wire.Ethernet(seen)
		f := wire.Frame{EthSrc: e.Src(), EthDst: e.Dst(), IP: &wire.IPFields{Src: m.Src(seen), Dst: m.Dst(seen), TTL: m.TTL(seen)},
			UDP: &wire.UDPFields{SrcPort: m.SrcPort, DstPort: m.DstPort}, Payload: make([]byte, size-headers)}
		b, err := f.Build()
		if err != nil {
			return nil, err
		}
		t.frames[size] = b
	}
	return t, nil
}

// head writes the head of flow f's frame of a size and returns its length.
func (t *template) head(to []byte, f, size int) int {
	n := copy(to, t.frames[size])
	var m wire.Meta
	wire.Parse(t.frames[size], &m)
	m.End = min(m.End, n) // checksums are mended, not computed: the rest is not needed
	port, dest := t.vary.of(f)
	dst := m.DstPort
	if t.vary.destPorts {
		dst += uint16(dest)
	} else if dest > 0 {
		wire.SetIPv4Dst(to, &m, wire.Addr4(m.Dst(to))+uint32(dest*max(1, t.vary.stride)))
	}
	wire.SetPorts(to, &m, m.SrcPort+uint16(port), dst)
	return n
}

// sequence makes traffic of n packets whose flows pick says.
func (t *template) sequence(n int, sizes []int, pick func(i int) int) *traffic {
	s := &traffic{stride: headLen, lens: sizes, n: n}
	longest := 0
	for _, size := range sizes {
		longest = max(longest, size)
	}
	if longest <= 64 {
		s.stride = 64
	}
	s.heads = make([]byte, n*s.stride)
	for i := range n {
		t.head(s.heads[i*s.stride:(i+1)*s.stride], pick(i), sizes[i%len(sizes)])
	}
	return s
}

// picker chooses the flow of every packet: by a distribution, from a seed.
func picker(dist string, flows int, seed uint64) (func(int) int, error) {
	r := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	switch dist {
	case Uniform:
		return func(int) int { return r.IntN(flows) }, nil
	case Zipf:
		if flows == 1 {
			return func(int) int { return 0 }, nil
		}
		z := rand.NewZipf(r, zipfS, 1, uint64(flows-1))
		// Frequent flows must not lie beside each other in tables.
		order := r.Perm(flows)
		return func(int) int { return order[z.Uint64()] }, nil
	}
	return nil, fmt.Errorf("distribution %q: expected %s or %s", dist, Uniform, Zipf)
}

// inTurn takes every flow once, in a shuffled order.
func inTurn(flows int, seed uint64) func(int) int {
	order := rand.New(rand.NewPCG(seed, 1)).Perm(flows)
	return func(i int) int { return order[i%flows] }
}

// fill puts the next frames into a burst.
func (s *traffic) fill(b *backends.Burst) {
	b.N = min(backends.BurstSize, s.n-s.at)
	turn := s.at % len(s.lens)
	heads := s.heads[s.at*s.stride : (s.at+b.N)*s.stride]
	for i := range b.N {
		size := s.lens[turn]
		if turn++; turn == len(s.lens) {
			turn = 0
		}
		b.Len[i] = size
		b.Head[i] = heads[:min(s.stride, size)]
		heads = heads[s.stride:]
	}
	if s.at += b.N; s.at == s.n {
		s.at = 0
	}
}

// record makes traffic of frames that came out of a lane.
func record(frames [][]byte) *traffic {
	s := &traffic{stride: headLen, n: len(frames), heads: make([]byte, len(frames)*headLen), lens: make([]int, len(frames))}
	for i, f := range frames {
		copy(s.heads[i*headLen:(i+1)*headLen], f)
		s.lens[i] = len(f)
	}
	return s
}

// reverse turns a frame into its answer: addresses of both layers and ports
// change places, which no checksum notices.
func reverse(frame []byte) error {
	var m wire.Meta
	if wire.Parse(frame, &m) != wire.OK || !m.IsIPv4 || !m.HasL4 {
		return fmt.Errorf("cannot be answered: %s", wire.Summary(frame))
	}
	e := wire.Ethernet(frame)
	src, dst := e.Src(), e.Dst()
	e.SetSrc(dst)
	e.SetDst(src)
	a, b := wire.Addr4(m.Src(frame)), wire.Addr4(m.Dst(frame))
	sp, dp := m.SrcPort, m.DstPort
	wire.SetIPv4Src(frame, &m, b)
	wire.SetIPv4Dst(frame, &m, a)
	wire.SetPorts(frame, &m, dp, sp)
	return nil
}

// slots of the reference loop, as many as a batch has.
const slots = backends.BurstSize

// reference is the loop that every measurement is put in relation to: bring
// the frame's head in and compute the Internet checksum of the whole frame.
type reference struct {
	slot [slots][]byte
	sum  uint64
}

func newReference(sizes []int) *reference {
	r := &reference{}
	n := headLen
	for _, s := range sizes {
		n = max(n, s+headLen) // with the outer headers that some paths bring in
	}
	for i := range r.slot {
		r.slot[i] = make([]byte, n)
	}
	return r
}

func (r *reference) burst(b *backends.Burst) {
	for i := range b.N {
		copy(r.slot[i], b.Head[i])
	}
	for i := range b.N {
		r.sum += uint64(wire.Checksum(r.slot[i][:b.Len[i]]))
	}
}
