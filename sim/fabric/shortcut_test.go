package fabric

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/vswitch"
	"github.com/hnsim/hnsim/sim/winnat"
	"github.com/hnsim/hnsim/sim/wire"
)

const (
	natGateway, natPod = vfp.PortID(100), vfp.PortID(101)
)

var (
	gatewayMAC = wire.MAC{0x00, 0x15, 0x5d, 0x10, 0x00, 0x01}
	podMAC     = wire.MAC{0x00, 0x15, 0x5d, 0x10, 0x00, 0x0a}
	natHostMAC = wire.MAC{0x00, 0x15, 0x5d, 0x82, 0x00, 0x23}
	podIP      = netip.MustParseAddr("172.16.0.10")
	hostIP     = netip.MustParseAddr("10.127.130.35")
)

// natLab is a host with a container behind WinNAT and three servers outside, of
// which an express carries batches.
type natLab struct {
	t     *testing.T
	w     *Net
	h     *Host
	x     *Express
	off   bool // no shortcuts
	prog  HostProgram
	nat   winnat.Config
	batch vfp.Batch
	log   strings.Builder // drops, as an observer sees them
	taken uint64          // packets that took shortcuts in expresses that are closed

}

func newNATLab(t *testing.T, off bool) *natLab {
	t.Helper()
	l := &natLab{t: t, off: off}
	l.w = New(Config{Observer: Observer{OnDrop: func(now int64, node, where string, why vfp.Drop, frame []byte, id uint64) {
		fmt.Fprintf(&l.log, "%d %s %s %s %x\n", now, node, where, why, frame)
	}}})
	for i := range 3 {
		if _, err := l.w.AddExternal(NodeConfig{Name: fmt.Sprintf("x%d", i), Ifaces: []IfaceConfig{{Segment: "lan", Addrs: prefixesOf(fmt.Sprintf("10.127.130.%d/24", 200+i))}}}); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	l.h, err = l.w.AddHost(HostConfig{Name: "h1", Segment: "lan", MAC: natHostMAC, Addrs: prefixesOf("10.127.130.35/24")})
	if err != nil {
		t.Fatal(err)
	}
	l.nat = winnat.Config{Internal: []winnat.InternalNet{{Prefix: netip.MustParsePrefix("172.16.0.0/24"), Gateway: netip.MustParseAddr("172.16.0.1")}}}
	l.prog = HostProgram{
		Switches: []SwitchProgram{{Config: vswitch.Config{Name: "nat", Kind: vswitch.Internal, Ports: []vswitch.PortConfig{
			{ID: natGateway, Name: "host", Kind: vswitch.HostPort, MAC: gatewayMAC},
			{ID: natPod, Name: "pod", Kind: vswitch.EndpointPort, MAC: podMAC},
		}}}},
		Interfaces: []*InterfaceProgram{
			{Compartment: HostCompartment, Name: "vEthernet (nat)", Switch: "nat", Port: natGateway, MAC: gatewayMAC, Addrs: prefixesOf("172.16.0.1/24"), Forward: true},
			{Compartment: 2, Name: "eth0", Switch: "nat", Port: natPod, MAC: podMAC, Addrs: prefixesOf("172.16.0.10/24")},
		},
	}
	l.apply()
	return l
}

// apply gives the host its program anew.
func (l *natLab) apply() {
	l.t.Helper()
	p, nat := l.prog, l.nat
	p.NAT = &nat
	p.Switches = append([]SwitchProgram(nil), p.Switches...)
	p.Switches[0].Config.Ports = append([]vswitch.PortConfig(nil), p.Switches[0].Config.Ports...)
	if err := l.h.Apply(&p); err != nil {
		l.t.Fatal(err)
	}
}

// open makes the express begin at the container or at the wire.
func (l *natLab) open(wire bool) {
	l.t.Helper()
	if l.x != nil {
		l.taken += l.x.short.taken
		l.x.Close()
	}
	var err error
	if wire {
		l.x, err = l.h.ExpressFromWire()
	} else {
		l.x, err = l.h.ExpressFromPort("nat", natPod)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	l.x.short.on = l.x.short.on && !l.off
}

// forward carries frames and says what became of them.
func (l *natLab) forward(frames [][]byte) []string {
	l.batch.Now, l.batch.N = l.w.Loop.Now(), len(frames)
	for i, f := range frames {
		l.batch.Pkts[i].Reset(f)
	}
	l.x.Process(&l.batch)
	out := make([]string, len(frames))
	for i := range frames {
		p := &l.batch.Pkts[i]
		how, frame := l.x.At(i)
		if how == NoExit {
			frame = nil
		}
		if l.x.in == nil {
			out[i] = fmt.Sprintf("%d %x", how, frame)
		} else {
			out[i] = fmt.Sprintf("%d %x %d %s", how, frame, p.Verdict, p.Reason)
		}
	}
	if err := l.w.Loop.Settle(); err != nil {
		l.t.Fatal(err)
	}
	return out
}

// state is everything that may be observed.
func (l *natLab) state() string {
	var b bytes.Buffer
	sw := l.h.Switch("nat")
	_ = sw.Dump(&b)
	for _, id := range []vfp.PortID{natGateway, natPod} {
		_ = sw.VFP(id).Dump(&b, l.w.Loop.Now())
	}
	if err := l.h.NAT().Dump(&b, l.w.Loop.Now()); err != nil {
		l.t.Fatal(err)
	}
	fmt.Fprintf(&b, "%v %v\n%v\n", l.h.Stack().Drops(), l.h.conserved(), l.log.String())
	l.log.Reset()
	return b.String()
}

// mkTraffic makes frames of a few flows in every state, most of them ordinary.
// outside has the external ports that have been seen.
func mkTraffic(r *rand.Rand, fromWire bool, outside []uint16) [][]byte {
	frames := make([][]byte, 1+r.IntN(vfp.BatchSize))
	for i := range frames {
		server := netip.AddrFrom4([4]byte{10, 127, 130, byte(200 + r.IntN(3))})
		f := wire.Frame{EthSrc: podMAC, EthDst: gatewayMAC, IP: &wire.IPFields{Src: podIP, Dst: server, TTL: 64}, Payload: make([]byte, r.IntN(40))}
		inside, remote := uint16(5000+r.IntN(6)), uint16(53+r.IntN(2))
		src, dst := inside, remote
		if fromWire {
			f.EthSrc, f.EthDst = wire.MAC{2, 1, 1, 1, 1, byte(server.As4()[3])}, natHostMAC
			f.IP.Src, f.IP.Dst = server, hostIP
			src, dst = remote, 50_000
			if len(outside) > 0 {
				dst = outside[r.IntN(len(outside))]
			}
		}
		if r.IntN(3) == 0 {
			flags := uint8(wire.TCPAck)
			if r.IntN(6) == 0 {
				flags = []uint8{wire.TCPSyn, wire.TCPSyn | wire.TCPAck, wire.TCPFin | wire.TCPAck, wire.TCPRst, 0, wire.TCPPsh | wire.TCPAck}[r.IntN(6)]
			}
			f.TCP = &wire.TCPFields{SrcPort: src, DstPort: dst, Flags: flags, Seq: r.Uint32()}
		} else {
			f.UDP = &wire.UDPFields{SrcPort: src, DstPort: dst}
			if r.IntN(10) == 0 {
				f.UDP.Checksum = new(uint16)
			}
		}
		frames[i] = odd(r, &f)
	}
	return frames
}

// odd builds the frame, now and then with something that no shortcut may pass
// over.
func odd(r *rand.Rand, f *wire.Frame) []byte {
	switch r.IntN(60) {
	case 0:
		f.IP.TTL = 1
	case 1:
		f.IP.Options = []byte{1, 1, 1, 1}
	case 2:
		f.IP.MF = true
	case 3:
		f.EthSrc[5] ^= 0x40
	case 4:
		f.EthDst = wire.Broadcast
	case 5:
		f.Payload = make([]byte, 1600)
	case 6:
		f.IP.TOS, f.IP.DF = 0xb8, true
	}
	b := f.Bytes()
	switch r.IntN(60) {
	case 0:
		b[24] ^= 0x55 // IP checksum
	case 1:
		b = append(b, make([]byte, 7)...) // padding
	case 2:
		b = b[:len(b)-1-r.IntN(20)]
	case 3:
		b[wire.EthernetLen+16+r.IntN(4)] ^= 1 // destination, checksum wrong
	}
	return b
}

// disturb changes something of both hosts.
func disturb(r *rand.Rand, labs [2]*natLab) {
	what, n := r.IntN(14), r.IntN(3)
	for _, l := range labs {
		switch what {
		case 0:
			l.nat.Timers.UDP = time.Duration(60+60*n) * time.Second
			l.apply()
		case 1:
			l.nat.FilteringUDP = winnat.Filtering(n)
			l.apply()
		case 2:
			l.nat.Static = nil
			if n > 0 {
				l.nat.Static = []winnat.StaticMapping{{Proto: wire.ProtoUDP, ExternalPort: 8080, Internal: netip.AddrPortFrom(podIP, 5000)}}
			}
			l.apply()
		case 3:
			l.prog.Switches[0].Config.Ports[1].Blocked = n == 0
			l.apply()
		case 4:
			l.prog.Switches[0].Config.Ports[0].MTU = 1500 - 1460*(n&1)
			l.apply()
		case 5:
			l.h.nic.SetMTU(1500 - 1440*(n&1))
		case 6:
			c := l.h.nic.Link()
			c.Down = n == 0
			l.h.nic.SetLink(c)
		case 7:
			l.h.Stack().DeleteNeighbor(l.w.Loop.Now(), "Ethernet", netip.AddrFrom4([4]byte{10, 127, 130, byte(200 + n)}))
		case 8:
			_ = l.h.Stack().SetNeighbor(l.w.Loop.Now(), "Ethernet", netip.AddrFrom4([4]byte{10, 127, 130, 200}), wire.MAC{2, 9, 9, 9, 9, byte(n)})
		case 9:
			l.nat.TCPSeqCheck = n == 0
			l.apply()
		case 10:
			l.nat.RewriteIPID = n == 0
			l.apply()
		default:
			if err := l.w.Loop.Advance([]time.Duration{time.Second, 50 * time.Second, 130 * time.Second}[n]); err != nil {
				l.t.Fatal(err)
			}
		}
	}
}

func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return fmt.Sprintf("with shortcuts    %s\nwithout shortcuts %s", x[i], y[i])
		}
	}
	return fmt.Sprintf("%d lines with shortcuts, %d without", len(x), len(y))
}

