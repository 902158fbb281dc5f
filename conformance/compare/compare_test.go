package compare

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/wire"
)

// udp is a datagram; mk* functions change what a test is about.
func udp(change ...func(*wire.Frame)) []byte {
	f := &wire.Frame{
		EthDst: wire.MustMAC("00-15-5D-00-00-02"), EthSrc: wire.MustMAC("00-15-5D-00-00-01"),
		IP:      &wire.IPFields{Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2"), TTL: 128, ID: 7},
		UDP:     &wire.UDPFields{SrcPort: 50001, DstPort: 53},
		Payload: []byte("hello"),
	}
	for _, c := range change {
		c(f)
	}
	return f.Bytes()
}

func sport(n uint16) func(*wire.Frame) { return func(f *wire.Frame) { f.UDP.SrcPort = n } }
func dport(n uint16) func(*wire.Frame) { return func(f *wire.Frame) { f.UDP.DstPort = n } }
func ttl(n uint8) func(*wire.Frame)    { return func(f *wire.Frame) { f.IP.TTL = n } }
func from(mac string) func(*wire.Frame) {
	return func(f *wire.Frame) { f.EthSrc = wire.MustMAC(mac) }
}
func text(s string) func(*wire.Frame) { return func(f *wire.Frame) { f.Payload = []byte(s) } }
func ipID(n uint32) func(*wire.Frame) { return func(f *wire.Frame) { f.IP.ID = n } }
func source(a string) func(*wire.Frame) {
	return func(f *wire.Frame) { f.IP.Src = netip.MustParseAddr(a) }
}

// tcp makes the frame a segment.
func tcp(flags uint8, seq, ack uint32) func(*wire.Frame) {
	return func(f *wire.Frame) {
		f.TCP = &wire.TCPFields{SrcPort: 40000, DstPort: 80, Flags: flags, Seq: seq, Ack: ack, Window: 100}
		f.UDP, f.Payload = nil, nil
	}
}

// broken spoils the transport checksum.
func broken(frame []byte) []byte {
	var m wire.Meta
	wire.Parse(frame, &m)
	wire.UDP(frame[m.L4:]).SetChecksum(wire.UDP(frame[m.L4:]).Checksum() ^ 0x0101)
	return frame
}

// mkScript is a transcript of one line after another, each seen at one point.
func mkScript(frames ...[][]byte) *Transcript {
	t := &Transcript{VirtualTime: true, Drops: true}
	for i, line := range frames {
		s := &Step{Line: i + 1, Command: fmt.Sprintf("send %d", i+1), Acts: true, Calls: []Call{{Do: &backends.Stimulus{Kind: backends.SendPacket, Role: "c1"}, Outcome: backends.Outcome{OK: true}}}}
		for j, frame := range line {
			s.Seen = append(s.Seen, backends.Observation{Seq: j, Kind: backends.OnWire, Role: "h1", Peer: "tx", Frame: frame})
		}
		t.Steps = append(t.Steps, s)
	}
	return t
}

func one(frames ...[]byte) [][]byte { return frames }

func TestFramesAreEqualUpToWhatMeansNothing(t *testing.T) {
	const other = "00-15-5D-00-00-09"
	tests := []struct {
		name        string
		left, right [][][]byte
		differs     string // field, or empty
		used        string // normalisations
	}{
		{"the same", [][][]byte{one(udp())}, [][][]byte{one(udp())}, "", ""},
		{"another payload", [][][]byte{one(udp())}, [][][]byte{one(udp(text("hullo")))}, "payload.data", ""},
		{"long payloads that differ at their end", [][][]byte{one(udp(text(strings.Repeat("x", 200) + "a")))}, [][][]byte{one(udp(text(strings.Repeat("x", 200) + "b")))}, "payload.data", ""},
		{"another TTL", [][][]byte{one(udp())}, [][][]byte{one(udp(ttl(127)))}, "ip.ttl", ""},
		{"another identification", [][][]byte{one(udp())}, [][][]byte{one(udp(ipID(9)))}, "", "ip-id checksums"},
		{"another ephemeral port", [][][]byte{one(udp())}, [][][]byte{one(udp(sport(50009)))}, "", "ports checksums"},
		{"a port that is not ephemeral", [][][]byte{one(udp())}, [][][]byte{one(udp(dport(54)))}, "udp.dport", ""},
		{"two ports, one to one", [][][]byte{one(udp(), udp(sport(50002)))}, [][][]byte{one(udp(sport(50009)), udp(sport(50008)))}, "", "ports checksums"},
		{"two ports became one", [][][]byte{one(udp(), udp(sport(50002)))}, [][][]byte{one(udp(sport(50009)), udp(sport(50009)))}, "udp.sport", "ports"},
		{"one port became two, lines later", [][][]byte{one(udp()), one(udp()), one(udp())}, [][][]byte{one(udp(sport(50009))), one(udp(sport(50009))), one(udp(sport(50008)))}, "udp.sport", "ports"},
		{"a port that was the same before", [][][]byte{one(udp()), one(udp())}, [][][]byte{one(udp()), one(udp(sport(50009)))}, "udp.sport", ""},
		{"one port at two addresses", [][][]byte{one(udp(), udp(source("10.0.0.8")))}, [][][]byte{one(udp(sport(50009)), udp(source("10.0.0.8"), sport(50008)))}, "", "ports checksums"},
		{"another MAC address", [][][]byte{one(udp())}, [][][]byte{one(udp(from(other)))}, "", "macs"},
		{"two MAC addresses became one", [][][]byte{one(udp(), udp(from("00-15-5D-00-00-03")))}, [][][]byte{one(udp(from(other)), udp(from(other)))}, "eth.src", "macs"},
		{"a group address", [][][]byte{one(udp())}, [][][]byte{one(udp(func(f *wire.Frame) { f.EthDst = wire.Broadcast }))}, "eth.dst", ""},
		{"a wrong checksum", [][][]byte{one(udp())}, [][][]byte{one(broken(udp()))}, "udp.checksum", ""},
		{"a wrong checksum behind another port", [][][]byte{one(udp())}, [][][]byte{one(broken(udp(sport(50009))))}, "udp.checksum", ""},
		{"wrong on both sides", [][][]byte{one(broken(udp()))}, [][][]byte{one(broken(udp(sport(50009))))}, "", "ports checksums"},
		{"no checksum", [][][]byte{one(udp())}, [][][]byte{one(udp(func(f *wire.Frame) { f.UDP.NoChecksum = true }))}, "udp.checksum", ""},
		{"sequence numbers, one distance", [][][]byte{one(udp(tcp(wire.TCPSyn, 100, 0)), udp(tcp(wire.TCPAck, 101, 5)))}, [][][]byte{one(udp(tcp(wire.TCPSyn, 900, 0)), udp(tcp(wire.TCPAck, 901, 5)))}, "", "tcp-seq checksums"},
		{"sequence numbers, two distances", [][][]byte{one(udp(tcp(wire.TCPAck, 100, 5)), udp(tcp(wire.TCPAck, 101, 5)))}, [][][]byte{one(udp(tcp(wire.TCPAck, 900, 5)), udp(tcp(wire.TCPAck, 999, 5)))}, "tcp.seq", "tcp-seq"},
		{"a window, on virtual time", [][][]byte{one(udp(tcp(wire.TCPSyn, 1, 0)))}, [][][]byte{one(udp(func(f *wire.Frame) { tcp(wire.TCPSyn, 1, 0)(f); f.TCP.Window = 99 }))}, "tcp.window", ""},
		{"another kind of packet", [][][]byte{one(udp())}, [][][]byte{one(udp(tcp(wire.TCPSyn, 1, 0)))}, "layers", ""},
		{"order, on virtual time", [][][]byte{one(udp(), udp(text("two")))}, [][][]byte{one(udp(text("two")), udp())}, "*", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := Compare(mkScript(tt.left...), mkScript(tt.right...), Options{})
			switch {
			case tt.differs == "" && f.Difference != nil:
				t.Errorf("differs: %+v", f.Difference)
			case tt.differs != "" && f.Difference == nil:
				t.Error("nothing differs")
			case tt.differs != "" && tt.differs != "*" && stateOf(f.Difference, tt.differs) != reports.FieldDiffers:
				t.Errorf("%s does not differ in %+v", tt.differs, f.Difference.Fields)
			}
			for _, name := range strings.Fields(tt.used) {
				if countOf(f, name) == 0 {
					t.Errorf("%s was not counted: %v", name, f.Normalised)
				}
			}
			if tt.differs == "" && len(strings.Fields(tt.used)) != len(f.Normalised) {
				t.Errorf("used %v, want %q", f.Normalised, tt.used)
			}
			// With nothing normalised whatever was is a difference.
			strict := Compare(mkScript(tt.left...), mkScript(tt.right...), Options{Strict: []string{"all"}})
			if (tt.used != "" || tt.differs != "") && strict.Difference == nil {
				t.Error("nothing differs under --strict all")
			}
			if len(strict.Normalised) > 0 {
				t.Errorf("--strict all normalised %v", strict.Normalised)
			}
		})
	}
}

