package winnat

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// mkDatagram is a UDP datagram of 3000 bytes in three fragments.
func mkDatagram(text string, id uint32) [][]byte {
	f := mkFrame(text)
	f.IP.DF, f.IP.ID = false, id
	f.Payload = bytes.Repeat([]byte("0123456789abcdef"), 3000/16+1)[:3000]
	return wire.FragmentIPv4(f.Bytes(), []int{1480, 1480})
}

// join puts the fragments of a datagram together again.
func join(t *testing.T, frags [][]byte) []byte {
	t.Helper()
	slices.SortFunc(frags, func(a, b []byte) int { return wire.IPv4(a[14:]).FragOffset() - wire.IPv4(b[14:]).FragOffset() })
	whole := bytes.Clone(frags[0])
	for _, f := range frags[1:] {
		if wire.IPv4(f[14:]).FragOffset() != len(whole)-34 || wire.IPv4(f[14:]).ID() != wire.IPv4(whole[14:]).ID() {
			t.Fatal("the fragments do not fit")
		}
		if err := wire.VerifyChecksums(f); err != nil {
			t.Error(err)
		}
		whole = append(whole, f[34:]...)
	}
	ip := wire.IPv4(whole[14:])
	ip.SetTotalLen(len(whole) - 14)
	ip.SetFrag(false, false, 0)
	ip.SetChecksum(0)
	ip.SetChecksum(wire.Checksum(ip[:20]))
	return whole
}

// send passes fragments and returns what comes out, released ones included, in
// order.
func (l *lab) send(at time.Duration, where string, frags ...[]byte) (out [][]byte) {
	l.t.Helper()
	for _, f := range frags {
		_, p, res := l.pass(at, where, f)
		if res.Verdict == Queued {
			if p.Verdict != vfp.Consumed {
				l.t.Errorf("a queued packet is %v", p.Verdict)
			}
			continue
		}
		for _, q := range append([]*vfp.Packet{p}, res.Released...) {
			if (q.Verdict == vfp.Dropped) != (res.Verdict == Dropped) || q.Reason != res.Drop {
				l.t.Errorf("the datagram is %v %v, a fragment of it %v %v", res.Verdict, res.Drop, q.Verdict, q.Reason)
			}
			if res.Verdict == Translated || res.Verdict == ToHost {
				out = append(out, q.Bytes())
			}
		}
	}
	return out
}

func permutations(n int) (all [][]int) {
	if n == 0 {
		return [][]int{nil}
	}
	for _, p := range permutations(n - 1) {
		for i := range n {
			all = append(all, slices.Insert(slices.Clone(p), i, n-1))
		}
	}
	return all
}

func TestFragmentsInEveryOrder(t *testing.T) {
	tests := []struct {
		name, where, before, packet, want string
	}{
		{"NAT-50 outbound", "out", "", "udp cn1:5000>x:53", "udp h1:50001>x:53"},
		{"NAT-50 outbound, UDP without checksum", "out", "", "udp cn1:5000>x:53 nosum", "udp h1:50001>x:53"},
		{"NAT-50 outbound, echo", "out", "", "echo cn1:7>x", "echo h1:50001>x"},
		{"NAT-51 inbound", "in", "0s out udp cn1:5000>x:53 -> udp h1:50001>x:53", "udp x:53>h1:50001", "udp x:53>cn1:5000"},
		{"NAT-51 inbound, echo reply", "in", "0s out echo cn1:7>x -> echo h1:50001>x", "reply x>h1:50001", "reply x>cn1:7"},
		{"NAT-51 inbound to a static mapping", "in", "", "tcp x:9>h1:8080 A", "tcp x:9>cn1:80 A"},
		{"NAT-37 hairpin", "back", "0s back tcp cn2:9>h1:8080 S -> tcp h1:50001>cn1:80 S", "tcp cn2:9>h1:8080 A", "tcp h1:50001>cn1:80 A"},
		{"NAT-36 host to a published port", "host", "", "tcp lo:9>lo:8080 A", "tcp gw:9>cn1:80 A"},
		{"NAT-36 and its answer", "back", "0s host tcp lo:9>lo:8080 A -> tcp gw:9>cn1:80 A", "tcp cn1:80>gw:9 A", "tcp lo:8080>lo:9 A"},
	}
	for _, tt := range tests {
		for _, order := range permutations(3) {
			t.Run(fmt.Sprint(tt.name, " ", order), func(t *testing.T) {
				l := newLab(t, func(c *Config) { static8080(c); c.LoopbackPublish = true })
				l.run(tt.before)
				frags := mkDatagram(tt.packet, 77)
				var out [][]byte
				for _, i := range order {
					out = append(out, l.send(0, tt.where, frags[i])...)
				}
				if len(out) != 3 {
					t.Fatalf("%d of 3 fragments came out", len(out))
				}
				whole := join(t, out)
				if got := strings.TrimSpace(show(whole)); got != tt.want {
					t.Errorf("got %s", got)
				}
				if err := wire.VerifyChecksums(whole); err != nil {
					t.Error(err)
				}
				if !bytes.HasSuffix(whole, bytes.Repeat([]byte("0123456789abcdef"), 188)[:3000]) {
					t.Error("the data changed")
				}
				if held := l.n.Usage(0).FragmentsHeld; held != 0 {
					t.Errorf("%d fragments still held", held)
				}
			})
		}
	}
}

