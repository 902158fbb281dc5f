package bench

import (
	"math"
	"testing"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/wire"
)

func mkTemplate(t *testing.T, sizes []int, v vary) *template {
	t.Helper()
	f := wire.Frame{EthSrc: wire.MAC{2, 1}, EthDst: wire.MAC{2, 2}, IP: &wire.IPFields{Src: ap("10.0.0.1:1").Addr(), Dst: ap("10.0.1.0:1").Addr(), TTL: 128},
		UDP: &wire.UDPFields{SrcPort: 1024, DstPort: 80}, Payload: []byte("seen")}
	tmpl, err := newTemplate(f.Bytes(), sizes, v)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

// whole is a frame of traffic with the zeros behind its head.
func whole(b *backends.Burst, i int) []byte {
	frame := make([]byte, b.Len[i])
	copy(frame, b.Head[i])
	return frame
}

func TestEveryFlowIsAnotherTupleWithValidChecksums(t *testing.T) {
	for _, v := range []vary{byPort, byDest, poolNAT} {
		for _, sizes := range [][]int{{64}, imix, {1514}, {8986}} {
			tmpl := mkTemplate(t, sizes, v)
			const flows = 1000
			tr := tmpl.sequence(flows, sizes, func(i int) int { return i * (v.flows() / flows) })
			seen := map[wire.Key4]bool{}
			var b backends.Burst
			for done := 0; done < flows; done += b.N {
				tr.fill(&b)
				for i := range b.N {
					frame := whole(&b, i)
					if want := sizes[(done+i)%len(sizes)]; len(frame) != want {
						t.Fatalf("frame of %d bytes, want %d", len(frame), want)
					}
					var m wire.Meta
					if err := wire.VerifyChecksums(frame); err != nil || wire.Parse(frame, &m) != wire.OK {
						t.Fatalf("size %d: %v in %s", len(frame), err, wire.Summary(frame))
					}
					seen[m.Key4(frame, 0)] = true
				}
			}
			if len(seen) != flows {
				t.Errorf("%d tuples of %d flows", len(seen), flows)
			}
		}
	}
}

func TestTrafficBeginsAgain(t *testing.T) {
	tr := mkTemplate(t, []int{64}, byPort).sequence(100, []int{64}, func(i int) int { return i })
	var a, b backends.Burst
	tr.fill(&a)
	tr.fill(&b)
	if a.N != 64 || b.N != 36 {
		t.Fatal(a.N, b.N)
	}
	tr.fill(&b)
	if b.N != 64 || string(whole(&a, 0)) != string(whole(&b, 0)) {
		t.Error("the second turn differs from the first")
	}
}

func TestZipfPrefersSomeFlowsAndUniformNone(t *testing.T) {
	const flows, packets = 1000, 100_000
	share := func(dist string) float64 {
		pick, err := picker(dist, flows, 7)
		if err != nil {
			t.Fatal(err)
		}
		counts := make([]int, flows)
		most := 0
		for i := range packets {
			f := pick(i)
			counts[f]++
			most = max(most, counts[f])
		}
		return float64(most) / packets
	}
	if s := share(Uniform); s > 0.002 {
		t.Errorf("uniform: a flow has %.3f of all packets", s)
	}
	if s := share(Zipf); s < 0.1 || s > 0.3 {
		t.Errorf("zipf: the first flow has %.3f of all packets", s)
	}
	if _, err := picker("pareto", 1, 1); err == nil {
		t.Error("an unknown distribution is accepted")
	}
}

func TestAnAnswerIsValid(t *testing.T) {
	tmpl := mkTemplate(t, []int{64}, byPort)
	frame := append([]byte(nil), tmpl.frames[64]...)
	if err := reverse(frame); err != nil {
		t.Fatal(err)
	}
	var m wire.Meta
	wire.Parse(frame, &m)
	if err := wire.VerifyChecksums(frame); err != nil || m.SrcPort != 80 || m.DstPort != 1024 || m.Src(frame).String() != "10.0.1.0" || wire.Ethernet(frame).Src() != (wire.MAC{2, 2}) {
		t.Errorf("%v in %s", err, wire.Summary(frame))
	}
	if err := reverse([]byte{1, 2, 3}); err == nil {
		t.Error("three bytes are answered")
	}
}

func TestTheReferenceLoopReadsWholeFrames(t *testing.T) {
	r := newReference([]int{1514})
	tr := mkTemplate(t, []int{1514}, byPort).sequence(64, []int{1514}, func(i int) int { return i })
	var b backends.Burst
	tr.fill(&b)
	r.burst(&b)
	var want uint64
	for i := range b.N {
		want += uint64(wire.Checksum(whole(&b, i)))
	}
	if r.sum != want {
		t.Errorf("sum %d, want %d", r.sum, want)
	}
}

func TestSizesAreChecked(t *testing.T) {
	mean := 0.0
	for _, s := range imix {
		mean += float64(s) / float64(len(imix))
	}
	if math.Abs(mean-361.5) > 1 {
		t.Errorf("the mix has a mean of %.1f bytes", mean)
	}
	for _, bad := range []string{"", "63", "9000", "x", "-1"} {
		if _, err := parseSize(bad); err == nil {
			t.Errorf("size %q is accepted", bad)
		}
	}
}

func TestAPathThatForwardsSomethingElseIsAnError(t *testing.T) {
	c := check{src: pfx("10.0.0.1/32"), dst: pfx("10.0.1.0/32")}
	good := mkTemplate(t, []int{64}, byPort).frames[64]
	if err := c.of(good); err != nil {
		t.Error(err)
	}
	bad := append([]byte(nil), good...)
	bad[40]++
	other := append([]byte(nil), good...)
	var m wire.Meta
	wire.Parse(other, &m)
	wire.SetIPv4Src(other, &m, 1)
	for _, frame := range [][]byte{nil, bad, other, good[:20]} {
		if c.of(frame) == nil {
			t.Errorf("accepted: %x", frame)
		}
	}
	if (check{vni: 4096}).of(good) == nil {
		t.Error("a plain frame is taken for one in a tunnel")
	}
}
