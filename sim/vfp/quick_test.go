package vfp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/hnsim/hnsim/sim/rounds"
	"github.com/hnsim/hnsim/sim/wire"
)

// plainKey is PlainKeys for one packet.
func plainKey(c *Cache, p *Packet, k *Key) bool {
	keys := [1]Key{}
	n := c.PlainKeys([]Packet{*p}, keys[:])
	*k = keys[0]
	return n == 1
}

// checkPlain compares PlainKeys with Parse and Key; it reports whether the
// frame is plain.
func checkPlain(c *Cache, frame []byte) (bool, error) {
	p := NewPacket(frame)
	var plain, full Key
	if !plainKey(c, p, &plain) {
		return false, nil
	}
	if err := p.Parse(); err != wire.OK {
		return true, fmt.Errorf("plain, but %v", err)
	}
	if !c.Key(p, &full) {
		return true, fmt.Errorf("plain, but without key")
	}
	if full.plain || !plain.plain {
		return true, fmt.Errorf("marked %v and %v", full.plain, plain.plain)
	}
	if full.words != plain.words || full.hash != plain.hash || full.flags != plain.flags || full.v6 != plain.v6 {
		return true, fmt.Errorf("key %x hash %x flags %x, parsed %x hash %x flags %x", plain.words, plain.hash, plain.flags, full.words, full.hash, full.flags)
	}
	if plain.at == 0 {
		return true, nil
	}
	if from, to, ok := innerFrame(p.Bytes(), &p.Meta); !ok || from != int(plain.at) || to != int(plain.end) {
		return true, fmt.Errorf("inner frame %d:%d, parsed %d:%d", plain.at, plain.end, from, to)
	}
	return true, nil
}

// checkQuick carries a packet of the entry, for which Lookup found it, out in
// the quick way too, and compares. limits of the entry are not its business.
func checkQuick(c *Cache, before []byte, key *Key, outcome *Transposition, r result) error {
	t := *outcome
	t.MTU, t.Straight = 0, 1<<16
	var e Entry
	p := NewPacket(before)
	var k Key
	if !e.prepare(key, &t) || r.drop != DropNone || !plainKey(c, p, &k) {
		return nil
	}
	c.carry(&e, &k, p)
	if !bytes.Equal(p.Bytes(), r.frame) {
		return fmt.Errorf("quick: %x\nelse:  %x\n%s", p.Bytes(), r.frame, outcome.String())
	}
	quickChecks++
	return nil
}

var quickChecks int

func plainFrames() [][]byte {
	inner := udp(ipA, ipB, 1, 2)
	tcp := &wire.Frame{EthSrc: macA, EthDst: macB, IP: &wire.IPFields{Src: ipA, Dst: ipX}, TCP: &wire.TCPFields{SrcPort: 5, DstPort: 6, Flags: wire.TCPSyn}, Payload: []byte("hello")}
	tunnel := func(vni uint32, inner *wire.Frame) []byte {
		return (&wire.Frame{EthSrc: macR, EthDst: macHost, IP: &wire.IPFields{Src: ipX, Dst: ipH},
			UDP: &wire.UDPFields{SrcPort: 50000, DstPort: 4789, NoChecksum: true}, VXLAN: &wire.VXLANFields{VNI: vni}, Inner: inner}).Bytes()
	}
	return [][]byte{inner.Bytes(), tcp.Bytes(), tunnel(4096, inner), tunnel(4097, tcp), tunnel(4096, tcp)}
}

func TestPlainKeysAreKeys(t *testing.T) {
	c := NewCache(NewFlowStore(), 10)
	r := rand.New(rand.NewPCG(1, 2))
	plain, frames := 0, rounds.Of(200_000, 20_000)
	for i := range frames {
		frame := slices.Clone(plainFrames()[i%5])
		for range r.IntN(3) {
			frame[r.IntN(len(frame))] = byte(r.Uint32())
		}
		if r.IntN(4) == 0 {
			frame = frame[:r.IntN(len(frame)+1)]
		}
		if r.IntN(4) == 0 {
			frame = append(frame, make([]byte, r.IntN(30))...)
		}
		ok, err := checkPlain(c, frame)
		if err != nil {
			t.Fatalf("%x: %v", frame, err)
		}
		if ok {
			plain++
		}
	}
	if plain < frames/10 {
		t.Errorf("%d frames were plain", plain)
	}
	for i, f := range plainFrames() {
		if ok, _ := checkPlain(c, f); !ok {
			t.Errorf("frame %d is not plain", i)
		}
	}
}

func FuzzPlainKey(f *testing.F) {
	for _, frame := range plainFrames() {
		f.Add(frame)
	}
	c := NewCache(NewFlowStore(), 10)
	f.Fuzz(func(t *testing.T, frame []byte) {
		if _, err := checkPlain(c, frame); err != nil {
			t.Error(err)
		}
	})
}

func TestEntriesFillCacheLines(t *testing.T) {
	var n node[key4, Entry]
	if size := unsafe.Sizeof(n); size != 2*lineSize {
		t.Errorf("a node is %d bytes", size)
	}
}

// More lines than there is room for, at addresses of nothing, or of whatever the
// program has there.
//
//go:nocheckptr
func TestPrefetchTakesAnyAddress(t *testing.T) {
	var l Lines
	for i := range uintptr(3*maxLines + 5) {
		l.Add(unsafe.Add(unsafe.Pointer(nil), i<<20))
	}
	l.Prefetch()
	if l.n != 0 {
		t.Errorf("%d lines wait", l.n)
	}
}

// way is a step of a connection, of one of several machines with its address.
type way struct {
	step
	mac byte
}

// A connection that takes the place of a closing one ends the outcomes of all
// ways: also of those that nothing has gone by since, and of more ways than a
// layer flow remembers.
func TestQuickPacketsBelongToTheNewConnection(t *testing.T) { // S-VFP-09
	out, back := step{0, false, ack, 0}, step{0, true, ack, 0}
	reset, open := step{0, false, rst, 0}, step{0, false, syn, 0}
	checkQuickWays(t, "answer", []way{{out, 0}, {back, 0}, {back, 0}, {reset, 0}, {open, 0}, {back, 0}})
	checkQuickWays(t, "many", []way{{out, 1}, {out, 1}, {out, 2}, {out, 2}, {out, 3}, {out, 3}, {out, 1}, {out, 2}, {out, 3},
		{reset, 3}, {open, 3}, {out, 1}, {out, 2}, {out, 3}, {back, 0}, {out, 1}})
}

func checkQuickWays(t *testing.T, name string, ways []way) {
	t.Helper()
	play := func(cached bool) (string, int) {
		l := newLab(cached, PortLimits{})
		l.program(portA, aclLayer(Reevaluate, out(allow("a", Match{})), in(deny("b", Match{}))))
		for _, s := range ways {
			l.now += seconds(s.after)
			l.nextID &^= 1 // the next is quick
			from, f := portA, tcp(ipA, ipB, 1, 2, s.flags)
			if s.fromB {
				from, f = portB, tcp(ipB, ipA, 2, 1, s.flags)
			}
			if s.mac > 0 {
				f.EthSrc[5] = s.mac
			}
			if r := l.send(from, f.Bytes()); r.drop != DropNone {
				t.Fatalf("cached %v: %v", cached, r)
			}
		}
		return l.flows(), l.quickHits
	}
	want, _ := play(false)
	got, hits := play(true)
	if got != want || hits < 2 {
		t.Errorf("%s: %d quick packets leave\n%swithout them\n%s", name, hits, got, want)
	}
}
