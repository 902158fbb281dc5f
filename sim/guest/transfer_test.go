package guest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// Ten megabytes are some 7,000 full frames one way.
const (
	bodyLen   = 10 << 20
	minFrames = bodyLen / 1500
)

var wires = []struct {
	name string
	link fabric.LinkConfig
}{
	{"a perfect wire", fabric.LinkConfig{}},
	{"one percent is lost", fabric.LinkConfig{Loss: 0.01, Delay: 500 * time.Microsecond}},
}

func bodyHandler(b []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(b) })
}

func TestTenMegabytesCrossTheOverlay(t *testing.T) {
	for _, tt := range wires {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			a, b := l.overlay()
			content, want := body(bodyLen)
			l.serve(b, bodyHandler(content))
			l.link("h1", tt.link)

			start := time.Now()
			n, sum := l.fetch(a, "http://10.244.2.20/")
			took := time.Since(start)
			if n != bodyLen || sum != want {
				t.Fatalf("got %d bytes with SHA-256 %s, want %d with %s", n, sum, bodyLen, want)
			}
			l.close()
			t.Logf("%.1f MB/s; a %+v; b %+v; drops %v", float64(n)/1e6/took.Seconds(), a.Stats(), b.Stats(), l.drops)

			if l.vxlan < minFrames || l.plain != 0 {
				t.Errorf("%d frames crossed in VXLAN and %d without; want at least %d and none", l.vxlan, l.plain, minFrames)
			}
			if l.longest > wire.EthernetLen+1500 || l.longest <= wire.EthernetLen+1450 {
				t.Errorf("the longest frame on the wire has %d bytes; full segments and 50 bytes of encapsulation fit 1500", l.longest)
			}
			if lossy := tt.link.Loss > 0; lossy != (l.drops[vfp.DropLinkLoss] > minFrames/200) {
				t.Errorf("the wire lost %d frames", l.drops[vfp.DropLinkLoss])
			}
			if n := l.drops[vfp.DropLinkMtu] + l.drops[vfp.DropFragNeeded]; n != 0 {
				t.Errorf("%d frames were too long", n)
			}
		})
	}
}

func TestTenMegabytesComeThroughWinNAT(t *testing.T) {
	for _, tt := range wires {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			a, x := l.nat()
			content, want := body(bodyLen)
			l.serve(x, bodyHandler(content))
			l.link("x", tt.link)

			start := time.Now()
			n, sum := l.fetch(a, "http://203.0.113.80/")
			took := time.Since(start)
			if n != bodyLen || sum != want {
				t.Fatalf("got %d bytes with SHA-256 %s, want %d with %s", n, sum, bodyLen, want)
			}
			l.close()
			t.Logf("%.1f MB/s; a %+v; x %+v; drops %v", float64(n)/1e6/took.Seconds(), a.Stats(), x.Stats(), l.drops)

			if len(l.sources) != 1 || l.sources["10.127.130.35"] == 0 {
				t.Errorf("x saw TCP from %v, want 10.127.130.35 alone", l.sources)
			}
			if l.hops != 2 {
				t.Errorf("a sends with TTL 128, host and router take one each; x saw %d hops", l.hops)
			}
			if l.plain != 0 || l.vxlan != 0 {
				t.Errorf("%d frames left with an inside address, %d in VXLAN", l.plain, l.vxlan)
			}
			if lossy := tt.link.Loss > 0; lossy != (l.drops[vfp.DropLinkLoss] > minFrames/200) {
				t.Errorf("the wire lost %d frames", l.drops[vfp.DropLinkLoss])
			}
		})
	}
}

// BenchmarkHTTPAcrossTheOverlay is a transfer of ten megabytes per operation.
func BenchmarkHTTPAcrossTheOverlay(b *testing.B) {
	l := newLab(b)
	client, server := l.overlay()
	content, _ := body(bodyLen)
	l.serve(server, bodyHandler(content))
	b.SetBytes(bodyLen)
	for b.Loop() {
		l.fetch(client, "http://10.244.2.20/")
	}
}