func TestReleasedFragmentsKeepTheirOrderAndIdentity(t *testing.T) {
	l := newLab(t, nil)
	frags := mkDatagram("udp cn1:5000>x:53", 77)
	for i, f := range [][]byte{frags[2], frags[1]} {
		p := mkPacket(f)
		p.ID, p.InPort = uint64(100+i), 5
		if res := l.n.Outbound(0, p, place("h1")); res.Verdict != Queued || res.Rule != "NAT-50" {
			t.Fatal(res)
		}
		p.Reset(nil) // the translator has a copy
	}
	res := l.n.Outbound(0, mkPacket(frags[0]), place("h1"))
	if len(res.Released) != 2 {
		t.Fatal(res)
	}
	for i, p := range res.Released {
		if p.ID != uint64(100+i) || p.InPort != 5 || p.Verdict != vfp.Pending {
			t.Errorf("released %d: id %d, port %d, %v", i, p.ID, p.InPort, p.Verdict)
		}
		var m wire.Meta
		wire.Parse(p.Bytes(), &m)
		if m != p.Meta {
			t.Errorf("released %d: Meta is not that of the frame", i)
		}
	}
	c := l.n.Counters(0)
	if c.Queued != 2 || c.Released != 2 || c.TranslatedOut != 3 {
		t.Errorf("%+v", c)
	}
}

func TestRewriteIPIDIsTheSameForAllFragments(t *testing.T) {
	for _, order := range permutations(3) {
		l := newLab(t, func(c *Config) { c.RewriteIPID = true })
		var ids []uint16
		for _, id := range []uint32{77, 78} {
			frags := mkDatagram("udp cn1:5000>x:53", id)
			for _, i := range order {
				for _, f := range l.send(0, "out", frags[i]) {
					ids = append(ids, wire.IPv4(f[14:]).ID())
				}
			}
		}
		if !slices.Equal(ids, []uint16{1, 1, 1, 2, 2, 2}) {
			t.Errorf("order %v: identifications %v", order, ids)
		}
	}
}

func TestFragmentsShareTheFateOfTheFirst(t *testing.T) {
	tests := []struct {
		name, where, packet string
		prepare             func(*lab)
		want                string
	}{
		{"NAT-14 filtered", "in", "udp x2:53>h1:50001", func(l *lab) { l.run("0s out udp cn1:5000>x:53 -> udp h1:50001>x:53") }, "drop NatFiltered"},
		{"NAT-39 exhausted", "out", "udp cn1:5000>x:53", func(l *lab) { l.ports.blocks = 0 }, "drop NatPoolExhausted"},
		{"NAT-38 for the host", "in", "udp x:53>h1:99", func(*lab) {}, "not mine"},
		{"NAT-11 unsupported", "out", "gre cn1>x", func(*lab) {}, "drop NatUnsupportedProto"},
		{"NAT-10 not internal", "out", "udp x2:1>x:53", func(*lab) {}, "not mine"},
	}
	for _, tt := range tests {
		for _, order := range permutations(3) {
			t.Run(fmt.Sprint(tt.name, " ", order), func(t *testing.T) {
				l := newLab(t, nil)
				tt.prepare(l)
				frags := mkDatagram(tt.packet, 77)
				seen := 0
				for _, i := range order {
					got, _, res := l.pass(0, tt.where, frags[i])
					if res.Verdict == Queued {
						continue
					}
					if got != tt.want {
						t.Errorf("fragment %d: %s", i, got)
					}
					seen += 1 + len(res.Released)
					for _, p := range res.Released {
						if l.outcome(Result{Verdict: res.Verdict, Drop: res.Drop}, p) != tt.want {
							t.Errorf("released: %v", p.Reason)
						}
					}
				}
				if seen != 3 {
					t.Errorf("%d of 3 fragments accounted for", seen)
				}
				if want := uint64(3); strings.HasPrefix(tt.want, "drop") {
					if got := sum(l.n.Counters(0).Drops); got != want {
						t.Errorf("%d drops counted", got)
					}
				}
			})
		}
	}
}

