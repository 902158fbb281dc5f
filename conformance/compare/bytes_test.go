package compare

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/sim/wire"
)

// kind is a packet whose bytes the contract fixes, and the places in it that
// may differ all the same when its counterpart comes from a machine.
type kind struct {
	name  string
	frame []byte
	// free are fields that follow from nothing but who sent it. A checksum is
	// not among them: it must be right, and one that is not shows.
	free []string
}

// udpTo is a translated datagram: well known port, fixed address and port of
// the sender.
func udpTo(change ...func(*wire.Frame)) *wire.Frame {
	f := &wire.Frame{
		EthDst: wire.MustMAC("00-15-5D-00-00-02"), EthSrc: wire.MustMAC("00-15-5D-00-00-01"),
		IP:      &wire.IPFields{Src: netip.MustParseAddr("10.127.130.35"), Dst: netip.MustParseAddr("203.0.113.80"), TTL: 127, ID: 7},
		UDP:     &wire.UDPFields{SrcPort: 49152, DstPort: 53},
		Payload: []byte("question"),
	}
	for _, c := range change {
		c(f)
	}
	return f
}

// vxlan puts a frame into a tunnel.
func vxlan(vni uint32, inner []byte) []byte {
	header := []byte{0x08, 0, 0, 0, byte(vni >> 16), byte(vni >> 8), byte(vni), 0}
	return udpTo(func(f *wire.Frame) {
		f.IP.Dst = netip.MustParseAddr("10.127.130.38")
		f.UDP = &wire.UDPFields{SrcPort: 51000, DstPort: wire.VXLANPort, NoChecksum: true}
		f.Payload = append(header, inner...)
	}).Bytes()
}

// kinds are the packets of "packets as truth": rewritten by NAT, in a tunnel, an
// ICMP error, fragments.
func kinds() []kind {
	eth := []string{"eth.dst", "eth.src"}
	from := func(more ...string) []string { return append(slices.Clone(eth), more...) }
	segment := udpTo(func(f *wire.Frame) {
		f.UDP, f.Payload = nil, []byte("GET")
		f.TCP = &wire.TCPFields{SrcPort: 49152, DstPort: 80, Flags: wire.TCPPsh | wire.TCPAck, Seq: 1000, Ack: 2000, Window: 100}
	}).Bytes()
	quoted := udpTo(func(f *wire.Frame) { f.IP.TTL = 1 }).Bytes()
	frags := wire.FragmentIPv4(udpTo(func(f *wire.Frame) { f.Payload = make([]byte, 100) }).Bytes(), []int{48})
	return []kind{
		{"a datagram that NAT rewrote", udpTo().Bytes(), from("ip.id", "udp.sport")},
		{"a segment that NAT rewrote", segment, from("ip.id", "tcp.sport", "tcp.seq", "tcp.ack", "tcp.window")},
		{"VXLAN", vxlan(4096, udpTo().Bytes()), from("ip.id", "udp.sport", "inner.eth.dst", "inner.eth.src", "inner.ip.id", "inner.udp.sport")},
		{"an ICMP error", (&wire.Frame{
			EthDst: wire.MustMAC("00-15-5D-00-00-01"), EthSrc: wire.MustMAC("00-15-5D-00-00-02"),
			IP:      &wire.IPFields{Src: netip.MustParseAddr("10.127.130.1"), Dst: netip.MustParseAddr("10.127.130.35"), TTL: 64, ID: 9},
			ICMP:    &wire.ICMPFields{Type: wire.ICMPTimeExceeded},
			Payload: quoted[wire.EthernetLen:],
		}).Bytes(), from("ip.id", "ip.tos", "quoted.ip.id", "quoted.udp.sport", "quoted.payload.data")},
		{"a first fragment", frags[0], from("ip.id", "udp.sport")},
		{"a later fragment", frags[1], from("ip.id")},
	}
}

// fieldAt is the innermost field that has the byte.
func fieldAt(l *ledger, frame []byte, at int) string {
	name, size := "", len(frame)+1
	v := l.view(frame)
	for _, layer := range v.layers {
		for _, f := range layer.Fields {
			if f.Len > 0 && f.Off <= at && at < f.Off+f.Len && f.Len <= size {
				name, size = layer.Name+"."+f.Name, f.Len
			}
		}
	}
	return name
}

