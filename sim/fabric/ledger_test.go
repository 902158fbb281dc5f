package fabric

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/vswitch"
	"github.com/hnsim/hnsim/sim/wire"
)

func (l *lan) wantConserved(when string) {
	l.t.Helper()
	for _, err := range l.Conserved() {
		l.t.Errorf("%s: %v", when, err)
	}
}

func TestEveryFrameIsOnTheBooksWhateverTheWiresDo(t *testing.T) {
	l := mkLAN(t, 7)
	l.wantConserved("before anything")
	l.ping(l.x, ipstack.PingOptions{Dst: l.y.Stack().Interfaces()[0].Addrs()[0].Addr()})
	l.wantConserved("after a ping")
	nic := l.x.NIC("eth0")
	for _, c := range []LinkConfig{
		{Loss: 0.5, Reorder: 0.5, Delay: time.Millisecond}, {Down: true}, {RateBps: 8000, QueueBytes: 200}, {},
	} {
		nic.SetLink(c)
		l.Segment("wan").SetLink(LinkConfig{Delay: c.Delay, Loss: c.Loss})
		for i := range 20 {
			if _, err := l.x.Stack().Ping(l.Loop.Now(), ipstack.PingOptions{Dst: addr("192.0.2.10"), Size: i}); err != nil {
				t.Fatal(err)
			}
		}
		l.wantConserved(fmt.Sprintf("on their way over %+v", c))
		l.advance(time.Millisecond / 2)
		l.wantConserved(fmt.Sprintf("half way over %+v", c))
		l.settle()
		l.wantConserved(fmt.Sprintf("after %+v", c))
	}
	frame := (&wire.Frame{EthDst: l.r.NIC("lan").MAC(), EthSrc: nic.MAC(), EtherType: 0x88b5, Payload: make([]byte, 2000)}).Bytes()
	nic.Send(l.Loop.Now(), frame, 1)     // longer than the wire takes
	nic.Send(l.Loop.Now(), frame[:9], 2) // no Ethernet header
	nic.Inject(l.Loop.Now(), frame[:60], 3)
	l.settle()
	l.wantConserved("after odd frames")
	l.RemoveNIC(nic)
	l.wantConserved("after a NIC was unplugged")
}

func TestBooksThatDoNotBalanceAreFound(t *testing.T) {
	tests := []struct {
		name string
		lose func(l *lan, o *Outer)
		want string
	}{
		{"a frame vanishes on the way out", func(l *lan, _ *Outer) { l.x.NIC("eth0").ledger.entered-- }, "wire of x/eth0, tx"},
		{"a frame vanishes on the way in", func(l *lan, _ *Outer) { l.x.NIC("eth0").ledger.delivered-- }, "wire of x/eth0, rx"},
		{"a drop is not counted", func(l *lan, _ *Outer) { l.x.NIC("eth0").ledger.txDropped-- }, "wire of x/eth0, tx"},
		{"a segment swallows a frame", func(l *lan, _ *Outer) { l.Segment("lan").ledger.forwarded-- }, "segment lan"},
		{"a segment makes a copy for nobody", func(l *lan, _ *Outer) { l.Segment("lan").ledger.copies++ }, "copies on segment lan"},
		{"a switch's frame reaches nobody", func(_ *lan, o *Outer) { o.tally.delivered-- }, "outer switch of phys"},
		{"a switch's drop is not reported", func(_ *lan, o *Outer) { o.tally.dropped-- }, "drops were reported"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, o, vm, _ := mkOuter(t, OuterConfig{})
			spoofed := &wire.Frame{EthDst: wire.Broadcast, EthSrc: wire.MustMAC("00-15-5D-30-00-0A"), EtherType: 0x88b5, Payload: make([]byte, 50)}
			vm.Send(0, spoofed.Bytes(), 1)
			l.ping(l.x, ipstack.PingOptions{Dst: addr("10.0.0.99")})
			l.x.NIC("eth0").SetLink(LinkConfig{Down: true})
			l.ping(l.x, ipstack.PingOptions{Dst: addr("10.0.0.98")})
			l.wantConserved("before")
			tt.lose(l, o)
			if got := fmt.Sprint(l.Conserved()); !strings.Contains(got, tt.want) {
				t.Errorf("got %s, want something about %q", got, tt.want)
			}
		})
	}
}

func TestASwitchThatGoesAwayTakesItsDebtsToTheHost(t *testing.T) {
	w := New(Config{})
	h, err := w.AddHost(HostConfig{Name: "h1", Addrs: prefixes("10.0.0.5/24")})
	if err != nil {
		t.Fatal(err)
	}
	p := &HostProgram{Switches: []SwitchProgram{{Config: vswitch.Config{Name: "ext", Kind: vswitch.Private}}}}
	if err := h.Apply(p); err != nil {
		t.Fatal(err)
	}
	h.switches["ext"].tally.in++
	if err := h.Apply(&HostProgram{}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(w.Conserved()); !strings.Contains(got, "switch ext") {
		t.Errorf("got %s, want the switch that is gone", got)
	}
}