func stateOf(d *reports.Difference, field string) reports.State {
	for _, f := range d.Fields {
		if f.Field == field {
			return f.State
		}
	}
	return ""
}

func countOf(f *Finding, name string) int {
	for _, n := range f.Normalised {
		if n.Name == name {
			return n.Count
		}
	}
	return 0
}

func TestAContradictionNamesWhereItComesFrom(t *testing.T) {
	f := Compare(mkScript(one(udp()), one(udp())), mkScript(one(udp(sport(50009))), one(udp(sport(50008)))), Options{})
	if f.Difference == nil || f.Difference.Line != 2 || f.Frames != 1 {
		t.Fatalf("%+v", f)
	}
	for _, row := range f.Difference.Fields {
		if row.Field == "udp.sport" && row.Note == "left 10.0.0.1:50001 is right 10.0.0.1:50009 since line 1" {
			return
		}
	}
	t.Errorf("%+v", f.Difference.Fields)
}

func TestWhatWasAskedForMustComeOut(t *testing.T) {
	ask := func(frame []byte, dst string, id uint16) *Transcript {
		s := mkScript(one(frame))
		s.Steps[0].Calls[0].Do.Dst = netip.MustParseAddrPort(dst)
		s.Steps[0].Calls[0].Do.IPID = id
		return s
	}
	f := Compare(ask(udp(dport(5000)), "10.0.0.2:5000", 0), ask(udp(dport(5001)), "10.0.0.2:5000", 0), Options{})
	if f.Difference == nil || stateOf(f.Difference, "udp.dport") != reports.FieldDiffers {
		t.Errorf("a port that was asked for may change: %+v", f)
	}
	f = Compare(ask(udp(dport(5000)), "10.0.0.2:5000", 0), ask(udp(dport(5001)), "10.0.0.2:5001", 0), Options{})
	if f.Difference != nil {
		t.Errorf("ports of variables differ on purpose: %+v", f.Difference)
	}
	f = Compare(ask(udp(ipID(4711)), "10.0.0.2:53", 4711), ask(udp(ipID(5)), "10.0.0.2:53", 4711), Options{})
	if f.Difference == nil || stateOf(f.Difference, "ip.id") != reports.FieldDiffers {
		t.Errorf("an identification that was asked for may change: %+v", f)
	}
}

