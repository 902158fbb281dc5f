package winnat

import (
	"encoding/binary"
	"unsafe"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// warmAt is a number of sessions that fit near caches.
const warmAt = 512

// Warm brings near what Forward is going to read for the packets, which
// need not have been parsed, so that the waits of a batch overlap. Nothing
// depends on it. It takes at most vfp.BatchSize packets.
func (n *NAT) Warm(pkts []vfp.Packet) {
	if n.flows.n < warmAt || len(pkts) < 2 || len(pkts) > vfp.BatchSize {
		return
	}
	mask := uint64(len(n.flows.slots) - 1)
	var keys [vfp.BatchSize]wire.Key4
	for i := range pkts {
		b := pkts[i].Bytes()
		if len(b) < wire.EthernetLen+wire.IPv4MinLen+4 || b[14] != 0x45 {
			continue
		}
		ports := binary.BigEndian.Uint32(b[34:])
		keys[i] = wire.MakeKey4(binary.BigEndian.Uint32(b[26:]), binary.BigEndian.Uint32(b[30:]),
			uint16(ports>>16), uint16(ports), b[23], uint32(hookOut))
		n.lines.Add(unsafe.Pointer(&n.flows.slots[home(keys[i])&mask]))
	}
	n.lines.Prefetch()
	for i := range pkts {
		if s := &n.flows.slots[home(keys[i])&mask]; s.num != 0 && s.k == keys[i] {
			n.lines.Add(unsafe.Pointer(n.sessions.at(s.num >> 1)))
		}
	}
	n.lines.Prefetch()
}
