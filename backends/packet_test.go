package backends

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/wire"
)

func TestAStimulusBecomesItsPacket(t *testing.T) {
	src, dst := netip.MustParseAddrPort("10.0.0.1:1000"), netip.MustParseAddrPort("10.0.0.2:80")
	none := netip.AddrPortFrom(src.Addr(), 0)
	tests := []struct {
		name  string
		s     Stimulus
		from  netip.AddrPort
		holds func(*wire.Frame) bool
		err   string
	}{
		{"udp", Stimulus{Proto: "udp", DF: true, NoChecksum: true}, src, func(f *wire.Frame) bool {
			return *f.UDP == wire.UDPFields{SrcPort: 1000, DstPort: 80, NoChecksum: true} && f.IP.DF && f.IP.ID == 7
		}, ""},
		{"tcp", Stimulus{Proto: "tcp", TCPFlags: "SA", Seq: 1, Ack: 2, IPID: 9}, src, func(f *wire.Frame) bool {
			return f.TCP.Flags == wire.TCPSyn|wire.TCPAck && f.TCP.Seq == 1 && f.TCP.Ack == 2 && f.IP.ID == 9
		}, ""},
		{"icmp", Stimulus{Proto: "icmp", ICMPType: 8, ICMPID: 3, ICMPSeq: 4}, none, func(f *wire.Frame) bool {
			return *f.ICMP == wire.ICMPFields{Type: 8, ID: 3, Seq: 4}
		}, ""},
		{"a number", Stimulus{Proto: "47"}, none, func(f *wire.Frame) bool { return f.IP.Proto == 47 }, ""},
		{"IPv6 has no DF", Stimulus{Proto: "udp", DF: true}, netip.MustParseAddrPort("[fd00::1]:1"), func(f *wire.Frame) bool { return !f.IP.DF }, ""},
		{"unknown flag", Stimulus{Proto: "tcp", TCPFlags: "SX"}, src, nil, `TCP flags "SX": expected letters of FSRPAUEC`},
		{"no port", Stimulus{Proto: "tcp", TCPFlags: "S"}, none, nil, "source port"},
		{"no protocol", Stimulus{Proto: "sctp"}, src, nil, `protocol "sctp"`},
		{"too large a number", Stimulus{Proto: "256"}, src, nil, `protocol "256"`},
	}
	for _, tt := range tests {
		tt.s.Dst = dst
		f, err := tt.s.Packet(tt.from, 7)
		var usage *UsageError
		switch {
		case tt.err != "":
			if !errors.As(err, &usage) || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: got %v, want %q", tt.name, err, tt.err)
			}
		case err != nil || !tt.holds(f):
			t.Errorf("%s: %+v, %v", tt.name, f, err)
		}
	}
}
