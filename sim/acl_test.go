package sim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/vswitch"
	"github.com/hnsim/hnsim/sim/wire"
)

// aclPolicies are n rules about other hosts, as a network policy controller
// writes them, and one that allows the rest.
func aclPolicies(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"Type":"ACL","Settings":{"Action":"Block","Direction":"Out","RuleType":"Switch","Priority":%d,"Protocols":"6,17",
			"RemoteAddresses":"10.%d.%d.0/24","RemotePorts":"%d"}},`, 100+i%4000, 50+i/256, i%256, 1+i%60000)
	}
	b.WriteString(`{"Type":"ACL","Settings":{"Action":"Allow","Direction":"Out","RuleType":"Switch","Priority":5000}}`)
	return b.String()
}

// aclLab is an l2bridge endpoint with n rules.
func aclLab(t testing.TB, n int) *lab {
	l := newLab(t, Config{})
	net := l.network(l.h1, bridgeNet)
	l.container(l.h1, net, endpointDoc("a", "10.127.130.110", aclPolicies(n)))
	return l
}

// ruled is a switch as the endpoint's host has it, with a batch of frames of
// one flow.
type ruled struct {
	sw    *vswitch.Switch
	port  vfp.PortID
	frame []byte
	batch vfp.Batch
	sent  int
}

func (r *ruled) Deliver(int64, vfp.PortID, *vfp.Packet) { r.sent++ }
func (r *ruled) Dropped(int64, vfp.PortID, *vfp.Packet) {}

func newRuled(t testing.TB, l *lab) *ruled {
	t.Helper()
	sp := l.h1.Program().Switches[0]
	r := &ruled{sw: vswitch.New()}
	if err := r.sw.Apply(&sp.Config); err != nil {
		t.Fatal(err)
	}
	e := l.h1.State().Endpoints[0]
	for pc := range sp.Config.All() {
		if pc.Kind == vswitch.EndpointPort {
			r.port = pc.ID
		}
	}
	f := wire.Frame{EthSrc: e.MAC, EthDst: wire.MAC{2, 0, 0, 0, 0, 9}, Payload: make([]byte, 64),
		IP: &wire.IPFields{Src: e.Addr(), Dst: prefixOf("192.0.2.1/32")[0].Addr(), Proto: wire.ProtoUDP}, UDP: &wire.UDPFields{SrcPort: 5000, DstPort: 53}}
	r.frame = f.Bytes()
	return r
}

// send takes the batch through the switch.
func (r *ruled) send(now int64) {
	b := &r.batch
	b.Now, b.N = now, len(b.Pkts)
	for i := range b.N {
		p := &b.Pkts[i]
		p.Reset(r.frame)
		p.InPort = r.port
	}
	r.sw.Process(b, r)
}

// walked is how many packets met the ACL layer of the port.
func (r *ruled) walked(t testing.TB) (n int) {
	t.Helper()
	var b strings.Builder
	if err := r.sw.VFP(r.port).Dump(&b, 0); err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(b.String(), "LAYER : ACL_ENDPOINT_LAYER\n")
	_, rest, _ = strings.Cut(rest, "Packets : ")
	if _, err := fmt.Sscanf(rest, "%d", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// Packets of a known flow meet none of an endpoint's rules, however many there
// are, and allocate nothing (VFP-06).
func TestTenThousandACLsLeaveKnownFlowsAlone(t *testing.T) {
	for _, n := range []int{1, 10_000} {
		r := newRuled(t, aclLab(t, n))
		now := int64(time.Second)
		for range 10 {
			r.send(now)
		}
		if want := 10 * len(r.batch.Pkts); r.sent != want {
			t.Fatalf("%d rules: %d of %d packets left", n, r.sent, want)
		}
		if got := r.walked(t); got != 1 {
			t.Errorf("%d rules: %d packets of one flow met the rules, want the first alone", n, got)
		}
		if allocs := testing.AllocsPerRun(100, func() { r.send(now) }); allocs != 0 {
			t.Errorf("%d rules: %v allocations for a batch of known packets", n, allocs)
		}
	}
}

// A change of an endpoint, from the document to the program, costs what its
// rules do and not their square: ten times as many rules take some ten times as
// long. Both are timed in turn, and the best of each counts, as others use the
// machine. BenchmarkACLChange says how long it is: a fraction of a second for ten
// thousand.
func TestChangesCostWhatTheirACLsDo(t *testing.T) {
	few, many := aclLab(t, 1_000), aclLab(t, 10_000)
	bestFew, bestMany := time.Hour, time.Hour
	for range 5 {
		bestFew = min(bestFew, aclChange(t, few))
		bestMany = min(bestMany, aclChange(t, many))
	}
	t.Logf("a change took %v with 1,000 rules, %v with 10,000", bestFew, bestMany)
	if bestMany > 40*bestFew {
		t.Errorf("a change takes %v with 10,000 rules and %v with 1,000: that is %d times as long", bestMany, bestFew, bestMany/bestFew)
	}
}

// aclChange is how long it takes to add a rule to the lab's endpoint. The rule is
// taken away again.
func aclChange(t testing.TB, l *lab) time.Duration {
	t.Helper()
	id := l.h1.State().Endpoints[0].Doc.ID
	modify := func(verb string) {
		err := l.h1.HNS.ModifyEndpoint(id, fmt.Appendf(nil, `{"ResourceType":"Policy","RequestType":%q,"Settings":{"Policies":[{"Type":"ACL","Settings":
			{"Action":"Block","Direction":"Out","RuleType":"Switch","Priority":1,"RemoteAddresses":"192.0.2.9"}}]}}`, verb))
		if err != nil {
			t.Fatal(err)
		}
	}
	start := time.Now()
	modify("Add")
	took := time.Since(start)
	modify("Remove")
	return took
}

// BenchmarkACLHit is a batch of packets of a known flow; ns are for the batch.
func BenchmarkACLHit(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			r := newRuled(b, aclLab(b, n))
			b.ReportAllocs()
			for b.Loop() {
				r.send(int64(time.Second))
			}
		})
	}
}

// BenchmarkACLChange adds a rule to an endpoint with so many, and takes it away.
func BenchmarkACLChange(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			l := aclLab(b, n)
			for b.Loop() {
				aclChange(b, l)
			}
		})
	}
}
