package ipstack

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// tapIPv4 keeps what it takes: ARP and IPv4.
type tapIPv4 struct{ got [][]byte }

func (t *tapIPv4) take(_ int64, frame []byte, _ uint64) bool {
	if wire.Ethernet(frame).Type() == wire.EtherTypeIPv6 {
		return false
	}
	t.got = append(t.got, append([]byte(nil), frame...))
	return true
}

func TestATapTakesWhatTheStackWouldGet(t *testing.T) {
	p := mkPair(t)
	var taken tapIPv4
	tap, err := p.ib.Tap(taken.take)
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"10.0.0.2", "fd00::2"} {
		if _, err := p.a.Ping(p.now, PingOptions{Dst: ip(to)}); err != nil {
			t.Fatal(err)
		}
	}
	p.settle()
	if got := summaries(taken.got); !strings.Contains(got, "arp") || strings.Contains(got, "fd00") {
		t.Errorf("the tap took\n%swant ARP and nothing of IPv6", got)
	}
	got := summaries(p.sent["b/eth"])
	if !strings.Contains(got, "icmp6") || strings.Contains(got, "arp") {
		t.Errorf("the stack answered\n%swant IPv6 alone", got)
	}
	if len(p.got["b/eth"]) < len(taken.got) {
		t.Error("observers must see what the tap takes")
	}

	p.advance(time.Minute) // a gives up
	tap.Release()
	tap.Release()
	n := len(taken.got)
	if _, err := p.a.Ping(p.now, PingOptions{Dst: ip("10.0.0.2")}); err != nil {
		t.Fatal(err)
	}
	p.settle()
	if got := summaries(p.sent["b/eth"]); len(taken.got) != n || !strings.Contains(got, "arp") {
		t.Errorf("after the release the stack answers ARP again, but sent\n%s", got)
	}
	if tap.Send(p.now, make([]byte, 60)) {
		t.Error("a released tap sends")
	}
}

func TestATapSendsAsTheInterface(t *testing.T) {
	p := mkPair(t)
	tap, err := p.ia.Tap(func(int64, []byte, uint64) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.ia.Tap(nil); !errors.Is(err, ErrTapped) {
		t.Errorf("a second tap: %v", err)
	}
	f := wire.Frame{
		EthDst: p.ib.MAC(), EthSrc: p.ia.MAC(),
		IP:  &wire.IPFields{Src: ip("10.0.0.1"), Dst: ip("10.0.0.2"), TTL: 64},
		UDP: &wire.UDPFields{SrcPort: 1, DstPort: 2},
	}
	frame, err := f.Build()
	if err != nil {
		t.Fatal(err)
	}
	sink := &udpSink{}
	if _, err := p.b.Listen(wire.ProtoUDP, ip("10.0.0.2"), 2, sink.handler()); err != nil {
		t.Fatal(err)
	}
	if !tap.Send(p.now, frame) {
		t.Fatal("the tap did not send")
	}
	p.settle()
	if len(sink.got) != 1 || len(p.sent["a/eth"]) != 1 {
		t.Errorf("delivered %q, observed %s", sink.got, summaries(p.sent["a/eth"]))
	}

	tap.Send(p.now, frame[:13])
	p.wantDrops("a eth " + vfp.DropMalformed.String())
	p.a.RemoveInterface(p.now, "eth")
	if tap.Send(p.now, frame) {
		t.Error("a tap sends on an interface that is gone")
	}
	if _, err := p.ia.Tap(nil); !errors.Is(err, ErrUnreachable) {
		t.Errorf("a tap on an interface that is gone: %v", err)
	}
}