// TestEveryByteThatTheContractFixesIsCompared flips each bit of each kind of
// packet in turn. What is not free must show, also where a side is a machine:
// a byte in a field that is free, or a checksum that was made right again
// afterwards, are all that may not.
func TestEveryByteThatTheContractFixesIsCompared(t *testing.T) {
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			l := newLedger(nil, true)
			seen := 0
			for at := range k.frame {
				field := fieldAt(l, k.frame, at)
				for bit := range 8 {
					other := slices.Clone(k.frame)
					other[at] ^= 1 << bit
					f := Compare(mkScript(one(k.frame)), realTime(mkScript(one(other))), Options{})
					switch {
					case f.Difference != nil:
						seen++
					case slices.Contains(k.free, field):
						// The sum over it is wrong then: in a frame that is whole it
						// shows, in a tunnel without a checksum it is nobody's.
					default:
						t.Fatalf("bit %d of byte %d (%s): nothing differs; normalised %v", bit, at, field, f.Normalised)
					}
				}
			}
			if seen == 0 {
				t.Error("nothing ever differs")
			}
		})
	}
}

// TestFreeFieldsMustHaveRightChecksums holds that a free field excuses itself
// and no checksum: the same change with the sum made right is equal, with the
// sum as it was it is not.
func TestFreeFieldsMustHaveRightChecksums(t *testing.T) {
	right := udpTo(func(f *wire.Frame) { f.UDP.SrcPort = 49153 }).Bytes()
	wrong := slices.Clone(right)
	var m wire.Meta
	wire.Parse(wrong, &m)
	wire.UDP(wrong[m.L4:]).SetChecksum(wire.UDP(udpTo().Bytes()[m.L4:]).Checksum())
	for _, tt := range []struct {
		frame   []byte
		differs bool
	}{{right, false}, {wrong, true}} {
		f := Compare(mkScript(one(udpTo().Bytes())), realTime(mkScript(one(tt.frame))), Options{})
		if (f.Difference != nil) != tt.differs {
			t.Errorf("differs %v, want %v: %+v", f.Difference != nil, tt.differs, f.Difference)
		}
		if tt.differs && stateOf(f.Difference, "udp.checksum") != reports.FieldDiffers {
			t.Errorf("%+v", f.Difference)
		}
	}
}

// TestNumbersAreFixedForTheirLineOnly holds that an identification or sequence
// number that somebody asked for must come out in that line; in a later one the
// same number is the sender's own.
func TestNumbersAreFixedForTheirLineOnly(t *testing.T) {
	mk := func(ids ...uint32) *Transcript {
		s := mkScript(one(udp(ipID(ids[0]))), one(udp(ipID(ids[1]))))
		s.Steps[0].Calls[0].Do.IPID = 4711
		return s
	}
	for _, tt := range []struct {
		right   *Transcript
		differs int // line, or 0
	}{{mk(4711, 5), 0}, {mk(5, 4711), 1}} {
		f := Compare(mk(4711, 4711), realTime(tt.right), Options{})
		line := 0
		if f.Difference != nil {
			line = f.Difference.Line
		}
		if line != tt.differs {
			t.Errorf("line %d differs, want %d: %+v", line, tt.differs, f.Difference)
		}
	}
}

func TestTimesInDocumentsMayDiffer(t *testing.T) {
	for _, tt := range []struct {
		left, right string
		differs     bool
	}{
		{`{"Health":{"LastErrorCode":0,"LastUpdateTime":1}}`, `{"Health":{"LastErrorCode":0,"LastUpdateTime":2}}`, false},
		{`{"Health":{"LastErrorCode":0,"LastUpdateTime":1}}`, `{"Health":{"LastErrorCode":5,"LastUpdateTime":1}}`, true},
	} {
		l := newLedger(nil, true)
		l.fixed.document([]byte(tt.left))
		d := l.draft()
		if _, equal := d.documents([]byte(tt.left), []byte(tt.right), []byte(tt.left)); equal == tt.differs {
			t.Errorf("%s and %s: equal is %v", tt.left, tt.right, equal)
		}
	}
}
