package winnat

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/hnsim/hnsim/sim/wire"
)

// checkState verifies what holds between the tables at any time.
func (n *NAT) checkState(t *testing.T) {
	t.Helper()
	live, used := 0, map[uint32]int{}
	peers := map[wire.Key4]int{}
	n.eachSession(func(i uint32, s *session) {
		live++
		if n.flows.get(s.fwd) != flowValue(i, forward) || n.flows.get(s.out.Reverse()) != flowValue(i, reverse) {
			t.Fatalf("session %d is not found by its keys", i)
		}
		if at := n.timers.heap.at(s.pos).at; at > s.deadline {
			t.Fatalf("session %d: timer %d after deadline %d", i, at, s.deadline)
		}
		if s.kind == dynamic {
			used[s.mapping]++
			m := &n.mappings[s.mapping]
			if m.inside != s.fwd.Src() || m.extPort != s.out.SrcPort() || n.exts[m.ext].addr != s.out.Src() {
				t.Fatalf("session %d does not fit its mapping", i)
			}
			if s.sent {
				peers[peerKey(s.mapping, s.fwd.Dst())]++
			}
		}
	})
	free := 0
	for i := n.freeSession; i != 0; i = n.sessions.at(i).pos {
		free++
	}
	if live != n.timers.heap.len() || n.flows.n != 2*live || live+free+1 != n.sessions.len() {
		t.Fatalf("%d sessions, %d timers, %d flows, %d free of %d", live, n.timers.heap.len(), n.flows.n, free, n.sessions.len())
	}
	if len(peers) != n.peers.n {
		t.Fatalf("%d peers counted, %d stored", len(peers), n.peers.n)
	}
	for k, c := range peers {
		if int(n.peers.get(k)) != c {
			t.Fatalf("peer %v counted %d times, stored %d", k, c, n.peers.get(k))
		}
	}
	n.checkMappings(t, used)
	checkHeap(t, &n.timers, &n.sessions)
}

func (n *NAT) checkMappings(t *testing.T, used map[uint32]int) {
	t.Helper()
	refs := make([]int, len(n.exts))
	for i := range n.mappings {
		m := &n.mappings[i]
		if m.sessions != used[uint32(i)] {
			t.Fatalf("mapping %d has %d sessions, says %d", i, used[uint32(i)], m.sessions)
		}
		if m.sessions == 0 {
			continue
		}
		pi, _ := protoIndex(m.proto)
		if n.byInside.get(m.key) != uint32(i) || n.pools[pi].owner(m.extPort) != uint32(i) {
			t.Fatalf("mapping %d is not found", i)
		}
		refs[m.ext]++
	}
	if len(used) != n.byInside.n {
		t.Fatalf("%d mappings in use, %d in the index", len(used), n.byInside.n)
	}
	taken := 0
	for i := range n.pools {
		for j := range n.pools[i].blocks {
			taken += len(n.pools[i].blocks[j].used) - n.pools[i].blocks[j].free
		}
	}
	if taken != len(used) {
		t.Fatalf("%d ports taken for %d mappings", taken, len(used))
	}
	for i := range n.exts {
		if n.exts[i].refs != refs[i] {
			t.Fatalf("external address %d has %d mappings, says %d", i, refs[i], n.exts[i].refs)
		}
	}
}

var behaviours = []func(*Config){
	nil,
	func(c *Config) { c.Mapping = MapAddress },
	func(c *Config) { c.Mapping = MapAddressAndPort; c.FilteringTCP = FilterAddressAndPort },
	func(c *Config) { c.FilteringUDP, c.FilteringTCP = FilterEndpointIndependent, FilterEndpointIndependent },
	func(c *Config) { c.RewriteIPID = true },
	static8080,
}

// randomText is a packet of a small world, for the place it comes by.
func randomText(r *rand.Rand, where string) string {
	flags := []string{"S", "S", "A", "A", "SA", "FA", "R"}[r.IntN(7)]
	in := fmt.Sprintf("172.16.0.%d:%d", 10+r.IntN(3), 79+r.IntN(4))
	out := fmt.Sprintf("203.0.113.%d:%d", 80+r.IntN(3), 50+r.IntN(3))
	ext := fmt.Sprintf("h1:%d", 50001+r.IntN(12))
	if r.IntN(4) == 0 {
		ext = "h1:8080"
	}
	src, dst := in, out
	switch where {
	case "in":
		src, dst = out, ext
	case "back":
		dst = ext
	}
	switch r.IntN(5) {
	case 0, 1:
		return fmt.Sprintf("tcp %s>%s %s", src, dst, flags)
	case 2, 3:
		return fmt.Sprintf("udp %s>%s", src, dst)
	}
	if where == "in" {
		return fmt.Sprintf("reply %s>%s", src, dst)
	}
	return fmt.Sprintf("echo %s>%s", src, dst)
}