func sum(d vfp.DropCounters) (n uint64) {
	for _, c := range d {
		n += c
	}
	return n
}

func TestNAT50HeldFragmentsTimeOut(t *testing.T) {
	frags := mkDatagram("udp cn1:5000>x:53", 77)
	for _, tt := range []struct {
		name  string
		first time.Duration
		lost  bool
	}{
		{"the first fragment comes just in time", 30*time.Second - 1, false},
		{"the first fragment comes too late", 30 * time.Second, true},
	} {
		for _, ticked := range []bool{true, false} {
			t.Run(fmt.Sprint(tt.name, ", ticked ", ticked), func(t *testing.T) {
				l := newLab(t, nil)
				l.send(0, "out", frags[2])
				var lost []*vfp.Packet
				if ticked {
					lost = l.n.Tick(int64(tt.first))
				}
				out := l.send(tt.first, "out", frags[0])
				lost = append(lost, l.n.Tick(int64(tt.first))...)
				if want := 2; tt.lost != (len(out) != want) {
					t.Errorf("%d fragments came out", len(out))
				}
				if tt.lost != (len(lost) == 1) {
					t.Fatalf("%d fragments lost", len(lost))
				}
				for _, p := range lost {
					if p.Verdict != vfp.Dropped || p.Reason != vfp.DropNatFragmentTimeout || !bytes.Equal(p.Bytes(), frags[2]) {
						t.Errorf("%v %v", p.Verdict, p.Reason)
					}
				}
				if n := l.n.Counters(int64(tt.first)).Drops[vfp.DropNatFragmentTimeout]; n != uint64(len(lost)) {
					t.Errorf("%d drops counted", n)
				}
				if again := l.n.Tick(int64(tt.first)); len(again) != 0 {
					t.Error("lost twice")
				}
			})
		}
	}
}

func TestNAT50OnlyTheLastFragmentIsSent(t *testing.T) {
	l := newLab(t, nil)
	l.send(0, "out", mkDatagram("udp cn1:5000>x:53", 77)[2])
	if at, ok := l.n.NextTimeout(); !ok || at != int64(seconds(30)) {
		t.Errorf("next timeout %v %v", at, ok)
	}
	if n := l.n.Counters(int64(seconds(29))).Drops[vfp.DropNatFragmentTimeout]; n != 0 {
		t.Errorf("%d drops after 29 s", n)
	}
	if n := l.n.Counters(int64(seconds(31))).Drops[vfp.DropNatFragmentTimeout]; n != 1 {
		t.Errorf("%d drops after 31 s", n)
	}
}

// laterFragments are n fragments of one datagram without its first.
func laterFragments(id uint32, n int) (out [][]byte) {
	for i := range n {
		f := wire.Frame{
			IP:      &wire.IPFields{Src: place("cn1"), Dst: place("x"), Proto: wire.ProtoUDP, ID: id, MF: true, FragOffset: 8 * (i + 1)},
			Payload: make([]byte, 8),
		}
		out = append(out, f.Bytes())
	}
	return out
}

func TestNAT50TheQueueIsBounded(t *testing.T) {
	t.Run("64 fragments per datagram", func(t *testing.T) {
		l := newLab(t, nil)
		for i, f := range laterFragments(1, 66) {
			want := "queued"
			if i >= 64 {
				want = "drop NatFragmentOverflow"
			}
			if got, _, _ := l.pass(0, "out", f); got != want {
				t.Fatalf("fragment %d: %s", i, got)
			}
		}
		_, _, res := l.pass(0, "out", mkDatagram("udp cn1:5000>x:53", 1)[0])
		if len(res.Released) != 64 {
			t.Errorf("%d released", len(res.Released))
		}
	})
	t.Run("1024 fragments in all", func(t *testing.T) {
		l := newLab(t, nil)
		for id := range uint32(16) {
			for _, f := range laterFragments(id+1, 64) {
				if got, _, _ := l.pass(0, "out", f); got != "queued" {
					t.Fatal(got)
				}
			}
		}
		other := laterFragments(99, 1)[0]
		if got, _, _ := l.pass(0, "out", other); got != "drop NatFragmentOverflow" {
			t.Error(got)
		}
		l.pass(0, "out", mkDatagram("udp cn1:5000>x:53", 1)[0]) // sets 64 free
		if got, _, _ := l.pass(0, "out", other); got != "queued" {
			t.Error(got)
		}
	})
	t.Run("the oldest datagram gives way", func(t *testing.T) {
		l := newLab(t, func(c *Config) { c.Limits.FragmentDatagrams = 2 })
		for id := range uint32(3) {
			if got, _, _ := l.pass(0, "out", laterFragments(id+1, 1)[0]); got != "queued" {
				t.Fatal(got)
			}
		}
		lost := l.n.Tick(0)
		if len(lost) != 1 || lost[0].Reason != vfp.DropNatFragmentOverflow || wire.IPv4(lost[0].Bytes()[14:]).ID() != 1 {
			t.Errorf("lost %v", lost)
		}
		if held := l.n.Usage(0).FragmentsHeld; held != 2 {
			t.Errorf("%d held", held)
		}
	})
	t.Run("what nobody fetches is bounded too", func(t *testing.T) {
		l := newLab(t, func(c *Config) { c.Limits.FragmentsHeld = 3 })
		for i := range 10 {
			l.pass(seconds(40*i), "out", laterFragments(1, 1)[0])
		}
		if lost := l.n.Tick(int64(seconds(1000))); len(lost) != 3 {
			t.Errorf("%d kept", len(lost))
		}
		if n := l.n.Counters(int64(seconds(1000))).Drops[vfp.DropNatFragmentTimeout]; n != 10 {
			t.Errorf("%d counted", n)
		}
	})
}