func TestMissingFramesAreNamed(t *testing.T) {
	a, b, c := udp(text("a")), udp(text("b")), udp(text("c"))
	tests := []struct {
		name        string
		left, right [][]byte
		what        string
		frame       string
	}{
		{"at the end", one(a, b), one(a), "only the left", "frame 2"},
		{"at the end of the right", one(a), one(a, b), "only the right", "frame 2"},
		{"nothing on the right", one(a), nil, "only the left", "frame 1"},
		{"in the middle", one(a, udp(ttl(1), dport(99), source("10.9.9.9")), c), one(a, c), "only the left", "frame 2"},
		{"changed", one(a, b), one(a, udp(text("b"), ttl(1))), "the frames differ", "frame 2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := Compare(mkScript(tt.left), mkScript(tt.right), Options{}).Difference
			if d == nil || !strings.Contains(d.What, tt.what) || d.Where != "wire h1 tx, "+tt.frame {
				t.Errorf("%+v", d)
			}
		})
	}
}

func TestDropsAreComparedWhereBothKnowThem(t *testing.T) {
	drop := func(reason string) *Transcript {
		s := mkScript(nil)
		s.Steps[0].Seen = []backends.Observation{{Kind: backends.DroppedAt, Role: "h1", Reason: reason, Where: "c1", Frame: udp()}}
		return s
	}
	if f := Compare(drop("MacSpoof"), drop("MacSpoof"), Options{}); f.Difference != nil {
		t.Errorf("%+v", f.Difference)
	}
	d := Compare(drop("MacSpoof"), drop("NoRoute"), Options{}).Difference
	if d == nil || stateOf(d, "drop.reason") != reports.FieldDiffers || d.Where != "dropped at h1, frame 1" {
		t.Errorf("%+v", d)
	}
	blind := drop("MacSpoof")
	blind.Steps[0].Seen, blind.Drops = nil, false
	if f := Compare(drop("MacSpoof"), blind, Options{}); f.Difference != nil || countOf(f, "drops") != 1 {
		t.Errorf("%+v", f)
	}
}

