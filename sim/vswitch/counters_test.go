package vswitch

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/vfp"
)

func TestCountersSayWhatHappened(t *testing.T) {
	b := external(t)
	b.run([]step{{idA, bcast(idA), "b c host wire"}, {idA, udp(idA, idB), "b"}, {idB, ethSrc(udp(idB, idA), mac(idC)), "MacSpoof@b"}})
	a, bb := b.s.Counters(idA), b.s.Counters(idB)
	if a.In != 2 || a.Copies != 4 || a.Consumed != 1 || a.Out != 0 {
		t.Errorf("a: %+v", a)
	}
	if bb.In != 1 || bb.Out != 2 || bb.Dropped() != 1 || bb.Drops[vfp.DropMacSpoof] != 1 {
		t.Errorf("b: %+v", bb)
	}
	if got := b.s.Counters(77); got != (Counters{}) {
		t.Errorf("a port that does not exist: %+v", got)
	}
	if n := b.s.VFP(idB).Counters.Drops[vfp.DropMacSpoof]; n != 1 {
		t.Errorf("VFP's counters know of %d drops, want 1", n)
	}
}

func TestConservedNoticesALoss(t *testing.T) {
	b := external(t)
	b.run([]step{{idA, udp(idA, idB), "b"}})
	b.s.snap.port(idB).run.n.Out--
	err := b.s.Conserved()
	if err == nil || !strings.Contains(err.Error(), "1 in + 0 copies") {
		t.Errorf("a lost frame is reported as %v", err)
	}
}

func TestDumpIsOrderedText(t *testing.T) {
	b := external(t, access(idA, 7), func(c *Config) {
		c.Ports[0], c.Ports[4] = c.Ports[4], c.Ports[0] // the order of the document does not matter
		setPort(idC, func(p *PortConfig) {
			p.Blocked, p.MACSpoofing, p.StormLimit, p.Mirror = true, true, 9, MirrorSource
			p.VLAN = VLANConfig{Mode: VLANTrunk, Allowed: []uint16{7, 8}, Native: 1}
			p.ACLs = []PortACL{{Allow: true}}
		})(c)
		privateVLAN(idB, Isolated, 101)(c)
	})
	b.run([]step{{idA, udp(idA, idB), "VlanMismatch@b"}, {idA, udp(idA, idRouter), "PortBlocked@c wire#7"}})
	var out bytes.Buffer
	if err := b.s.Dump(&out); err != nil {
		t.Fatal(err)
	}
	const want = `switch "sw" type External vfp on ports 5
port 1 "a" endpoint zone 0 mac 00-15-5D-00-00-01 mtu 1500 vlan access 7
  in 2 out 0 copies 2 replies 0 consumed 1 held 0 dropped 0
port 2 "b" endpoint zone 0 mac 00-15-5D-00-00-02 mtu 1500 vlan private isolated 100,101
  in 0 out 0 copies 0 replies 0 consumed 0 held 0 dropped 1
  drop VlanMismatch 1
port 3 "c" endpoint zone 0 mac 00-15-5D-00-00-03 mtu 1500 vlan trunk [7 8] native 1 blocked mac-spoofing mirror-source storm-limit=9/s acls=1
  in 0 out 0 copies 0 replies 0 consumed 0 held 0 dropped 1
  drop PortBlocked 1
port 10 "host" host zone 0 mac 00-15-5D-00-00-0A mtu 1500 vlan untagged
  in 0 out 0 copies 0 replies 0 consumed 0 held 0 dropped 0
port 20 "wire" external zone 0 mac 00-00-00-00-00-00 mtu 1500 vlan untagged
  in 0 out 1 copies 0 replies 0 consumed 0 held 0 dropped 0
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	if err := b.s.Dump(broken{}); err == nil {
		t.Error("a write error is lost")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("full") }