func TestAnIdentificationUsedAgainIsANewDatagram(t *testing.T) {
	l := newLab(t, nil)
	a, b := mkDatagram("udp cn1:5000>x:53", 77), mkDatagram("udp cn1:5001>x:53", 77)
	l.send(0, "out", a...)
	l.send(seconds(29), "out", b[0])
	if out := l.send(seconds(58), "out", b[1]); len(out) != 1 { // 29 s after its own first fragment
		t.Error("the second datagram ended with the first one's time")
	}
	if out := l.send(seconds(59), "out", b[2]); len(out) != 0 {
		t.Error("a fragment after 30 s was translated")
	}
	if got := l.n.frags.index.n; got != 1 {
		t.Errorf("%d datagrams in the index, want the one that waits", got)
	}
}

func TestALateFirstFragmentDoesNotExtendItsDatagram(t *testing.T) {
	l := newLab(t, nil)
	frags := mkDatagram("udp cn1:5000>x:53", 77)
	l.send(0, "out", frags[1])
	if out := l.send(seconds(29), "out", frags[0]); len(out) != 2 {
		t.Errorf("%d fragments", len(out))
	}
	if got, _, _ := l.pass(seconds(31), "out", frags[2]); got != "queued" {
		t.Error(got)
	}
}

func TestFragmentRecordsSurviveTheWrapOfTheirNumbers(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Limits.FragmentDatagrams = 3 })
	l.n.frags.head, l.n.frags.tail = 1<<32-5, 1<<32-5
	for i := range uint32(12) {
		frags := mkDatagram("udp cn1:5000>x:53", 100+i)
		if out := l.send(0, "out", frags[1], frags[0], frags[2]); len(out) != 3 {
			t.Fatalf("datagram %d: %d fragments", i, len(out))
		}
	}
}

func TestFragmentsThatAreNeverTranslatedAreNotRemembered(t *testing.T) {
	l := newLab(t, nil)
	l.send(0, "in", mkDatagram("gre x>h1", 77)...)
	l.send(0, "out", mkDatagram("gre cn1>x", 77)...)
	l.send(0, "out", mkDatagram("udp x2:1>x:53", 77)[1:]...)
	l.send(0, "out", mkDatagram("udp cn1:1>cn2:53", 77)[1:]...)
	if _, ok := l.n.NextTimeout(); ok {
		t.Error("something is remembered")
	}
}

func TestTheSameTupleAtTwoPlacesIsTwoDatagrams(t *testing.T) {
	l := newLab(t, static8080)
	f := mkDatagram("tcp cn2:9>h1:8080 A", 77)
	l.send(0, "in", f[0]) // spoofed from outside
	if got, _, _ := l.pass(0, "back", f[1]); got != "queued" {
		t.Errorf("a container's fragment follows one from outside: %s", got)
	}
}

func TestTinyFirstFragments(t *testing.T) {
	l := newLab(t, nil)
	f := mkFrame("tcp cn1:5000>x:443 S")
	f.IP.DF = false
	frags := wire.FragmentIPv4(f.Bytes(), []int{8})
	for _, order := range [][]int{{0, 1}, {1, 0}} {
		dropped := 0
		for _, i := range order {
			_, _, res := l.pass(0, "out", frags[i])
			if res.Verdict == Dropped && res.Drop == vfp.DropMalformed {
				dropped += 1 + len(res.Released)
			}
		}
		if dropped != 2 {
			t.Errorf("order %v: %d fragments dropped, want both (the checksum is not in the first)", order, dropped)
		}
	}
}