func TestTheTimesOfFramesDoNotCountUnlessTheyAreAskedFor(t *testing.T) {
	late := mkScript(one(udp()))
	late.Steps[0].Seen[0].At = time.Second
	if f := Compare(mkScript(one(udp())), late, Options{}); f.Difference != nil || countOf(f, "timestamps") != 1 {
		t.Errorf("%+v", f)
	}
	if f := Compare(mkScript(one(udp())), late, Options{Strict: []string{"timestamps"}}); f.Difference == nil || stateOf(f.Difference, "time") != reports.FieldDiffers {
		t.Errorf("%+v", f.Difference)
	}
}

func TestWhatWasNotAskedAlikeIsNotComparable(t *testing.T) {
	longer := mkScript(one(udp()), one(udp()))
	f := Compare(mkScript(one(udp())), longer, Options{})
	if f.Difference != nil || f.Apart != "line 2 is carried out on the right side only" || f.Lines != 1 {
		t.Errorf("%+v", f)
	}
	elsewhere := mkScript(one(udp()), one(udp()))
	elsewhere.Steps[1].Line = 5
	if f := Compare(longer, elsewhere, Options{}); f.Apart != "line 2 is carried out on the left side only" {
		t.Errorf("%+v", f)
	}
	lost := mkScript(one(udp()))
	lost.Steps[0].Calls[0].Err = &backends.UnansweredError{Msg: "not in the recording"}
	if f := Compare(mkScript(one(udp())), lost, Options{}); f.Difference != nil || !strings.Contains(f.Apart, "the right side says: not in the recording") {
		t.Errorf("%+v", f)
	}
}

func TestSidesThatWereAskedForDifferentPacketsAreNotComparable(t *testing.T) {
	// Two packets came in any order, and a check saved the port of the first.
	ask := func(port string) *Transcript {
		s := mkScript(one(udp(), udp(sport(50002))), one(udp(text("two"))))
		s.Steps[1].Calls[0].Do.Proto = "udp"
		s.Steps[1].Calls[0].Do.Dst = netip.MustParseAddrPort("10.0.0.1:" + port)
		return s
	}
	f := Compare(ask("50001"), realTime(ask("50002")), Options{})
	if f.Difference != nil || !strings.Contains(f.Apart, "line 2 asks the sides for different things: 10.0.0.1:50001 and 10.0.0.1:50002") {
		t.Errorf("%q %+v", f.Apart, f.Difference)
	}
	if f := Compare(ask("50001"), realTime(ask("50001")), Options{}); f.Difference != nil || f.Apart != "" {
		t.Errorf("%q %+v", f.Apart, f.Difference)
	}
}

func answers(calls ...Call) *Transcript {
	return &Transcript{VirtualTime: true, Steps: []*Step{{Line: 1, Command: "network h1 n net.json", Acts: true, Calls: calls}}}
}

func created(body, id, doc string, err error) Call {
	return Call{HCN: &backends.HCNOp{Host: "h1", Kind: "network", Verb: "create", Body: []byte(body)}, Result: backends.HCNResult{ID: id, Document: []byte(doc)}, Err: err}
}