func TestPropertyOutAndBackIsTheIdentity(t *testing.T) {
	for b, change := range behaviours {
		r := rand.New(rand.NewPCG(uint64(b), 1))
		l := newLab(t, change)
		now := int64(0)
		for range 3000 {
			now += r.Int64N(int64(seconds(10)))
			text := randomText(r, "out")
			frame := mkFrame(text).Bytes()
			before := mkPacket(frame).Meta
			k := before.Key4(frame, 0)
			_, p, res := l.pass(asDuration(now), "out", frame)
			if res.Verdict != Translated {
				continue
			}
			reply := answer(p.Bytes())
			got, q, res := l.pass(asDuration(now), "in", reply)
			if res.Verdict != Translated {
				t.Fatalf("behaviour %d: the answer to %s: %s", b, text, got)
			}
			if q.Meta.Key4(q.Bytes(), 0) != k.Reverse() {
				t.Fatalf("behaviour %d: the answer to %s came back as %s", b, text, got)
			}
		}
		l.n.checkState(t)
	}
}

// answer is a packet in the opposite direction.
func answer(frame []byte) []byte {
	var m wire.Meta
	wire.Parse(frame, &m)
	f := wire.Frame{IP: &wire.IPFields{Src: m.Dst(frame), Dst: m.Src(frame)}, Payload: []byte("reply")}
	switch m.Proto {
	case wire.ProtoTCP:
		f.TCP = &wire.TCPFields{SrcPort: m.DstPort, DstPort: m.SrcPort, Flags: wire.TCPAck}
	case wire.ProtoUDP:
		f.UDP = &wire.UDPFields{SrcPort: m.DstPort, DstPort: m.SrcPort}
	default:
		f.ICMP = &wire.ICMPFields{Type: wire.ICMPEchoReply, ID: m.SrcPort}
	}
	return f.Bytes()
}

func TestPropertyTwoInsideHostsNeverShareAnExternalPort(t *testing.T) {
	for b, change := range behaviours {
		r := rand.New(rand.NewPCG(uint64(b), 2))
		l := newLab(t, change)
		now := int64(0)
		for step := range 3000 {
			now += r.Int64N(int64(seconds(20)))
			where := []string{"out", "in", "back"}[r.IntN(3)]
			l.pass(asDuration(now), where, mkFrame(randomText(r, where)).Bytes())
			if step%50 != 0 {
				continue
			}
			l.n.checkState(t)
			type external struct {
				proto uint8
				port  uint16
			}
			owner := map[external]netip.AddrPort{}
			for _, m := range l.n.Mappings(now) {
				e := external{m.Proto, m.External.Port()}
				if o, taken := owner[e]; taken {
					t.Fatalf("behaviour %d: %v and %v share %v", b, o, m.Inside, e)
				}
				owner[e] = m.Inside
			}
		}
	}
}

// TestPropertyResultsDoNotDependOnTick plays the same packets on two
// translators, of which one is ticked and asked at random.
func TestPropertyResultsDoNotDependOnTick(t *testing.T) {
	for b, change := range behaviours {
		r := rand.New(rand.NewPCG(uint64(b), 3))
		lazy, busy := newLab(t, change), newLab(t, change)
		now := int64(0)
		for range 4000 {
			now += r.Int64N(int64(seconds(30)))
			where := []string{"out", "in", "back"}[r.IntN(3)]
			text := randomText(r, where)
			frames := [][]byte{mkFrame(text).Bytes()}
			if r.IntN(10) == 0 {
				f := mkFrame(text)
				f.IP.DF, f.IP.ID = false, uint32(r.IntN(3))
				f.Payload = make([]byte, 100)
				frames = wire.FragmentIPv4(f.Bytes(), []int{64})
				r.Shuffle(len(frames), func(i, j int) { frames[i], frames[j] = frames[j], frames[i] })
			}
			switch r.IntN(4) {
			case 0:
				busy.n.Tick(now)
			case 1:
				busy.n.Usage(now)
			}
			for _, f := range frames {
				want, p, _ := lazy.pass(asDuration(now), where, f)
				got, q, _ := busy.pass(asDuration(now), where, f)
				if got != want || !bytes.Equal(p.Bytes(), q.Bytes()) {
					t.Fatalf("behaviour %d, %s %s: %s, ticked: %s", b, where, text, want, got)
				}
			}
		}
		if a, b := lazy.n.Counters(now), busy.n.Counters(now); a != b {
			t.Errorf("counters differ:\n%+v\n%+v", a, b)
		}
		lazy.n.checkState(t)
		busy.n.checkState(t)
	}
}

