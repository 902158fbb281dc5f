package compare

import (
	"net/netip"
	"testing"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/wire"
)

func realTime(t *Transcript) *Transcript { t.VirtualTime = false; return t }

func TestRealTimeExcusesOrderChatterAndRepeats(t *testing.T) {
	arp := (&wire.Frame{EthDst: wire.Broadcast, EthSrc: wire.MustMAC("00-15-5D-00-00-01"), ARP: &wire.ARPFields{Op: wire.ARPRequest, SenderIP: netip.MustParseAddr("10.0.0.1"), TargetIP: netip.MustParseAddr("10.0.0.2")}}).Bytes()
	syn, ack := udp(tcp(wire.TCPSyn, 100, 0)), udp(tcp(wire.TCPAck, 101, 5))
	window := udp(func(f *wire.Frame) { tcp(wire.TCPSyn, 100, 0)(f); f.TCP.Window = 9; f.TCP.MSS = 0 })
	tests := []struct {
		name        string
		left, right [][]byte
		used        string
		differs     bool
	}{
		{"another order", one(udp(), udp(text("two"))), one(udp(text("two")), udp()), "order", false},
		{"address resolution", one(udp()), one(arp, udp(), arp), "chatter", false},
		{"a retransmission", one(syn), one(syn, syn), "repeats", false},
		{"an acknowledgement more", one(syn), one(syn, ack), "tcp-acks", false},
		{"another window", one(syn), one(window), "tcp-stack", false},
		{"a frame more", one(udp()), one(udp(), udp(text("two"))), "", true},
		{"one frame twice", one(udp()), one(udp(), udp()), "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := Compare(mkScript(tt.left), realTime(mkScript(tt.right)), Options{})
			if (f.Difference != nil) != tt.differs || tt.used != "" && countOf(f, tt.used) == 0 {
				t.Errorf("used %v, difference %+v", f.Normalised, f.Difference)
			}
			if tt.used == "" {
				return
			}
			if Compare(mkScript(tt.left), mkScript(tt.right), Options{}).Difference == nil {
				t.Error("two worlds on virtual time are excused, too")
			}
			if Compare(mkScript(tt.left), realTime(mkScript(tt.right)), Options{Strict: []string{tt.used}}).Difference == nil {
				t.Error("--strict excuses it, too")
			}
		})
	}
}

// bad is an ICMP error of x about a segment, as long as the quote.
func bad(tos uint8, quote int) []byte {
	segment := udp(tcp(wire.TCPSyn, 7, 0))
	return (&wire.Frame{
		EthDst: wire.MustMAC("00-15-5D-00-00-01"), EthSrc: wire.MustMAC("00-15-5D-00-00-02"),
		IP:   &wire.IPFields{Src: netip.MustParseAddr("10.0.0.2"), Dst: netip.MustParseAddr("10.0.0.1"), TOS: tos},
		ICMP: &wire.ICMPFields{Type: wire.ICMPUnreachable}, Payload: segment[wire.EthernetLen : wire.EthernetLen+quote],
	}).Bytes()
}

func echo(id, seq uint16) []byte {
	return udp(func(f *wire.Frame) {
		f.UDP, f.ICMP = nil, &wire.ICMPFields{Type: wire.ICMPEcho, ID: id, Seq: seq}
	})
}

func TestRealTimeExcusesWhatMachinesDoByNature(t *testing.T) {
	at := func(kind backends.ObservationKind, role string, frames ...[]byte) *Transcript {
		s := mkScript(nil)
		for _, f := range frames {
			s.Steps[0].Seen = append(s.Steps[0].Seen, backends.Observation{Kind: kind, Role: role, Frame: f})
		}
		host := &Step{Line: 0, Acts: true, Calls: []Call{{Node: &backends.Node{Kind: backends.HostNode, Name: "h1"}}}}
		s.Steps = append([]*Step{host}, s.Steps...)
		return s
	}
	as := func(s *Transcript, do backends.Stimulus) *Transcript { s.Steps[1].Calls[0].Do = &do; return s }
	frame := backends.Stimulus{Kind: backends.SendFrame, Role: "c1", Frame: udp()}
	tests := []struct {
		name        string
		left, right *Transcript
		used        string
		differs     bool
	}{
		{"a longer quote", at(backends.Sent, "x", bad(0, 28)), at(backends.Sent, "x", bad(0xc0, 40)), "icmp-quotes", false},
		{"another kind of error", at(backends.Sent, "x", bad(0, 28)), at(backends.Sent, "x", udp()), "", true},
		{"a second complaint", at(backends.Sent, "x", bad(0, 28)), at(backends.Sent, "x", bad(0, 28), bad(0, 28)), "repeats", false},
		{"a host that forwards", at(backends.Sent, "h1"), at(backends.Sent, "h1", udp()), "host-stack", false},
		{"a container that sends", at(backends.Sent, "c1"), at(backends.Sent, "c1", udp()), "", true},
		{"the frame that was sent", as(at(backends.Sent, "c1"), frame), as(at(backends.Sent, "c1", udp()), frame), "stimulus", false},
		{"another frame", as(at(backends.Sent, "c1"), frame), as(at(backends.Sent, "c1", udp(ttl(3))), frame), "", true},
		{"the frame elsewhere", as(at(backends.Received, "c1"), frame), as(at(backends.Received, "c1", udp()), frame), "", true},
		{"a drop that one side notices", at(backends.DroppedAt, "h1"), at(backends.DroppedAt, "h1", udp()), "drops", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := Compare(tt.left, realTime(tt.right), Options{})
			if (f.Difference != nil) != tt.differs || tt.used != "" && countOf(f, tt.used) == 0 {
				t.Errorf("used %v, difference %+v", f.Normalised, f.Difference)
			}
			tt.right.VirtualTime = true
			if Compare(tt.left, tt.right, Options{}).Difference == nil {
				t.Error("two worlds on virtual time are excused, too")
			}
		})
	}
	two := at(backends.DroppedAt, "h1", udp())
	two.Steps[1].Seen[0].Reason = "NoMapping"
	if f := Compare(at(backends.DroppedAt, "h1", udp()), realTime(two), Options{}); f.Difference == nil || stateOf(f.Difference, "drop.reason") != reports.FieldDiffers {
		t.Errorf("two reasons for one packet: %+v", f)
	}
}