// heal ends what keeps packets from going by shortcuts.
func (l *natLab) heal() {
	c := l.h.nic.Link()
	c.Down = false
	l.h.nic.SetLink(c)
	l.h.nic.SetMTU(1500)
	l.nat.TCPSeqCheck, l.nat.RewriteIPID = false, false
	for i := range l.prog.Switches[0].Config.Ports {
		l.prog.Switches[0].Config.Ports[i].Blocked, l.prog.Switches[0].Config.Ports[i].MTU = false, 0
	}
	l.apply()
}

// With shortcuts and without them everything is the same: what comes out, who
// counted it, and what is left in WinNAT, in whatever state flows, frames and
// the host are (rule VFP-12 for all of a host).
func TestShortcutsChangeNothing(t *testing.T) {
	var taken uint64
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 77))
		labs := [2]*natLab{newNATLab(t, false), newNATLab(t, true)}
		var outside []uint16
		fromWire := false
		for _, l := range labs {
			l.open(false)
		}
		for step := range 500 {
			switch r.IntN(24) {
			case 0, 1:
				disturb(r, labs)
			case 2, 3:
				for _, l := range labs {
					l.heal()
				}
			case 4:
				fromWire = !fromWire
				for _, l := range labs {
					l.open(fromWire)
				}
				outside = outside[:0]
				for _, m := range labs[1].h.NAT().Mappings(labs[1].w.Loop.Now()) {
					outside = append(outside, m.External.Port())
				}
			}
			frames := mkTraffic(r, fromWire, outside)
			a, b := labs[0].forward(frames), labs[1].forward(frames)
			for i := range frames {
				if a[i] != b[i] {
					t.Fatalf("seed %d step %d frame %d %s:\nwith shortcuts    %s\nwithout shortcuts %s", seed, step, i, wire.Summary(frames[i]), a[i], b[i])
				}
			}
			if a, b := labs[0].state(), labs[1].state(); a != b {
				t.Fatalf("seed %d step %d: states differ\n%s", seed, step, firstDifference(a, b))
			}
		}
		labs[0].open(false)
		taken += labs[0].taken
	}
	t.Logf("%d packets took shortcuts", taken)
	if taken < 15_000 {
		t.Errorf("%d packets took shortcuts: not enough to tell", taken)
	}
}