const (
	guidA = "0c241c8a-027c-4f98-a44f-92a11f7c965f"
	guidB = "8dd51e51-96b6-49d6-9ba4-8a78dbb3901d"
)

func TestAnswersOfTheControlPlane(t *testing.T) {
	refused := func(c hcn.Code, text string) error { return hcn.Errorf(c, "%s", text) }
	tests := []struct {
		name        string
		left, right Call
		differs     string
		used        string
	}{
		{"ids", created("{}", guidA, `{"ID":"`+guidA+`"}`, nil), created("{}", guidB, `{"ID":"`+strings.ToUpper(guidB)+`"}`, nil), "", "ids"},
		{"an id that contradicts the answer", created("{}", guidA, `{"ID":"`+guidA+`"}`, nil), created("{}", guidB, `{"ID":"`+guidA+`"}`, nil), "ID", ""},
		{"a name", created("{}", "", `{"Name":"a"}`, nil), created("{}", "", `{"Name":"b"}`, nil), "Name", ""},
		{"a member that nobody named", created("{}", "", `{"Version":1}`, nil), created("{}", "", `{"Version":2}`, nil), "", "unasked"},
		{"a member that somebody named", created(`{"Version":1}`, "", `{"Version":1}`, nil), created(`{"Version":1}`, "", `{"Version":2}`, nil), "Version", ""},
		{"a member that is missing", created(`{"Flags":1}`, "", `{"Flags":1}`, nil), created(`{"Flags":1}`, "", `{}`, nil), "Flags", ""},
		{"a policy of the service", created("{}", "", `{"Policies":[{"Type":"VLAN"}]}`, nil), created("{}", "", `{}`, nil), "", "unasked"},
		{"a policy that was asked for", created(`{"Policies":[{"Type":"VLAN"}]}`, "", `{"Policies":[{"Type":"VLAN"}]}`, nil), created(`{"Policies":[{"Type":"VLAN"}]}`, "", `{}`, nil), "Policies[0]", ""},
		{"an address that was chosen", created("{}", "", `{"IpAddress":"10.0.0.7"}`, nil), created("{}", "", `{"IpAddress":"10.0.0.9"}`, nil), "", "addresses"},
		{"an address that was asked for", created(`{"IpAddress":"10.0.0.7"}`, "", `{"IpAddress":"10.0.0.7"}`, nil), created(`{"IpAddress":"10.0.0.7"}`, "", `{"IpAddress":"10.0.0.9"}`, nil), "IpAddress", ""},
		{"a prefix that was chosen, and addresses in it", created("{}", "", `{"IpAddressPrefix":"172.16.16.0/20","Routes":[{"NextHop":"172.16.16.1"}]}`, nil), created("{}", "", `{"IpAddressPrefix":"172.18.32.0/20","Routes":[{"NextHop":"172.18.32.1"}]}`, nil), "", "addresses"},
		{"an address elsewhere in the prefix", created(`{"NextHop":"172.18.32.2"}`, "", `{"IpAddressPrefix":"172.16.16.0/20","NextHop":"172.16.16.1"}`, nil), created(`{"NextHop":"172.18.32.2"}`, "", `{"IpAddressPrefix":"172.18.32.0/20","NextHop":"172.18.32.2"}`, nil), "NextHop", ""},
		{"a name that the service made up", created(`{"Name":"n"}`, "", `{"Parts":[{"Name":"Ethernet"}]}`, nil), created(`{"Name":"n"}`, "", `{"Parts":[{}]}`, nil), "", "unasked"},
		{"a name that was asked for", created(`{"Parts":[{"Name":"n"}]}`, "", `{"Parts":[{"Name":"n"}]}`, nil), created(`{"Parts":[{"Name":"n"}]}`, "", `{"Parts":[{}]}`, nil), "Parts[0].Name", ""},
		{"refused on one side", created("{}", guidA, "{}", nil), created("{}", "", "", refused(hcn.ErrNetworkAlreadyExists, "x")), "error", ""},
		{"refused for another reason", created("{}", "", "", refused(0x803b0001, "x")), created("{}", "", "", refused(0x803b0002, "x")), "error", ""},
		{"refused in other words", created("{}", "", "", refused(0x803b0001, "x")), created("{}", "", "", refused(0x803b0001, "y")), "", "error-text"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := Compare(answers(tt.left), answers(tt.right), Options{})
			if tt.differs == "" && f.Difference != nil || tt.differs != "" && (f.Difference == nil || stateOf(f.Difference, tt.differs) != reports.FieldDiffers) {
				t.Errorf("%+v", f.Difference)
			}
			if tt.used != "" && countOf(f, tt.used) == 0 {
				t.Errorf("used %v", f.Normalised)
			}
		})
	}
}