// model is a translator for UDP with the default behaviour as one would write
// it down: two lists, searched from the start.
type model struct {
	mappings []modelMapping
}

type modelMapping struct {
	inside   netip.AddrPort
	port     uint16
	sessions []modelSession
}

type modelSession struct {
	remote netip.AddrPort
	last   int64
}

func (m *model) expire(now int64) {
	var maps []modelMapping
	for _, mp := range m.mappings {
		var ss []modelSession
		for _, s := range mp.sessions {
			if now-s.last < int64(seconds(120)) {
				ss = append(ss, s)
			}
		}
		if mp.sessions = ss; len(ss) > 0 {
			maps = append(maps, mp)
		}
	}
	m.mappings = maps
}

func (m *model) out(now int64, inside, remote netip.AddrPort) uint16 {
	m.expire(now)
	free := uint16(50001)
	for i := 0; i < len(m.mappings); i++ {
		if m.mappings[i].port == free {
			free, i = free+1, -1
		}
	}
	at := -1
	for i := range m.mappings {
		if m.mappings[i].inside == inside {
			at = i
		}
	}
	if at < 0 {
		at = len(m.mappings)
		m.mappings = append(m.mappings, modelMapping{inside: inside, port: free})
	}
	mp := &m.mappings[at]
	for i := range mp.sessions {
		if mp.sessions[i].remote == remote {
			mp.sessions[i].last = now
			return mp.port
		}
	}
	mp.sessions = append(mp.sessions, modelSession{remote, now})
	return mp.port
}

func (m *model) in(now int64, remote netip.AddrPort, port uint16) (netip.AddrPort, string) {
	m.expire(now)
	for _, mp := range m.mappings {
		if mp.port != port {
			continue
		}
		for _, s := range mp.sessions {
			if s.remote.Addr() == remote.Addr() {
				return mp.inside, ""
			}
		}
		return netip.AddrPort{}, "drop NatFiltered"
	}
	return netip.AddrPort{}, "drop NoMapping"
}

func TestPropertyUDPAgreesWithAModel(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	l := newLab(t, nil)
	var m model
	now := int64(0)
	l.run("0s out udp 172.16.0.200:1>x:1 -> udp h1:50001>x:1") // from now on all of the block is ours
	m.out(0, netip.MustParseAddrPort("172.16.0.200:1"), netip.AddrPortFrom(place("x"), 1))
	for range 20_000 {
		now += r.Int64N(int64(seconds(8)))
		inside := netip.AddrPortFrom(wire.AddrFrom4(0xac10000a+r.Uint32N(3)), uint16(1+r.IntN(3)))
		remote := netip.AddrPortFrom(wire.AddrFrom4(0xcb007150+r.Uint32N(3)), uint16(1+r.IntN(3)))
		if r.IntN(2) == 0 {
			want := fmt.Sprintf("udp h1:%d>%s:%d", m.out(now, inside, remote), placeName(remote.Addr()), remote.Port())
			got, _, _ := l.pass(asDuration(now), "out", mkFrame(fmt.Sprintf("udp %s>%s", inside, remote)).Bytes())
			if got != want {
				t.Fatalf("at %d: %s>%s: %s, want %s", now, inside, remote, got, want)
			}
			continue
		}
		port := uint16(50001 + r.IntN(8))
		to, want := m.in(now, remote, port)
		if want == "" {
			want = fmt.Sprintf("udp %s:%d>%s:%d", placeName(remote.Addr()), remote.Port(), placeName(to.Addr()), to.Port())
		}
		got, _, _ := l.pass(asDuration(now), "in", mkFrame(fmt.Sprintf("udp %s>h1:%d", remote, port)).Bytes())
		if got != want {
			t.Fatalf("at %d: %s>%d: %s, want %s", now, remote, port, got, want)
		}
	}
	l.n.checkState(t)
}