// mkFlows makes one frame of each of n flows of the container.
func mkFlows(n int) [][]byte {
	f := wire.Frame{EthSrc: podMAC, EthDst: gatewayMAC, IP: &wire.IPFields{Src: podIP, Dst: netip.MustParseAddr("10.127.130.200"), TTL: 64},
		UDP: &wire.UDPFields{}, Payload: make([]byte, 22)}
	frames := make([][]byte, n)
	for i := range frames {
		f.UDP.SrcPort, f.UDP.DstPort = uint16(1024+i/256), uint16(1024+i%256)
		frames[i] = f.Bytes()
	}
	return frames
}

// warm takes the flows through until they have shortcuts.
func (l *natLab) warm(frames [][]byte) {
	l.t.Helper()
	for range 3 {
		for at := 0; at < len(frames); at += vfp.BatchSize {
			l.forward(frames[at:min(at+vfp.BatchSize, len(frames))])
		}
	}
	if n := l.h.NAT().Shortcuts(); n != len(frames) {
		l.t.Fatalf("%d flows have %d shortcuts", len(frames), n)
	}
}

// load fills the batch with frames that repeat from the i'th on.
func (l *natLab) load(frames [][]byte, i int) {
	l.batch.N = vfp.BatchSize
	for j := range l.batch.N {
		l.batch.Pkts[j].Load(frames[(i+j)%len(frames)], 64)
	}
}

