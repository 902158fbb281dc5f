package spread

import (
	"fmt"
	"net/netip"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/wire"
)

// probeName is the role of the machine that looks whether a wire works. No
// scenario can have it: names of roles do not begin with a dash.
func probeName(i int) string { return fmt.Sprintf("-probe%d", i) }

// probeNode is that machine, with an address for documentation (RFC 5737).
func probeNode(i int, segment string) backends.Node {
	a := netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})
	return backends.Node{Kind: backends.ExternalNode, Name: probeName(i), Ifaces: []backends.Iface{{Segment: segment, Addrs: []netip.Prefix{netip.PrefixFrom(a, 24)}}}}
}

// probeFrame is a broadcast of the Ethernet type for local experiments.
func probeFrame(i int) []byte {
	f := make([]byte, 60)
	copy(f, wire.Broadcast[:])
	copy(f[6:], []byte{0x02, 'h', 'n', 's', 0, byte(i)})
	f[12], f[13] = 0x88, 0xb5
	copy(f[14:], "hnsim doctor")
	return f
}