func TestListsOfIdsHaveNoOrder(t *testing.T) {
	list := func(ids ...string) Call {
		return Call{HCN: &backends.HCNOp{Host: "h1", Kind: "network", Verb: "enumerate"}, Result: backends.HCNResult{Document: []byte(`["` + strings.Join(ids, `","`) + `"]`)}}
	}
	// On the left a is the first network, on the right z is.
	const a, b = "aaaaaaaa-0000-0000-0000-000000000001", "bbbbbbbb-0000-0000-0000-000000000002"
	const z, y = "ffffffff-0000-0000-0000-000000000001", "eeeeeeee-0000-0000-0000-000000000002"
	left := answers(created("{}", a, "", nil), created("{}", b, "", nil), list(a, b))
	right := answers(created("{}", z, "", nil), created("{}", y, "", nil), list(z, y))
	if f := Compare(left, right, Options{}); f.Difference != nil {
		t.Errorf("%+v", f.Difference)
	}
	right.Steps[0].Calls[2] = list(z)
	if f := Compare(left, right, Options{}); f.Difference == nil {
		t.Error("a list that lacks one is equal")
	}
}

func TestOutcomesOfStimuli(t *testing.T) {
	do := func(out backends.Outcome) *Transcript {
		return answers(Call{Do: &backends.Stimulus{Kind: backends.TCPConnect, Role: "c1"}, Outcome: out})
	}
	local := func(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
	tests := []struct {
		name        string
		left, right backends.Outcome
		differs     string
	}{
		{"success", backends.Outcome{OK: true}, backends.Outcome{OK: false, Detail: "timeout"}, "ok"},
		{"failure", backends.Outcome{Detail: "refused"}, backends.Outcome{Detail: "timeout"}, "detail"},
		{"names of socket errors", backends.Outcome{Detail: "WSAEADDRINUSE (10048)"}, backends.Outcome{Detail: "10048"}, ""},
		{"socket errors", backends.Outcome{Detail: "WSAEADDRINUSE (10048)"}, backends.Outcome{Detail: "10013"}, "detail"},
		{"identities", backends.Outcome{OK: true, ID: 4}, backends.Outcome{OK: true, ID: 5}, ""},
		{"ports", backends.Outcome{OK: true, Local: local("10.0.0.1:50001")}, backends.Outcome{OK: true, Local: local("10.0.0.1:50002")}, ""},
		{"addresses", backends.Outcome{OK: true, Local: local("10.0.0.1:50001")}, backends.Outcome{OK: true, Local: local("10.0.0.2:50001")}, "local"},
		{"a side that does not know", backends.Outcome{OK: true, Local: local("10.0.0.1:50001")}, backends.Outcome{OK: true}, ""},
		{"answers", backends.Outcome{OK: true, Received: []byte(strings.Repeat("x", 300) + "a")}, backends.Outcome{OK: true, Received: []byte(strings.Repeat("x", 300) + "b")}, "received"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := Compare(do(tt.left), do(tt.right), Options{}).Difference
			if (d == nil) != (tt.differs == "") || d != nil && stateOf(d, tt.differs) != reports.FieldDiffers {
				t.Errorf("%+v", d)
			}
		})
	}
}

func TestWhatIsLeftAtTheEndIsCompared(t *testing.T) {
	end := func(broken, left []string) *Transcript {
		s := mkScript(one(udp()))
		s.End = &End{broken, left}
		return s
	}
	for name, right := range map[string]*Transcript{"broken invariants": end([]string{"x"}, nil), "left behind after closing": end(nil, []string{"network n"})} {
		d := Compare(end(nil, nil), right, Options{}).Difference
		if d == nil || d.Where != name || d.Line != 0 {
			t.Errorf("%s: %+v", name, d)
		}
	}
	if f := Compare(end(nil, []string{"endpoint " + guidA}), end(nil, []string{"endpoint " + guidB}), Options{}); f.Difference != nil {
		t.Errorf("%+v", f.Difference)
	}
}