func TestShortcutsDoNotAllocate(t *testing.T) {
	l := newNATLab(t, false)
	l.open(false)
	frames := mkFlows(1024)
	l.warm(frames)
	before, i := l.x.short.taken, 0
	allocs := testing.AllocsPerRun(100, func() {
		l.load(frames, i)
		l.x.Process(&l.batch)
		i += vfp.BatchSize
	})
	if taken := l.x.short.taken - before; allocs != 0 || taken != uint64(i) {
		t.Errorf("%v allocations per batch; %d of %d packets took shortcuts", allocs, taken, i)
	}
}

// BenchmarkShortcut is a packet of a known session, from the container's port
// to the wire. Its instructions per packet are the difference of two runs
// under callgrind.
func BenchmarkShortcut(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l := newNATLab(new(testing.T), false)
			l.nat.Limits.Sessions = n
			l.apply()
			l.open(false)
			frames := mkFlows(n)
			l.warm(frames)
			rand.New(rand.NewPCG(1, 2)).Shuffle(n, func(i, j int) { frames[i], frames[j] = frames[j], frames[i] })
			b.ResetTimer()
			for i := 0; i < b.N; i += vfp.BatchSize {
				l.load(frames, i)
				l.x.Process(&l.batch)
			}
		})
	}
}