func TestEchoesThatNameNothingMayHaveAnyIdentifier(t *testing.T) {
	ping := func(id uint16, frames ...[]byte) *Transcript {
		var lines [][][]byte
		for _, f := range frames {
			lines = append(lines, one(f))
		}
		s := mkScript(lines...)
		for _, step := range s.Steps {
			step.Calls[0].Do = &backends.Stimulus{Kind: backends.Ping, Role: "c1", ICMPID: id}
		}
		return s
	}
	if f := Compare(ping(0, echo(0, 0), echo(0, 0)), ping(0, echo(7, 1), echo(8, 1)), Options{}); f.Difference != nil || countOf(f, "ports") == 0 {
		t.Errorf("%+v", f.Difference)
	}
	if f := Compare(ping(5, echo(5, 0), echo(5, 0)), ping(5, echo(7, 0), echo(8, 0)), Options{}); f.Difference == nil {
		t.Error("one identifier that was asked for became two")
	}
	if f := Compare(ping(0, echo(5, 0)), ping(0, (&wire.Frame{}).Bytes()), Options{}); f.Difference == nil {
		t.Error("an echo and something else are equal")
	}
}

func TestOneAddressOfTwoEndpointsNamesNobody(t *testing.T) {
	mk := func(owners int, ports ...uint16) *Transcript {
		var lines [][][]byte
		for _, p := range ports {
			lines = append(lines, one(udp(sport(p))))
		}
		s := mkScript(lines...)
		for range owners {
			s.Steps[0].Calls = append(s.Steps[0].Calls, Call{HCN: &backends.HCNOp{Kind: "endpoint", Verb: "create"}, Result: backends.HCNResult{Document: []byte(`{"IpConfigurations":[{"IpAddress":"10.0.0.1"}]}`)}})
		}
		return s
	}
	if f := Compare(mk(2, 50001, 50001), mk(2, 50008, 50009), Options{}); f.Difference != nil {
		t.Errorf("%+v", f.Difference)
	}
	loop := func(port string) *Transcript {
		call := Call{Do: &backends.Stimulus{Kind: backends.TCPConnect}, Outcome: backends.Outcome{OK: true, Local: netip.MustParseAddrPort("127.0.0.1:" + port)}}
		return answers(call, call)
	}
	left, right := loop("50001"), loop("50008")
	right.Steps[0].Calls[1].Outcome.Local = netip.MustParseAddrPort("127.0.0.1:50009")
	if f := Compare(left, right, Options{}); f.Difference != nil {
		t.Errorf("%+v", f.Difference)
	}
	if f := Compare(mk(1, 50001, 50001), mk(1, 50008, 50009), Options{}); f.Difference == nil {
		t.Error("one endpoint's port became two")
	}
}

// An address that goes from one endpoint to the next has one owner at a time:
// within the life of each, one port is one port.
func TestAnAddressThatIsGivenAgainHasOneOwner(t *testing.T) {
	op := func(verb, id string, err error) Call {
		c := Call{HCN: &backends.HCNOp{Host: "h1", Kind: "endpoint", Verb: verb, ID: id}, Err: err}
		if verb == "create" {
			c.Result = backends.HCNResult{ID: "E1", Document: []byte(`{"IpConfigurations":[{"IpAddress":"10.0.0.1"}]}`)}
		}
		return c
	}
	// The second endpoint comes with the second of the frames.
	mk := func(deleting error, ports ...uint16) *Transcript {
		var lines [][][]byte
		for _, p := range ports {
			lines = append(lines, one(udp(sport(p))))
		}
		s := mkScript(lines...)
		s.Steps[0].Calls = append(s.Steps[0].Calls, op("create", "", nil))
		s.Steps[1].Calls = append(s.Steps[1].Calls, op("delete", "e1", deleting), op("create", "", nil))
		return s
	}
	gone := func(ports ...uint16) *Transcript { return mk(nil, ports...) }
	if f := Compare(gone(50001, 50001, 50001), gone(50007, 50008, 50009), Options{}); f.Difference == nil {
		t.Error("one port of the second endpoint became two")
	}
	if f := Compare(gone(50001, 50001, 50001), gone(50007, 50008, 50008), Options{}); f.Difference != nil {
		t.Errorf("the second endpoint may not have other ports than the first: %+v", f.Difference)
	}
	left := &hcn.Error{Code: hcn.ErrEndpointNotFound}
	if f := Compare(mk(left, 50001, 50001, 50001), mk(left, 50007, 50008, 50009), Options{}); f.Difference != nil {
		t.Errorf("an endpoint that was not deleted owns nothing any more: %+v", f.Difference)
	}
}
