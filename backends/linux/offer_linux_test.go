package linux

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/wire"
)

// At a rate that every machine carries nothing is lost, reordered or counted
// twice; how long it takes is not this test's business.
func TestALoadArrives(t *testing.T) {
	needsKernel(t)
	ctx := context.Background()
	w, err := Backend{}.Open(ctx, backends.WorldConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close(ctx)
	macs := map[string]wire.MAC{"x": {2, 0, 0, 0, 0, 1}, "y": {2, 0, 0, 0, 0, 2}}
	for name, addr := range map[string]string{"x": "10.0.0.1/24", "y": "10.0.0.2/24"} {
		n := backends.Node{Kind: backends.ExternalNode, Name: name, Ifaces: []backends.Iface{{MAC: macs[name], Addrs: []netip.Prefix{netip.MustParsePrefix(addr)}}}}
		if err := w.AddNode(ctx, n); err != nil {
			t.Fatal(err)
		}
	}
	f := wire.Frame{EthSrc: macs["x"], EthDst: macs["y"], IP: &wire.IPFields{Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2")},
		UDP: &wire.UDPFields{SrcPort: 1, DstPort: 2, NoChecksum: true}, Payload: make([]byte, 1400)}
	l := backends.Load{From: "x", To: []string{"y"}, Frames: [][]byte{f.Bytes(), f.Bytes()}, Rate: 1000, For: 100 * time.Millisecond}
	seen := len(w.Observations())
	for range 2 { // the second trial finds the rings of the first
		got, err := w.(backends.Offerer).Offer(ctx, l)
		if err != nil {
			t.Fatal(err)
		}
		if got.Sent == 0 || got.Sent > 100 || got.Received != got.Sent || got.Twice+got.Reordered+got.Uncounted != 0 || len(got.Latency) != int(got.Sent) {
			t.Errorf("%+v", got)
		}
	}
	// The captures have looked away, and look again.
	out, err := w.Do(ctx, backends.Stimulus{Kind: backends.Ping, Role: "x", Dst: netip.MustParseAddrPort("10.0.0.2:0")})
	if err != nil || !out.OK {
		t.Fatal(out, err)
	}
	udp := 0
	for _, o := range w.Observations()[seen:] {
		var m wire.Meta
		if wire.Parse(o.Frame, &m); m.Proto == wire.ProtoUDP {
			udp++
		}
	}
	if len(w.Observations()) == seen || udp > 0 {
		t.Errorf("%d observations, %d of the load", len(w.Observations())-seen, udp)
	}
	l.To = []string{"nobody"}
	var usage *backends.UsageError
	if _, err := w.(backends.Offerer).Offer(ctx, l); !errors.As(err, &usage) {
		t.Error(err)
	}
}
