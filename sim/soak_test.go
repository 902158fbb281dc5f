package sim

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// Two workers forward, each through a host of its own, while the control plane
// changes the hosts in turn every millisecond: the policy of the pod that sends,
// pods beside it, their NAT pools. A packet that neither the old nor the new
// policy drops gets through, one that both drop does not, and nothing else happens
// (rule VFP-08). The race detector sees whether anything is shared that must not
// be.
func TestControlPlaneChangesLoseNoPacket(t *testing.T) {
	changes := 400
	if testing.Short() {
		changes = 40
	}
	l := newLab(t, Config{Profile: "ws2025"})
	var workers sync.WaitGroup
	stop := make(chan struct{})
	var soaks []*soak
	for i, h := range []*Host{l.h1, l.h2} {
		soaks = append(soaks, newSoak(l, h, []string{overlayH1, overlayH2}[i], i+1))
	}
	for _, s := range soaks {
		workers.Go(func() { s.forward(stop) })
	}
	for turn := range changes {
		time.Sleep(time.Millisecond)
		soaks[turn%2].change(turn / 2)
	}
	close(stop)
	workers.Wait()
	for i, s := range soaks {
		if s.wrong != "" {
			t.Errorf("worker %d: %s", i, s.wrong)
		}
		if s.passed == 0 || s.blocked == 0 {
			t.Errorf("worker %d: %d batches, %d passed and %d blocked of the packets that may: the test does not test much", i, s.batches, s.passed, s.blocked)
		}
		t.Logf("worker %d: %d batches, %d passed, %d blocked", i, s.batches, s.passed, s.blocked)
		s.x.Close()
		if err := s.h.Switch(s.h.Program().Switches[0].Config.Name).Conserved(); err != nil {
			t.Error(err)
		}
	}
}

// Destination ports by what becomes of packets to them.
const soakAlways, soakNever, soakSometimes = 53, 25, 80

type soak struct {
	l      *lab
	h      *Host
	net    string
	number int
	ep     string // of the pod that sends
	extra  string // of a pod that comes and goes
	x      *fabric.Express
	frames [64 * 3][]byte // flows to three ports each
	batch  vfp.Batch

	batches, passed, blocked int
	wrong                    string
}

func newSoak(l *lab, h *Host, doc string, number int) *soak {
	s := &soak{l: l, h: h, net: l.network(h, doc), number: number}
	addr := func(last int) string { return fmt.Sprintf("10.244.%d.%d", number, last) }
	from := l.container(h, s.net, endpointDoc("from", addr(10), ""))
	to := l.container(h, s.net, endpointDoc("to", addr(11), ""))
	s.ep = h.State().Endpoints[0].Doc.ID
	for i := range s.frames {
		f := wire.Frame{EthSrc: from.Interfaces()[0].MAC(), EthDst: to.Interfaces()[0].MAC(),
			IP:      &wire.IPFields{Src: netip.MustParseAddr(addr(10)), Dst: netip.MustParseAddr(addr(11)), TTL: 64},
			UDP:     &wire.UDPFields{SrcPort: uint16(1024 + i/3), DstPort: [3]uint16{soakAlways, soakNever, soakSometimes}[i%3]},
			Payload: make([]byte, 22)}
		s.frames[i] = f.Bytes()
	}
	s.policy(0)
	sw, port, ok := h.EndpointPort(s.ep)
	if !ok {
		l.t.Fatal("the pod has no port")
	}
	var err error
	if s.x, err = h.ExpressFromPort(sw, port); err != nil {
		l.t.Fatal(err)
	}
	return s
}

// policy replaces the ACLs of the pod: the port in question is blocked every
// other time.
func (s *soak) policy(turn int) {
	ports := fmt.Sprint(soakNever)
	if turn%2 == 1 {
		ports += fmt.Sprint(",", soakSometimes)
	}
	err := s.h.HNS.Modify("endpoint", s.ep, fmt.Appendf(nil, `{"ResourceType":"Policy","RequestType":"Update","Settings":{"Policies":[
		{"Type":"ACL","Settings":{"Action":"Block","Direction":"Out","Protocols":"17","RemotePorts":%q,"Priority":200}},
		{"Type":"ACL","Settings":{"Action":"Allow","Direction":"Out","Priority":300}},
		{"Type":"ACL","Settings":{"Action":"Allow","Direction":"In","Priority":300}}]}}`, ports))
	if err != nil {
		s.l.t.Error(err)
	}
}

// change does one thing to the host, or two.
func (s *soak) change(turn int) {
	s.policy(turn)
	if turn%5 != 0 {
		return
	}
	if s.extra != "" {
		if err := s.h.HNS.Delete("endpoint", s.extra); err != nil {
			s.l.t.Error(err)
		}
		s.extra = ""
		return
	}
	var err error
	s.extra, err = s.h.HNS.CreateEndpoint(s.net, "", []byte(endpointDoc("extra", fmt.Sprintf("10.244.%d.%d", s.number, 20+turn%100),
		`{"Type":"OutBoundNAT","Settings":{"Exceptions":["10.0.0.0/8"]}}`)))
	if err != nil {
		s.l.t.Error(err)
	}
}

func (s *soak) forward(stop chan struct{}) {
	for s.wrong == "" {
		select {
		case <-stop:
			return
		default:
		}
		s.one()
	}
}

// one takes a batch through and looks at what became of it.
func (s *soak) one() {
	b := &s.batch
	b.N = vfp.BatchSize
	at := s.batches * b.N
	for i := range b.N {
		b.Pkts[i].Reset(s.frames[(at+i)%len(s.frames)])
	}
	s.batches++
	s.x.Process(b)
	for i := range b.N {
		how, _ := s.x.At(i)
		through := how == fabric.ToInside
		switch p := &b.Pkts[i]; (at + i) % len(s.frames) % 3 {
		case 0:
			if !through {
				s.wrong = fmt.Sprintf("batch %d: a packet that no policy drops was dropped: %s", s.batches, p.Reason)
			}
		case 1:
			if through {
				s.wrong = fmt.Sprintf("batch %d: a packet that every policy drops got through", s.batches)
			}
		default:
			if through {
				s.passed++
			} else if s.blocked++; p.Reason != vfp.DropVfpBlock {
				s.wrong = fmt.Sprintf("batch %d: dropped for %s", s.batches, p.Reason)
			}
		}
	}
}