func TestTunnelsMaySpreadFlowsDifferentlyButMustSpreadThem(t *testing.T) {
	tunnel := func(outer uint16, inner uint16) []byte {
		return (&wire.Frame{
			EthDst: wire.MustMAC("00-15-5D-00-00-02"), EthSrc: wire.MustMAC("00-15-5D-00-00-01"),
			IP:    &wire.IPFields{Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2")},
			UDP:   &wire.UDPFields{SrcPort: outer, DstPort: wire.VXLANPort, NoChecksum: true},
			VXLAN: &wire.VXLANFields{VNI: 4096},
			Inner: &wire.Frame{EthDst: wire.MustMAC("00-15-5D-00-00-04"), EthSrc: wire.MustMAC("00-15-5D-00-00-03"),
				IP:  &wire.IPFields{Src: netip.MustParseAddr("10.1.0.1"), Dst: netip.MustParseAddr("10.1.0.2")},
				UDP: &wire.UDPFields{SrcPort: inner, DstPort: 53}},
		}).Bytes()
	}
	left := one(tunnel(60001, 1), tunnel(60002, 2), tunnel(60003, 3), tunnel(60001, 1))
	if f := Compare(mkScript(left), mkScript(one(tunnel(51001, 1), tunnel(51002, 2), tunnel(51003, 3), tunnel(51001, 1))), Options{}); f.Difference != nil || countOf(f, "entropy") != 4 {
		t.Errorf("%v %+v", f.Normalised, f.Difference)
	}
	if f := Compare(mkScript(left), mkScript(one(tunnel(51001, 1), tunnel(51002, 2), tunnel(51003, 3), tunnel(51009, 1))), Options{}); f.Difference == nil {
		t.Error("one flow took two ways")
	}
	f := Compare(mkScript(left), mkScript(one(tunnel(51001, 1), tunnel(51001, 2), tunnel(51001, 3), tunnel(51001, 1))), Options{})
	if f.Difference == nil || f.Difference.Where != "tunnels from 10.0.0.1" {
		t.Errorf("all flows take one way: %+v", f.Difference)
	}
}

func TestStrictNamesAreChecked(t *testing.T) {
	if err := CheckStrict([]string{"all", "ports", "order"}); err != nil {
		t.Error(err)
	}
	if err := CheckStrict([]string{"prots"}); err == nil || !strings.Contains(err.Error(), "ports") {
		t.Error(err)
	}
	if trouble(hcn.Errorf(hcn.ErrNetworkAlreadyExists, "x")) || !trouble(errors.New("x")) || trouble(nil) {
		t.Error("a refusal is an answer, everything else is trouble")
	}
}

func TestKnownFieldsAreLookedAwayFromAndNothingElse(t *testing.T) {
	left, right := mkScript(one(udp()), one(udp())), mkScript(one(udp(ttl(127))), one(udp()))
	f := Compare(left, right, Options{Known: []string{"ip.ttl"}})
	if f.Difference != nil || f.Known == nil || f.Known.Line != 1 || f.Known.Left != "ip.ttl 128" || countOf(f, "declared") != 1 || f.Lines != 2 {
		t.Errorf("%+v %+v", f, f.Known)
	}
	right = mkScript(one(udp(ttl(127))), one(udp(text("other"))))
	if f := Compare(left, right, Options{Known: []string{"ip.ttl"}}); f.Difference == nil || f.Difference.Line != 2 {
		t.Errorf("%+v", f)
	}
	if f := Compare(left, right, Options{Known: []string{"ip.ttl"}, Strict: []string{"declared"}}); f.Difference == nil || f.Difference.Line != 1 {
		t.Errorf("%+v", f)
	}
	if f := Compare(left, left, Options{Known: []string{"ip.ttl"}}); f.Difference != nil || f.Known != nil {
		t.Errorf("%+v", f)
	}
}
